//! From rows to routes, and to the role that a request needs.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use actix_web::dev::ServiceRequest;
use actix_web::http::{self, header};
use actix_web::{HttpRequest, HttpResponse, guard, web};

use super::endpoint::Endpoint;
use crate::config::Role;
use crate::web::endpoints;
use crate::web::problem::wrong_method;

/// A route for each row. What has a path but not this method says which methods it has.
pub fn routes(config: &mut web::ServiceConfig) {
    let mut resources: BTreeMap<&str, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints() {
        resources.entry(endpoint.path).or_default().push(endpoint);
    }
    // Paths without parameters first: the router takes the first that matches.
    let mut resources: Vec<_> = resources.into_iter().collect();
    resources.sort_by_key(|(path, _)| path.contains('{'));
    for (path, rows) in resources {
        let allow = rows.iter().map(|row| row.method.name()).collect::<Vec<_>>().join(", ");
        let resource = rows.into_iter().fold(web::resource(path), |resource, row| {
            let method = http::Method::from_bytes(row.method.name().as_bytes()).unwrap_or_default();
            resource.route((row.route)().guard(guard::Method(method)))
        });
        config.service(resource.default_service(web::to(move |request| refused(request, allow.clone()))));
    }
}

async fn refused(request: HttpRequest, allow: String) -> HttpResponse {
    let mut response = wrong_method(request).await;
    if let Ok(allow) = header::HeaderValue::from_str(&allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// What a request needs: nothing, or a role. What is no row of the table is read by readers and written by nobody less
/// than an operator; it is answered with 404 or 405 anyway.
#[must_use]
pub fn needed(request: &ServiceRequest) -> Option<Role> {
    static ROLES: LazyLock<HashMap<(&str, &str), Option<Role>>> =
        LazyLock::new(|| endpoints().map(|row| ((row.method.name(), row.path), row.role)).collect());
    let method = request.method().as_str();
    let known = request.match_pattern().and_then(|pattern| ROLES.get(&(method, pattern.as_str())).copied());
    let reading = matches!(method, "GET" | "HEAD");
    known.unwrap_or(Some(if reading { Role::Read } else { Role::Operate }))
}

/// Whether a request that has been answered only asked for something.
#[must_use]
pub fn only_asks(request: &HttpRequest) -> bool {
    let method = request.method().as_str();
    let pattern = request.match_pattern();
    endpoints().any(|row| row.only_asks && row.method.name() == method && Some(row.path) == pattern.as_deref())
}
