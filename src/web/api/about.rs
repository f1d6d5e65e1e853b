//! The running program and its configuration.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::FleetRole;
use crate::web::State;
use crate::web::openapi::{Body, Endpoint};
use crate::web::problem::Problem;
use crate::web::respond;
use ntp_monitor_core::stats::verdict::When;

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/version", || web::to(version))
        .about("Name and version of the service.")
        .giving(Body::json::<Version>("name, version, api, vantage, started."))
        .or(&[304]),
    Endpoint::get("/api/v1/config", || web::to(config))
        .about("The configuration in effect; secrets are masked.")
        .giving(Body::json::<Shown>("values, and the source of each value."))
        .or(&[304]),
];

#[derive(Debug, JsonSchema, Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
    api: &'static str,
    /// The vantage: the name of the place that this service measures from.
    vantage: String,
    /// When this process started.
    started: When,
    /// Whether this service is the hub of a fleet. Only a hub answers the endpoints below `fleet/`, except for
    /// `fleet/agent`.
    fleet_hub: bool,
    /// Whether this service is an agent of a fleet.
    fleet_agent: bool,
}

/// `GET /api/v1/version`.
pub async fn version(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let config = state.config.borrow();
    let role = config.fleet.as_ref().map(|fleet| fleet.role);
    let version = Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        api: "v1",
        vantage: config.monitor.vantage.clone(),
        started: When(state.started.wall_ns),
        fleet_hub: role.is_some_and(FleetRole::is_hub),
        fleet_agent: role.is_some_and(FleetRole::is_agent),
    };
    respond::json(&request, &version)
}

/// The answer of [`config()`], built when the configuration is loaded.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "stands for its schema")]
struct Shown {
    /// Every section with its keys.
    values: std::collections::BTreeMap<String, serde_json::Value>,
    /// The source of each value, by its path. A server's value that is not listed comes from `[defaults]` or from the
    /// program's own default.
    sources: std::collections::BTreeMap<String, String>,
}

/// `GET /api/v1/config`: what is in effect, each value with its source, secrets masked.
pub async fn config(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let shown = state.config.borrow().shown.clone();
    Ok(respond::written(&request, shown.text().into_bytes()))
}
