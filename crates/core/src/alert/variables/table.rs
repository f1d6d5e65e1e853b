//! The rows of the table of variables.

use super::{Of, Source, Variable};
use crate::alert::facts::View;
use crate::ntp::{Check, Leap};
use crate::sample::{Authentication, Outcome, Sample};
use crate::stats::events::EventKind;
use crate::stats::verdict::{Class, Kind, State};

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

/// All variables, in the order of the documentation.
pub static VARIABLES: &[Variable] = &[
    text("server", Of::Server, "The name of the server; `name@address` if the name has several addresses.", |view| {
        Some(view.server.as_ref()?.id)
    }),
    number(
        "offset_ms",
        Of::Server,
        "ms",
        "Offset of the last measurement, positive when the server is ahead of this host; absent if none of the last \
         eight polls gave a sample.",
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
        "Largest possible error of `offset_ms` if the server is correct.",
        |view| Some(ms(view.measure()?.root_distance_s)),
    ),
    number(
        "offset_p95_ms",
        Of::Server,
        "ms",
        "95th percentile of the offset's magnitude over the last hour.",
        |view| Some(ms(view.series()?.hour.offset_abs.percentile("p95")?)),
    ),
    number(
        "drift_ppm",
        Of::Server,
        "ppm",
        "Slope of the offset over the last hour, positive when the offset rises.",
        |view| Some(view.series()?.hour.trend.as_ref()?.ppm),
    ),
    number("reach", Of::Server, "", "How many of the last eight polls gave a sample, 0 to 8.", |view| {
        Some(f64::from(view.series()?.hour.reach.bits().count_ones()))
    }),
    number(
        "success_ratio_1h",
        Of::Server,
        "",
        "Share of the polls of the last hour that gave a sample, 0 to 1.",
        |view| view.series()?.hour.success_ratio,
    ),
    number("consecutive_failures", Of::Server, "", "Polls in a row that gave no sample.", |view| {
        Some(view.series()?.consecutive_failures as f64)
    }),
    text(
        "outcome",
        Of::Server,
        "How the last poll ended: sample, timeout, refused, kiss, rejected, unsynchronised, dns or fault.",
        |view| Some(view.series()?.last.outcome.label()),
    ),
    truth(
        "spoofed_replies",
        Of::Server,
        "Whether replies that answer none of our requests keep arriving in the name of the server.",
        |view| {
            let name = &*view.server.as_ref()?.ident.name;
            let mut ongoing = view.common.snapshot.ongoing.iter();
            Some(ongoing.any(|event| event.kind == EventKind::SpoofedReplies && event.server.as_deref() == Some(name)))
        },
    ),
    truth("unsynchronised", Of::Server, "Whether the server reports that its clock is not synchronised.", |view| {
        Some(matches!(view.series()?.last.outcome, Outcome::Unsynchronised(_)))
    }),
    number("stratum", Of::Server, "", "Stratum in the last reply: 1 to 15, or 16 for unsynchronised.", |view| {
        Some(f64::from(view.last_reply()?.stratum))
    }),
    number("stratum_changed_s", Of::Server, "s", "Time since the stratum changed; absent if it never has.", |view| {
        view.last_reply()?.stratum_changed_s(view.common.now)
    }),
    number(
        "refid_changed_s",
        Of::Server,
        "s",
        "Time since the server switched to another upstream; absent if it never has.",
        |view| view.last_reply()?.refid_changed_s(view.common.now),
    ),
    number("refid_kept_s", Of::Server, "s", "How long the server had used the previous upstream.", |view| {
        view.last_reply()?.refid_kept_s()
    }),
    number(
        "reference_age_s",
        Of::Server,
        "s",
        "Time between the last setting of the server's clock and its last reply, as the server states it.",
        |view| view.last_reply()?.reference_age_s,
    ),
    number(
        "leap",
        Of::Server,
        "",
        "Leap indicator: 0 none, 1 insertion announced, 2 deletion announced, 3 unsynchronised.",
        |view| Some(f64::from(view.last_reply()?.leap.bits())),
    ),
    truth("leap_announced", Of::Server, "Whether the server announces a leap second.", |view| {
        Some(!matches!(view.last_reply()?.leap, Leap::None | Leap::Unknown))
    }),
    truth(
        "leap_unlisted",
        Of::Server,
        "Whether the server announces a leap second that is not on the published list; absent without a list.",
        |view| {
            let (announced, leap) = (!matches!(view.last_reply()?.leap, Leap::None | Leap::Unknown), view.leap());
            let is_unlisted = || leap.findings.iter().any(|finding| finding.kind == EventKind::LeapNotListed);
            leap.list.is_some().then(|| announced && is_unlisted())
        },
    ),
    truth(
        "falseticker",
        Of::Server,
        "Whether the error ranges prove the server wrong; false while it is only suspected.",
        |view| view.verdict().map(|it| it.blamed && it.class == Class::Falseticker),
    ),
    truth("suspected", Of::Server, "Whether the verdict infers that the server is wrong, without proof.", |view| {
        view.verdict().map(|it| it.blamed && !it.proven && !is_of_path(it.kind))
    }),
    number("gap_ms", Of::Server, "ms", "Proven minimum error of the server; absent if no error is proven.", |view| {
        Some(ms(view.verdict()?.gap_s?))
    }),
    text(
        "wrong_kind",
        Of::Server,
        "How the server is wrong: step, frequency, constant, smear, asymmetry, congestion or unreachable; absent if \
         it is not.",
        |view| Some(view.verdict()?.kind?.label()),
    ),
    text("why", Of::Server, "The verdict on this server, as a sentence.", |view| Some(&view.verdict()?.sentence)),
    number("poll_s", Of::Server, "s", "The poll interval.", |view| Some(view.series()?.last.poll_s)),
    number("score", Of::Server, "", "Score by the formula of the NTP Pool, −100 to 20.", |view| {
        Some(view.series()?.hour.score.value())
    }),
    truth("nts", Of::Server, "Whether the server is configured for NTS.", |view| {
        Some(view.series()?.last.nts.is_some())
    }),
    truth(
        "nts_authenticated",
        Of::Server,
        "Whether one of the last eight polls gave a sample that NTS authenticates; absent without NTS.",
        |view| {
            let series = view.series()?;
            let is_authentic = |sample: &Sample| sample.authentication == Authentication::Nts;
            let measured = series.last_measured.as_ref().filter(|_| series.hour.reach.is_reachable());
            series.last.nts.is_some().then(|| measured.is_some_and(|sample| is_authentic(sample)))
        },
    ),
    truth(
        "nts_downgraded",
        Of::Server,
        "Whether the replies to the last poll were without NTS, although the request had it; absent without NTS.",
        |view| {
            let last = &view.series()?.last;
            last.nts.is_some().then(|| last.outcome == Outcome::Rejected(Check::Downgrade))
        },
    ),
    number("nts_cookies", Of::Server, "", "NTS cookies left; 8 is the maximum.", |view| {
        Some(view.nts()?.cookies as f64)
    }),
    number(
        "nts_exchange_failures",
        Of::Server,
        "",
        "Failed NTS key exchanges since the last successful one.",
        |view| Some(f64::from(view.nts()?.failures_in_row)),
    ),
    text("nts_fault", Of::Server, "Why the last NTS key exchange failed; absent if it succeeded.", |view| {
        Some(&view.nts()?.fault()?.text)
    }),
    truth(
        "nts_clock_explains",
        Of::Server,
        "Whether the proven error of this host's clock explains a certificate that seems to have expired, or not to be \
         valid yet.",
        |view| {
            let (status, local) = (view.nts()?, &view.common.snapshot.verdict.local);
            // The estimate is positive when this host's clock is behind.
            let ahead_s = -local.at_least_s.copysign(local.estimate_s.unwrap_or_default());
            Some(status.is_explained_by_clock(view.wall()?, ahead_s))
        },
    ),
    number(
        "nts_certificate_days_left",
        Of::Server,
        "d",
        "Days until the certificate of the NTS key-exchange server expires, negative after that.",
        |view| Some(view.nts()?.certificate()?.left_s(view.wall()?) / 86_400.0),
    ),
    number(
        "nts_certificate_left_ratio",
        Of::Server,
        "",
        "Share of the lifetime of that certificate that is left, 0 to 1; negative after its end.",
        |view| Some(view.nts()?.certificate()?.left_ratio(view.wall()?)),
    ),
    text("nts_issuer", Of::Server, "Who signed that certificate.", |view| Some(&view.nts()?.certificate()?.issuer)),
    text("verdict", Of::Verdict, "The verdict: consistent, local_wrong, server_wrong, path or undecidable.", |view| {
        Some(view.common.snapshot.verdict.state.label())
    }),
    text("verdict_sentence", Of::Verdict, "The verdict as a sentence.", |view| {
        Some(&view.common.snapshot.verdict.sentence)
    }),
    truth("majority", Of::Verdict, "Whether more than half of the servers agree with each other.", |view| {
        // While servers are unreachable there may be no majority interval; any decided verdict implies a majority.
        let verdict = &view.common.snapshot.verdict;
        Some(verdict.majority.is_some() || verdict.state != State::Undecidable)
    }),
    number("majority_members", Of::Verdict, "", "Number of servers that agree with each other.", |view| {
        Some(view.common.snapshot.verdict.majority?.members as f64)
    }),
    number("servers_wrong", Of::Verdict, "", "Number of servers that the verdict says are wrong.", |view| {
        let verdict = &view.common.snapshot.verdict;
        Some(if verdict.state == State::Path { 0.0 } else { verdict.blamed().count() as f64 })
    }),
    truth("local_wrong", Of::OwnClock, "Whether the verdict says that this host's clock is wrong.", |view| {
        Some(view.common.snapshot.verdict.state == State::LocalWrong)
    }),
    number(
        "local_error_ms",
        Of::OwnClock,
        "ms",
        "Weighted median offset of the servers, positive when this host's clock is behind; absent without a majority.",
        |view| Some(ms(view.common.snapshot.verdict.local.estimate_s?)),
    ),
    number("local_bound_ms", Of::OwnClock, "ms", "Largest possible error of `local_error_ms`.", |view| {
        Some(ms(view.common.snapshot.verdict.local.bound_s?))
    }),
    number(
        "local_error_at_least_ms",
        Of::OwnClock,
        "ms",
        "Proven minimum error of this host's clock; 0 if no error is proven.",
        |view| Some(ms(view.common.snapshot.verdict.local.at_least_s)),
    ),
    truth(
        "local_unsynchronised",
        Of::OwnClock,
        "Whether the kernel or the time daemon of this host reports that the clock is not synchronised; absent if \
         neither can be read.",
        |view| {
            let local = &view.common.snapshot.local;
            (local.kernel.is_some()).then(|| local.distrust().is_some())
        },
    ),
    text("local_distrust", Of::OwnClock, "Why this host's clock is not synchronised.", |view| {
        view.common.snapshot.local.distrust()
    }),
    number("local_max_error_ms", Of::OwnClock, "ms", "Maximum error of the clock as reported by the kernel.", |view| {
        Some(ms(view.common.snapshot.local.kernel?.max_error_s))
    }),
    number("servers_total", Of::Service, "", "Servers that have been polled; each address counts.", |view| {
        Some(view.common.count.polled as f64)
    }),
    number("servers_lost", Of::Service, "", "Servers whose last two or more polls gave no sample.", |view| {
        Some(view.common.count.lost as f64)
    }),
    number("servers_answering", Of::Service, "", "Polled servers that are not lost.", |view| {
        Some((view.common.count.polled - view.common.count.lost) as f64)
    }),
    number("sinks_failing", Of::Service, "", "Outputs whose last write attempt failed.", |view| {
        Some(view.common.health.sinks.values().filter(|sink| sink.failing).count() as f64)
    }),
    number(
        "sink_lag_s",
        Of::Service,
        "s",
        "Age of the oldest entry that has not been written to an output; the maximum over all outputs.",
        |view| Some(view.common.health.sinks.values().map(|sink| sink.lag_s).fold(0.0, f64::max)),
    ),
    number("sinks_dropped", Of::Service, "", "Entries dropped by all outputs since start.", |view| {
        Some(view.common.health.sinks.values().map(|sink| sink.dropped as f64).sum())
    }),
    number("parts_down", Of::Service, "", "Parts of the service that are not running.", |view| {
        Some(view.common.health.down.len() as f64)
    }),
    number("restarts", Of::Service, "", "Restarts of parts of the service since it started.", |view| {
        Some(view.common.health.restarts as f64)
    }),
    text("health", Of::Service, "Health of the service: ok, degraded or failing.", |view| {
        Some(view.common.health.status.label())
    }),
    number("uptime_s", Of::Service, "s", "Time since the service started.", |view| Some(view.common.health.uptime_s)),
    number(
        "leap_list_days_left",
        Of::Service,
        "",
        "Days until the leap second list expires, rounded down: -1 on the first day after; absent without a list.",
        |view| view.leap().list.map(|list| list.days_left as f64),
    ),
    number(
        "fleet_vantages",
        Of::Fleet,
        "",
        "Vantages that this hub has heard since it started; absent elsewhere.",
        |view| Some(view.common.fleet?.vantages as f64),
    ),
    number("fleet_vantages_silent", Of::Fleet, "", "Vantages that were heard and are silent now.", |view| {
        Some(view.common.fleet?.silent as f64)
    }),
    text("fleet_silent", Of::Fleet, "Their names, separated by commas.", |view| Some(&view.common.fleet?.silent_names)),
    number(
        "fleet_skew_ms",
        Of::Fleet,
        "ms",
        "The largest proven difference of two vantages' clocks; 0 if none is proven.",
        |view| Some(ms(view.common.fleet?.skew_s)),
    ),
    number("fleet_skew_limit_ms", Of::Fleet, "ms", "The key fleet.skew_limit of the configuration.", |view| {
        Some(ms(view.common.fleet?.skew_limit_s))
    }),
    text("fleet_skew_pair", Of::Fleet, "The two vantages whose clocks differ most: `ams and ber`.", |view| {
        Some(&view.common.fleet?.skew_pair)
    }),
    number("fleet_wrong_servers", Of::Fleet, "", "Servers that the verdict of the fleet calls wrong.", |view| {
        Some(view.common.fleet?.wrong_servers as f64)
    }),
    number("fleet_wrong_vantages", Of::Fleet, "", "Vantages that the verdict of the fleet calls wrong.", |view| {
        Some(view.common.fleet?.wrong_vantages as f64)
    }),
    number(
        "fleet_wrong_places",
        Of::Fleet,
        "",
        "The largest number of places from which one server looks wrong, by the servers that are seen from there.",
        |view| Some(view.common.fleet?.wrong_places as f64),
    ),
    text("fleet_wrong_places_server", Of::Fleet, "The name of that server.", |view| {
        Some(&view.common.fleet?.wrong_places_server)
    }),
    number("fleet_unreachable_servers", Of::Fleet, "", "Polled servers that no place can reach.", |view| {
        Some(view.common.fleet?.unreachable as f64)
    }),
    text("fleet_unreachable", Of::Fleet, "Their names, separated by commas.", |view| {
        Some(&view.common.fleet?.unreachable_names)
    }),
    number("fleet_nts_failing", Of::Fleet, "", "Servers with NTS that are not authenticated somewhere.", |view| {
        Some(view.common.fleet?.nts_failing as f64)
    }),
    text("fleet_nts", Of::Fleet, "Their names with the place and the reason, separated by commas.", |view| {
        Some(&view.common.fleet?.nts_names)
    }),
    number(
        "fleet_nts_certificate_days_left",
        Of::Fleet,
        "",
        "Days until the first certificate of a server with NTS expires, at any place; absent without one.",
        |view| view.common.fleet?.nts_days_left,
    ),
    text("fleet_sentence", Of::Fleet, "The verdict of the fleet as a sentence.", |view| {
        Some(&view.common.fleet?.sentence)
    }),
];

/// Whether the fault is in a path, not in a clock.
fn is_of_path(kind: Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Asymmetry | Kind::Congestion | Kind::Unreachable))
}
