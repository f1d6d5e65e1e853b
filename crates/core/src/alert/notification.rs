//! Notifications about alerts that fire, keep firing or have resolved.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The severity of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Severity {
    /// For information; no action is needed.
    Info,
    /// Look into it today.
    Warning,
    /// Act now.
    Critical,
}

impl Severity {
    /// The name in the configuration and the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// The state of the alerts in a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The alerts fire.
    Firing,
    /// The alerts have resolved.
    Resolved,
}

/// One message: the alerts of one rule that changed together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// An idempotency key. It is the same for every delivery attempt, also after a restart, so that a receiver can drop
    /// duplicates.
    pub key: String,
    /// Whether the alerts fire or have resolved.
    pub status: Status,
    /// Whether this is a reminder: the alerts still fire, and a notification has been sent before.
    pub reminder: bool,
    /// The name of the rule.
    pub alert: String,
    /// The severity of the rule.
    pub severity: Severity,
    /// One sentence that says what happened.
    pub summary: String,
    /// More details; may be empty.
    pub description: String,
    /// The URL of instructions for handling the alert.
    pub runbook_url: Option<String>,
    /// The configured vantage point of this monitor.
    pub vantage: String,
    /// The URL of the web page of this monitor.
    pub url: Option<String>,
    /// The fleet that the alerts are about. All hubs of it notify about the same alerts, one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// The alerts, at least one.
    pub alerts: Vec<Instance>,
}

/// An alert about one server, or about this host or the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// The name of the server; `null` if the alert is about this host's clock, the verdict or the service.
    pub server: Option<String>,
    /// The value of the first number in the rule's expression, in the unit of its variable (`offset_ms` is in
    /// milliseconds).
    pub value: Option<f64>,
    /// The tags of the server, and `flapping` if the alert flaps.
    pub labels: BTreeMap<String, String>,
    /// One sentence about this alert.
    pub summary: String,
    /// When the condition became true.
    pub started_at: Timestamp,
    /// When the alert resolved.
    pub ended_at: Option<Timestamp>,
}

impl Notification {
    /// A notification with every field set, for tests of notifiers and templates; its alert started at `now`.
    #[must_use]
    pub fn sample(now: Timestamp) -> Self {
        let instance = Instance {
            server: Some("test".to_owned()),
            value: Some(0.0),
            labels: [("test".to_owned(), "true".to_owned())].into(),
            summary: "Test".to_owned(),
            started_at: now,
            ended_at: None,
        };
        Self {
            key: "test".to_owned(),
            status: Status::Firing,
            reminder: false,
            alert: "test".to_owned(),
            severity: Severity::Info,
            summary: "Test".to_owned(),
            description: "Test".to_owned(),
            runbook_url: None,
            vantage: "test".to_owned(),
            url: None,
            fleet: None,
            alerts: vec![instance],
        }
    }
}
