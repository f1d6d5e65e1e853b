//! What there is to show of alerts, and what is to be remembered of them. Data only.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notification::{Notification, Severity};
use super::rule::Origin;
use super::silence::Silence;
use super::state::End;
use crate::health::alerting::AlertingHealth;

/// Alerts and rules at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlertStatus {
    /// Alerts that are pending or fire, the worst first.
    pub active: Vec<Active>,
    /// Every rule.
    pub rules: Vec<RuleStatus>,
    /// Silences that are in force or to come.
    pub silences: Vec<Silence>,
    /// Why what happened cannot be recorded, while that is so; notifications wait meanwhile.
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

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It fires.
    Firing,
    /// It fires, and is held back because something else explains it.
    Inhibited,
    /// It fires, and nobody is told because somebody said so.
    Silenced,
    /// It holds, but not for long enough.
    Pending,
    /// It is over.
    Resolved,
}

impl Standing {
    /// Every standing of an alert that is not over.
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

/// An alert that is not over.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Active {
    /// `rule` or `rule:server`.
    pub id: String,
    /// The name of the rule.
    pub alert: String,
    /// How bad it is.
    pub severity: Severity,
    /// How it stands.
    pub state: Standing,
    /// The server; `null` when it is about none.
    pub server: Option<String>,
    /// What the rule looked at.
    pub value: Option<f64>,
    /// The unit of that value; empty for ratios and counts.
    pub unit: &'static str,
    /// One sentence.
    pub summary: String,
    /// More than that.
    pub description: String,
    /// Tags of the server and what else tells it from others.
    pub labels: BTreeMap<String, String>,
    /// What to do about it.
    pub runbook_url: Option<String>,
    /// When it began to hold.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// Since when it is pending, or fires.
    #[schemars(with = "String")]
    pub since_state: Timestamp,
    /// Which silence or maintenance window keeps it quiet.
    pub silenced_by: Option<String>,
    /// What holds it back.
    pub inhibited_by: Option<&'static str>,
}

/// A rule and how it does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RuleStatus {
    /// Its name.
    pub name: String,
    /// When it holds.
    pub expr: String,
    /// How long it must, as the configuration writes it.
    pub r#for: String,
    /// How long it goes on after that.
    pub keep_firing_for: String,
    /// How bad it is.
    pub severity: Severity,
    /// Which servers it is about; empty for all.
    pub servers: Vec<String>,
    /// Who is told; `null` for everybody.
    pub notify: Option<Vec<String>>,
    /// One sentence, as a template.
    pub summary: String,
    /// More, as a template.
    pub description: String,
    /// What to do about it.
    pub runbook_url: Option<String>,
    /// Whether its end is told.
    pub notify_resolved: bool,
    /// Whether it is held back while the own clock or the monitor's network explains it.
    pub inhibit: bool,
    /// `default` or `configured`.
    pub source: Origin,
    /// Whether it is in force.
    pub enabled: bool,
    /// `firing`, `pending`, `error` or `inactive`: the worst of its alerts.
    pub state: &'static str,
    /// Its alerts that fire.
    pub firing: usize,
    /// Its alerts that are pending.
    pub pending: usize,
    /// Why it could not be evaluated last.
    pub last_error: Option<String>,
    /// What one look at all servers cost last, in microseconds.
    pub eval_us: u64,
}

/// What must survive a restart of an alert that fires, or whose end is still to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The name of the rule.
    pub alert: String,
    /// The server, or nothing.
    pub target: String,
    /// When it began to hold.
    pub started_at: Timestamp,
    /// When it began to fire.
    pub fired_at: Timestamp,
    /// When it ended; its end is still to be told.
    pub ended_at: Option<Timestamp>,
    /// When it was told last; `None` when it never was.
    pub told_at: Option<Timestamp>,
    /// What the rule looked at.
    pub value: Option<f64>,
    /// One sentence.
    pub summary: String,
    /// More than that.
    pub description: String,
    /// Tags and the like.
    pub labels: BTreeMap<String, String>,
    /// Its rule, which may be gone by then.
    #[serde(default)]
    pub gist: Gist,
    /// What kept it quiet when it began to fire.
    #[serde(default)]
    pub held_by: Option<String>,
}

/// What it takes to tell the end of alerts when their rule is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gist {
    /// How bad they are.
    pub severity: Severity,
    /// Who is told; `None` for everybody.
    pub notify: Option<Vec<String>>,
    /// Whether their end is told.
    pub notify_resolved: bool,
    /// What to do about them.
    pub runbook_url: Option<String>,
}

impl Default for Gist {
    fn default() -> Self {
        Self { severity: Severity::Warning, notify: None, notify_resolved: true, runbook_url: None }
    }
}

/// An alert that fired, from beginning to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Past {
    /// The name of the rule.
    pub alert: String,
    /// How bad it was.
    pub severity: Severity,
    /// The server, if it was about one.
    pub server: Option<String>,
    /// What the rule looked at when it began to fire.
    pub value: Option<f64>,
    /// One sentence.
    pub summary: String,
    /// When it began to hold.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it began to fire.
    #[schemars(with = "String")]
    pub fired_at: Timestamp,
    /// When it ended; `null` while it lasts.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
    /// Why it ended: `clear`, `no_data` or `gone`.
    #[serde(skip_deserializing)]
    pub end: Option<End>,
    /// What kept it quiet when it began: a silence, a window or a cause.
    pub held_by: Option<String>,
}

/// A notification and who gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Addressed {
    /// Names of notifiers; `None` for everybody.
    pub notify: Option<Vec<String>>,
    /// What they are told.
    pub notification: Notification,
}

/// What is to be remembered of one alert from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct Memo {
    /// The name of the rule.
    pub alert: String,
    /// The server, or nothing.
    pub target: String,
    /// What; `None` when nothing need be.
    pub saved: Option<Saved>,
}

/// What a step brought about, to be recorded in one piece.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// What is to be remembered; of the same alert the later one counts.
    pub memos: Vec<Memo>,
    /// Entries of the history, new or brought up to date.
    pub history: Vec<Past>,
    /// Who is to be told what.
    pub notifications: Vec<Addressed>,
}

impl Outcome {
    /// Whether there is nothing to record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memos.is_empty() && self.history.is_empty() && self.notifications.is_empty()
    }

    /// Adds a later outcome.
    pub fn append(&mut self, later: Self) {
        self.memos.extend(later.memos);
        self.history.extend(later.history);
        self.notifications.extend(later.notifications);
    }
}
