//! Who is wrong, and how the own clock does.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::stats::leap::LeapTruth;
use crate::stats::local::{DaemonView, KernelState};
use crate::stats::snapshot::Snapshot;
use crate::stats::verdict::{LocalVerdict, Verdict, When};
use crate::web::State;
use crate::web::problem::Problem;
use crate::web::respond;

/// The verdict, with the moment of the picture that it is part of.
#[derive(Serialize)]
pub struct VerdictBody<'a> {
    as_of: When,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

impl<'a> VerdictBody<'a> {
    /// That of a picture.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self { as_of: When(snapshot.at.wall_ns), verdict: &snapshot.verdict }
    }
}

/// `GET /api/v1/verdict`.
pub async fn verdict(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let snapshot = state.snapshot.borrow().clone();
    respond::json(&request, &VerdictBody::of(&snapshot))
}

#[derive(Serialize)]
struct Local<'a> {
    as_of: When,
    /// What the servers say of it.
    verdict: &'a LocalVerdict,
    /// What the kernel says of it.
    kernel: Option<KernelState>,
    /// What a time daemon on this machine says of it.
    daemon: Option<&'a DaemonView>,
    /// Why it must not be used to judge others, by what it says of itself.
    distrust: Option<&'static str>,
    /// The list of leap seconds, and what is wrong with what servers announce.
    leap: &'a LeapTruth,
}

/// `GET /api/v1/local`.
pub async fn local(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let snapshot = state.snapshot.borrow().clone();
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
