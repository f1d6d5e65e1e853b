//! `/api/docs`: the documentation of the API as a page without scripts and external resources.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::document::{meaning, statuses};
use super::endpoint::{Endpoint, Method, Parameter, Place};
use crate::web::endpoints;
use ntp_monitor_core::template::Page;

static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("docs.html")));

pub async fn docs() -> HttpResponse {
    let html = PAGE.render(&json!({ "endpoints": endpoints().map(section).collect::<Value>() }));
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(html)
}

fn section(endpoint: &Endpoint) -> Value {
    let needs_values = endpoint.path.contains('{') || endpoint.parameters().any(|parameter| parameter.required);
    let status = |status| json!({ "code": status, "meaning": meaning(status) });
    json!({
        "method": endpoint.method.name(),
        "path": endpoint.path,
        "is_link": endpoint.method == Method::Get && !needs_values,
        "about": endpoint.about,
        "role": endpoint.role.map(|role| role.label()),
        "body": endpoint.request.as_ref().map(|body| body.about),
        "success": endpoint.success,
        "answer": endpoint.answer.about,
        "parameters": endpoint.parameters().map(parameter).collect::<Value>(),
        "statuses": statuses(endpoint).into_iter().map(status).collect::<Value>(),
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    json!({ "name": parameter.name, "place": place, "about": parameter.about })
}
