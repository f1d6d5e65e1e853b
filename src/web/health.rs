//! `/health` and `/ready`.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::State;
use super::openapi::{Body, Endpoint, query};
use ntp_monitor_core::health::judge::current;
use ntp_monitor_core::health::report::{Health, Status};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/health", || web::to(health))
        .about("The health of the service.")
        .taking(&[query("servers", "boolean", "false leaves the list of servers empty. Default: true.")])
        .giving(Body::json::<Health>("ok or degraded, with the reasons. Status 503 means failing."))
        .or(&[503]),
    Endpoint::get("/ready", || web::to(ready))
        .about("Whether the service is ready: it has started to measure, or has no server to measure.")
        .open()
        .giving(Body::json::<Ready>("ready. Status 503 until then."))
        .or(&[503]),
];

#[derive(JsonSchema, Serialize)]
struct Ready {
    /// Its outputs are open, and a poll has ended unless there is nothing to poll.
    ready: bool,
}

/// The query of `/health`. Checks of other programs may add parameters of their own.
#[derive(Debug, Deserialize)]
pub struct HealthQuery {
    /// Whether the body lists the servers; with thousands of them they are nearly all of it.
    #[serde(default = "yes")]
    servers: bool,
}

const fn yes() -> bool {
    true
}

/// 200 while the service is `ok` or `degraded`, 503 while it is `failing`; the body gives the reasons.
pub async fn health(state: web::Data<State>, query: web::Query<HealthQuery>) -> HttpResponse {
    let mut health = current(&state.health.borrow(), state.clock.now());
    if !query.servers {
        health = Arc::new(Health { servers: Vec::new(), ..Health::clone(&health) });
    }
    let mut response = match health.status {
        Status::Ok | Status::Degraded => HttpResponse::Ok(),
        Status::Failing => HttpResponse::ServiceUnavailable(),
    };
    response.insert_header(("Cache-Control", "no-store")).json(&*health)
}

/// 200 once the service measures: its outputs are open, and a poll has ended unless there is nothing to poll. 503
/// before.
pub async fn ready(state: web::Data<State>) -> HttpResponse {
    let health = state.health.borrow().clone();
    let mut response = if health.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header(("Cache-Control", "no-store")).json(Ready { ready: health.ready })
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::{App, test, web};

    use super::super::{routes, testing};
    use ntp_monitor_core::health::report::{Health, Reason, Status};

    async fn get(path: &str, health: Health) -> (StatusCode, serde_json::Value) {
        let (state, _dir) = testing::state(health);
        let app = test::init_service(App::new().app_data(web::Data::new(state)).configure(routes)).await;
        let response = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
        let status = response.status();
        let body = test::read_body(response).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[actix_rt::test]
    async fn degraded_is_200_and_failing_is_503_with_reasons() {
        let reason = |status| Reason { status, about: "sink", name: "store".into(), reason: "disk full".into() };
        let of = |status| Health { status, reasons: vec![reason(status)], ready: true, ..Health::default() };
        let (code, body) = get("/health", of(Status::Degraded)).await;
        assert_eq!((code, &body["status"]), (StatusCode::OK, &"degraded".into()));
        let (code, body) = get("/health", of(Status::Failing)).await;
        assert_eq!((code, &body["reasons"][0]["reason"]), (StatusCode::SERVICE_UNAVAILABLE, &"disk full".into()));
    }

    #[actix_rt::test]
    async fn report_that_is_not_renewed_answers_503() {
        let mut at = crate::clock::now();
        at.mono_ns -= 100_000_000_000;
        let (code, body) = get("/health", Health { at: Some(at), ..Health::default() }).await;
        assert_eq!((code, &body["reasons"][0]["name"]), (StatusCode::SERVICE_UNAVAILABLE, &"health".into()));
        assert_eq!(body["at"], serde_json::Value::Null, "only for ourselves");
    }

    #[actix_rt::test]
    async fn the_service_is_ready_once_a_poll_has_ended() {
        assert_eq!(get("/ready", Health::default()).await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get("/ready", Health { ready: true, ..Health::default() }).await.0, StatusCode::OK);
    }

    #[actix_rt::test]
    async fn unknown_path_is_a_problem_document() {
        let (code, body) = get("/nowhere", Health::default()).await;
        assert_eq!((code, &body["status"]), (StatusCode::NOT_FOUND, &404.into()));
        assert_eq!(body["detail"], "there is nothing at /nowhere");
    }
}
