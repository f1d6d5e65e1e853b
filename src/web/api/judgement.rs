//! The verdict: which servers are wrong, and the state of this host's clock.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::web::State;
use crate::web::openapi::{Body, Endpoint, Vantages};
use crate::web::problem::Problem;
use crate::web::respond;
use crate::web::vantage::Vantage;
use ntp_monitor_core::stats::leap::LeapTruth;
use ntp_monitor_core::stats::local::{DaemonView, KernelState};
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::stats::verdict::{LocalVerdict, Verdict, When};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/verdict", || web::to(verdict))
        .about("Which servers are wrong, by how much, since when, with what confidence and assumption.")
        .of(Vantages::All)
        .giving(Body::json::<VerdictBody<'static>>(
            "as_of, state, since, confidence, local, servers, majority, reason, assumption, independence, sentence.",
        ))
        .or(&[304]),
    Endpoint::get("/api/v1/local", || web::to(local))
        .about("This host's clock according to the servers, the kernel and the time daemon, which only this vantage tells.")
        .of(Vantages::All)
        .giving(Body::json::<Local<'static>>("as_of, verdict, kernel, daemon, distrust."))
        .or(&[304]),
];

/// The verdict, and when it was made.
#[derive(JsonSchema, Serialize)]
pub struct VerdictBody<'a> {
    as_of: When,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

impl<'a> VerdictBody<'a> {
    /// The verdict of a snapshot.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self { as_of: When(snapshot.at.wall_ns), verdict: &snapshot.verdict }
    }
}

/// `GET /api/v1/verdict`.
pub async fn verdict(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let snapshot = Vantage::of(&request, &state).await?.snapshot().await?;
    respond::json(&request, &VerdictBody::of(&snapshot))
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
