//! The verdict: which servers are wrong, and the state of this host's clock.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::web::State;
use crate::web::openapi::{Body, Endpoint, Vantages, query};
use crate::web::problem::Problem;
use crate::web::respond;
use crate::web::vantage::Vantage;
use ntp_monitor_core::conclusion::{Claim, Conclusion, conclude};
use ntp_monitor_core::stats::leap::LeapTruth;
use ntp_monitor_core::stats::local::{DaemonView, KernelState};
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::stats::verdict::{LocalVerdict, Verdict, When};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/verdict", || web::to(verdict))
        .about("Which servers are wrong, by how much and since when, with the confidence and the assumption.")
        .of(Vantages::All)
        .taking(&[query("servers", "string", "all, or blamed for only the blamed servers. Default: all.")])
        .giving(Body::json::<VerdictBody<'static>>(
            "as_of, state, since, confidence, local, servers, majority, reason, assumption, independence, sentence.",
        ))
        .or(&[304]),
    Endpoint::get("/api/v1/local", || web::to(local))
        .about("This host's clock according to the servers, the kernel and the time daemon.")
        .of(Vantages::All)
        .giving(Body::json::<Local<'static>>("as_of, verdict, kernel, daemon, distrust."))
        .or(&[304]),
];

/// The verdict, and when it was made.
#[derive(JsonSchema, Serialize)]
pub struct VerdictBody<'a> {
    as_of: When,
    #[serde(flatten)]
    verdict: Cow<'a, Verdict>,
}

impl<'a> VerdictBody<'a> {
    /// The verdict of a snapshot.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let verdict = first_look(snapshot).map_or(Cow::Borrowed(&*snapshot.verdict), Cow::Owned);
        Self { as_of: When(snapshot.at.wall_ns), verdict }
    }

    /// Removes the servers that are not blamed.
    fn blamed_only(mut self) -> Self {
        Arc::make_mut(&mut self.verdict.to_mut().servers).retain(|server| server.blamed);
        self
    }
}

/// A preliminary verdict from the first poll of each server, until servers have been polled twice. Its state is
/// undecidable, because a single poll is not enough to blame a server.
fn first_look(snapshot: &Snapshot) -> Option<Verdict> {
    if !snapshot.verdict.is_nothing_yet() {
        return None;
    }
    let measured = snapshot.series.iter().filter_map(|(key, series)| {
        let measure = series.last_measured.as_ref()?.measure?;
        let (offset_s, bound_s) = (measure.offset_s, measure.root_distance_s);
        Some(Claim { server: key.server.to_string(), offset_s, bound_s })
    });
    let conclusion = conclude(&measured.collect::<Vec<_>>());
    if conclusion == Conclusion::Nothing {
        return None;
    }
    Some(Verdict {
        sentence: format!("First poll: {conclusion}. The servers are judged from their second poll on."),
        reason: "no server has been polled twice yet".to_owned(),
        ..Verdict::nothing_yet()
    })
}

/// The query of the verdict.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictQuery {
    #[serde(default)]
    servers: Listed,
}

/// Which servers an answer lists.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Listed {
    #[default]
    All,
    /// With thousands of servers, all the others are nearly all of the answer.
    Blamed,
}

/// `GET /api/v1/verdict`.
pub async fn verdict(
    request: HttpRequest,
    state: web::Data<State>,
    query: web::Query<VerdictQuery>,
) -> Result<HttpResponse, Problem> {
    let snapshot = Vantage::of(&request, &state).await?.snapshot().await?;
    let body = VerdictBody::of(&snapshot);
    match query.servers {
        Listed::All => respond::json(&request, &body),
        Listed::Blamed => respond::json(&request, &body.blamed_only()),
    }
}

#[derive(JsonSchema, Serialize)]
struct Local<'a> {
    as_of: When,
    /// The verdict on this host's clock, from the servers.
    verdict: &'a LocalVerdict,
    /// The state that the kernel reports.
    kernel: Option<KernelState>,
    /// The state that a time daemon on this host reports.
    daemon: Option<&'a DaemonView>,
    /// Why this host's clock is not used to judge servers; `null` when it is.
    distrust: Option<&'static str>,
    /// The list of leap seconds, and announcements of servers that contradict it.
    leap: &'a LeapTruth,
}

/// `GET /api/v1/local`.
pub async fn local(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let snapshot = Vantage::of(&request, &state).await?.snapshot().await?;
    let local = &snapshot.local;
    let body = Local {
        as_of: When(snapshot.at.wall_ns),
        verdict: &snapshot.verdict.local,
        kernel: local.kernel,
        daemon: local.daemon.as_ref(),
        distrust: local.distrust(),
        leap: &snapshot.leap,
    };
    respond::json(&request, &body)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Measure, Outcome, Sample, SeriesKey, ServerIdent};
    use ntp_monitor_core::stats::analysis::Analysis;
    use ntp_monitor_core::stats::intake::TimeAxis;
    use ntp_monitor_core::stats::window::Window;

    fn polled_once(offsets_s: &[f64]) -> Snapshot {
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        for (n, offset_s) in offsets_s.iter().enumerate() {
            let at = Stamp::new(1_800_000_000_000_000_000, 1_000_000_000 + n as i64, 0);
            let ident = ServerIdent::named(&format!("s{n}"));
            let measure = Some(Measure { offset_s: *offset_s, delay_s: 0.01, root_distance_s: 0.01 });
            let address = format!("192.0.2.{n}:123").parse().ok();
            let sample = Sample { address, measure, ..Sample::unasked(at, ident, Outcome::Sample, 64.0) };
            analysis.observe(&Arc::new(sample));
        }
        analysis.snapshot(Stamp::new(1_800_000_001_000_000_000, 2_000_000_000, 0))
    }

    #[test]
    fn first_poll_is_summed_up_and_names_no_state() {
        let snapshot = polled_once(&[0.001, 0.002, 0.001, 0.08]);
        assert_eq!(snapshot.series.len(), 4);
        assert!(snapshot.series.contains_key(&SeriesKey::here(&"s0".into(), "192.0.2.0:123".parse().ok())));
        let body = serde_json::to_value(VerdictBody::of(&snapshot)).unwrap();
        assert_eq!(body["state"], "undecidable");
        let sentence = body["sentence"].as_str().unwrap();
        assert!(sentence.starts_with("First poll: local clock agrees with 3 of 4 servers"), "{sentence}");
        assert!(sentence.contains("s3 is then wrong. The servers are judged"), "{sentence}");
    }

    #[test]
    fn nothing_is_summed_up_before_the_first_reply() {
        let body = serde_json::to_value(VerdictBody::of(&polled_once(&[]))).unwrap();
        assert!(!body["sentence"].as_str().unwrap().contains("First poll"), "{body}");
    }
}
