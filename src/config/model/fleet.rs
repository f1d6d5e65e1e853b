//! The validated `[nats]` and `[fleet]`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::server::Server;
use crate::config::network::Network;
use crate::outbound::Hidden;

/// The connection to NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nats {
    /// `nats://host:port` or `tls://host:port`, at least one.
    pub urls: Vec<String>,
    pub login: Login,
    /// Files for TLS; `None` without `[nats.tls]`.
    pub tls: Option<NatsTls>,
    /// The first part of every subject.
    pub prefix: String,
    /// Replicas of the streams that a hub creates.
    pub replicas: usize,
}

impl Nats {
    /// Whether the connection must be encrypted.
    #[must_use]
    pub fn requires_tls(&self) -> bool {
        self.tls.is_some() || self.urls.iter().any(|url| url.starts_with("tls://"))
    }
}

/// How an instance authenticates at the NATS server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Login {
    /// At most a client certificate.
    #[default]
    None,
    User {
        name: String,
        password: Hidden,
    },
    /// The content of a file of credentials.
    Creds(Hidden),
    /// The seed of an NKey.
    Nkey(Hidden),
}

/// The files of `[nats.tls]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NatsTls {
    pub ca: Option<PathBuf>,
    /// Client certificate and its key.
    pub pair: Option<(PathBuf, PathBuf)>,
}

/// `[fleet]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    pub nats: Nats,
    pub role: FleetRole,
    /// The name of this vantage within the fleet.
    pub name: String,
    pub groups: Vec<String>,
    pub plan: PlanSource,
    /// The servers that a plan may assign to this agent besides its own.
    pub allow: Vec<Allowed>,
    /// The poll interval while there is no valid plan.
    pub fallback_interval: Duration,
    /// The minimum time between two requests of the fleet to one server.
    pub budget: Duration,
    /// The same for one's own servers; `None` when each agent polls them as its file says.
    pub own_budget: Option<Duration>,
    pub vantages_per_server: usize,
    pub plan_validity: Duration,
    pub skew_limit: Duration,
    /// How long a hub keeps samples of other vantages, and how many bytes of them.
    pub raw_for: Duration,
    pub raw_max_bytes: u64,
    pub silent_after: Duration,
    pub alerts: FleetAlerts,
    pub journal_max_age: Duration,
    pub journal_max_bytes: u64,
}

impl Fleet {
    /// Whether an agent polls the server as its file says, whatever the plan.
    #[must_use]
    pub fn is_free(&self, server: &Server) -> bool {
        server.own && self.own_budget.is_none()
    }

    /// How long a plan may be followed after the message that it answers. A quarter of `plan_validity` is left for messages
    /// on their way, the next plan, and the next slot, so that another agent polls within `plan_validity`.
    #[must_use]
    pub fn plan_ends_after(&self) -> Duration {
        self.plan_validity.mul_f64(0.75)
    }
}

/// One entry of `allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// A host name, in lower case.
    Name(String),
    Network(Network),
}

/// `role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum FleetRole {
    /// Measures, and sends its samples.
    Agent,
    /// Receives the samples of all vantages and judges them.
    Hub,
    /// Both.
    #[default]
    Both,
}

impl FleetRole {
    /// The name in the configuration.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Hub => "hub",
            Self::Both => "both",
        }
    }

    /// Whether this instance sends its samples to a hub.
    #[must_use]
    pub fn is_agent(self) -> bool {
        self != Self::Hub
    }

    /// Whether this instance receives the samples of all vantages.
    #[must_use]
    pub fn is_hub(self) -> bool {
        self != Self::Agent
    }
}

/// `plan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum PlanSource {
    /// The hub decides, within what this file allows.
    #[default]
    Hub,
    /// This file decides.
    Local,
}

/// `alerts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum FleetAlerts {
    /// While an agent reaches a hub, it notifies about itself only.
    #[default]
    Hub,
    /// Agents notify as they do without a fleet.
    Both,
}
