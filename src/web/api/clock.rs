//! This host's clock over time, as points: never more than [`MOST`].

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::history::SamplesQuery;
use super::points::MOST;
use crate::store::read::{ClockHistory, ClockStep};
use crate::web::State;
use crate::web::openapi::{Body, Endpoint, FROM, STEP, TO, Vantages};
use crate::web::params::Range;
use crate::web::problem::Problem;
use crate::web::respond;
use ntp_monitor_core::formats::local::LocalRow;
use ntp_monitor_core::stats::verdict::When;

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/api/v1/local/history", || web::to(history))
    .about(
        "This host's clock over time, one point per minute, at most 2000 points. Longer spans are divided into steps; \
         each step has its extremes and its widest bounds.",
    )
    .of(Vantages::Own)
    .taking(&[FROM, TO, STEP])
    .giving(Body::json::<LocalHistory>("from, to, step_s, points and changes, oldest first."))
    .or(&[304, 503])];

#[derive(Debug, JsonSchema, Serialize)]
struct LocalHistory {
    from: When,
    to: When,
    /// Width of a step in seconds, a multiple of a minute; `null` if the points are as recorded.
    step_s: Option<i64>,
    /// By time.
    points: Vec<Point>,
    /// What the verdict uses from the kernel, the time daemon and the leap-second list: the state at the start and
    /// every change; the latest 2000.
    changes: Vec<LocalRow>,
}

/// This host's clock at one moment, or within one step. Unknown values are `null`.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "LocalPoint")]
struct Point {
    /// The time of the record, or the start of the step.
    time: When,
    /// The number of records within the step.
    n: u32,
    /// Mean of (true time − this clock); positive when this clock is slow.
    estimate_s: Option<f64>,
    /// The lowest value of (estimate − bound).
    low_s: Option<f64>,
    /// The highest value of (estimate + bound).
    high_s: Option<f64>,
    /// The widest bound of the estimate, valid if the majority of servers is right.
    bound_s: Option<f64>,
    /// Whether the clock was good enough to judge servers during the whole step, according to kernel and time daemon.
    trusted: bool,
    /// Whether the kernel reported its clock as synchronised during the whole step.
    kernel_synchronised: Option<bool>,
    /// Mean frequency correction that the kernel applies; positive when it speeds the clock up.
    frequency_ppm: Option<f64>,
    /// The lowest frequency correction.
    frequency_min_ppm: Option<f64>,
    /// The highest frequency correction.
    frequency_max_ppm: Option<f64>,
    /// The largest `maxerror` of the kernel.
    max_error_s: Option<f64>,
    /// The largest `esterror` of the kernel.
    est_error_s: Option<f64>,
    /// The remaining offset that a time daemon reported, largest magnitude; positive when this clock is slow.
    daemon_offset_s: Option<f64>,
    /// The widest bound that a time daemon reported.
    daemon_bound_s: Option<f64>,
    /// `CLOCK_REALTIME − CLOCK_MONOTONIC_RAW` at the end of the step, rounded to 0.25 µs. It jumps when the clock
    /// is set.
    wall_less_raw_s: f64,
}

/// `GET /api/v1/local/history`.
async fn history(
    request: HttpRequest,
    state: web::Data<State>,
    query: web::Query<SamplesQuery>,
) -> Result<HttpResponse, Problem> {
    let (range, step) = query.read(state.clock.now().wall_ns)?;
    let Range { from_ns, to_ns } = range;
    let found = state.store.read(move |reader| {
        Ok((reader.clock_history(from_ns, to_ns, step, MOST)?, reader.local_rows(from_ns, to_ns, MOST)?))
    });
    let (points, mut changes) = found.await?;
    let vantage = &state.config.borrow().monitor.vantage;
    changes.iter_mut().for_each(|row| row.vantage.clone_from(vantage));
    respond::json(&request, &LocalHistory::of(&points, changes, range))
}

impl LocalHistory {
    fn of(found: &ClockHistory, changes: Vec<LocalRow>, range: Range) -> Self {
        let points = found.steps.iter().map(Point::of).collect();
        Self { from: When(range.from_ns), to: When(range.to_ns), step_s: found.width_s, points, changes }
    }
}

impl Point {
    fn of(step: &ClockStep) -> Self {
        Self {
            time: When(step.time_ns),
            n: step.points,
            estimate_s: step.estimate_s,
            low_s: step.low_s,
            high_s: step.high_s,
            bound_s: step.bound_s,
            trusted: step.trusted,
            kernel_synchronised: step.kernel_synchronised,
            frequency_ppm: step.frequency_ppm,
            frequency_min_ppm: step.frequency_min_ppm,
            frequency_max_ppm: step.frequency_max_ppm,
            max_error_s: step.max_error_s,
            est_error_s: step.est_error_s,
            daemon_offset_s: step.daemon_offset_s,
            daemon_bound_s: step.daemon_bound_s,
            wall_less_raw_s: step.wall_less_raw_ns as f64 / 1e9,
        }
    }
}
