//! What runs here, and how it is configured.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::stats::verdict::When;
use crate::web::State;
use crate::web::problem::Problem;
use crate::web::respond;

#[derive(Debug, Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
    api: &'static str,
    /// Where it looks from.
    vantage: String,
    /// When the service started.
    started: When,
}

/// `GET /api/v1/version`.
pub async fn version(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let version = Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        api: "v1",
        vantage: state.config.borrow().monitor.vantage.clone(),
        started: When(state.started.wall_ns),
    };
    respond::json(&request, &version)
}

/// `GET /api/v1/config`: what is in effect, each value with its source, secrets masked.
pub async fn config(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let shown = std::sync::Arc::clone(&state.config.borrow().shown);
    Ok(respond::written(&request, shown.as_bytes().to_vec()))
}
