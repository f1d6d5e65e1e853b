//! Builds the routes from the table, and finds the role that a request needs.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use actix_web::dev::ServiceRequest;
use actix_web::guard::{self, Guard};
use actix_web::http::{self, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::endpoint::{Endpoint, Method};
use crate::config::Role;
use crate::web::endpoints;
use crate::web::problem::wrong_method;

/// Creates a route for each endpoint. A known path with another method answers 405 with the allowed methods.
pub fn routes(config: &mut web::ServiceConfig) {
    let mut resources: BTreeMap<&str, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints() {
        resources.entry(endpoint.path).or_default().push(endpoint);
    }
    // Paths without parameters come first, because the router takes the first match.
    let mut resources: Vec<_> = resources.into_iter().collect();
    resources.sort_by_key(|(path, _)| path.contains('{'));
    for (path, rows) in resources {
        let methods = |row: &&Endpoint| match row.method {
            Method::Get => vec![Method::Get.name(), http::Method::HEAD.as_str()],
            other => vec![other.name()],
        };
        let allow = rows.iter().flat_map(methods).collect::<Vec<_>>().join(", ");
        let resource = rows
            .into_iter()
            .fold(web::resource(path), |resource, row| resource.route((row.route)().guard(asked(row.method))));
        config.service(resource.default_service(web::to(move |request| refused(request, allow.clone()))));
    }
}

/// Whether a request has this method. HEAD is allowed wherever GET is (RFC 9110 §9.3.2).
pub fn asked(method: Method) -> impl Guard {
    guard::fn_guard(move |request| method.name() == as_listed(request.head().method.as_str()))
}

/// The method of the endpoint that a request matches.
fn as_listed(method: &str) -> &str {
    if method == http::Method::HEAD.as_str() { Method::Get.name() } else { method }
}

async fn refused(request: HttpRequest, allow: String) -> HttpResponse {
    let mut response = wrong_method(request).await;
    if let Ok(allow) = header::HeaderValue::from_str(&allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// The role that a request needs, if any. A method that the path does not have needs none, because its answer (405)
/// reveals only what the API document says. An unknown path needs `read`, or `operate` for unsafe methods.
#[must_use]
pub fn needed(request: &ServiceRequest) -> Option<Role> {
    static ROLES: LazyLock<HashMap<(&str, &str), Option<Role>>> =
        LazyLock::new(|| endpoints().map(|row| ((row.method.name(), row.path), row.role)).collect());
    let method = as_listed(request.method().as_str());
    let unknown = Some(if method == Method::Get.name() { Role::Read } else { Role::Operate });
    let Some(pattern) = request.match_pattern() else { return unknown };
    match ROLES.get(&(method, pattern.as_str())) {
        Some(role) => *role,
        None if endpoints().any(|row| row.path == pattern) => None,
        None => unknown,
    }
}

/// The endpoint of a request.
#[must_use]
pub fn row_of(request: &HttpRequest) -> Option<&'static Endpoint> {
    let method = as_listed(request.method().as_str());
    let pattern = request.match_pattern()?;
    endpoints().find(|row| row.method.name() == method && row.path == pattern)
}
