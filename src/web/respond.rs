//! JSON responses with entity tags, so that an unchanged body is not sent again.

use std::hash::{DefaultHasher, Hasher};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::problem::Problem;

/// `body` as JSON with an entity tag; 304 when the client already has it. The tag is weak, because the body may be
/// compressed.
///
/// # Errors
/// When the body cannot be serialised, which does not happen for the types of this program.
pub fn json(request: &HttpRequest, body: &impl Serialize) -> Result<HttpResponse, Problem> {
    let text = serde_json::to_vec(body).map_err(|why| {
        let detail = format!("the answer cannot be written: {why}");
        Problem::new(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    Ok(written(request, text))
}

/// Like [`json`], for a body that is already serialised.
pub fn written(request: &HttpRequest, text: Vec<u8>) -> HttpResponse {
    let tag = EntityTag::new_weak(fingerprint(&text));
    let mut response = if is_known(request, &tag) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // The client may cache it, and must revalidate it.
    response.insert_header((CACHE_CONTROL, "no-cache")).insert_header((ETAG, tag.to_string()));
    if is_known(request, &tag) {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, "application/json")).body(text)
}

fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|one| one.weak_eq(tag)),
        Err(_) => false,
    }
}

fn fingerprint(text: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    format!("{:016x}", hasher.finish())
}
