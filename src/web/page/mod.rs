//! The page at `/`: the build output of `web/`, embedded in the program. A program built without it serves a plain
//! page, which is also at `/plain` for browsers without JavaScript.
//!
//! A debug build reads `web/dist` at each request; a release build contains it.

mod chart;
mod plain;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EntityTag, IF_NONE_MATCH};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::State;
use super::problem::not_found;
use super::view::rows::Picture;

/// The build output of `web/`; empty when it was not built.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Built;

const INDEX: &str = "index.html";
/// The style sheet of the plain page. It is a separate file because the content security policy forbids inline styles.
const PLAIN_STYLE: &str = include_str!("plain.css");

pub async fn index(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match Built::get(INDEX) {
        Some(file) => send(&request, INDEX, file),
        None => plain(state).await,
    }
}

/// `GET /plain`: the page without script.
pub async fn plain(state: web::Data<State>) -> HttpResponse {
    let (config, snapshot, health) = state.now();
    let rows = Picture::new(&config, &snapshot, &health).rows();
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(plain::page(&config.monitor.vantage, &snapshot, &rows))
}

pub async fn plain_style() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/css; charset=utf-8")).body(PLAIN_STYLE)
}

/// All other paths: files of the built page, otherwise 404.
pub async fn file(request: HttpRequest) -> HttpResponse {
    let path = request.path().trim_start_matches('/');
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return not_found(request).await;
    }
    // Names are looked up in a table, so no file outside of it can be read.
    if let Some(file) = Built::get(path) {
        return send(&request, path, file);
    }
    not_found(request).await
}

/// Whether the built page has a file for this path.
#[must_use]
pub fn is_built(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    Built::get(if path.is_empty() { INDEX } else { path }).is_some()
}

fn send(request: &HttpRequest, path: &str, file: EmbeddedFile) -> HttpResponse {
    let hash: String = file.metadata.sha256_hash()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = EntityTag::new_weak(hash).to_string();
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let status = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    // The build puts a hash into the names of assets, so the content of a name never changes.
    let caching = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = HttpResponseBuilder::new(status);
    response.insert_header((CACHE_CONTROL, caching)).insert_header((ETAG, tag));
    if known {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, file.metadata.mimetype())).body(file.data.into_owned())
}
