//! The fleet: verdict, skew matrix, vantages and plans. Only a hub answers; other services return 404.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::config;
use crate::fleet::judge::Picture;
use crate::fleet::plan::PlanDocument;
use crate::fleet::presence::{Candidate, Presence};
use crate::fleet::roster::Seen;
use crate::fleet::state::VantageView;
use crate::store::VantageRow;
use crate::web::State;
use crate::web::openapi::{Body, Endpoint};
use crate::web::problem::Problem;
use crate::web::respond;
use ntp_monitor_core::fleet::skew::Skew;
use ntp_monitor_core::fleet::verdict::FleetVerdict;
use ntp_monitor_core::stats::verdict::When;

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/fleet/verdict", || web::to(verdict))
        .about("Which server, vantage or path of the fleet is wrong, or what cannot be decided. Hub only.")
        .giving(Body::json::<VerdictBody<'static>>(
            "as_of, since, until, state, servers, vantages, paths, alternatives, assumption, sentence, confidence.",
        ))
        .or(&[304, 404]),
    Endpoint::get("/api/v1/fleet/skew", || web::to(skew))
        .about("Clock differences between vantages, measured by the servers that both see. Hub only.")
        .giving(Body::json::<SkewBody<'static>>("as_of, limit_s, skew: a, b, estimate_s, bound_s."))
        .or(&[304, 404]),
    Endpoint::get("/api/v1/fleet/vantages", || web::to(vantages))
        .about("Every vantage: whether it is heard, its clock, and what was received, lost and rejected. Hub only.")
        .giving(Body::json::<VantagesBody>("as_of, hub, vantages."))
        .or(&[304, 404]),
    Endpoint::get("/api/v1/fleet/matrix", || web::to(matrix))
        .about("Every server as each vantage sees it. Hub only.")
        .giving(Body::json::<MatrixBody>("as_of, cells."))
        .or(&[304, 404]),
    Endpoint::get("/api/v1/fleet/plan", || web::to(plan))
        .about("What each vantage polls, and how often. Hub with the lease only; empty on other hubs.")
        .giving(Body::json::<PlanBody>("as_of, speaks, plans."))
        .or(&[304, 404]),
    Endpoint::get("/api/v1/fleet/agent", || web::to(agent))
        .about("The state of this agent: its connection, its plan, and what is queued for sending. Agent only.")
        .giving(Body::json::<AgentBody>("as_of, name, connected, reason, planned, waiting, dropped, refusals."))
        .or(&[304, 404]),
];

/// The configuration of the hub.
fn hub(state: &State) -> Result<config::Fleet, Problem> {
    let fleet = state.config.borrow().fleet.clone().filter(|fleet| fleet.role.is_hub());
    fleet.ok_or_else(|| Problem::not_found("this instance is not the hub of a fleet".to_owned()))
}

fn picture(state: &State) -> Arc<Picture> {
    state.fleet.picture.borrow().clone()
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "FleetVerdictBody")]
struct VerdictBody<'a> {
    as_of: When,
    #[serde(flatten)]
    verdict: &'a FleetVerdict,
}

/// `GET /api/v1/fleet/verdict`.
async fn verdict(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    hub(&state)?;
    let picture = picture(&state);
    respond::json(&request, &VerdictBody { as_of: When(picture.at_ns), verdict: &picture.verdict })
}

#[derive(JsonSchema, Serialize)]
struct SkewBody<'a> {
    as_of: When,
    /// A difference proven to exceed this limit raises the alert `fleet-skew`.
    limit_s: f64,
    skew: &'a [Skew],
}

/// `GET /api/v1/fleet/skew`.
async fn skew(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let limit_s = hub(&state)?.skew_limit.as_secs_f64();
    let picture = picture(&state);
    respond::json(&request, &SkewBody { as_of: When(picture.at_ns), limit_s, skew: &picture.skew })
}

#[derive(JsonSchema, Serialize)]
struct VantagesBody {
    as_of: When,
    hub: HubRow,
    vantages: Vec<Vantage>,
}

/// The state of this hub.
#[derive(JsonSchema, Serialize)]
struct HubRow {
    name: String,
    connected: bool,
    /// Why the hub is not connected; `null` when it is.
    reason: Option<String>,
    /// Whether this hub holds the lease. Only that hub writes plans and notifies.
    speaks: bool,
    /// Whether the hub has read every message in the stream.
    caught_up: bool,
    /// Samples that arrived too late for the verdict. They are stored as history.
    late: u64,
    /// The size of the samples of other vantages in its store.
    raw_bytes: u64,
    /// Samples that were deleted because they took too much space.
    raw_dropped: u64,
}

/// One vantage.
#[derive(JsonSchema, Serialize)]
struct Vantage {
    name: String,
    /// `heard`, `silent`, or `unknown` when it has not been heard since the hub started.
    #[schemars(extend("enum" = ["heard", "silent", "unknown"]))]
    state: &'static str,
    /// Seconds since it was last heard.
    heard_s_ago: Option<f64>,
    version: Option<String>,
    groups: Vec<String>,
    /// Its wall clock minus this host's in seconds, from its last announcement; the network delay is not removed.
    clock_ahead_s: Option<f64>,
    /// The time of its latest sample, by its own clock.
    latest: Option<When>,
    received: u64,
    /// Samples that arrived more than once. They are stored once.
    repeated: u64,
    /// Samples that the agent dropped because its journal was full.
    lost: u64,
    /// Rejected messages.
    refused: u64,
    /// Why the last message was rejected.
    reason: Option<String>,
    /// Samples in the agent's journal that no hub has stored yet.
    waiting: Option<u64>,
    /// Whether it follows a valid plan.
    planned: Option<bool>,
    /// The parts of the plan that the agent's configuration does not allow.
    refusals: Vec<String>,
    /// Its servers with NTS.
    nts: Vec<NtsRow>,
}

/// How NTS is doing between a vantage and a server.
#[derive(JsonSchema, Serialize)]
struct NtsRow {
    server: String,
    /// Whether the latest sample was authenticated.
    authenticated: bool,
    /// Why the last key exchange failed; null if it succeeded.
    fault: Option<String>,
    /// Days until the certificate expires; null before one was shown.
    certificate_days_left: Option<f64>,
}

fn nts(presence: &Presence) -> Vec<NtsRow> {
    let row = |server: &Candidate| {
        let nts = server.nts.as_ref()?;
        Some(NtsRow {
            server: server.name.clone(),
            authenticated: nts.authenticated,
            fault: nts.fault.clone(),
            certificate_days_left: nts.days_left,
        })
    };
    presence.servers.iter().filter_map(row).collect()
}

/// `GET /api/v1/fleet/vantages`.
async fn vantages(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let fleet = hub(&state)?;
    let stored = state.store.read(|reader| Ok((reader.fleet_vantages()?, reader.fleet_raw()?))).await?;
    let (stored, raw) = stored;
    let (view, now) = (state.fleet.hub.view(), Instant::now());
    let speaks = view.speaks();
    let mut rows: BTreeMap<String, (Option<VantageRow>, Option<VantageView>)> = BTreeMap::new();
    for row in stored {
        let name = row.vantage.clone();
        rows.entry(name).or_default().0 = Some(row);
    }
    let caught_up = view.is_caught_up();
    for (name, known) in view.vantages {
        rows.entry(name).or_default().1 = Some(known);
    }
    let vantage = |(name, (row, known)): (String, (Option<VantageRow>, Option<VantageView>))| {
        let known = known.unwrap_or_default();
        let heard = known.heard.map(|heard| now.duration_since(heard));
        let label = match heard {
            None => "unknown",
            Some(ago) if ago < fleet.silent_after => "heard",
            Some(_) => "silent",
        };
        let presence = known.presence;
        let count = |of: fn(&VantageRow) -> u64| row.as_ref().map_or(0, of);
        Vantage {
            name,
            state: label,
            heard_s_ago: heard.map(|ago| ago.as_secs_f64()),
            version: presence.as_ref().map(|presence| presence.version.clone()),
            groups: presence.as_ref().map(|presence| presence.groups.clone()).unwrap_or_default(),
            clock_ahead_s: known.clock_ahead_ns.map(|ahead_ns| ahead_ns as f64 / 1e9),
            latest: row.as_ref().map(|row| row.latest_ns).filter(|latest_ns| *latest_ns > 0).map(When),
            received: count(|row| row.received),
            repeated: count(|row| row.repeated),
            lost: count(|row| row.lost),
            refused: count(|row| row.refused),
            reason: row.as_ref().and_then(|row| row.reason.clone()),
            waiting: presence.as_ref().map(|presence| presence.waiting),
            planned: presence.as_ref().map(|presence| presence.planned),
            nts: presence.as_deref().map(nts).unwrap_or_default(),
            refusals: presence.map(|presence| presence.refusals.clone()).unwrap_or_default(),
        }
    };
    let hub = HubRow {
        name: fleet.name.clone(),
        connected: view.is_connected,
        reason: view.last_error,
        speaks,
        caught_up,
        late: picture(&state).late,
        raw_bytes: raw.bytes,
        raw_dropped: raw.dropped,
    };
    let as_of = When(state.clock.now().wall_ns);
    respond::json(&request, &VantagesBody { as_of, hub, vantages: rows.into_iter().map(vantage).collect() })
}

#[derive(JsonSchema, Serialize)]
struct MatrixBody {
    as_of: When,
    cells: Vec<Cell>,
}

/// A server as one vantage sees it.
#[derive(JsonSchema, Serialize)]
struct Cell {
    vantage: Arc<str>,
    /// The vantage's name for the server.
    server: Arc<str>,
    address: Option<String>,
    /// The latest offset in seconds, positive when the server is ahead of the vantage.
    offset_s: Option<f64>,
    /// The largest possible error of the offset if the server is correct, in seconds.
    root_distance_s: Option<f64>,
    /// The mean round trip in seconds.
    delay_s: Option<f64>,
    /// The part of recent polls that gave no sample, 0 to 1.
    loss: f64,
    /// How the latest sample was authenticated: `none` or `nts`.
    authentication: &'static str,
    outcome: &'static str,
    last_poll: When,
}

/// `GET /api/v1/fleet/matrix`.
async fn matrix(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    hub(&state)?;
    let cell = |vantage: &Arc<str>, seen: &Seen| Cell {
        vantage: Arc::clone(vantage),
        server: Arc::clone(&seen.name),
        address: seen.address.map(|address| address.to_string()),
        offset_s: seen.offset_s,
        root_distance_s: seen.distance_s,
        delay_s: seen.delay_s,
        loss: seen.loss,
        authentication: seen.authentication.label(),
        outcome: seen.outcome,
        last_poll: When(seen.at_ns),
    };
    let roster = state.fleet.judge.roster();
    let cells = roster.iter().flat_map(|(vantage, seen)| seen.values().map(move |seen| cell(vantage, seen))).collect();
    respond::json(&request, &MatrixBody { as_of: When(picture(&state).at_ns), cells })
}

#[derive(JsonSchema, Serialize)]
struct PlanBody {
    as_of: Timestamp,
    /// Whether this hub has the lease.
    speaks: bool,
    plans: Vec<Plan>,
}

/// The plan of one vantage.
#[derive(JsonSchema, Serialize)]
struct Plan {
    vantage: String,
    revision: u64,
    number: u64,
    validity_s: f64,
    servers: Vec<PlannedServer>,
}

/// One server of a plan.
#[derive(JsonSchema, Serialize)]
struct PlannedServer {
    server: String,
    address: Option<String>,
    /// The interval while the plan is valid, in seconds; null when other vantages poll the server.
    interval_s: Option<f64>,
    /// The interval once the plan has expired, in seconds.
    fallback_s: Option<f64>,
}

/// `GET /api/v1/fleet/plan`.
async fn plan(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    hub(&state)?;
    let speaks = state.fleet.hub.view().speaks();
    let written = state.fleet.plans.borrow().clone();
    let plan = |(vantage, document): (&String, &PlanDocument)| Plan {
        vantage: vantage.clone(),
        revision: document.revision,
        number: document.number,
        validity_s: document.validity_s,
        servers: document.servers.iter().flatten().cloned().map(planned).collect(),
    };
    let plans = if speaks { written.iter().map(plan).collect() } else { Vec::new() };
    respond::json(&request, &PlanBody { as_of: Timestamp::now(), speaks, plans })
}

fn planned(planned: crate::fleet::plan::Planned) -> PlannedServer {
    let crate::fleet::plan::Planned { name, address, interval_s, fallback_s, .. } = planned;
    PlannedServer { server: name, address, interval_s, fallback_s }
}

/// This agent.
#[derive(JsonSchema, Serialize)]
struct AgentBody {
    as_of: When,
    name: String,
    connected: bool,
    /// Why there is no connection.
    reason: Option<String>,
    /// Seconds since a hub was last heard; null before the first time.
    hub_heard_s_ago: Option<f64>,
    /// Whether a valid plan decides what is polled. Without one, shared servers are polled at the fallback pace.
    planned: bool,
    /// Why the last plan was ignored.
    plan_error: Option<String>,
    /// The parts of the plan that the configuration does not allow.
    refusals: Vec<String>,
    /// Samples in the journal that no hub has stored.
    waiting: u64,
    /// Samples that were dropped since the start, because the journal was too old or too large.
    dropped: u64,
    /// Messages that the NATS server already had before they were sent, because another program uses the identity of
    /// this vantage.
    foreign: u64,
}

/// `GET /api/v1/fleet/agent`.
async fn agent(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let fleet = state.config.borrow().fleet.clone().filter(|fleet| fleet.role.is_agent());
    let fleet = fleet.ok_or_else(|| Problem::not_found("this instance is not an agent of a fleet".to_owned()))?;
    let (view, enforced, gauge) =
        (state.fleet.agent.view(), state.fleet.enforced.borrow().clone(), state.store.fleet_gauge());
    let body = AgentBody {
        as_of: When(state.clock.now().wall_ns),
        name: fleet.name,
        connected: view.is_connected,
        reason: view.last_error,
        hub_heard_s_ago: view.hub_heard.map(|heard| heard.elapsed().as_secs_f64()),
        planned: enforced.is_planned,
        plan_error: view.plan_error,
        refusals: enforced.refusals.clone(),
        waiting: gauge.samples,
        dropped: gauge.dropped,
        foreign: view.foreign,
    };
    respond::json(&request, &body)
}
