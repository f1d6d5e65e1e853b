//! What there is to ask for: one table, from which `/api/openapi.json` (OpenAPI 3.1) and `/api/docs` are made.
//!
//! Limit: bodies are described in words and not as schemas.

use std::fmt::Write as _;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::html::Text;
use super::problem::Problem;
use super::respond;

/// Something to ask for with GET.
struct Endpoint {
    path: &'static str,
    about: &'static str,
    answer: &'static str,
    media: &'static str,
    parameters: &'static [Parameter],
    /// Statuses beside 200.
    others: &'static [u16],
}

struct Parameter {
    name: &'static str,
    /// `path` or `query`.
    place: &'static str,
    kind: &'static str,
    about: &'static str,
}

const fn query(name: &'static str, kind: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: "query", kind, about }
}

const ID: Parameter = Parameter {
    name: "id",
    place: "path",
    kind: "string",
    about: "The configured name, or name@address for one of its addresses; percent-encoded.",
};
const FROM: Parameter = query("from", "string", "Beginning: RFC 3339, now, or relative such as -1h.");
const TO: Parameter = query("to", "string", "End, likewise; now unless given.");
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/api/v1/version",
        about: "What runs here.",
        answer: "name, version, api, vantage, started.",
        media: JSON,
        parameters: &[],
        others: &[304],
    },
    Endpoint {
        path: "/api/v1/config",
        about: "The configuration in effect; secrets are masked.",
        answer: "values, and for each the source it came from.",
        media: JSON,
        parameters: &[],
        others: &[304],
    },
    Endpoint {
        path: "/api/v1/servers",
        about: "Every address of every server, as it is now.",
        answer: "as_of, total, limit, offset, servers. What is not known is null; offsets are in seconds, positive when \
                 the server is ahead of this host.",
        media: JSON,
        parameters: &[
            query("tag", "string", "Tags, key:value or key, separated by commas; all must be there."),
            query("state", "string", "pending, ok, failing, unreachable, wrong; separated by commas, one must hold."),
            query("q", "string", "Text in the name, the address, the reference identifier or a tag."),
            query(
                "sort",
                "string",
                "name, address, state, offset, magnitude, delay, jitter, root_distance, stratum, \
                                     reach, score or last_seen; with a minus sign in descending order.",
            ),
            query("limit", "integer", "Entries of the page, 1 to 10000; 1000 unless given."),
            query("offset", "integer", "Entries before the page."),
        ],
        others: &[304, 400],
    },
    Endpoint {
        path: "/api/v1/servers/{id}",
        about: "One server: how it is polled, and each of its addresses.",
        answer: "as_of, name, tags, settings, series (as in the list).",
        media: JSON,
        parameters: &[ID],
        others: &[304, 404],
    },
    Endpoint {
        path: "/api/v1/servers/{id}/samples",
        about: "What was measured, at the resolution that fits: at most 2000 points.",
        answer: "from, to, resolution (raw, 5m, 1h), step_s, samples.",
        media: JSON,
        parameters: &[ID, FROM, TO, query("step", "string", "The wished distance of two points: 5m, 1h, or seconds.")],
        others: &[304, 400, 404, 503],
    },
    Endpoint {
        path: "/api/v1/servers/{id}/stats",
        about: "Statistics of a window that ends now.",
        answer: "window, from, to, series: name, address, stats, histogram.",
        media: JSON,
        parameters: &[ID, query("window", "string", "5m, 1h, 24h or 7d; 1h unless given.")],
        others: &[304, 400, 404, 503],
    },
    Endpoint {
        path: "/api/v1/servers/{id}/stability",
        about: "Allan, modified, time and Hadamard deviations, MTIE and TIE rms of the offsets (NIST SP 1065).",
        answer: "from, to, series: name, address, stability, reason.",
        media: JSON,
        parameters: &[ID, FROM, TO, query("taus", "string", "Averaging times in seconds, separated by commas.")],
        others: &[304, 400, 404, 503],
    },
    Endpoint {
        path: "/api/v1/servers/{id}/evidence",
        about: "The last replies that were refused, with every check and the four timestamps.",
        answer: "evidence, oldest first.",
        media: JSON,
        parameters: &[ID],
        others: &[304, 404, 503],
    },
    Endpoint {
        path: "/api/v1/verdict",
        about: "Who is wrong, by how much, since when, how sure that is, and what it assumes.",
        answer: "as_of, state, since, confidence, local, servers, majority, reason, assumption, independence, sentence.",
        media: JSON,
        parameters: &[],
        others: &[304],
    },
    Endpoint {
        path: "/api/v1/local",
        about: "The own clock: what the servers, the kernel and a time daemon say of it.",
        answer: "as_of, verdict, kernel, daemon, distrust.",
        media: JSON,
        parameters: &[],
        others: &[304],
    },
    Endpoint {
        path: "/api/v1/events",
        about: "What happened: steps, changes, outages.",
        answer: "from, to, events, oldest first.",
        media: JSON,
        parameters: &[
            FROM,
            TO,
            query("kind", "string", "Kinds, separated by commas."),
            query("server", "string", "The configured name of a server."),
            query("limit", "integer", "The latest so many, 1 to 5000; 500 unless given."),
        ],
        others: &[304, 400, 503],
    },
    Endpoint {
        path: "/api/v1/notifiers",
        about: "How each notifier is doing. POST /api/v1/notifiers/{name}/test (operate) sends a test and answers name, \
                delivered, detail, took_s.",
        answer: "notifiers: name, type, failing, queued, oldest_s, delivered, failures, given_up, expired, \
                 consecutive_failures, failing_since, last_success, last_failure, last_error, paused_until.",
        media: JSON,
        parameters: &[],
        others: &[304],
    },
    Endpoint {
        path: "/api/v1/stream",
        about: "What happens, as it happens: server-sent events hello, sample, verdict, health. Last-Event-ID resumes.",
        answer: "Events; the data of each is JSON.",
        media: "text/event-stream",
        parameters: &[
            query("events", "string", "sample, verdict, health; separated by commas, all unless given."),
            query("server", "string", "The configured name of the server whose samples are wanted."),
            query("last_event_id", "string", "As the header Last-Event-ID, which wins."),
        ],
        others: &[400, 503],
    },
    Endpoint {
        path: "/health",
        about: "The health of the service.",
        answer: "ok or degraded, with the reasons; 503 says failing.",
        media: JSON,
        parameters: &[],
        others: &[503],
    },
    Endpoint {
        path: "/ready",
        about: "Whether the service measures.",
        answer: "ready; 503 before.",
        media: JSON,
        parameters: &[],
        others: &[503],
    },
    Endpoint {
        path: "/metrics",
        about: "Metrics for Prometheus.",
        answer: "OpenMetrics when accepted, else the text format.",
        media: TEXT,
        parameters: &[],
        others: &[],
    },
    Endpoint {
        path: "/probe",
        about: "The last poll of one server, as blackbox exporter answers. Nothing is sent: the server is polled on its \
                own schedule. Before its first poll has ended, the answer waits for it within the time of the scrape.",
        answer: "probe_success, probe_duration_seconds, and the metrics of the server.",
        media: TEXT,
        parameters: &[
            query("target", "string", "A configured server: its name, or name@address."),
            query("module", "string", "ntp, or nothing."),
            query("debug", "boolean", "true explains the answer to a person."),
        ],
        others: &[400, 404],
    },
];

/// `GET /api/openapi.json`.
pub async fn openapi(request: HttpRequest) -> Result<HttpResponse, Problem> {
    respond::json(&request, &document())
}

fn document() -> Value {
    let paths: Map<String, Value> =
        ENDPOINTS.iter().map(|endpoint| (endpoint.path.to_owned(), json!({ "get": operation(endpoint) }))).collect();
    let problem = json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What went wrong, for a person." },
        },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ntp-monitor",
            "version": env!("CARGO_PKG_VERSION"),
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "paths": paths,
        "components": { "schemas": { "Problem": problem } },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let parameters: Vec<Value> = endpoint.parameters.iter().map(parameter).collect();
    let schema = if endpoint.media == JSON { json!({ "type": "object" }) } else { json!({ "type": "string" }) };
    let mut responses = Map::new();
    let body = json!({ "description": endpoint.answer, "content": { endpoint.media: { "schema": schema } } });
    responses.insert("200".to_owned(), body);
    for status in endpoint.others {
        responses.insert(status.to_string(), other(*status, endpoint));
    }
    json!({ "summary": endpoint.about, "parameters": parameters, "responses": responses })
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path" || parameter.name == "target",
        "description": parameter.about,
        "schema": { "type": parameter.kind },
    })
}

fn other(status: u16, endpoint: &Endpoint) -> Value {
    let about = match status {
        304 => return json!({ "description": "The client has it already (If-None-Match)." }),
        // Health and readiness say the same with either status.
        503 if !endpoint.path.starts_with("/api") => {
            return json!({ "description": endpoint.answer, "content": { JSON: { "schema": { "type": "object" } } } });
        }
        400 => "The request says something that cannot be.",
        404 => "There is no such server.",
        _ => "Not now: the store cannot be read, or too many readers are there.",
    };
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "description": about, "content": { "application/problem+json": { "schema": schema } } })
}

/// `GET /api/docs`: the same for people, without a script.
pub async fn docs() -> HttpResponse {
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>ntp-monitor API</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<link rel=\"stylesheet\" href=\"/plain.css\">\n\
         </head>\n<body>\n<h1>ntp-monitor API</h1>\n<p>For programs: <a href=\"/api/openapi.json\">OpenAPI 3.1</a>. \
         Times are RFC 3339, quantities in base units; an offset is positive when the server is ahead of this host. \
         Errors are problem documents (RFC 9457).</p>\n",
    );
    for endpoint in ENDPOINTS {
        section(&mut html, endpoint);
    }
    html.push_str("</body>\n</html>\n");
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(html)
}

fn section(html: &mut String, endpoint: &Endpoint) {
    let path = Text(endpoint.path);
    let heading = if endpoint.path.contains('{') || endpoint.path == "/probe" {
        path.to_string()
    } else {
        format!("<a href=\"{path}\">{path}</a>")
    };
    let _ = writeln!(html, "<h2>GET {heading}</h2>\n<p>{} Answer: {}</p>", Text(endpoint.about), Text(endpoint.answer));
    if endpoint.parameters.is_empty() {
        return;
    }
    html.push_str("<table><thead><tr><th>Parameter<th>In<th>Meaning</tr></thead><tbody>\n");
    for parameter in endpoint.parameters {
        let (name, place) = (parameter.name, parameter.place);
        let _ = writeln!(html, "<tr><td><code>{name}</code><td>{place}<td>{}</tr>", Text(parameter.about));
    }
    html.push_str("</tbody></table>\n");
}
