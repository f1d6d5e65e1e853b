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
    /// The type of the problem; `about:blank` means that the status describes it.
    pub r#type: &'static str,
    /// The name of the status.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong in this request, for a person.
    pub detail: String,
    /// The errors of a submitted configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultView>,
    /// Seconds to wait before a retry.
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem with this status and detail.
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

    /// Adds the errors of a configuration.
    #[must_use]
    pub fn with_faults(self, faults: Vec<FaultView>) -> Self {
        Self { faults, ..self }
    }

    /// Adds the time to wait before a retry, in whole seconds and at least one.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// 400: the request is invalid.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: the resource does not exist.
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

/// 503: the history cannot be read now. The reason may name paths; readers see it because they have to repair it.
impl From<StoreError> for Problem {
    fn from(why: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("the store cannot be read: {why}"))
    }
}

/// The response for unknown paths.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    Problem::not_found(format!("there is nothing at {}", request.path())).error_response()
}

/// The response for a known path with another method.
pub async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} does not support {}", request.path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).error_response()
}
