//! The object that `query --json` writes. Field names and units are stable; absent measurements are `null`.

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::SocketAddr;

use serde::Serialize;

use super::measured::{Measured, claims};
use crate::probe::ProbeReport;
use crate::web::view::nts::NtsState;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::conclusion::{Conclusion, conclude};
use ntp_monitor_core::ntp::{Check, CheckRow};
use ntp_monitor_core::sample::Evidence;
use ntp_monitor_core::text::units;

#[derive(Debug, Serialize)]
struct Document {
    /// When the measurement ended: RFC 3339, UTC, by the local clock.
    time: String,
    conclusion: Verdict,
    /// One for each server address, in the order of the arguments.
    results: Vec<ServerResult>,
}

/// The verdict about the local clock.
#[derive(Debug, Serialize)]
struct Verdict {
    /// `agrees`, `slow`, `fast`, `undecidable` or `nothing`.
    state: &'static str,
    /// True time minus local time in seconds, positive when the local clock is slow: at least, at most, best guess.
    low_s: Option<f64>,
    high_s: Option<f64>,
    estimate_s: Option<f64>,
    /// Servers whose claims the majority excludes.
    excluded: Vec<String>,
    sentence: String,
}

/// One server. The numbers are those of the request with the lowest delay.
#[derive(Debug, Serialize)]
struct ServerResult {
    server: String,
    address: Option<String>,
    /// `sample`, `timeout`, `refused`, `kiss`, `rejected`, `unsynchronised`, `dns` or `fault`.
    outcome: &'static str,
    /// Kiss code, failed check or error; empty when there is no detail.
    reason: String,
    /// The same in words.
    explanation: Option<String>,
    #[serde(flatten)]
    numbers: Numbers,
    /// How the reply was authenticated, or should have been: `none` or `nts`.
    authentication: &'static str,
    /// The state of NTS; only with `--nts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    nts: Option<NtsState>,
    /// Root mean square of the offsets' differences from `offset_s`, in seconds; from two samples on.
    jitter_s: Option<f64>,
    sent: usize,
    lost: usize,
    /// The checks of the reply that was used, or else of the last that was refused.
    checks: Vec<CheckResult>,
    /// Replies that were refused, oldest first.
    rejected: Vec<Refusal>,
    /// Every request in order.
    samples: Vec<Request>,
}

/// Numbers of one exchange, and what the server says about itself. In seconds; offsets are positive when the server is
/// ahead.
#[derive(Debug, Serialize)]
struct Numbers {
    offset_s: Option<f64>,
    delay_s: Option<f64>,
    root_distance_s: Option<f64>,
    root_delay_s: Option<f64>,
    root_dispersion_s: Option<f64>,
    /// Age of the server's last clock update when it answered, as the server states it.
    reference_age_s: Option<f64>,
    precision_s: Option<f64>,
    stratum: Option<u8>,
    /// The leap indicator, 0 to 3.
    leap: Option<u8>,
    refid: Option<String>,
    /// `kernel`, `kernel-rx` or `userland`.
    timestamping: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct CheckResult {
    check: &'static str,
    passed: bool,
}

#[derive(Debug, Serialize)]
struct Refusal {
    time: String,
    /// The first check that failed, and what that means.
    failed: Option<&'static str>,
    explanation: Option<Cow<'static, str>>,
    checks: Vec<CheckResult>,
    /// Sender address and port; `null` if the engine does not report it.
    sender: Option<String>,
    /// The four timestamps in the notation of RFC 5905: hexadecimal seconds and fraction since 1900.
    t1: String,
    t2: String,
    t3: String,
    t4: String,
}

#[derive(Debug, Serialize)]
struct Request {
    time: String,
    outcome: &'static str,
    reason: String,
    offset_s: Option<f64>,
    delay_s: Option<f64>,
}

/// Writes `results` as one JSON object and a newline.
///
/// # Errors
/// I/O errors of the output.
pub fn write(results: &[Measured], now: Stamp, out: &mut impl Write) -> io::Result<()> {
    let document = Document {
        time: units::rfc3339(now.wall_ns),
        conclusion: Verdict::of(&conclude(&claims(results))),
        results: results.iter().map(ServerResult::of).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

impl Verdict {
    fn of(conclusion: &Conclusion) -> Self {
        let sentence = conclusion.to_string();
        let unbounded = |state| Self {
            state,
            low_s: None,
            high_s: None,
            estimate_s: None,
            excluded: Vec::new(),
            sentence: sentence.clone(),
        };
        let bounded = match conclusion {
            Conclusion::Nothing => return unbounded("nothing"),
            Conclusion::Undecidable { .. } => return unbounded("undecidable"),
            Conclusion::Bounded(bounded) => bounded,
        };
        let state = match bounded.contains_zero() {
            true => "agrees",
            false if bounded.low_s > 0.0 => "slow",
            false => "fast",
        };
        Self {
            low_s: Some(bounded.low_s),
            high_s: Some(bounded.high_s),
            estimate_s: Some(bounded.estimate_s),
            excluded: bounded.excluded.clone(),
            ..unbounded(state)
        }
    }
}

impl ServerResult {
    fn of(measured: &Measured) -> Self {
        let best = measured.best();
        let evidence = best.accepted.as_ref().or_else(|| measured.rejected().last());
        Self {
            server: measured.name.clone(),
            address: measured.address.map(|address| address.to_string()),
            outcome: best.outcome.label(),
            reason: best.outcome.reason().into_owned(),
            explanation: measured.explanation().map(|words| words.into_owned()),
            numbers: Numbers::of(best),
            authentication: best.authentication.label(),
            nts: measured.nts.as_ref().map(|status| NtsState::of(status, best.at.wall_ns)),
            jitter_s: measured.jitter_s(),
            sent: measured.sent(),
            lost: measured.lost(),
            checks: evidence.map(|evidence| checks(evidence.checks)).unwrap_or_default(),
            rejected: measured.rejected().map(|evidence| Refusal::of(evidence, measured.address)).collect(),
            samples: measured.reports().iter().map(Request::of).collect(),
        }
    }
}

impl Numbers {
    fn of(report: &ProbeReport) -> Self {
        let (measure, reply) = (report.measure, report.reply);
        Self {
            offset_s: measure.map(|m| m.offset_s),
            delay_s: measure.map(|m| m.delay_s),
            root_distance_s: measure.map(|m| m.root_distance_s),
            root_delay_s: reply.map(|r| r.root_delay_s),
            root_dispersion_s: reply.map(|r| r.root_dispersion_s),
            reference_age_s: reply.and_then(|r| r.reference_age_s),
            precision_s: reply.map(|r| r.precision_s()),
            stratum: reply.map(|r| r.stratum),
            leap: reply.map(|r| r.leap.bits()),
            refid: reply.map(|r| r.refid.display(r.stratum)),
            timestamping: report.timestamping.map(|way| way.label()),
        }
    }
}

impl Refusal {
    fn of(evidence: &Evidence, asked: Option<SocketAddr>) -> Self {
        let failed = evidence.checks.first_failure();
        Self {
            time: units::rfc3339(evidence.at.wall_ns),
            failed: failed.map(Check::label),
            explanation: evidence.explain(asked),
            checks: checks(evidence.checks),
            sender: evidence.sender.map(|sender| sender.to_string()),
            t1: evidence.t1.to_string(),
            t2: evidence.t2.to_string(),
            t3: evidence.t3.to_string(),
            t4: evidence.t4.to_string(),
        }
    }
}

impl Request {
    fn of(report: &ProbeReport) -> Self {
        Self {
            time: units::rfc3339(report.at.wall_ns),
            outcome: report.outcome.label(),
            reason: report.outcome.reason().into_owned(),
            offset_s: report.measure.map(|m| m.offset_s),
            delay_s: report.measure.map(|m| m.delay_s),
        }
    }
}

fn checks(row: CheckRow) -> Vec<CheckResult> {
    let made = Check::ALL.into_iter().filter_map(|check| row.result(check).map(|passed| (check, passed)));
    made.map(|(check, passed)| CheckResult { check: check.label(), passed }).collect()
}
