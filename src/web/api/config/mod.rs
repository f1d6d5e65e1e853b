//! The configuration file: read, checked and written.

mod refused;
mod servers;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use servers::ENDPOINTS as SERVERS;

use crate::config::{Role, schema_value};
use crate::web::config_editor::{Check, Condition, Done, Edit, Look};
use crate::web::openapi::{Body, Endpoint, Parameter, header};
use crate::web::problem::Problem;
use crate::web::{State, audit, body, respond};

const IF_MATCH_HEADER: Parameter =
    header("If-Match", "The ETag of the file as it was read. The request is rejected if the file has changed since.");

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/config/schema", || web::to(schema))
        .about("The JSON Schema (2020-12) of the configuration: every key, its meaning and its default.")
        .giving(Body::json::<serde_json::Value>("A schema."))
        .or(&[304]),
    Endpoint::get("/api/v1/config/file", || web::to(look))
        .about("The configuration file with its secrets masked, and whether it can be edited here.")
        .role(Role::Admin)
        .giving(Body::json::<FileView>(
            "path, format, text, etag, editable, why_not, adds_to. The ETag is in the header too.",
        )),
    Endpoint::post("/api/v1/config/check", || web::to(check))
        .only_asking()
        .about("Validates a new configuration file and returns its faults, or what it would change. Changes nothing.")
        .role(Role::Admin)
        .wanting(Body::json::<NewText>("text."))
        .giving(Body::json::<Check>("valid, faults, warnings, diff, changes."))
        .or(&[409]),
    Endpoint::put("/api/v1/config/file", || web::to(write))
        .about(
            "Replaces the configuration file and reloads the service. The previous version is kept next to it. Masked \
             secrets keep their values.",
        )
        .role(Role::Admin)
        .taking(&[IF_MATCH_HEADER])
        .wanting(Body::json::<NewText>("text."))
        .giving(Body::json::<Check>("valid, faults, warnings, diff, changes; the new ETag is in the header."))
        .or(&[409, 412, 422, 428, 503]),
];

/// The largest accepted file. A configuration with ten thousand servers takes about half of it.
const LONGEST: usize = 4 << 20;

#[derive(JsonSchema, Serialize)]
struct FileView {
    /// The path of the file; `null` when the service is configured without a file.
    path: Option<String>,
    format: &'static str,
    /// The text of the file with secrets masked as ********; empty when it cannot be shown.
    text: String,
    /// Send this value as `If-Match` when you write the file.
    etag: String,
    editable: bool,
    /// Why the file cannot be edited; `null` when it can.
    why_not: Option<String>,
    /// The file that servers are added to, when this one cannot be edited; `null` when they cannot be added.
    adds_to: Option<String>,
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewText {
    /// The whole text of the file, TOML.
    text: String,
}

async fn schema(request: HttpRequest) -> Result<HttpResponse, Problem> {
    respond::json(&request, schema_value())
}

async fn look(state: web::Data<State>) -> HttpResponse {
    let running = state.config.borrow().clone();
    let Look { path, text, fingerprint, why_not, adds_to } = state.config_editor.look(running).await;
    let extension = path.extension().and_then(|extension| extension.to_str());
    let format = match extension {
        Some("yaml" | "yml") => "yaml",
        Some("json") => "json",
        _ => "toml",
    };
    let etag = if fingerprint.is_empty() { String::new() } else { etag(&fingerprint) };
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    if !etag.is_empty() {
        response.insert_header((ETAG, etag.clone()));
    }
    response.json(FileView {
        path: (!path.as_os_str().is_empty()).then(|| path.display().to_string()),
        format,
        text,
        etag,
        editable: why_not.is_none(),
        why_not,
        adds_to: adds_to.map(|path| path.display().to_string()),
    })
}

async fn check(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let NewText { text } = body::json(&request, payload, LONGEST).await?;
    let running = state.config.borrow().clone();
    let check = state.config_editor.check(Edit::Text(text), running).await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(check))
}

async fn write(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let condition = condition(&request);
    if condition == Condition::None {
        let detail = "If-Match is missing: send the ETag of the file that was edited";
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, detail));
    }
    let NewText { text } = body::json(&request, payload, LONGEST).await?;
    let done = done(&request, &state, condition, Edit::Text(text)).await?;
    Ok(answer(StatusCode::OK, &done).json(done.check))
}

/// Applies an edit and records the change in the audit log.
async fn done(request: &HttpRequest, state: &State, condition: Condition, edit: Edit) -> Result<Done, Problem> {
    let running = state.config.borrow().clone();
    let done = state.config_editor.write(condition, edit, running).await?;
    let changes = done.check.changes.summary();
    if !changes.is_empty() {
        audit::about(request, format!("{}: {changes}", request.path()));
    }
    Ok(done)
}

fn answer(status: StatusCode, done: &Done) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((ETAG, etag(&done.fingerprint)));
    response
}

fn etag(fingerprint: &str) -> String {
    format!("\"{fingerprint}\"")
}

/// The condition in `If-Match` (RFC 9110 §13.1.1). Weak tags never match.
fn condition(request: &HttpRequest) -> Condition {
    let values: Vec<&str> = request.headers().get_all(IF_MATCH).filter_map(|value| value.to_str().ok()).collect();
    let mut tags = values.iter().flat_map(|value| value.split(',')).map(str::trim);
    if values.is_empty() {
        Condition::None
    } else if tags.clone().any(|tag| tag == "*") {
        Condition::Any
    } else {
        let strong = |tag: &str| Some(tag.strip_prefix('"')?.strip_suffix('"')?.to_owned());
        Condition::OneOf(tags.by_ref().filter_map(strong).collect())
    }
}
