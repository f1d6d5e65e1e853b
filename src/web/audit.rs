//! The audit log: every write by a known caller, done or rejected, other rejections of known callers, and wrong
//! tokens, in the log and in the store.
//!
//! Callers never wait for it. An entry that does not fit into the queue to the store is still in the log.

use std::net::IpAddr;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slog::{Logger, info, warn};
use tokio::sync::mpsc;

use super::State;
use super::auth::Caller;
use super::openapi::{Body, Endpoint, query};
use super::params;
use super::problem::Problem;
use crate::config::Role;
use crate::store::{AuditEntry, StoreHandle};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::stats::verdict::When;

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/api/v1/audit", || web::to(list))
    .about(
        "Changes made through the API with their author and result, rejected requests, and wrong tokens; latest first.",
    )
    .role(Role::Admin)
    .taking(&[query("limit", "integer", "The number of entries, 1 to 1000. Default: 100.")])
    .giving(Body::json::<AuditBody>("entries."))
    .or(&[503])];

/// Maximum number of entries that wait for the store.
const QUEUE: usize = 256;
const USUAL: usize = 100;
const MOST: usize = 1000;

/// The handle to add entries. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit {
    queue: mpsc::Sender<AuditEntry>,
    log: Logger,
}

impl Audit {
    /// Creates an audit log in `store`. Entries are written as long as this handle or a clone of it exists.
    #[must_use]
    pub fn start(store: StoreHandle, log: &Logger) -> Self {
        let (queue, mut waiting) = mpsc::channel::<AuditEntry>(QUEUE);
        let failed = log.clone();
        actix_web::rt::spawn(async move {
            while let Some(entry) = waiting.recv().await {
                if let Err(why) = store.record_audit(entry).await {
                    warn!(failed, "an entry of the audit log is not in the store"; "reason" => %why);
                }
            }
        });
        Self { queue, log: log.clone() }
    }

    fn note(&self, entry: AuditEntry) {
        info!(self.log, "asked for a change"; "who" => &entry.who, "role" => &entry.role, "peer" => &entry.peer,
            "action" => &entry.action, "target" => &entry.target, "outcome" => &entry.outcome);
        self.keep(entry);
    }

    /// Records wrong tokens from `network`.
    pub(super) fn wrong_tokens(&self, network: &str, outcome: String, now: Stamp) {
        warn!(self.log, "wrong tokens"; "peer" => network, "outcome" => &outcome);
        self.keep(AuditEntry {
            at_ns: now.wall_ns,
            who: String::new(),
            role: String::new(),
            peer: network.to_owned(),
            action: "wrong tokens".to_owned(),
            target: String::new(),
            outcome,
        });
    }

    fn keep(&self, entry: AuditEntry) {
        if self.queue.try_send(entry).is_err() {
            warn!(self.log, "an entry of the audit log is not in the store"; "reason" => "too many at once");
        }
    }
}

/// A description of the change by the handler.
struct About(String);

/// Sets the subject of a request whose path does not name it.
pub fn about(request: &HttpRequest, target: impl Into<String>) {
    request.extensions_mut().insert(About(target.into()));
}

/// Sets the caller when the gate could not know it.
pub fn by(request: &HttpRequest, caller: Caller) {
    request.extensions_mut().insert(caller);
}

/// A request in progress.
pub(super) struct Note {
    action: String,
    path: String,
    peer: String,
}

impl Note {
    /// Starts the record of a request. `client` differs from the peer when a trusted proxy names it.
    pub(super) fn of(request: &ServiceRequest, client: Option<IpAddr>) -> Self {
        let pattern = request.match_pattern().unwrap_or_else(|| "(nothing)".to_owned());
        let peer = request.peer_addr().map(|peer| match client {
            Some(client) if client != peer.ip().to_canonical() => format!("{client} through {peer}"),
            _ => peer.to_string(),
        });
        Self {
            action: format!("{} {pattern}", request.method()),
            path: request.path().to_owned(),
            peer: peer.unwrap_or_default(),
        }
    }

    /// Records the response. An unknown caller has changed nothing, so it is not recorded.
    pub(super) fn end(self, state: &State, answer: &ServiceResponse) {
        let extensions = answer.request().extensions();
        let Some(caller) = extensions.get::<Caller>() else { return };
        let target = extensions.get::<About>().map_or_else(|| self.path.clone(), |about| about.0.clone());
        let status = answer.status();
        let detail = answer.response().error().and_then(|why| why.as_error::<Problem>()).map(|why| &why.detail);
        let outcome = match detail {
            Some(detail) => format!("{status}: {detail}"),
            None => status.to_string(),
        };
        self.note(state, caller, target, outcome);
    }

    /// Records that the gate rejected a request of a known caller, after `unnoted` others that are not in the audit
    /// log.
    pub(super) fn refused(self, state: &State, caller: &Caller, why: &Problem, unnoted: u64) {
        let more = if unnoted > 0 { format!(" (and {unnoted} more before it)") } else { String::new() };
        let outcome = format!("{} {}: {}{more}", why.status, why.title, why.detail);
        let target = self.path.clone();
        self.note(state, caller, target, outcome);
    }

    fn note(self, state: &State, caller: &Caller, target: String, outcome: String) {
        state.audit.note(AuditEntry {
            at_ns: state.clock.now().wall_ns,
            who: caller.name.to_string(),
            role: caller.role.label().to_owned(),
            peer: self.peer,
            action: self.action,
            target,
            outcome,
        });
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    limit: Option<String>,
}

#[derive(JsonSchema, Serialize)]
struct AuditBody {
    /// The entries, latest first.
    entries: Vec<AuditView>,
}

#[derive(JsonSchema, Serialize)]
struct AuditView {
    time: When,
    /// The name of the token; empty for wrong tokens.
    who: String,
    role: String,
    /// Address and port; behind a trusted proxy also the address of the client.
    peer: String,
    /// Method and path.
    action: String,
    /// The subject.
    target: String,
    /// The status, and why the request was rejected.
    outcome: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { at_ns, who, role, peer, action, target, outcome } = entry;
        Self { time: When(at_ns), who, role, peer, action, target, outcome }
    }
}

async fn list(state: web::Data<State>, query: web::Query<AuditQuery>) -> Result<HttpResponse, Problem> {
    let limit = params::limit(query.limit.as_deref(), USUAL, MOST)?;
    let entries = state.store.read(move |reader| reader.audit(limit)).await?;
    let body = AuditBody { entries: entries.into_iter().map(AuditView::from).collect() };
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(body))
}
