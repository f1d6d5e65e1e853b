//! The current state of the servers.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Addresses, EngineChoice, Family, Server};
use crate::web::State;
use crate::web::openapi::{Body, Endpoint, ID, Vantages, query};
use crate::web::params;
use crate::web::problem::Problem;
use crate::web::respond;
use crate::web::vantage::Vantage;
use crate::web::view::row::{Condition, Row};
use crate::web::view::rows::{Column, Filter, Picture, sort};
use ntp_monitor_core::stats::verdict::When;

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/servers", || web::to(list))
        .about("Current state of every address of every server.")
        .of(Vantages::All)
        .taking(&[
            query("tag", "string", "Tags, key:value or key, separated by commas; a server must have all of them."),
            query(
                "state",
                "string",
                "paused, pending, ok, failing, unreachable, wrong; separated by commas. A server must be in one of them.",
            ),
            query("q", "string", "Text in the name, the address, the reference identifier or a tag."),
            query(
                "sort",
                "string",
                "name, address, state, offset, magnitude, delay, jitter, root_distance, stratum, reach, score or \
                 last_seen; with a minus sign for descending order.",
            ),
            query("limit", "integer", "Entries per page, 1 to 10000. Default: 1000."),
            query("offset", "integer", "The number of entries to skip."),
        ])
        .giving(Body::json::<Page>(
            "as_of, total, limit, offset, servers. Unknown values are null. Offsets are in seconds, positive when the \
             server is ahead of this host.",
        ))
        .or(&[304]),
    Endpoint::get("/api/v1/servers/{id}", || web::to(one))
        .about("One server: its polling settings and each of its addresses.")
        .of(Vantages::All)
        .taking(&[ID])
        .giving(Body::json::<Detail>("as_of, name, tags, settings, series (as in the list)."))
        .or(&[304, 404]),
];

/// Entries of a page: the default, and the maximum.
const USUAL: usize = 1000;
const MOST: usize = 10_000;

/// The query parameters of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Tags, `key:value` or `key`, separated by commas; a server must have all of them.
    tag: Option<String>,
    /// States, separated by commas; a server must be in one of them.
    state: Option<String>,
    /// Text in the name, the address, the reference identifier or a tag.
    q: Option<String>,
    /// The column, with a minus sign for descending order.
    sort: Option<String>,
    /// Entries of this page, 1 to 10000.
    limit: Option<String>,
    /// Entries before this page.
    #[serde(default)]
    offset: usize,
}

/// A page of servers.
#[derive(Debug, JsonSchema, Serialize)]
struct Page {
    /// The time of the snapshot.
    as_of: When,
    /// Entries that match the filter.
    total: usize,
    limit: usize,
    offset: usize,
    servers: Vec<Row>,
}

/// `GET /api/v1/servers`.
pub async fn list(
    request: HttpRequest,
    state: web::Data<State>,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let (filter, (column, descending)) = (filter(&query)?, order(query.sort.as_deref())?);
    let limit = params::limit(query.limit.as_deref(), USUAL, MOST)?;
    let (snapshot, mut rows) = Vantage::of(&request, &state).await?.rows().await?;
    rows.retain(|row| filter.admits(row));
    sort(&mut rows, column, descending);
    let total = rows.len();
    let servers = rows.into_iter().skip(query.offset).take(limit).collect();
    let as_of = When(snapshot.at.wall_ns);
    respond::json(&request, &Page { as_of, total, limit, offset: query.offset, servers })
}

fn filter(query: &ListQuery) -> Result<Filter, Problem> {
    let state = |part: &str| {
        let known = Condition::ALL.map(Condition::label).join(", ");
        Condition::parse(part).ok_or_else(|| Problem::bad_request(format!("state: {part:?} is none of {known}")))
    };
    Ok(Filter {
        tags: params::tags(query.tag.as_deref().unwrap_or_default()).collect(),
        states: params::parts(query.state.as_deref().unwrap_or_default()).map(state).collect::<Result<_, _>>()?,
        text: query.q.as_deref().unwrap_or_default().trim().to_lowercase(),
    })
}

fn order(text: Option<&str>) -> Result<(Column, bool), Problem> {
    let Some(text) = text else { return Ok((Column::Configured, false)) };
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    match Column::NAMES.iter().find(|(known, _)| *known == name) {
        Some((_, column)) => Ok((*column, descending)),
        None => {
            let known = Column::NAMES.map(|(name, _)| name).join(", ");
            Err(Problem::bad_request(format!("sort: {name:?} is none of {known}")))
        }
    }
}

/// One server with its series and its poll settings.
#[derive(Debug, JsonSchema, Serialize)]
struct Detail {
    as_of: When,
    name: String,
    tags: std::collections::BTreeMap<String, String>,
    /// `null` for a server of another vantage.
    settings: Option<Settings>,
    series: Vec<Row>,
}

/// Its configuration.
#[derive(Debug, JsonSchema, Serialize)]
struct Settings {
    /// The name or address as configured.
    host: String,
    port: u16,
    own: bool,
    poll_interval_s: f64,
    timeout_s: f64,
    engine: &'static str,
    family: &'static str,
    addresses: &'static str,
    samples_per_poll: u16,
    offset_warning_s: f64,
    offset_critical_s: f64,
    paused: bool,
}

impl Settings {
    fn of(server: &Server) -> Self {
        Self {
            host: server.host.to_string(),
            port: server.port,
            own: server.own,
            poll_interval_s: server.poll_interval.as_secs_f64(),
            timeout_s: server.timeout.as_secs_f64(),
            engine: match server.engine {
                EngineChoice::Kernel => "kernel",
                EngineChoice::Sntp => "sntp",
            },
            family: match server.family {
                Family::Any => "any",
                Family::V4 => "v4",
                Family::V6 => "v6",
            },
            addresses: match server.addresses {
                Addresses::First => "first",
                Addresses::All => "all",
            },
            samples_per_poll: server.samples_per_poll,
            offset_warning_s: server.offset_warning.as_secs_f64(),
            offset_critical_s: server.offset_critical.as_secs_f64(),
            paused: server.paused,
        }
    }
}

/// `GET /api/v1/servers/{id}`.
pub async fn one(
    request: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let vantage = Vantage::of(&request, &state).await?;
    let target = vantage.find(&id)?;
    let (config, mut snapshot, health) = state.now();
    let found = config.servers.iter().find(|server| server.ident.name == target.name && !vantage.is_other());
    let mut series = match found {
        Some(server) => Picture::new(&config, &snapshot, &health).rows_of(server),
        None => {
            let (seen, mut rows) = vantage.rows().await?;
            snapshot = seen;
            rows.retain(|row| *row.name == *target.name);
            rows
        }
    };
    if let Some(address) = target.address.map(|address| address.to_string()) {
        series.retain(|row| row.address.as_ref() == Some(&address));
    }
    let detail = Detail {
        as_of: When(snapshot.at.wall_ns),
        name: target.name.to_string(),
        tags: found.map(|server| server.ident.tags.clone()).unwrap_or_default(),
        settings: found.map(|server| Settings::of(server)),
        series,
    };
    respond::json(&request, &detail)
}
