//! `/api/docs`: the documentation of the API as a page without scripts and external resources.

use std::fmt::Write as _;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;

use super::document::{meaning, statuses};
use super::endpoint::{Endpoint, Method, Place};
use crate::web::endpoints;
use ntp_monitor_core::text::html::Text;

pub async fn docs() -> HttpResponse {
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>ntp-monitor API</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<link rel=\"stylesheet\" href=\"../plain.css\">\n\
         </head>\n<body>\n<h1>ntp-monitor API</h1>\n<p>For programs: <a href=\"openapi.json\">OpenAPI 3.1</a>. \
         Times are RFC 3339, quantities in base units; an offset is positive when the server is ahead of this host. \
         Errors are problem documents (RFC 9457). Tokens are sent as <code>Authorization: Bearer TOKEN</code>.</p>\n",
    );
    for endpoint in endpoints() {
        section(&mut html, endpoint);
    }
    html.push_str("</body>\n</html>\n");
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(html)
}

fn section(html: &mut String, endpoint: &Endpoint) {
    let (method, path) = (endpoint.method, Text(endpoint.path));
    let is_link =
        method == Method::Get && endpoint.parameters().all(|parameter| !parameter.required && path_is_plain(endpoint));
    let heading = if is_link { format!("<a href=\"..{path}\">{path}</a>") } else { path.to_string() };
    let role = endpoint.role.map_or("Open to everybody.".to_owned(), |role| format!("Role: {}.", role.label()));
    let _ = writeln!(html, "<h2>{} {heading}</h2>\n<p>{} {role}</p>", method.name(), Text(endpoint.about));
    if let Some(body) = &endpoint.request {
        let _ = writeln!(html, "<p>Body: {}</p>", Text(body.about));
    }
    let _ = writeln!(html, "<p>Answer, {}: {}</p>", endpoint.success, Text(endpoint.answer.about));
    parameters(html, endpoint);
    html.push_str("<p>Otherwise:</p>\n<ul>\n");
    for status in statuses(endpoint) {
        let _ = writeln!(html, "<li>{status}: {}</li>", Text(meaning(status)));
    }
    html.push_str("</ul>\n");
}

fn path_is_plain(endpoint: &Endpoint) -> bool {
    !endpoint.path.contains('{')
}

fn parameters(html: &mut String, endpoint: &Endpoint) {
    if endpoint.parameters().next().is_none() {
        return;
    }
    html.push_str("<table><thead><tr><th>Parameter<th>In<th>Meaning</tr></thead><tbody>\n");
    for parameter in endpoint.parameters() {
        let place = match parameter.place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        };
        let _ = writeln!(html, "<tr><td><code>{}</code><td>{place}<td>{}</tr>", parameter.name, Text(parameter.about));
    }
    html.push_str("</tbody></table>\n");
}
