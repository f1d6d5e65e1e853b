//! Events: changes that the service noticed.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

use crate::history::happening::Happening;
use crate::store::StoredEvent;
use crate::web::State;
use crate::web::openapi::{Body, Endpoint, FROM, TO, Vantages, query};
use crate::web::params::{self, Range};
use crate::web::problem::Problem;
use crate::web::respond;
use crate::web::vantage::Vantage;
use ntp_monitor_core::stats::events::{Event, EventKind};
use ntp_monitor_core::stats::verdict::When;

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/api/v1/events", || web::to(events))
    .about(
        "Events: clock steps, state changes, outages. Events of another vantage are computed from its samples; the \
             default span is then a day.",
    )
    .of(Vantages::All)
    .taking(&[
        FROM,
        TO,
        query("kind", "string", "Kinds of events, separated by commas."),
        query("server", "string", "The configured name of a server."),
        query("limit", "integer", "The number of latest events, 1 to 5000. Default: 500."),
    ])
    .giving(Body::json::<Events>("from, to, events, oldest first."))
    .or(&[304, 503])];

const USUAL: usize = 500;
const MOST: usize = 5000;
/// The default span without `from`: a week.
const USUAL_SPAN: Duration = Duration::from_secs(7 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

/// The query parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    from: Option<String>,
    to: Option<String>,
    /// Kinds, separated by commas.
    kind: Option<String>,
    /// Only events of the server with this configured name.
    server: Option<String>,
    /// At most this many events, the latest; 1 to 5000.
    limit: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Events {
    from: When,
    to: When,
    /// Oldest first.
    events: Vec<Entry>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Entry {
    id: i64,
    #[serde(flatten)]
    happening: Happening,
}

impl From<StoredEvent> for Entry {
    fn from(stored: StoredEvent) -> Self {
        Self { id: stored.id, happening: stored.into() }
    }
}

impl From<(usize, Event)> for Entry {
    fn from((number, event): (usize, Event)) -> Self {
        Self { id: number as i64 + 1, happening: event.into() }
    }
}

/// `GET /api/v1/events`.
pub async fn events(
    request: HttpRequest,
    state: web::Data<State>,
    query: web::Query<EventsQuery>,
) -> Result<HttpResponse, Problem> {
    let now_ns = state.clock.now().wall_ns;
    let vantage = Vantage::of(&request, &state).await?;
    let usual = if vantage.is_other() { DAY } else { USUAL_SPAN };
    let range = Range::parse(query.from.as_deref(), query.to.as_deref(), usual, now_ns)?;
    let limit = params::limit(query.limit.as_deref(), USUAL, MOST)?;
    let query = query.into_inner();
    let kinds = query.kind.as_deref().map(kinds).transpose()?;
    // Filters are applied after the store's limit, so read up to the highest limit.
    let narrowed = query.kind.is_some() || query.server.is_some();
    let most = if narrowed { MOST } else { limit };
    let found: Vec<Entry> = match vantage.events(range.from_ns, range.to_ns).await? {
        Some(judged) => judged.into_iter().enumerate().map(Entry::from).collect(),
        None => {
            let stored = state.store.read(move |reader| reader.events(range.from_ns, range.to_ns, most)).await?;
            stored.into_iter().map(Entry::from).collect()
        }
    };
    let wanted = |one: &Entry| {
        kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind.label() == one.happening.kind))
            && (query.server.is_none() || query.server == one.happening.server)
    };
    let mut events: Vec<Entry> = found.into_iter().filter(wanted).collect();
    events.drain(..events.len().saturating_sub(limit));
    respond::json(&request, &Events { from: When(range.from_ns), to: When(range.to_ns), events })
}

/// The kinds of events in a list separated by commas.
fn kinds(text: &str) -> Result<Vec<EventKind>, Problem> {
    let kind = |text: &str| {
        let known: Result<_, serde::de::value::Error> = EventKind::deserialize(text.into_deserializer());
        known.map_err(|why| Problem::bad_request(format!("kind: {why}")))
    };
    params::parts(text).map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_kind_of_event_is_refused() {
        assert_eq!(kinds("stratum, clock_step").unwrap(), [EventKind::Stratum, EventKind::ClockStep]);
        let why = kinds("stratum,nonsense").unwrap_err().detail;
        assert!(why.contains("kind: unknown variant `nonsense`, expected one of `stratum`"), "{why}");
    }
}
