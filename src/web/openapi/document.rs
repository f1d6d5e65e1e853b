//! The table as an OpenAPI 3.1 document, whose schemas are JSON Schema 2020-12.

use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::endpoint::{Body, Endpoint, Method, Parameter, Place, Vantages};
use crate::web::problem::Problem;
use crate::web::{endpoints, prefix, respond};

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// `GET /api/openapi.json`.
pub async fn openapi(request: HttpRequest) -> Result<HttpResponse, Problem> {
    match prefix::of(&request) {
        prefix if prefix.is_empty() => respond::json(&request, &*DOCUMENT),
        prefix => {
            let mut document = DOCUMENT.clone();
            document["servers"] = json!([{ "url": prefix }]);
            respond::json(&request, &document)
        }
    }
}

/// Schemas of requests and responses differ, so each has its own generator.
struct Generators {
    written: SchemaGenerator,
    read: SchemaGenerator,
}

impl Generators {
    fn new() -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
        Self { written: settings().for_serialize().into_generator(), read: settings().into_generator() }
    }

    fn definitions(mut self) -> Map<String, Value> {
        let mut all = self.read.take_definitions(true);
        all.extend(self.written.take_definitions(true));
        all
    }
}

fn document() -> Value {
    let mut generators = Generators::new();
    let problem = generators.written.subschema_for::<Problem>().to_value();
    let mut paths = Map::new();
    for endpoint in endpoints() {
        let item = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        item[endpoint.method.name().to_lowercase()] = operation(endpoint, &problem, &mut generators);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ntp-monitor",
            "version": env!("CARGO_PKG_VERSION"),
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "paths": paths,
        "components": {
            "schemas": generators.definitions(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": "ntp-monitor-session" },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, problem: &Value, generators: &mut Generators) -> Value {
    let mut responses = Map::new();
    responses.insert(endpoint.success.to_string(), answer(&endpoint.answer, &mut generators.written));
    for status in statuses(endpoint) {
        responses.insert(status.to_string(), other(status, endpoint, problem, &mut generators.written));
    }
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.about,
        "parameters": endpoint.parameters().map(parameter).collect::<Vec<_>>(),
        "responses": responses,
    });
    if let Some(body) = &endpoint.request {
        let schema = (body.schema)(&mut generators.read);
        operation["requestBody"] =
            json!({ "required": true, "description": body.about, "content": { body.media: { "schema": schema } } });
    }
    if let Some(role) = endpoint.role {
        operation["description"] = json!(format!("Needs the role {}.", role.label()));
        // Reading may be open; `{}` means that a token is not always needed.
        let open = (endpoint.method == Method::Get).then(|| json!({}));
        operation["security"] =
            [Some(json!({ "bearer": [] })), Some(json!({ "session": [] })), open].into_iter().flatten().collect();
    }
    operation
}

fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_start_matches("/api/v1");
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}_{}", endpoint.method.name().to_lowercase(), words.join("_"))
}

/// All error statuses: those of the handler and those of the gate.
pub(super) fn statuses(endpoint: &Endpoint) -> Vec<u16> {
    let mut all = endpoint.others.to_vec();
    // A token in the request and the `Host` header are checked on every path.
    all.extend([400, 421]);
    if endpoint.role.is_some() {
        all.extend([401, 403, 429]);
    }
    if endpoint.request.is_some() {
        all.extend([408, 413, 415]);
    }
    if endpoint.vantages != Vantages::None {
        all.extend([404, 503]);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn answer(body: &Body, generator: &mut SchemaGenerator) -> Value {
    if body.media.is_empty() {
        return json!({ "description": body.about });
    }
    json!({ "description": body.about, "content": { body.media: { "schema": (body.schema)(generator) } } })
}

fn other(status: u16, endpoint: &Endpoint, problem: &Value, generator: &mut SchemaGenerator) -> Value {
    match status {
        304 => return json!({ "description": "The client already has the current version (If-None-Match)." }),
        // Health and readiness have the same body with either status.
        503 if !endpoint.path.starts_with("/api") => return answer(&endpoint.answer, generator),
        _ => {}
    }
    json!({ "description": meaning(status), "content": { "application/problem+json": { "schema": problem } } })
}

/// The general meaning of a status.
pub(super) fn meaning(status: u16) -> &'static str {
    match status {
        304 => "The client already has the current version (If-None-Match).",
        400 => "The request is invalid; the detail gives the reason.",
        401 => "A token is required, or the token is unknown.",
        403 => "The token's role does not permit this, or the request came from another site.",
        404 => "Not found.",
        408 => "The request took too long to arrive.",
        409 => "Not possible in the current state; the detail gives the reason.",
        412 => "The resource has changed since it was read: read it again.",
        413 => "The body is too large.",
        415 => "The body is not JSON.",
        421 => "The name in the Host header is not one of the service's names (`http.names`).",
        422 => "The request is well-formed but invalid; the detail says what is wrong.",
        428 => "If-Match is required, with the ETag of the resource to change.",
        429 => "Too many requests: retry after the time in Retry-After.",
        500 => "Internal error of the service.",
        502 => "The other side failed or refused; the detail gives the reason.",
        504 => "No answer in time.",
        _ => "Temporarily unavailable: the store cannot be used, or too many clients are connected.",
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "description": parameter.about,
        "schema": { "type": parameter.kind },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reference_within_the_document_leads_somewhere() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = BTreeSet::new();
        references(&DOCUMENT, &mut found);
        assert!(found.contains("#/components/schemas/Problem"));
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("references stay within the document");
            assert!(DOCUMENT.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    /// The page takes its types from this file.
    #[test]
    fn committed_document_is_that_of_the_program() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/web/openapi.json");
        let current = format!("{:#}\n", *DOCUMENT);
        if std::env::var_os("NTP_MONITOR_WRITE_DOCS").is_some() {
            std::fs::write(file, &current).unwrap();
        }
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(committed == current, "web/openapi.json: NTP_MONITOR_WRITE_DOCS=1 cargo test --lib committed_document");
    }

    #[test]
    fn endpoints_are_unique_and_documented() {
        let mut seen = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for row in endpoints() {
            let name = format!("{} {}", row.method.name(), row.path);
            assert!(seen.insert(name.clone()), "{name} is there twice");
            assert!(ids.insert(operation_id(row)), "{name} has the identifier of another");
            assert!(!row.about.is_empty() && !row.answer.about.is_empty(), "{name} is not explained");
            let parts: Vec<&str> = row.path.split('/').filter_map(|part| part.strip_prefix('{')).collect();
            let said = row.parameters().filter(|parameter| parameter.place == Place::Path);
            assert_eq!(parts.len(), said.count(), "{name} does not explain its path");
        }
    }

    #[test]
    fn a_body_is_described_by_its_type() {
        let schema = &DOCUMENT["components"]["schemas"]["Version"];
        assert_eq!(schema["properties"]["api"]["type"], "string");
        assert_eq!(schema["properties"]["started"]["format"], "date-time");
    }
}
