//! What a person is told: alerts that began, go on or ended, in the words of their rule.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad it is; the greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look today.
    Warning,
    /// Worth getting up for.
    Critical,
}

impl Severity {
    /// The name in configuration and API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a notification says of its alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// They hold.
    Firing,
    /// They held, and no longer do.
    Resolved,
}

/// One message for one receiver: the alerts of one rule that changed together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The same for every attempt to deliver it, before and after a restart, so that a receiver can drop a repeat.
    pub key: String,
    /// Begun or ended.
    pub status: Status,
    /// Sent before, and still so.
    pub reminder: bool,
    /// Name of the rule.
    pub alert: String,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub summary: String,
    /// More than that; may be empty.
    pub description: String,
    /// What to do about it.
    pub runbook_url: Option<String>,
    /// Where the monitor looks from.
    pub vantage: String,
    /// Where it is shown.
    pub url: Option<String>,
    /// What it is about, at least one.
    pub alerts: Vec<Instance>,
}

/// An alert about one server, or about the monitor itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Name of the server; none when it is about the own clock, the verdict or the service.
    pub server: Option<String>,
    /// What the rule looked at, in the unit of its variable (`offset_ms` is in milliseconds), where there is one value.
    pub value: Option<f64>,
    /// Tags of the server and what else tells it from others.
    pub labels: BTreeMap<String, String>,
    /// One sentence about this one.
    pub summary: String,
    /// Since when the rule holds.
    pub started_at: Timestamp,
    /// When it ceased to hold.
    pub ended_at: Option<Timestamp>,
}
