//! Errors as RFC 9457 problem documents.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;

use super::config_editor::FaultView;
use crate::store::StoreError;

/// A problem document (RFC 9457 §3).
#[derive(Debug, JsonSchema, Serialize, thiserror::Error)]
#[error("{title}: {detail}")]
pub struct Problem {
    /// What kind of problem it is; `about:blank` says that the status tells it all.
    pub r#type: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time, for a person.
    pub detail: String,
    /// What is wrong with a configuration that was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultView>,
    /// When to try again.
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem with `status` that says `detail`.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            faults: Vec::new(),
            retry_after: None,
        }
    }

    /// The same, with what is wrong with a configuration.
    #[must_use]
    pub fn with_faults(self, faults: Vec<FaultView>) -> Self {
        Self { faults, ..self }
    }

    /// The same, with a hint when to try again, in whole seconds and at least one.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// 400: the request says something that cannot be.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: there is no such thing.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(wait) = self.retry_after {
            response.insert_header((RETRY_AFTER, wait.as_secs_f64().ceil().max(1.0).to_string()));
        }
        response
            .insert_header(ContentType("application/problem+json".parse().expect("a valid media type")))
            .insert_header(("Cache-Control", "no-store"))
            .body(serde_json::to_string(self).expect("strings and numbers can be written as JSON"))
    }
}

/// The history cannot be read now. The reason may name paths; readers get it, for it is theirs to repair.
impl From<StoreError> for Problem {
    fn from(why: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("the store cannot be read: {why}"))
    }
}

/// Everything that is nowhere.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    Problem::not_found(format!("there is nothing at {}", request.path())).error_response()
}

/// What exists, but not for this method.
pub async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} does not answer {}", request.path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).error_response()
}
