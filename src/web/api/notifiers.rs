//! Notifiers: their state, and a test notification.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::notify;
use crate::web::State;
use crate::web::openapi::{Body, Endpoint, part};
use crate::web::problem::Problem;
use crate::web::respond;
use ntp_monitor_core::health::notifiers::NotifierHealth;

/// Minimum time between two tests, because a test notification may call a person.
const BETWEEN_TESTS: Duration = Duration::from_secs(2);

/// Receivers of alert notifications.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/notifiers", || web::to(list))
        .about("The state of each notifier.")
        .giving(Body::json::<Notifiers>("notifiers, each with its queued, delivered and failed notifications."))
        .or(&[304]),
    Endpoint::post("/api/v1/notifiers/{name}/test", || web::to(test))
        .about("Sends a test notification, bypassing the queue, and returns the result.")
        .taking(&[part("name", "The notifier's configured name; percent-encoded.")])
        .giving(Body::json::<Tested>("Whether the receiver accepted it, and its answer."))
        .or(&[404, 429]),
];

#[derive(Debug, JsonSchema, Serialize)]
struct Notifiers<'a> {
    notifiers: Vec<Entry<'a>>,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "NotifierRow")]
struct Entry<'a> {
    name: &'a str,
    #[serde(flatten)]
    health: &'a NotifierHealth,
}

/// `GET /api/v1/notifiers`.
pub async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let health = state.health.borrow().clone();
    let notifiers = health.notifiers.iter().map(|(name, health)| Entry { name, health }).collect();
    respond::json(&request, &Notifiers { notifiers })
}

/// When the last test started, and whether it is still running.
#[derive(Debug, Clone, Default)]
pub struct Tests(Arc<Mutex<LastTest>>);

#[derive(Debug, Default)]
struct LastTest {
    began: Option<Instant>,
    under_way: bool,
}

impl Tests {
    /// Starts a test unless another one is running or started less than [`BETWEEN_TESTS`] ago.
    fn begin(&self) -> Option<UnderWay> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.under_way || last.began.is_some_and(|began| began.elapsed() < BETWEEN_TESTS) {
            return None;
        }
        *last = LastTest { began: Some(Instant::now()), under_way: true };
        Some(UnderWay(self.clone()))
    }
}

/// A running test. It ends when this is dropped, for example because the client disconnected.
struct UnderWay(Tests);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).under_way = false;
    }
}

#[derive(Debug, JsonSchema, Serialize)]
struct Tested {
    name: String,
    delivered: bool,
    /// The receiver's answer, or why the message was not delivered.
    detail: String,
    took_s: f64,
}

/// `POST /api/v1/notifiers/{name}/test`: sends a test notification and answers with the result.
pub async fn test(
    state: web::Data<State>,
    tests: web::Data<Tests>,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let config = state.config.borrow().clone();
    let found = config.notifiers.iter().find(|notifier| notifier.name == *name);
    let notifier = found.ok_or_else(|| Problem::not_found(format!("there is no notifier {name:?}")))?;
    let Some(_under_way) = tests.begin() else {
        let detail = "another test is running or was made a moment ago: try again in a few seconds";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
    };
    let trial = notify::trial(notifier, &config.monitor.vantage).await;
    let (delivered, detail) = match trial.result {
        Ok(said) => (true, said),
        Err(why) => (false, why),
    };
    let tested = Tested { name: name.into_inner(), delivered, detail, took_s: trial.took.as_secs_f64() };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(tested))
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn one_test_at_a_time() {
        let tests = Tests::default();
        let first = tests.begin();
        assert!(first.is_some() && tests.begin().is_none());
        drop(first);
        assert!(tests.begin().is_none(), "not too often either");
    }
}
