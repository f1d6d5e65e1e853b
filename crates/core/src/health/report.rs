//! What `/health` says. Data only.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::alerting::AlertingHealth;
use super::availability::Rates;
use super::child::ChildState;
use super::notifiers::NotifierHealth;
use super::reports::ReportsHealth;

/// The state of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything configured works.
    #[default]
    Ok,
    /// The service does its job, but something that was configured does not work. `/health` answers 200.
    Degraded,
    /// The service cannot do its job. `/health` answers 503.
    Failing,
}

impl Status {
    /// As `/health` says it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }
}

/// One reason for a status that is not `ok`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Reason {
    /// How bad it is by itself.
    pub status: Status,
    /// What it is about: `server`, `sink`, `child`, `notifier`, `report`, `monitor`.
    pub about: &'static str,
    /// Which one.
    pub name: String,
    /// What is the matter, for a person.
    pub reason: String,
}

/// The health of the service at one moment.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Default)]
pub struct Health {
    /// The worst of the reasons.
    pub status: Status,
    /// Why, worst first; empty when `ok`.
    pub reasons: Vec<Reason>,
    /// Whether the service has begun to measure: its store is open and a poll has ended.
    pub ready: bool,
    /// The program's version.
    pub version: &'static str,
    /// Where it looks from.
    pub vantage: String,
    /// Seconds since the service started.
    pub uptime_s: f64,
    /// Restarts of children since then.
    pub restarts: u64,
    /// How many of those were panics.
    pub panics: u64,
    /// Every address of every server, by name and address.
    pub servers: Vec<ServerHealth>,
    /// Every output by name.
    pub sinks: BTreeMap<String, SinkHealth>,
    /// Children that are not running, by name.
    pub down: BTreeMap<String, ChildHealth>,
    /// Log records dropped because the log could not keep up.
    pub log_dropped: u64,
    /// What is wrong with the rules of alerts.
    pub alerting: AlertingHealth,
    /// Every notifier by name.
    pub notifiers: BTreeMap<String, NotifierHealth>,
    /// Scheduled reports.
    pub reports: ReportsHealth,
}

/// One address of one server.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct ServerHealth {
    /// The configured name.
    pub server: String,
    /// The address polled; `None` while the name does not resolve.
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
    /// How the last poll ended.
    pub outcome: &'static str,
    /// The detail behind it.
    pub reason: String,
    /// Polls in a row that did not end in a sample.
    pub consecutive_failures: u64,
    /// The reach register of the last eight polls, octal as `ntpq` and `chronyc` print it.
    pub reach: String,
    /// Success rates.
    pub success: Rates,
    /// Seconds since it last turned from failing to working; `None` while it fails.
    pub up_for_s: Option<f64>,
    /// Seconds since the last poll ended.
    pub last_poll_ago_s: f64,
    /// Seconds since the last sample; `None` when there never was one.
    pub last_sample_ago_s: Option<f64>,
    /// The interval at which it is polled, in seconds.
    pub poll_s: f64,
    /// Polls by outcome since start.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Replies refused on the way since start.
    pub rejected_replies: u64,
}

/// One output.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Default)]
pub struct SinkHealth {
    /// Whether the last attempt failed.
    pub failing: bool,
    /// Entries waiting in the queue.
    pub queue_depth: usize,
    /// Entries the queue can hold; `None` when it is bounded by age and bytes instead.
    pub queue_capacity: Option<usize>,
    /// Entries taken from the queue and not yet written.
    pub in_hand: usize,
    /// Entries lost for this output since start: queue full, or given up.
    pub dropped: u64,
    /// Entries written since start.
    pub written: u64,
    /// Failed attempts since start.
    pub failures: u64,
    /// How old the oldest entry is that this output has not got yet, in seconds.
    pub lag_s: f64,
    /// The last error, also when it is over.
    pub last_error: Option<String>,
    /// What another program did to its files (removed, replaced, truncated) in the last ten minutes.
    pub incident: Option<String>,
}

/// A child that is not running.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct ChildHealth {
    /// Restarting or crashed.
    pub state: ChildState,
    /// Restarts since the service started.
    pub restarts: u64,
    /// How many of those were panics.
    pub panics: u64,
}
