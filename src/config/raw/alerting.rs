//! `[alerting]`, `[[alert]]` and `[[silence]]` as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::Span;
use ntp_monitor_core::alert::notification::Severity;

/// `[alerting]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Alerting {
    /// No alert fires for this long after the service starts.
    #[schemars(extend("default" = "60s"))]
    pub startup_grace: Span,
    /// Alerts of one rule that change within this time are sent as one notification.
    #[schemars(extend("default" = "30s"))]
    pub group_wait: Span,
    /// Time after which a reminder is sent while an alert is still firing; "0s" for never.
    #[schemars(extend("default" = "4h"))]
    pub repeat_interval: Span,
    /// Whether the built-in rules are enabled; each can also be disabled on its own.
    #[schemars(extend("default" = true))]
    pub default_rules: bool,
    /// An alert resolves when its expression has had no value for this long.
    #[schemars(extend("default" = "1h"))]
    pub no_data_after: Span,
    /// An alert that fires this often within flap_window is flapping: one notification says so, and no more
    /// follow until it has been quiet for a quarter of flap_window.
    #[schemars(extend("default" = 5), range(min = 2, max = 100))]
    pub flap_count: u32,
    /// The time within which flap_count is counted.
    #[schemars(extend("default" = "1h"))]
    pub flap_window: Span,
    /// Public URL of this monitor, with its base_path, for links in notifications.
    #[schemars(extend("examples" = ["https://ntp.example.net/"]))]
    pub url: Option<String>,
}

/// `[[alert]]`. Missing keys are taken from the built-in rule of the same name, if any.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Alert {
    /// Name of the rule and of its alerts; unique.
    #[schemars(extend("examples" = ["high-offset"]))]
    pub name: String,
    /// The condition: an expression over the variables of docs/ALERTING.md.
    #[schemars(extend("examples" = ["abs_offset_ms > 20 && provable"]))]
    pub expr: Option<String>,
    /// How long the condition must hold before the alert fires.
    #[schemars(extend("x-default" = "that of the built-in rule, or 5m", "examples" = ["5m"]))]
    pub r#for: Option<Span>,
    /// How long the condition must be false before the alert resolves.
    #[schemars(extend("x-default" = "that of the built-in rule, or 5m", "examples" = ["5m"]))]
    pub keep_firing_for: Option<Span>,
    /// Severity of the alert.
    #[schemars(extend("x-default" = "that of the built-in rule, or \"warning\"", "examples" = ["warning"]))]
    pub severity: Option<Severity>,
    /// Servers by name, name@address, tag or tag:value; all if empty.
    #[schemars(extend("examples" = [["office", "site:ams"]]))]
    pub servers: Option<Vec<String>>,
    /// Names of the notifiers to use; all if empty.
    #[schemars(extend("examples" = [["ops"]]))]
    pub notify: Option<Vec<String>>,
    /// Summary in one sentence, a template.
    #[schemars(extend("examples" = ["{{ server }} is off by {{ offset_ms }} ms"]))]
    pub summary: Option<String>,
    /// Details, a template.
    #[schemars(extend("examples" = ["{{ why }}"]))]
    pub description: Option<String>,
    /// URL of the instructions for this alert.
    #[schemars(extend("examples" = ["https://wiki.example.net/ntp"]))]
    pub runbook_url: Option<String>,
    /// Whether to notify when the alert resolves.
    #[schemars(extend("x-default" = "that of the built-in rule, or true", "examples" = [true]))]
    pub notify_resolved: Option<bool>,
    /// Whether to suppress notifications while this host's clock or network explains the alert.
    #[schemars(extend("x-default" = "that of the built-in rule, or true", "examples" = [true]))]
    pub inhibit: Option<bool>,
    /// Whether the rule is enabled.
    #[schemars(extend("x-default" = "true, or alerting.default_rules for a built-in rule", "examples" = [true]))]
    pub enabled: Option<bool>,
}

/// `[[silence]]`: once (from, until), or every week (weekdays, start, for, timezone).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Silence {
    /// The reason for the silence.
    #[schemars(extend("examples" = ["router maintenance"]))]
    pub comment: String,
    /// Name of the rule to silence; all unless set.
    #[schemars(extend("examples" = ["failing-queries"]))]
    pub alert: Option<String>,
    /// Servers by name, name@address, tag or tag:value; if empty all, including alerts about no server.
    #[schemars(extend("default" = []))]
    pub servers: Vec<String>,
    /// Once: start (RFC 3339).
    #[schemars(extend("examples" = ["2027-01-01T02:00:00Z"]))]
    pub from: Option<String>,
    /// Once: end (RFC 3339).
    #[schemars(extend("examples" = ["2027-01-01T04:00:00Z"]))]
    pub until: Option<String>,
    /// Every week: days, "Mon" to "Sun".
    #[schemars(extend("examples" = [["Sat", "Sun"]]))]
    pub weekdays: Option<Vec<String>>,
    /// Every week: time of day at which the silence starts.
    #[schemars(extend("examples" = ["02:00"]))]
    pub start: Option<String>,
    /// Every week: duration.
    #[schemars(extend("examples" = ["2h"]))]
    pub r#for: Option<Span>,
    /// Every week: time zone of start (IANA name).
    #[schemars(extend("x-default" = "UTC", "examples" = ["Europe/Berlin"]))]
    pub timezone: Option<String>,
}
