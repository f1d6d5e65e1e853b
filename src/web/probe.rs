//! `/probe`: one server, in the form of blackbox exporter, for scrape configurations that relabel targets.
//!
//! **Nothing is sent.** A server is polled on its own schedule, however often this endpoint is requested. The answer is
//! the last poll. Only before the first poll has ended does the request wait for it, within the scrape time-out. Only
//! configured servers are served.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use tokio::time::timeout;

use super::State;
use super::metrics::{self, Scrape};
use super::openapi::{Body, Endpoint, query};
use super::params::Target;
use super::problem::Problem;
use super::view::row::Row;
use super::view::rows::Picture;
use ntp_monitor_core::sample::Outcome;

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/probe", || web::to(probe))
    .about(
        "The last poll of one server, in the format of blackbox exporter. Sends nothing: the server is polled on its \
         own schedule. If its first poll has not ended yet, the response waits for it within the time limit of the \
         scrape.",
    )
    .taking(&[
        query("target", "string", "A configured server: its name, or name@address.").required(),
        query("module", "string", "ntp, or empty."),
        query("debug", "boolean", "true adds an explanation for people."),
    ])
    .giving(Body::text("text/plain", "probe_success, probe_duration_seconds and the metrics of the server."))
    .or(&[404])];

/// The header with the scrape time-out, and the part reserved for the response, as in blackbox exporter.
const TIMEOUT_HEADER: &str = "X-Prometheus-Scrape-Timeout-Seconds";
const RESERVE: Duration = Duration::from_millis(500);
/// How long to wait for the first poll: the default without that header, and the maximum.
const USUAL_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A poll that ended more than this many intervals ago is too old.
const FRESH_INTERVALS: f64 = 3.0;

/// The query parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeQuery {
    target: String,
    module: Option<String>,
    #[serde(default)]
    debug: bool,
}

pub async fn probe(
    request: HttpRequest,
    state: web::Data<State>,
    query: web::Query<ProbeQuery>,
) -> Result<HttpResponse, Problem> {
    let begin = Instant::now();
    if query.module.as_deref().is_some_and(|module| module != "ntp" && !module.is_empty()) {
        return Err(Problem::bad_request("module: the only module is ntp"));
    }
    let target = Target::find(&state, &query.target)?;
    let mut snapshot = state.snapshot.clone();
    let polled = snapshot.wait_for(|snapshot| !snapshot.series_of(&target.name).is_empty());
    // Whether it has been polled is checked below.
    let _ = timeout(patience(&request), polled).await;
    let scrape = Scrape::of(&state);
    let mut rows = Picture::new(&scrape.config, &scrape.snapshot, &scrape.health).rows();
    let address = target.address.map(|address| address.to_string());
    rows.retain(|row| *row.name == *target.name && (address.is_none() || row.address == address));
    let success = rows.iter().any(|row| is_working(row, state.clock.now().wall_ns));
    let text = answer(&rows, success, begin.elapsed())
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"))?;
    let text = if query.debug { explained(&rows, &text) } else { text };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, metrics::CLASSIC))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}

fn patience(request: &HttpRequest) -> Duration {
    let header = request.headers().get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
    let given = header.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    given.map_or(USUAL_WAIT, |given| given.saturating_sub(RESERVE).min(LONGEST_WAIT))
}

/// Whether the last poll gave an offset and is recent enough.
fn is_working(row: &Row, now_ns: i64) -> bool {
    let fresh = row.last_poll.is_some_and(|at| {
        let age_s = now_ns.saturating_sub(at.0) as f64 / 1e9;
        age_s <= FRESH_INTERVALS * row.poll_s.max(1.0)
    });
    fresh && row.outcome == Some(Outcome::Sample.label())
}

fn answer(rows: &[Row], success: bool, took: Duration) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "# HELP probe_success Whether the last poll of the target gave an offset, and was recent enough.")?;
    writeln!(text, "# TYPE probe_success gauge\nprobe_success {}", u8::from(success))?;
    writeln!(text, "# HELP probe_duration_seconds How long this answer took, in seconds.")?;
    writeln!(text, "# TYPE probe_duration_seconds gauge\nprobe_duration_seconds {}", took.as_secs_f64())?;
    text.push_str(&metrics::of_rows(rows)?);
    Ok(text)
}

fn explained(rows: &[Row], metrics: &str) -> String {
    let mut text =
        String::from("Nothing was sent: this is the result of the last poll on the server's own schedule.\n\n");
    for row in rows {
        // The JSON of the API, in which line breaks from the network are escaped.
        text.push_str(&serde_json::to_string_pretty(row).unwrap_or_default());
        text.push('\n');
    }
    text + "\nMetrics that would have been returned:\n" + metrics
}
