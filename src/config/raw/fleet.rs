//! `[nats]` and `[fleet]` as written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::model::{FleetAlerts, FleetRole, PlanSource};
use crate::config::units::{Bytes, Secret, Span};

/// `[nats]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Nats {
    /// nats://HOST:PORT or tls://HOST:PORT; for a cluster several, with commas between them.
    #[schemars(extend("examples" = ["tls://nats.example.net:4222"]))]
    pub url: String,
    /// User name, where the server asks for one.
    #[schemars(extend("examples" = ["ams-1"]))]
    pub user: Option<String>,
    /// The user's password. Prefer password_file.
    pub password: Option<Secret>,
    /// A file with the password; a relative path is looked up in systemd's credentials first. It is read again at each
    /// connection.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/nats-password"]))]
    pub password_file: Option<PathBuf>,
    /// A file of credentials (.creds: a JWT and the seed of its key), instead of user and password. It is read again at each
    /// connection.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/nats.creds"]))]
    pub creds: Option<PathBuf>,
    /// A file with the seed of an NKey of a user (SU…), instead of user and password. It is read again at each connection.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/nats.nk"]))]
    pub nkey: Option<PathBuf>,
    /// Certificates for TLS. The files are read again at each connection.
    pub tls: Option<NatsTls>,
    /// First part of every subject; several fleets can share a server under different prefixes.
    #[schemars(extend("default" = "ntpm"))]
    pub prefix: String,
    /// How many servers of a cluster keep each message: 1 or 3. Used when the hub creates the streams.
    #[schemars(extend("default" = 1), range(min = 1, max = 5))]
    pub replicas: u16,
}

/// `[nats.tls]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct NatsTls {
    /// Certificates (PEM) to trust instead of those of the system.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/nats/ca.pem"]))]
    pub ca: Option<PathBuf>,
    /// The client certificate chain (PEM), where the server asks for one.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/nats/cert.pem"]))]
    pub cert: Option<PathBuf>,
    /// The private key of the client certificate (PEM).
    #[schemars(extend("examples" = ["/etc/ntp-monitor/nats/key.pem"]))]
    pub key: Option<PathBuf>,
}

/// `[fleet]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Fleet {
    /// What this instance does: agent (measures), hub (judges all vantages) or both.
    #[schemars(extend("default" = "both"))]
    pub role: FleetRole,
    /// Name of this vantage within the fleet: lower-case letters, digits, "_" and "-".
    #[schemars(extend("x-default" = "monitor.vantage", "examples" = ["ams-1"]))]
    pub name: Option<String>,
    /// Groups that this vantage belongs to, such as its site. Private addresses are the same server only within a group.
    #[schemars(extend("default" = [], "examples" = [["ams"]]))]
    pub groups: Vec<String>,
    /// Whether the hub decides which of this agent's servers are polled and how often, or this file alone.
    #[schemars(extend("default" = "hub"))]
    pub plan: PlanSource,
    /// Names and networks that a plan may let this agent poll. Default: the addresses of its own `[[server]]` sections.
    #[schemars(extend("default" = [], "examples" = [["time.example.net", "192.0.2.0/24"]]))]
    pub allow: Vec<String>,
    /// Interval of every server that is not your own before the first plan, and when no hub was heard for long. All agents
    /// together stay within the budget as long as this is at least budget times the number of agents.
    #[schemars(extend("default" = "30m"))]
    pub fallback_interval: Span,
    /// Hub: least time between two requests of the whole fleet to one server that is not your own.
    #[schemars(extend("default" = "16s"))]
    pub budget: Span,
    /// Least time between two requests of the whole fleet to one of your own servers. Without it each agent polls them as its
    /// file says. Set the same value on hubs and agents: an agent with this key follows the plan for your own servers
    /// too.
    #[schemars(extend("examples" = ["1s"]))]
    pub own_budget: Option<Span>,
    /// Hub: how many vantages poll each server.
    #[schemars(extend("default" = 5), range(min = 1, max = 1000))]
    pub vantages_per_server: u16,
    /// Hub: within this time, others take over the slots of an agent that fell silent. A plan that is not renewed ends after
    /// three quarters of it.
    #[schemars(extend("default" = "120s"))]
    pub plan_validity: Span,
    /// Hub: a clock difference between two vantages that is proven to be larger than this raises an alert.
    #[schemars(extend("default" = "10ms"))]
    pub skew_limit: Span,
    /// Hub: samples of other vantages are deleted when they are older than this; their rollups are kept as your own.
    #[schemars(extend("default" = "48h"))]
    pub raw_for: Span,
    /// Hub: largest size of the samples of other vantages; the oldest are deleted first and counted.
    #[schemars(extend("default" = "10GB"))]
    pub raw_max_bytes: Bytes,
    /// Hub: a vantage that sends nothing for this long is silent.
    #[schemars(extend("default" = "90s"))]
    pub silent_after: Span,
    /// Who notifies about servers: only the hub, or the agents too.
    #[schemars(extend("default" = "hub"))]
    pub alerts: FleetAlerts,
    /// Agent: samples that no hub has stored are dropped and counted when they are older than this.
    #[schemars(extend("default" = "30d"))]
    pub journal_max_age: Span,
    /// Agent: largest size of the samples that no hub has stored yet; the oldest are dropped and counted.
    #[schemars(extend("default" = "2GiB"))]
    pub journal_max_bytes: Bytes,
}
