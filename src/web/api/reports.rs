//! Reports: list, read and create.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::history::span::Span;
use crate::report::make::make;
use crate::report::material::order_of;
use crate::report::shelf::{Kept, Shelf};
use crate::store::StoreHandle;
use crate::web::State;
use crate::web::openapi::{Body, Endpoint, Vantages, part};
use crate::web::params;
use crate::web::problem::Problem;
use crate::web::respond;
use ntp_monitor_core::health::reports::UnderWay;

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/reports", || web::to(list))
        .about("Lists the stored reports.")
        .of(Vantages::Own)
        .giving(Body::json::<Reports>(
            "reports, newest first, and the scheduled report that has not reached all receivers yet.",
        ))
        .or(&[304, 503]),
    Endpoint::get("/api/v1/reports/{id}", || web::to(one))
        .about("A report as one HTML page without scripts.")
        .of(Vantages::Own)
        .taking(&[part("id", "The id in the list of reports.")])
        .giving(Body::text("text/html", "The page."))
        .or(&[404, 503]),
    Endpoint::post("/api/v1/reports", || web::to(create))
        .about("Makes and stores a report on a span that ends now. Only one report is made at a time.")
        .wanting(Body::json::<Wanted>("How far back."))
        .giving_with(201, Body::json::<Kept>("The report's id; Location is its address."))
        .or(&[409, 503]),
];

/// The policy of a report: a page with its own style sheet and nothing else to load or run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

#[derive(Debug, JsonSchema, Serialize)]
struct Reports {
    /// Newest first.
    reports: Vec<Kept>,
    /// The scheduled report that is being made or sent.
    under_way: Option<UnderWay>,
}

/// The request for a new report.
#[derive(Debug, Default, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// How far back from now, such as `24h`; the default is `7d`.
    since: Option<String>,
}

/// Admits one report requested by a client at a time.
#[derive(Debug, Clone, Default)]
pub struct Making(Arc<AtomicBool>);

/// Admission of one report; dropping it admits the next.
struct Admission(Making);

impl Making {
    fn begin(&self) -> Option<Admission> {
        (!self.0.swap(true, Ordering::AcqRel)).then(|| Admission(self.clone()))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// `GET /api/v1/reports`.
pub async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let shelf = shelf(&state);
    let reports = off_the_thread(move || shelf.list().map_err(|why| unusable(&why))).await?;
    let under_way = state.health.borrow().reports.under_way.clone();
    respond::json(&request, &Reports { reports, under_way })
}

/// `GET /api/v1/reports/{id}`.
pub async fn one(state: web::Data<State>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let (shelf, id) = (shelf(&state), id.into_inner());
    let wanted = id.clone();
    let found = off_the_thread(move || shelf.read(&wanted).map_err(|why| unusable(&why))).await?;
    let page = found.ok_or_else(|| Problem::not_found(format!("there is no report {id:?}")))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(page))
}

/// `POST /api/v1/reports`.
pub async fn create(
    state: web::Data<State>,
    making: web::Data<Making>,
    wanted: web::Json<Wanted>,
) -> Result<HttpResponse, Problem> {
    let since = wanted.since.as_deref().unwrap_or("7d");
    let length = humantime::parse_duration(since).ok().filter(|length| !length.is_zero());
    let length =
        length.ok_or_else(|| Problem::bad_request(format!("since: {since:?} is not a duration such as \"7d\"")))?;
    if length > params::LONGEST {
        return Err(Problem::bad_request(format!("since: {since:?} is too long: at most 20 years")));
    }
    let Some(admission) = making.begin() else {
        return Err(Problem::new(StatusCode::CONFLICT, "another report is being made: wait until it is finished"));
    };
    let (store, config, now) = (state.store.clone(), state.config.borrow().clone(), state.clock.now());
    let kept = off_the_thread(move || {
        // The report is finished and kept even if the client disconnects. Until then no other one is admitted.
        let _admission = admission;
        make_one(&store, &config, Span::ending(now.wall_ns.saturating_add(1), length), now.wall_ns)
    });
    let kept = kept.await?;
    let place = format!("/api/v1/reports/{}", kept.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, place)).insert_header((CACHE_CONTROL, "no-store")).json(kept))
}

fn make_one(store: &StoreHandle, config: &Config, span: Span, made_ns: i64) -> Result<Kept, Problem> {
    let order = order_of(config, span);
    let made = store.read_blocking(|reader| Ok(make(reader, order, made_ns, &mut |_, _| ())))?;
    let made = made.map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string()))?;
    let at = Timestamp::from_nanosecond(i128::from(made_ns)).map_err(|why| Problem::bad_request(why.to_string()))?;
    let shelf = Shelf::of(&config.monitor.data_dir);
    let id = shelf.put_new(&made.html(), at, config.report.keep).map_err(|why| unusable(&why))?;
    let kept = shelf.list().map_err(|why| unusable(&why))?.into_iter().find(|kept| kept.id == id);
    kept.ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the report no longer exists"))
}

fn shelf(state: &State) -> Shelf {
    Shelf::of(&state.config.borrow().monitor.data_dir)
}

fn unusable(why: &std::io::Error) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the reports cannot be used: {why}"))
}

async fn off_the_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let interrupted = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the work was interrupted");
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(interrupted()))
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn one_report_is_made_at_a_time() {
        let making = Making::default();
        let first = making.begin();
        assert!(first.is_some() && making.begin().is_none());
        drop(first);
        assert!(making.begin().is_some());
    }
}
