//! Silences suppress the notifications of alerts for a time, with a reason and an end.

use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::web::State;
use crate::web::auth::Caller;
use crate::web::openapi::{Body, Endpoint, Vantages, part};
use crate::web::problem::Problem;
use crate::web::respond;
use ntp_monitor_core::alert::silence::Silence;
use ntp_monitor_core::text::plain::is_plain;

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/silences", || web::to(list))
        .about("Active and future silences, and the open maintenance windows of the configuration.")
        .of(Vantages::Own)
        .giving(Body::json::<Silences>("silences, oldest first, and windows."))
        .or(&[304, 503]),
    Endpoint::post("/api/v1/silences", || web::to(add))
        .about("Creates a silence: no notifications are sent for matching alerts until it ends.")
        .wanting(Body::json::<NewSilence>("The alerts to silence, the reason, and the end (ends_at or for)."))
        .giving_with(201, Body::json::<Silence>("The silence, with its number."))
        .or(&[400, 409, 503]),
    Endpoint::delete("/api/v1/silences/{id}", || web::to(end))
        .about("Ends a silence now.")
        .taking(&[part("id", "Number of the silence.")])
        .giving_with(204, Body::none("The silence has ended."))
        .or(&[404, 503]),
];

/// The longest silence. To suppress an alert for longer, change its rule.
const LONGEST_S: i64 = 366 * 86_400;
const LONGEST_TEXT: usize = 1000;
const MOST_SERVERS: usize = 1000;

#[derive(Debug, Serialize, JsonSchema)]
struct Silences {
    silences: Vec<Silence>,
    windows: Vec<OpenWindow>,
}

/// An open maintenance window.
#[derive(Debug, Serialize, JsonSchema)]
struct OpenWindow {
    comment: String,
    alert: Option<String>,
    servers: Vec<String>,
    #[schemars(with = "String")]
    ends_at: Timestamp,
}

/// The request for a new silence.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSilence {
    /// The name of a rule; the default is all rules.
    alert: Option<String>,
    /// Servers by name, name@address, tag or tag:value. An empty list means all alerts, also those without a server.
    #[serde(default)]
    servers: Vec<String>,
    /// The reason, shown next to silenced alerts.
    comment: String,
    /// When it starts; the default is now.
    #[schemars(with = "Option<String>")]
    starts_at: Option<Timestamp>,
    /// When it ends.
    #[schemars(with = "Option<String>")]
    ends_at: Option<Timestamp>,
    /// How long it lasts, such as `2h`, instead of `ends_at`.
    r#for: Option<String>,
}

/// `GET /api/v1/silences`.
pub async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let now_ns = state.clock.now().wall_ns;
    let silences = state.store.read(move |reader| reader.silences(now_ns)).await?;
    let now = timestamp(now_ns);
    let book = state.config.borrow().alerting.clone();
    let open = |window: &ntp_monitor_core::alert::silence::Window| {
        let (matcher, comment) = (&window.matcher, window.comment.clone());
        let ends_at = window.times.open_until(now)?;
        Some(OpenWindow { comment, alert: matcher.alert.clone(), servers: matcher.servers.0.clone(), ends_at })
    };
    respond::json(&request, &Silences { silences, windows: book.windows.iter().filter_map(open).collect() })
}

/// `POST /api/v1/silences`.
pub async fn add(
    request: HttpRequest,
    state: web::Data<State>,
    new: web::Json<NewSilence>,
) -> Result<HttpResponse, Problem> {
    let mut silence = silence(new.into_inner(), timestamp(state.clock.now().wall_ns))?;
    // A silence that matches no rule would not suppress anything.
    if let Some(alert) = &silence.alert
        && !state.config.borrow().alerting.rules.iter().any(|rule| rule.spec.name == *alert)
    {
        return Err(Problem::bad_request(format!("alert: there is no rule {alert:?}")));
    }
    silence.created_by = request.extensions().get::<Caller>().map(|caller| caller.name.to_string()).unwrap_or_default();
    let id = state.store.add_silence(silence.clone()).await?;
    let id =
        id.ok_or_else(|| Problem::new(StatusCode::CONFLICT, "there are too many silences: end some of them first"))?;
    state.silences.send_modify(|count| *count = count.wrapping_add(1));
    Ok(HttpResponse::Created().insert_header(("Cache-Control", "no-store")).json(Silence { id, ..silence }))
}

/// `DELETE /api/v1/silences/{id}`.
pub async fn end(state: web::Data<State>, id: web::Path<i64>) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    if !state.store.end_silence(id, timestamp(state.clock.now().wall_ns)).await? {
        return Err(Problem::not_found(format!("there is no active or future silence {id}")));
    }
    state.silences.send_modify(|count| *count = count.wrapping_add(1));
    Ok(HttpResponse::NoContent().finish())
}

fn silence(new: NewSilence, now: Timestamp) -> Result<Silence, Problem> {
    let refused = |why: &str| Problem::bad_request(why.to_owned());
    let NewSilence { alert, servers, comment, starts_at, ends_at, r#for } = new;
    if comment.trim().is_empty() {
        return Err(refused("comment: must give a reason, for people who look at this later"));
    }
    let is_bad = |text: &String| text.len() > LONGEST_TEXT || !is_plain(text);
    if [&comment].into_iter().chain(&alert).chain(&servers).any(is_bad) {
        return Err(refused(
            "texts must be shorter than 1000 bytes, without control characters, invisible characters or \
             direction marks",
        ));
    }
    if servers.len() > MOST_SERVERS {
        return Err(refused("servers: at most 1000; use a tag"));
    }
    let starts_at = starts_at.unwrap_or(now);
    let ends_at = match (ends_at, r#for) {
        (Some(ends_at), None) => ends_at,
        (None, Some(text)) => {
            let span = humantime::parse_duration(&text).map_err(|why| {
                Problem::bad_request(format!("for: {text:?} is not a duration such as \"2h\" ({why})"))
            })?;
            starts_at.checked_add(span).map_err(|_| refused("for: is too long"))?
        }
        _ => return Err(refused("give either ends_at or for")),
    };
    if ends_at <= starts_at || ends_at <= now {
        return Err(refused("ends_at: must be in the future and later than starts_at"));
    }
    if ends_at.duration_since(now).as_secs() > LONGEST_S {
        return Err(refused("a silence lasts for a year at most: change the rules instead"));
    }
    Ok(Silence { id: 0, alert, servers, comment, created_by: String::new(), starts_at, ends_at })
}

fn timestamp(wall_ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(wall_ns)).expect("64 bits of nanoseconds are within years 1677 to 2262")
}
