//! `/metrics`: the current values for Prometheus. Collected from the snapshots at each scrape, so that a server that
//! was removed from the configuration disappears at once. [`families::FAMILIES`] is the table of all metrics.

mod alerts;
mod classic;
mod collect;
mod families;
mod family;
mod fleet;
mod notifiers;
mod own;
mod process;
mod reports;
mod scrape;
mod table;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

pub use collect::Servers;
pub use scrape::Scrape;
pub use table::markdown;

use super::State;
use super::openapi::{Body, Endpoint};
use super::problem::Problem;
use super::view::row::Row;

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/metrics", || web::to(metrics))
    .about("Metrics for Prometheus.")
    .giving(Body::text("text/plain", "OpenMetrics if the client accepts it, otherwise the text format."))];

/// The prefix of every name.
pub const PREFIX: &str = "ntp_monitor";

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of the older text format.
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`: OpenMetrics for clients that accept it, as Prometheus does, and the older text format for others.
pub async fn metrics(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let openmetrics = expose(Scrape::of(&state))
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"))?;
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, body) = if accept.contains("application/openmetrics-text") {
        (OPENMETRICS, openmetrics)
    } else {
        (CLASSIC, classic::from_openmetrics(&openmetrics))
    };
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, kind)).insert_header((CACHE_CONTROL, "no-store")).body(body))
}

/// Writes a scrape as OpenMetrics.
///
/// # Errors
/// Never: a string takes everything.
pub fn expose(scrape: Scrape) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(scrape));
    let mut body = String::new();
    text::encode(&mut body, &registry)?;
    Ok(body)
}

/// The metrics of the given series only, in the older text format.
///
/// # Errors
/// Never: a string takes everything.
pub fn of_rows(rows: &[Row]) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Servers(rows.to_vec())));
    let mut body = String::new();
    text::encode_registry(&mut body, &registry)?;
    Ok(classic::from_openmetrics(&body))
}
