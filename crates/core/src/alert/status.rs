//! The status of alerts and rules for display, and the alert state that is stored. Data only.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notification::{Notification, Severity};
use super::rule::{Origin, RuleSummary};
use super::silence::Silence;
use super::state::End;
use crate::health::alerting::AlertingHealth;

/// The alerts and rules at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlertStatus {
    /// The pending and firing alerts, worst first.
    pub active: Vec<Active>,
    /// All rules.
    pub rules: Vec<RuleStatus>,
    /// The active and future silences.
    pub silences: Vec<Silence>,
    /// Why alert state cannot be written to the store; `None` when it can. Notifications are held until it can.
    pub not_recorded: Option<String>,
}

impl AlertStatus {
    /// The alerting part of the service's health: rules that failed, and whether changes can be recorded.
    #[must_use]
    pub fn health(&self) -> AlertingHealth {
        let errors = self.rules.iter().filter_map(|rule| Some((rule.name.clone(), rule.last_error.clone()?)));
        AlertingHealth { rule_errors: errors.collect(), not_recorded: self.not_recorded.clone() }
    }
}

/// The state of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The alert fires.
    Firing,
    /// The alert fires, but is held back because a common cause explains it.
    Inhibited,
    /// The alert fires, but a silence or maintenance window suppresses its notifications.
    Silenced,
    /// The condition is true, but not for long enough.
    Pending,
    /// The alert has ended.
    Resolved,
}

impl AlertState {
    /// All states of alerts that have not ended.
    pub const ACTIVE: [Self; 4] = [Self::Firing, Self::Inhibited, Self::Silenced, Self::Pending];

    /// The name in the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Inhibited => "inhibited",
            Self::Silenced => "silenced",
            Self::Pending => "pending",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert that is pending or firing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Active {
    /// The identifier: `rule` or `rule:server`.
    pub id: String,
    /// The name of the rule.
    pub alert: String,
    /// The severity of the rule.
    pub severity: Severity,
    /// The state of the alert.
    pub state: AlertState,
    /// The name of the server; `null` if the alert is not about a server.
    pub server: Option<String>,
    /// The value of the first number in the rule's expression.
    pub value: Option<f64>,
    /// The unit of the value; empty for ratios and counts.
    pub unit: &'static str,
    /// One sentence that says what is wrong.
    pub summary: String,
    /// More details; may be empty.
    pub description: String,
    /// The tags of the server, and `flapping` if the alert flaps.
    pub labels: BTreeMap<String, String>,
    /// The URL of instructions for handling the alert.
    pub runbook_url: Option<String>,
    /// When the condition became true.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When the alert became pending, or started to fire.
    #[schemars(with = "String")]
    pub since_state: Timestamp,
    /// The silence (its number) or maintenance window (its comment) that suppresses notifications.
    pub silenced_by: Option<String>,
    /// The cause that inhibits the alert.
    pub inhibited_by: Option<&'static str>,
}

/// A rule and its current state.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RuleStatus {
    /// The name of the rule.
    pub name: String,
    /// The condition, as a CEL expression.
    pub expr: String,
    /// How long the condition must be true before the alert fires, such as `5m`.
    pub r#for: String,
    /// How long the condition must be false before the alert resolves, such as `5m`.
    pub keep_firing_for: String,
    /// The severity of its alerts.
    pub severity: Severity,
    /// The servers that the rule applies to, by name or tag; empty for all.
    pub servers: Vec<String>,
    /// The notifiers to use; `null` for all.
    pub notify: Option<Vec<String>>,
    /// The template of the one-sentence summary.
    pub summary: String,
    /// The template of the details.
    pub description: String,
    /// The URL of instructions for handling the alert.
    pub runbook_url: Option<String>,
    /// Whether a notification is sent when an alert resolves.
    pub notify_resolved: bool,
    /// Whether alerts are held back while this host's clock or network explains them.
    pub inhibit: bool,
    /// The origin of the rule: `default` or `configured`.
    pub source: Origin,
    /// Whether the rule is evaluated.
    pub enabled: bool,
    /// The state of the rule: `error`, `firing`, `pending` or `inactive`.
    pub state: &'static str,
    /// The number of firing alerts.
    pub firing: usize,
    /// The number of pending alerts.
    pub pending: usize,
    /// The error of the last evaluation; `null` if it succeeded.
    pub last_error: Option<String>,
    /// The duration of the last evaluation over all servers, in microseconds.
    pub eval_us: u64,
}

/// The stored state of an alert that fires, or that has ended without a notification yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The name of the rule.
    pub alert: String,
    /// The server; empty if the alert is not about a server.
    pub target: String,
    /// When the condition became true.
    pub started_at: Timestamp,
    /// When the alert started to fire.
    pub fired_at: Timestamp,
    /// When the alert ended, if that has not been notified yet.
    pub ended_at: Option<Timestamp>,
    /// When the last notification was sent; `None` if there was none.
    pub told_at: Option<Timestamp>,
    /// The value of the first number in the rule's expression.
    pub value: Option<f64>,
    /// One sentence that says what is wrong.
    pub summary: String,
    /// More details; may be empty.
    pub description: String,
    /// The tags of the server, and `flapping` if the alert flaps.
    pub labels: BTreeMap<String, String>,
    /// The needed parts of the rule, which may have been removed when the state is restored.
    #[serde(default, rename = "gist")]
    pub rule: RuleSummary,
    /// What suppressed the notification when the alert started to fire: a silence, a maintenance window or a cause.
    #[serde(default)]
    pub held_by: Option<String>,
    /// The vantage point that the receivers know; empty in states of earlier releases.
    #[serde(default)]
    pub vantage: String,
}

/// An entry of the alert history: an alert that fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Past {
    /// The name of the rule.
    pub alert: String,
    /// The severity of the rule.
    pub severity: Severity,
    /// The name of the server; `null` if the alert was not about a server.
    pub server: Option<String>,
    /// The value of the first number in the rule's expression when the alert started to fire.
    pub value: Option<f64>,
    /// One sentence that says what was wrong.
    pub summary: String,
    /// When the condition became true.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When the alert started to fire.
    #[schemars(with = "String")]
    pub fired_at: Timestamp,
    /// When the alert ended; `null` while it fires.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
    /// Why the alert ended: `clear` (condition false), `no_data`, or `gone` (rule or server removed).
    #[serde(skip_deserializing)]
    pub end: Option<End>,
    /// What suppressed the notification when the alert started to fire: a silence, a maintenance window or a cause.
    pub held_by: Option<String>,
}

/// A notification and the notifiers that send it.
#[derive(Debug, Clone, PartialEq)]
pub struct Addressed {
    /// The names of the notifiers; `None` for all.
    pub notify: Option<Vec<String>>,
    /// The notification.
    pub notification: Notification,
}

/// A change to the stored state of one alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Memo {
    /// The name of the rule.
    pub alert: String,
    /// The server; empty if the alert is not about a server.
    pub target: String,
    /// The new state; `None` deletes the stored state.
    pub saved: Option<Saved>,
}

/// The results of an evaluation, to be stored in one transaction.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Changes to the stored state. If an alert occurs twice, the later change wins.
    pub memos: Vec<Memo>,
    /// New or updated entries of the alert history.
    pub history: Vec<Past>,
    /// The notifications to send.
    pub notifications: Vec<Addressed>,
}

impl Outcome {
    /// Whether there is nothing to store or send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memos.is_empty() && self.history.is_empty() && self.notifications.is_empty()
    }

    /// Appends a later outcome.
    pub fn append(&mut self, later: Self) {
        self.memos.extend(later.memos);
        self.history.extend(later.history);
        self.notifications.extend(later.notifications);
    }
}
