//! The table itself.

use super::{Of, Source, Variable};
use crate::alert::facts::View;
use crate::ntp::Leap;
use crate::sample::Outcome;
use crate::stats::events::EventKind;
use crate::stats::verdict::{Class, State};

const fn number(
    name: &'static str,
    of: Of,
    unit: &'static str,
    help: &'static str,
    value: fn(&View<'_>) -> Option<f64>,
) -> Variable {
    Variable { name, of, unit, help, source: Source::Number(value) }
}

const fn truth(name: &'static str, of: Of, help: &'static str, value: fn(&View<'_>) -> Option<bool>) -> Variable {
    Variable { name, of, unit: "", help, source: Source::Truth(value) }
}

const fn text(
    name: &'static str,
    of: Of,
    help: &'static str,
    value: for<'b> fn(&'b View<'_>) -> Option<&'b str>,
) -> Variable {
    Variable { name, of, unit: "", help, source: Source::Text(value) }
}

fn ms(seconds: f64) -> f64 {
    seconds * 1e3
}

/// Every variable, in the order of the documentation.
pub static VARIABLES: &[Variable] = &[
    text("server", Of::Server, "Its name; with the address (`name@address`) when the name has several.", |view| {
        Some(view.server.as_ref()?.id)
    }),
    number(
        "offset_ms",
        Of::Server,
        "ms",
        "Offset of the last measurement, positive when the server is ahead of this host; absent when none of the last eight polls brought one.",
        |view| Some(ms(view.measure()?.offset_s)),
    ),
    number("abs_offset_ms", Of::Server, "ms", "The magnitude of `offset_ms`.", |view| {
        Some(ms(view.measure()?.offset_s.abs()))
    }),
    truth(
        "provable",
        Of::Server,
        "Whether the offset is larger than the root distance, so that this host and the server cannot both be right.",
        |view| view.measure().map(|measure| measure.offset_s.abs() > measure.root_distance_s),
    ),
    number("delay_ms", Of::Server, "ms", "Round-trip delay of the last measurement.", |view| {
        Some(ms(view.measure()?.delay_s))
    }),
    number("jitter_ms", Of::Server, "ms", "Jitter over the last eight polls (RFC 5905).", |view| {
        Some(ms(view.series()?.hour.jitter_s?))
    }),
    number(
        "root_distance_ms",
        Of::Server,
        "ms",
        "The true offset lies within `offset_ms` ± this if the server's claim holds.",
        |view| Some(ms(view.measure()?.root_distance_s)),
    ),
    number(
        "offset_p95_ms",
        Of::Server,
        "ms",
        "95th percentile of the offset's magnitude over the last hour.",
        |view| Some(ms(view.series()?.hour.offset_abs.percentile("p95")?)),
    ),
    number("drift_ppm", Of::Server, "ppm", "Slope of the offset over the last hour, positive when it rises.", |view| {
        Some(view.series()?.hour.trend.as_ref()?.ppm)
    }),
    number("reach", Of::Server, "", "How many of the last eight polls brought an offset, 0 to 8.", |view| {
        Some(f64::from(view.series()?.hour.reach.bits().count_ones()))
    }),
    number(
        "success_ratio_1h",
        Of::Server,
        "",
        "Share of the polls of the last hour that brought an offset, 0 to 1.",
        |view| view.series()?.hour.success_ratio,
    ),
    number("consecutive_failures", Of::Server, "", "Polls in a row that brought no offset.", |view| {
        Some(view.series()?.consecutive_failures as f64)
    }),
    text(
        "outcome",
        Of::Server,
        "How the last poll ended: sample, timeout, refused, kiss, rejected, unsynchronised, dns or fault.",
        |view| Some(view.series()?.last.outcome.label()),
    ),
    truth("unsynchronised", Of::Server, "Whether the server says that its clock is not synchronised.", |view| {
        Some(view.series()?.last.outcome == Outcome::Unsynchronised)
    }),
    number("stratum", Of::Server, "", "Stratum, as the server stated it last: 1 to 15, 16 unsynchronised.", |view| {
        Some(f64::from(view.said()?.stratum))
    }),
    number("stratum_changed_s", Of::Server, "s", "Time since the stratum changed; absent when it never did.", |view| {
        view.said()?.stratum_changed_s(view.common.now)
    }),
    number(
        "refid_changed_s",
        Of::Server,
        "s",
        "Time since the server changed its upstream; absent when it never did.",
        |view| view.said()?.refid_changed_s(view.common.now),
    ),
    number("refid_kept_s", Of::Server, "s", "How long it had kept the upstream before that.", |view| {
        view.said()?.refid_kept_s()
    }),
    number(
        "leap",
        Of::Server,
        "",
        "Leap indicator: 0 none, 1 insertion, 2 deletion announced, 3 unsynchronised.",
        |view| Some(f64::from(view.said()?.leap.bits())),
    ),
    truth("leap_announced", Of::Server, "Whether the server announces a leap second.", |view| {
        Some(!matches!(view.said()?.leap, Leap::None | Leap::Unknown))
    }),
    truth(
        "leap_unlisted",
        Of::Server,
        "Whether the server announces a leap second that the published list does not have; absent without a list.",
        |view| {
            let (announced, leap) = (!matches!(view.said()?.leap, Leap::None | Leap::Unknown), view.leap());
            let is_unlisted = || leap.findings.iter().any(|finding| finding.kind == EventKind::LeapNotListed);
            leap.list.is_some().then(|| announced && is_unlisted())
        },
    ),
    truth("falseticker", Of::Server, "Whether the verdict calls the server wrong.", |view| {
        view.verdict().map(|it| it.blamed && it.class == Class::Falseticker)
    }),
    number("gap_ms", Of::Server, "ms", "Wrong by at least this, when that is proven.", |view| {
        Some(ms(view.verdict()?.gap_s?))
    }),
    text(
        "wrong_kind",
        Of::Server,
        "How it is wrong: step, frequency, constant, smear, asymmetry, congestion or unreachable; absent when it is not.",
        |view| Some(view.verdict()?.kind?.label()),
    ),
    text("why", Of::Server, "What the verdict says of it, as a sentence.", |view| Some(&view.verdict()?.sentence)),
    number("poll_s", Of::Server, "s", "The interval at which it is polled.", |view| Some(view.series()?.last.poll_s)),
    number("score", Of::Server, "", "Score as the NTP Pool counts it, −100 to 20.", |view| {
        Some(view.series()?.hour.score.value())
    }),
    text("verdict", Of::Verdict, "consistent, local_wrong, server_wrong, path or undecidable.", |view| {
        Some(view.common.snapshot.verdict.state.label())
    }),
    text("verdict_sentence", Of::Verdict, "The verdict as a sentence.", |view| {
        Some(&view.common.snapshot.verdict.sentence)
    }),
    truth("majority", Of::Verdict, "Whether more than half of the servers agree with each other.", |view| {
        // An interval of the majority is not always at hand while servers are away; a verdict that is one rests on it.
        let verdict = &view.common.snapshot.verdict;
        Some(verdict.majority.is_some() || verdict.state != State::Undecidable)
    }),
    number("majority_members", Of::Verdict, "", "How many servers agree.", |view| {
        Some(view.common.snapshot.verdict.majority?.members as f64)
    }),
    number("servers_wrong", Of::Verdict, "", "How many servers the verdict accuses.", |view| {
        let verdict = &view.common.snapshot.verdict;
        Some(if verdict.state == State::Path { 0.0 } else { verdict.blamed().count() as f64 })
    }),
    truth("local_wrong", Of::OwnClock, "Whether the verdict calls the clock of this machine wrong.", |view| {
        Some(view.common.snapshot.verdict.state == State::LocalWrong)
    }),
    number(
        "local_error_ms",
        Of::OwnClock,
        "ms",
        "The servers' weighted median offset: positive when this clock is slow; absent without a majority.",
        |view| Some(ms(view.common.snapshot.verdict.local.estimate_s?)),
    ),
    number("local_bound_ms", Of::OwnClock, "ms", "The true error lies within `local_error_ms` ± this.", |view| {
        Some(ms(view.common.snapshot.verdict.local.bound_s?))
    }),
    number(
        "local_error_at_least_ms",
        Of::OwnClock,
        "ms",
        "This clock is wrong by at least this; 0 when that is not proven.",
        |view| Some(ms(view.common.snapshot.verdict.local.at_least_s)),
    ),
    truth(
        "local_unsynchronised",
        Of::OwnClock,
        "Whether this machine says of itself that its clock is not to be trusted; absent when nobody says anything.",
        |view| {
            let local = &view.common.snapshot.local;
            (local.kernel.is_some()).then(|| local.distrust().is_some())
        },
    ),
    text("local_distrust", Of::OwnClock, "Why it is not to be trusted.", |view| view.common.snapshot.local.distrust()),
    number("local_max_error_ms", Of::OwnClock, "ms", "The maximum error that the kernel states.", |view| {
        Some(ms(view.common.snapshot.local.kernel?.max_error_s))
    }),
    number("servers_total", Of::Service, "", "Servers that have been polled, each address by itself.", |view| {
        Some(view.common.count.polled as f64)
    }),
    number(
        "servers_lost",
        Of::Service,
        "",
        "How many of them brought nothing at their last two polls or more.",
        |view| Some(view.common.count.lost as f64),
    ),
    number("servers_answering", Of::Service, "", "The others.", |view| {
        Some((view.common.count.polled - view.common.count.lost) as f64)
    }),
    number("sinks_failing", Of::Service, "", "Outputs whose last attempt to write failed.", |view| {
        Some(view.common.health.sinks.values().filter(|sink| sink.failing).count() as f64)
    }),
    number(
        "sink_lag_s",
        Of::Service,
        "s",
        "Age of the oldest entry that an output has not got yet; the worst of all.",
        |view| Some(view.common.health.sinks.values().map(|sink| sink.lag_s).fold(0.0, f64::max)),
    ),
    number("sinks_dropped", Of::Service, "", "Entries lost for outputs since start.", |view| {
        Some(view.common.health.sinks.values().map(|sink| sink.dropped as f64).sum())
    }),
    number("parts_down", Of::Service, "", "Parts of the service that are not running.", |view| {
        Some(view.common.health.down.len() as f64)
    }),
    number("restarts", Of::Service, "", "Restarts of parts of the service since it started.", |view| {
        Some(view.common.health.restarts as f64)
    }),
    text("health", Of::Service, "ok, degraded or failing.", |view| Some(view.common.health.status.label())),
    number("uptime_s", Of::Service, "s", "Time since the service started.", |view| Some(view.common.health.uptime_s)),
    number(
        "leap_list_days_left",
        Of::Service,
        "",
        "Days until the list of leap seconds expires; absent without one.",
        |view| view.leap().list.map(|list| list.days_left as f64),
    ),
];
