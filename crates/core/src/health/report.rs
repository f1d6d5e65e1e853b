//! The data that `/health` returns.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::alerting::AlertingHealth;
use super::availability::Rates;
use super::child::ChildState;
use super::notifiers::NotifierHealth;
use super::reports::ReportsHealth;
pub use super::status::{Reason, Status};
use crate::clock::Stamp;
use crate::sample::Outcome;

/// The health of the service at one moment.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Default)]
pub struct Health {
    /// The worst status of all reasons.
    pub status: Status,
    /// The reasons for the status, worst first; empty when `ok`.
    pub reasons: Vec<Reason>,
    /// Whether the service has started to measure: its store is open and at least one poll has ended, unless there is
    /// nothing to poll.
    pub ready: bool,
    /// The version of the service.
    pub version: &'static str,
    /// The configured vantage point: the name of the place from which this host monitors.
    pub vantage: String,
    /// Seconds since the service started.
    pub uptime_s: f64,
    /// When this report was made; `None` before the first.
    #[serde(skip)]
    pub at: Option<Stamp>,
    /// Why there is nothing to poll; `None` when there is.
    #[serde(skip)]
    pub idle: Option<Idle>,
    /// By how many seconds polling is overdue; 0 while at least one server is polled on time.
    pub polls_overdue_s: f64,
    /// Restarts of parts of the service since it started.
    pub restarts: u64,
    /// How many of those restarts followed a panic.
    pub panics: u64,
    /// The health of every address of every server, ordered by name and address.
    pub servers: Vec<ServerHealth>,
    /// The health of every output, by name.
    pub sinks: BTreeMap<String, SinkHealth>,
    /// The parts of the service that are not running, by name.
    pub down: BTreeMap<String, ChildHealth>,
    /// Log records dropped since start because they could not be written fast enough.
    pub log_dropped: u64,
    /// Problems with alerting.
    pub alerting: AlertingHealth,
    /// The health of every notifier, by name.
    pub notifiers: BTreeMap<String, NotifierHealth>,
    /// The health of scheduled reports.
    pub reports: ReportsHealth,
}

/// Why a service polls nothing although nothing has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// No server is configured.
    NoServer,
    /// All servers are paused.
    AllPaused {
        /// How many there are.
        servers: usize,
    },
    /// A hub of a fleet without servers of its own: others measure.
    Hub,
}

impl Idle {
    /// The reason for a degraded health; `None` when this is how it should be.
    #[must_use]
    pub fn reason(self) -> Option<String> {
        match self {
            Self::NoServer => Some("no server is configured: add one on the page or to the configuration".to_owned()),
            Self::AllPaused { servers: 1 } => Some("nothing is polled: the only server is paused".to_owned()),
            Self::AllPaused { servers } => Some(format!("nothing is polled: all {servers} servers are paused")),
            Self::Hub => None,
        }
    }
}

/// The health of one address of one server.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct ServerHealth {
    /// The configured name.
    pub server: Arc<str>,
    /// The address that is polled; `null` while the name does not resolve.
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
    /// How the last poll ended: `sample`, `timeout`, `refused`, `kiss`, `rejected`, `unsynchronised`, `dns` or `fault`.
    pub outcome: &'static str,
    /// The detail of that outcome, such as the kiss code or the failed check; may be empty.
    pub reason: String,
    /// Polls in a row that gave no sample.
    pub consecutive_failures: u64,
    /// The reach register of the last eight polls, in octal like in `ntpq` and `chronyc`.
    pub reach: String,
    /// Success rates over several windows.
    pub success: Rates,
    /// Seconds since the last failed poll was followed by a sample; `null` while polls fail.
    pub up_for_s: Option<f64>,
    /// Seconds since the last poll ended.
    pub last_poll_ago_s: f64,
    /// Seconds since the last sample; `null` if there has been none since start.
    pub last_sample_ago_s: Option<f64>,
    /// The poll interval in seconds; while the server refuses to serve this host, the pause until it is asked again.
    pub poll_s: f64,
    /// Set while the server refuses to serve this host (kiss-o'-death DENY or RSTR) and is therefore not asked.
    pub denial: Option<Denial>,
    /// The number of polls since start, by outcome.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub outcomes: OutcomeCounts,
    /// The number of replies rejected since start, including those of polls that gave a sample in the end.
    pub rejected_replies: u64,
}

/// A pause after a server refused to serve this host.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize)]
pub struct Denial {
    /// The kiss code: `DENY` or `RSTR`.
    pub code: &'static str,
    /// Seconds until the server is asked again.
    pub asked_again_in_s: f64,
    /// Seconds since it refused.
    pub ago_s: f64,
}

/// Numbers of polls by outcome. A map would take four times the memory, for each server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutcomeCounts([u32; Outcome::LABELS.len()]);

impl OutcomeCounts {
    /// Counts a poll.
    pub fn count(&mut self, outcome: &Outcome) {
        let label = outcome.label();
        let kind = Outcome::LABELS.iter().position(|known| *known == label);
        let count = &mut self.0[kind.expect("every label is in LABELS")];
        *count = count.saturating_add(1);
    }

    /// The number of polls with this outcome.
    #[must_use]
    pub fn of(&self, label: &str) -> u64 {
        self.by_label().find(|(known, _)| *known == label).map_or(0, |(_, n)| n)
    }

    /// Whether no poll was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_label().next().is_none()
    }

    /// The outcomes that were seen, with their numbers.
    pub fn by_label(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Outcome::LABELS.into_iter().zip(self.0.map(u64::from)).filter(|(_, n)| *n > 0)
    }
}

impl Serialize for OutcomeCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.by_label().collect::<BTreeMap<_, _>>())
    }
}

/// The health of one output.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Default)]
pub struct SinkHealth {
    /// Whether the last attempt failed.
    pub failing: bool,
    /// Entries in the queue.
    pub queue_depth: usize,
    /// The capacity of the queue in entries; `null` if the queue is limited by age and bytes instead.
    pub queue_capacity: Option<usize>,
    /// Entries taken from the queue but not written yet.
    pub in_hand: usize,
    /// Entries dropped since start, because the queue was full or the output rejected them.
    pub dropped: u64,
    /// Entries written since start.
    pub written: u64,
    /// Failed write attempts since start.
    pub failures: u64,
    /// The age of the oldest entry that has not been written, in seconds.
    pub lag_s: f64,
    /// The last error; kept after the output has recovered.
    pub last_error: Option<String>,
    /// What another program did to its files (removed, replaced, truncated) in the last ten minutes.
    pub incident: Option<String>,
}

/// A part of the service that is not running.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct ChildHealth {
    /// Whether the part is restarting or has crashed.
    pub state: ChildState,
    /// Restarts of this part since the service started.
    pub restarts: u64,
    /// How many of those restarts followed a panic.
    pub panics: u64,
}
