//! Errors as RFC 9457 problem documents.

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

/// A problem document (RFC 9457 §3).
#[derive(Debug, Serialize)]
pub struct Problem {
    /// What kind of problem it is; `about:blank` says that the status tells it all.
    pub r#type: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time, for a person.
    pub detail: String,
}

impl Problem {
    /// A response with `status` that says `detail`.
    #[must_use]
    pub fn response(status: StatusCode, detail: impl Into<String>) -> HttpResponse {
        let title = status.canonical_reason().unwrap_or("Error");
        let problem = Self { r#type: "about:blank", title, status: status.as_u16(), detail: detail.into() };
        HttpResponse::build(status)
            .insert_header(ContentType("application/problem+json".parse().expect("a valid media type")))
            .body(serde_json::to_string(&problem).expect("strings and numbers can be written as JSON"))
    }
}

/// Everything that is nowhere.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    Problem::response(StatusCode::NOT_FOUND, format!("there is nothing at {}", request.path()))
}
