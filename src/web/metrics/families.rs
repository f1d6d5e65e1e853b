//! All metrics: name, unit, kind, meaning and source of the value. This file has the metrics of servers and of the
//! verdict; [`super::own`] has those of the program itself.

use super::family::{Family, Kind, Values, gauge, of_server, truth};
use super::{alerts, fleet, notifiers, own, process, reports};
use crate::web::view::row::Row;
use ntp_monitor_core::sample::{Authentication, Outcome};
use ntp_monitor_core::stats::events::EventKind;
use ntp_monitor_core::stats::verdict::{Class, State, When};

const SECONDS: Option<&str> = Some("seconds");
const RATIO: Option<&str> = Some("ratio");

/// All metrics, in the order of the exposition.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "server",
        unit: None,
        kind: Kind::Info,
        help: "Labels of a server: its configured tags (as tag_NAME) and how its packets are timestamped.",
        values: Values::ServerInfo(&["timestamping", "tag_…"], server_info),
    },
    of_server(
        "up",
        None,
        "Whether the last poll gave an offset: 1 if so, else 0. Absent while the server is paused or not polled yet.",
        |row| row.is_polled().then(|| truth(row.outcome == Some(Outcome::Sample.label()))),
    ),
    of_server(
        "offset",
        SECONDS,
        "Clock offset in seconds, positive when the server is ahead of this host (RFC 5905 theta). Absent if none of the last eight polls gave one, or if the server refuses to serve this host.",
        |row| row.offset_s,
    ),
    of_server(
        "delay",
        SECONDS,
        "Round-trip delay in seconds, without the server's processing time (RFC 5905 delta).",
        |row| row.delay_s,
    ),
    of_server(
        "jitter",
        SECONDS,
        "Jitter in seconds: root mean square of the differences from the offset of the poll with the least delay, over the last eight polls, at least the precision of this host's clock (RFC 5905).",
        |row| row.jitter_s,
    ),
    of_server(
        "root_distance",
        SECONDS,
        "Root distance in seconds: if the server is correct, the true offset is within offset ± this value.",
        |row| row.root_distance_s,
    ),
    of_server(
        "root_delay",
        SECONDS,
        "Round-trip delay to the reference clock in seconds, as the server states it.",
        |row| row.root_delay_s.filter(|v| v.is_finite()),
    ),
    of_server(
        "root_dispersion",
        SECONDS,
        "Dispersion to the reference clock in seconds, as the server states it.",
        |row| row.root_dispersion_s.filter(|v| v.is_finite()),
    ),
    of_server(
        "reference_age",
        SECONDS,
        "Time between the last setting of the server's clock and its last reply in seconds, as the server states it.",
        |row| row.reference_age_s,
    ),
    of_server("precision", SECONDS, "Precision of the server's clock in seconds, as it states it.", |row| {
        row.precision_s
    }),
    of_server("stratum", None, "Stratum: 1 primary, 2 to 15 secondary.", |row| row.stratum.map(f64::from)),
    of_server("leap", None, "Leap indicator: 0 none, 1 insert a second, 2 delete one, 3 not synchronised.", |row| {
        row.leap.map(f64::from)
    }),
    of_server(
        "reach",
        None,
        "The reach register as a number, 0 to 255: one bit for each of the last eight polls, the lowest bit for the latest. Absent while the server is paused or not polled yet.",
        reach,
    ),
    of_server("reach", RATIO, "The share of the last eight polls that gave an offset, 0 to 1.", |row| {
        reach(row).map(|bits| f64::from((bits as u8).count_ones()) / 8.0)
    }),
    of_server(
        "poll_interval",
        SECONDS,
        "The interval at which the server is polled, in seconds; while it refuses to serve this host, the pause until it is asked again.",
        |row| Some(row.poll_s),
    ),
    of_server(
        "score",
        None,
        "The score of the NTP Pool, about -100 to 20; the pool hands out servers above 10.",
        |row| row.score,
    ),
    of_server(
        "nts_authenticated",
        None,
        "Whether the last poll gave an offset that NTS authenticates: 1 if so, else 0. Absent without NTS.",
        |row| {
            let is_sample = row.outcome == Some(Outcome::Sample.label());
            row.nts.as_ref().map(|_| truth(is_sample && row.authentication == Some(Authentication::Nts.label())))
        },
    ),
    of_server("nts_cookies", None, "NTS cookies left; 8 is the maximum.", |row| Some(row.nts.as_ref()?.cookies as f64)),
    of_server("nts_cookie", Some("bytes"), "The length of a cookie in octets.", |row| {
        Some(row.nts.as_ref()?.cookie_octets? as f64)
    }),
    Family {
        name: "nts",
        unit: None,
        kind: Kind::Info,
        help: "Algorithm and certificate of the last NTS key exchange. Absent while the exchange fails.",
        values: Values::ServerInfo(&["aead", "subject", "issuer", "serial"], nts_info),
    },
    of_server(
        "nts_certificate_start_timestamp",
        SECONDS,
        "Start of the validity of the NTS key-exchange server's certificate, in seconds since 1970.",
        |row| Some(row.nts.as_ref()?.certificates.first()?.not_before.as_second() as f64),
    ),
    of_server(
        "nts_certificate_end_timestamp",
        SECONDS,
        "End of the validity of the NTS key-exchange server's certificate, in seconds since 1970.",
        |row| Some(row.nts.as_ref()?.certificates.first()?.not_after.as_second() as f64),
    ),
    of_server("nts_exchange", SECONDS, "How long the last NTS key exchange took, in seconds.", |row| {
        row.nts.as_ref()?.exchange_s
    }),
    of_server("nts_exchange_failures_in_row", None, "Failed NTS key exchanges since the last successful one.", |row| {
        Some(f64::from(row.nts.as_ref()?.failures_in_row))
    }),
    Family {
        name: "nts_exchanges",
        unit: None,
        kind: Kind::Counter,
        help: "NTS key exchanges since the service started, by result.",
        values: Values::ServerBy("result", |row| {
            let Some(nts) = &row.nts else { return Vec::new() };
            vec![("ok", (nts.exchanges - nts.failures) as f64), ("failed", nts.failures as f64)]
        }),
    },
    Family {
        name: "nts_naks",
        unit: None,
        kind: Kind::Counter,
        help: "How often the server could not read an NTS cookie, since the service started.",
        values: Values::Server(|row| Some(row.nts.as_ref()?.naks as f64)),
    },
    Family {
        name: "nts_downgrades",
        unit: None,
        kind: Kind::Counter,
        help: "Requests with NTS that were answered without NTS, since the service started.",
        values: Values::Server(|row| Some(row.nts.as_ref()?.downgrades as f64)),
    },
    of_server("last_poll_timestamp", SECONDS, "When the last poll ended, in seconds since 1970.", |row| {
        row.last_poll.map(seconds)
    }),
    of_server(
        "last_sample_timestamp",
        SECONDS,
        "When the last poll that gave an offset ended, in seconds since 1970.",
        |row| row.last_seen.map(seconds),
    ),
    Family {
        name: "polls",
        unit: None,
        kind: Kind::Counter,
        help: "Polls since the service started, by outcome.",
        values: Values::ServerBy("outcome", |row| {
            Outcome::LABELS.map(|label| (label, row.outcomes.get(label).map_or(0.0, |n| *n as f64))).to_vec()
        }),
    },
    Family {
        name: "rejected_replies",
        unit: None,
        kind: Kind::Counter,
        help: "Rejected replies since the service started.",
        values: Values::Server(|row| Some(row.rejected_replies as f64)),
    },
    of_server("consecutive_failures", None, "Consecutive polls that gave no offset.", |row| {
        Some(row.consecutive_failures as f64)
    }),
    Family {
        name: "success",
        unit: RATIO,
        kind: Kind::Gauge,
        help: "The share of polls in the window that gave an offset, 0 to 1; includes polls before a restart.",
        values: Values::ServerBy("window", |row| {
            let rates = [("1h", row.success.hour), ("24h", row.success.day), ("7d", row.success.week)];
            rates.into_iter().filter_map(|(window, rate)| Some((window, rate.ratio?))).collect()
        }),
    },
    of_server(
        "truechimer",
        None,
        "Whether the server's error range overlaps that of the majority: 1 if so, else 0.",
        |row| Some(truth(row.class == Class::Truechimer)),
    ),
    of_server(
        "falseticker",
        None,
        "Whether the server is proven wrong, because its error range does not overlap that of the majority: 1 if so, else 0.",
        |row| Some(truth(row.class == Class::Falseticker)),
    ),
    of_server("blamed", None, "Whether the verdict blames the server or its path: 1 if so, else 0.", |row| {
        Some(truth(row.blamed))
    }),
    of_server("gap", SECONDS, "Proven minimum error of the server in seconds. Absent if no error is proven.", |row| {
        row.gap_s
    }),
    Family {
        name: "verdict",
        unit: None,
        kind: Kind::Gauge,
        help: "The verdict: 1 for the current state, 0 for the others.",
        values: Values::By("state", |scrape| {
            let now = scrape.snapshot.verdict.state;
            STATES.map(|state| (state.label().to_owned(), truth(state == now))).to_vec()
        }),
    },
    gauge("verdict_confidence", RATIO, "Confidence of the verdict, 0 to 1, if its assumption is true.", |scrape| {
        Some(scrape.snapshot.verdict.confidence)
    }),
    gauge("verdict_since_timestamp", SECONDS, "When the current verdict began, in seconds since 1970.", |scrape| {
        scrape.snapshot.verdict.since.map(seconds)
    }),
    gauge(
        "majority_low",
        SECONDS,
        "The lower end of the majority interval, in seconds of offset (positive: ahead of this host).",
        |scrape| scrape.snapshot.verdict.majority.map(|it| it.low_s),
    ),
    gauge(
        "majority_high",
        SECONDS,
        "The upper end of the majority interval, in seconds of offset (positive: ahead of this host).",
        |scrape| scrape.snapshot.verdict.majority.map(|it| it.high_s),
    ),
    gauge("majority_members", None, "How many servers overlap the majority interval.", |scrape| {
        scrape.snapshot.verdict.majority.map(|it| it.members as f64)
    }),
    gauge("majority_compared", None, "How many servers were compared.", |scrape| {
        scrape.snapshot.verdict.majority.map(|it| it.of as f64)
    }),
    gauge(
        "local_offset",
        SECONDS,
        "Estimate of true time minus this host's clock in seconds, positive when the clock is slow.",
        |scrape| scrape.snapshot.verdict.local.estimate_s,
    ),
    gauge(
        "local_bound",
        SECONDS,
        "Bound of the estimate in seconds: if the majority is right, true time is within the estimate ± this value.",
        |scrape| scrape.snapshot.verdict.local.bound_s,
    ),
    gauge(
        "local_error_at_least",
        SECONDS,
        "Minimum error of this host's clock in seconds, if the majority is right; 0 if no error is proven.",
        |scrape| Some(scrape.snapshot.verdict.local.at_least_s),
    ),
    gauge(
        "local_rate_error",
        RATIO,
        "Fitted rate error of this host's clock in seconds per second, positive when it loses time. Present only if the rate is wrong.",
        |scrape| scrape.snapshot.verdict.local.rate_ppm.map(|(rate, _)| rate * 1e-6),
    ),
    gauge(
        "kernel_synchronised",
        None,
        "Whether the kernel reports its clock as synchronised: 1 if so, else 0.",
        |scrape| scrape.snapshot.local.kernel.map(|kernel| truth(kernel.synchronised)),
    ),
    gauge("kernel_max_error", SECONDS, "The kernel's bound on the error of its clock, in seconds.", |scrape| {
        scrape.snapshot.local.kernel.map(|kernel| kernel.max_error_s)
    }),
    gauge(
        "kernel_estimated_error",
        SECONDS,
        "The kernel's estimate of the error of its clock, in seconds.",
        |scrape| scrape.snapshot.local.kernel.map(|kernel| kernel.est_error_s),
    ),
    gauge(
        "kernel_frequency_correction",
        RATIO,
        "The frequency correction that the kernel applies, in seconds per second, positive when it speeds the clock up.",
        |scrape| scrape.snapshot.local.kernel.map(|kernel| kernel.frequency_ppm * 1e-6),
    ),
    gauge(
        "leap_list_expiry_timestamp",
        SECONDS,
        "When the list of leap seconds in use expires, in seconds since 1970.",
        |scrape| scrape.snapshot.leap.list.map(|list| seconds(list.expires)),
    ),
    Family {
        name: "leap_finding",
        unit: None,
        kind: Kind::Gauge,
        help: "Problems with leap-second announcements or the leap-second list: 1 for each kind that is present, else 0.",
        values: Values::By("kind", |scrape| {
            let holds = |kind| scrape.snapshot.leap.findings.iter().any(|finding| finding.kind == kind);
            LEAP_FINDINGS.map(|kind| (kind.label().to_owned(), truth(holds(kind)))).to_vec()
        }),
    },
    alerts::ALERTS,
    alerts::FIRING,
    own::BUILD,
    own::START,
    own::READY,
    own::HEALTH,
    own::SERVERS,
    own::RESTARTS,
    own::PANICS,
    own::CHILDREN_DOWN,
    own::SINK_FAILING,
    own::SINK_WAITING,
    own::SINK_CAPACITY,
    own::SINK_DROPPED,
    own::SINK_WRITTEN,
    own::SINK_FAILURES,
    own::SINK_LAG,
    own::LOG_DROPPED,
    own::STREAM_READERS,
    own::STREAM_CUT_OFF,
    own::STREAM_MISSED,
    process::CPU,
    process::MEMORY,
    process::SWITCHES,
    process::WRITTEN,
    process::STAGES,
    process::SERIES_TO_MOVE,
    process::SAMPLES_MOVED,
    notifiers::NOTIFICATIONS,
    notifiers::QUEUE,
    notifiers::LAG,
    notifiers::FAILING,
    notifiers::LAST_SUCCESS,
    reports::REPORTS,
    reports::FAILING,
    fleet::CONNECTED,
    fleet::SKEW,
    fleet::MAJORITY_SKEW,
    fleet::VANTAGE_UP,
    fleet::SAMPLES,
    fleet::SPEAKS,
    fleet::JOURNAL,
    fleet::DROPPED,
];

const LEAP_FINDINGS: [EventKind; 5] = [
    EventKind::LeapDisagreement,
    EventKind::LeapOutOfSeason,
    EventKind::LeapNotListed,
    EventKind::LeapNotAnnounced,
    EventKind::LeapListExpiry,
];

const STATES: [State; 5] = [State::Consistent, State::LocalWrong, State::ServerWrong, State::Path, State::Undecidable];

fn seconds(when: When) -> f64 {
    when.0 as f64 / 1e9
}

fn reach(row: &Row) -> Option<f64> {
    // After a restart, nothing is known about a server that refuses to serve this host and is not asked.
    if !row.is_polled() || row.polls == 0 {
        return None;
    }
    u8::from_str_radix(&row.reach, 8).ok().map(f64::from)
}

/// Labels of the last successful key exchange only, so that a server cannot create a series with each failing one.
fn nts_info(row: &Row) -> Option<Vec<(String, String)>> {
    let nts = row.nts.as_ref().filter(|nts| nts.fault.is_none())?;
    let certificate = nts.certificates.first()?;
    let (subject, issuer, serial) = (&certificate.subject, &certificate.issuer, &certificate.serial);
    let labels =
        [("aead", nts.aead.unwrap_or_default()), ("subject", &**subject), ("issuer", issuer), ("serial", serial)];
    Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
}

fn server_info(row: &Row) -> Option<Vec<(String, String)>> {
    // No text of a reply is a label: a server that changes its reference identifier would make a series at each poll.
    let mut labels = vec![("timestamping".to_owned(), row.timestamping.unwrap_or_default().to_owned())];
    for (key, value) in &row.tags {
        let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let name = format!("tag_{name}");
        // Two tags may become the same label name. A repeated label would make the whole exposition invalid.
        if labels.iter().all(|(known, _)| *known != name) {
            labels.push((name, value.clone()));
        }
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use ntp_monitor_core::sample::ServerIdent;

    use super::*;
    use crate::web::metrics::of_rows;
    use crate::web::view::row::Condition;

    #[test]
    fn servers_that_are_not_polled_have_no_value_of_up_and_reach() {
        let pending = Row::pending(&ServerIdent::named("a"), 64.0);
        let polled = |state| Row { state, polls: 8, ..pending.clone() };
        for (state, has_value) in [(Condition::Pending, false), (Condition::Paused, false), (Condition::Failing, true)]
        {
            let text = of_rows(&[polled(state)]).unwrap();
            for name in ["ntp_monitor_up{", "ntp_monitor_reach{", "ntp_monitor_reach_ratio{"] {
                assert_eq!(text.contains(name), has_value, "{state:?} {name}");
            }
        }
    }
}
