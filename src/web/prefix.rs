//! The path prefix under which a reverse proxy serves this service. The page and the documents use relative links, so
//! only redirects, `Location`, cookie paths and the API document need the prefix.
//!
//! A proxy that forwards the full path needs `http.base_path`, which is removed here. A proxy that removes the prefix
//! states it in X-Forwarded-Prefix, which is read from trusted proxies only.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};

use super::State;
use super::auth::client::{is_trusted, peer};
use crate::config::{Http, base_path};

const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// What precedes the paths of the service in the URLs that the client sees: `/a/b`, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Prefix(String);

/// What precedes the paths of the service in the URLs that the client sees: `/a/b`, or nothing.
#[must_use]
pub fn of(request: &HttpRequest) -> String {
    request.extensions().get::<Prefix>().map(|prefix| prefix.0.clone()).unwrap_or_default()
}

/// Removes the prefix from the path of the request, and adds it to the `Location` of the response.
///
/// # Errors
/// Errors of the handler.
pub async fn strip(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let found = request.app_data::<web::Data<State>>().map(|state| split(&request, &state.config.borrow().http));
    let Some((prefix, path)) = found.filter(|(prefix, path)| !prefix.is_empty() || path.is_some()) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    if path.as_deref() == Some("") {
        // Relative links of the page need the slash.
        let to = format!("{prefix}/");
        return Ok(request.into_response(HttpResponse::PermanentRedirect().insert_header((LOCATION, to)).finish()));
    }
    if let Some(path) = path {
        change_path(&mut request, &path);
    }
    request.extensions_mut().insert(Prefix(prefix.clone()));
    let mut response = next.call(request).await?.map_into_boxed_body();
    let place = response.headers().get(LOCATION).and_then(|place| place.to_str().ok()).filter(|at| at.starts_with('/'));
    if let Some(place) = place.and_then(|place| HeaderValue::try_from(format!("{prefix}{place}")).ok()) {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

/// The prefix that the client sees, and the request path without the forwarded part of the prefix.
fn split(request: &ServiceRequest, http: &Http) -> (String, Option<String>) {
    let is_proxy = is_trusted(peer(request.peer_addr()), &http.trusted_proxies);
    let forwarded = if is_proxy { forwarded(request.headers()) } else { String::new() };
    split_path(request.path(), &forwarded, &http.base_path)
}

fn split_path(path: &str, forwarded: &str, base: &str) -> (String, Option<String>) {
    let without = |prefix: &str| {
        let rest = path.strip_prefix(prefix).filter(|_| !prefix.is_empty())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
    };
    match (without(forwarded), without(base)) {
        (Some(rest), _) => (forwarded.to_owned(), Some(rest)),
        (None, Some(rest)) => (format!("{forwarded}{base}"), Some(rest)),
        (None, None) if forwarded.is_empty() => (base.to_owned(), None),
        (None, None) => (forwarded.to_owned(), None),
    }
}

/// The prefix that proxies removed; each proxy may have added its part. Empty unless it is a plain path.
fn forwarded(headers: &HeaderMap) -> String {
    let lines = headers.get_all(X_FORWARDED_PREFIX).map(|line| line.to_str().unwrap_or("?"));
    let parts: Option<Vec<String>> =
        lines.flat_map(|line| line.split(',')).map(|part| base_path(part.trim())).collect();
    parts.unwrap_or_default().concat()
}

fn change_path(request: &mut ServiceRequest, path: &str) {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = format!("{path}{query}").parse().ok();
    // The rest of a valid URI is valid too.
    if let Ok(uri) = Uri::from_parts(parts) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_removed_where_it_was_passed_on() {
        for (path, forwarded, base, prefix, rest) in [
            ("/api", "", "", "", None),
            ("/ntp/api", "", "/ntp", "/ntp", Some("/api")),
            ("/ntp", "", "/ntp", "/ntp", Some("")),
            ("/ntpd", "", "/ntp", "/ntp", None),
            ("/api", "", "/ntp", "/ntp", None),
            ("/api", "/out", "", "/out", None),
            ("/out/api", "/out", "", "/out", Some("/api")),
            ("/ntp/api", "/out", "/ntp", "/out/ntp", Some("/api")),
            ("/ntp/api", "/ntp", "/ntp", "/ntp", Some("/api")),
        ] {
            let expected = (prefix.to_owned(), rest.map(str::to_owned));
            assert_eq!(split_path(path, forwarded, base), expected, "{path} {forwarded} {base}");
        }
    }

    #[test]
    fn forwarded_prefix_is_a_plain_path_or_ignored() {
        let of = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            lines.iter().for_each(|line| headers.append(X_FORWARDED_PREFIX, line.parse().unwrap()));
            forwarded(&headers)
        };
        assert_eq!((of(&[]), of(&["/"]), of(&["/a/"])), (String::new(), String::new(), "/a".to_owned()));
        assert_eq!((of(&["/a, /b"]), of(&["/a", "/b"])), ("/a/b".to_owned(), "/a/b".to_owned()));
        for wrong in ["//evil.example", "a", "/a\"b", "/a?b", "/..", "/a, https://b"] {
            assert_eq!(of(&[wrong]), "", "{wrong}");
        }
    }
}
