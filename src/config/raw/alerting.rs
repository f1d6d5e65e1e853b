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
    /// After a start nothing fires for this long.
    #[schemars(extend("default" = "60s"))]
    pub startup_grace: Span,
    /// Alerts of a rule that change within this are told together.
    #[schemars(extend("default" = "30s"))]
    pub group_wait: Span,
    /// What still fires is told again after this; "0s" for never.
    #[schemars(extend("default" = "4h"))]
    pub repeat_interval: Span,
    /// Whether the built-in rules are in force; each can be switched off by itself too.
    #[schemars(extend("default" = true))]
    pub default_rules: bool,
    /// An alert whose value has not been known for this long ends.
    #[schemars(extend("default" = "1h"))]
    pub no_data_after: Span,
    /// An alert that begins this often within flap_window is told once, until it has been quiet for a quarter of that.
    #[schemars(extend("default" = 5), range(min = 2, max = 100))]
    pub flap_count: u32,
    /// See flap_count.
    #[schemars(extend("default" = "1h"))]
    pub flap_window: Span,
    /// Where the page of this monitor is, for the links in notifications.
    #[schemars(extend("examples" = ["https://ntp.example.net/"]))]
    pub url: Option<String>,
}

/// `[[alert]]`. What is not given is that of the built-in rule of the same name, where there is one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Alert {
    /// What its alerts are called; unique.
    #[schemars(extend("examples" = ["high-offset"]))]
    pub name: String,
    /// When it holds: an expression over the variables of docs/ALERTING.md.
    #[schemars(extend("examples" = ["abs_offset_ms > 20 && provable"]))]
    pub expr: Option<String>,
    /// It must hold for this long before it fires.
    #[schemars(extend("x-default" = "that of the built-in rule, or 5m", "examples" = ["5m"]))]
    pub r#for: Option<Span>,
    /// It must have ceased to hold for this long before it is over.
    #[schemars(extend("x-default" = "that of the built-in rule, or 5m", "examples" = ["5m"]))]
    pub keep_firing_for: Option<Span>,
    /// How bad it is.
    #[schemars(extend("x-default" = "that of the built-in rule, or \"warning\"", "examples" = ["warning"]))]
    pub severity: Option<Severity>,
    /// Servers by name, name@address, tag or tag:value; all when none is given.
    #[schemars(extend("examples" = [["office", "site:ams"]]))]
    pub servers: Option<Vec<String>>,
    /// Names of notifiers that are told; all when none is given.
    #[schemars(extend("examples" = [["ops"]]))]
    pub notify: Option<Vec<String>>,
    /// One sentence, a template.
    #[schemars(extend("examples" = ["{{ server }} is off by {{ offset_ms }} ms"]))]
    pub summary: Option<String>,
    /// More than that, a template.
    #[schemars(extend("examples" = ["{{ why }}"]))]
    pub description: Option<String>,
    /// What to do about it.
    #[schemars(extend("examples" = ["https://wiki.example.net/ntp"]))]
    pub runbook_url: Option<String>,
    /// Whether its end is told.
    #[schemars(extend("x-default" = "that of the built-in rule, or true", "examples" = [true]))]
    pub notify_resolved: Option<bool>,
    /// Whether it is held back while the own clock or the monitor's network explains it.
    #[schemars(extend("x-default" = "that of the built-in rule, or true", "examples" = [true]))]
    pub inhibit: Option<bool>,
    /// Whether it is in force.
    #[schemars(extend("x-default" = "true, or alerting.default_rules for a built-in rule", "examples" = [true]))]
    pub enabled: Option<bool>,
}

/// `[[silence]]`: once (from, until), or every week (weekdays, start, for, timezone).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Silence {
    /// Why nobody is to be told.
    #[schemars(extend("examples" = ["router maintenance"]))]
    pub comment: String,
    /// The rule it is about; all when not given.
    #[schemars(extend("examples" = ["failing-queries"]))]
    pub alert: Option<String>,
    /// Servers by name, name@address, tag or tag:value; all, and what is about none, when none is given.
    #[schemars(extend("default" = []))]
    pub servers: Vec<String>,
    /// Once: from then on (RFC 3339).
    #[schemars(extend("examples" = ["2027-01-01T02:00:00Z"]))]
    pub from: Option<String>,
    /// Once: until then.
    #[schemars(extend("examples" = ["2027-01-01T04:00:00Z"]))]
    pub until: Option<String>,
    /// Every week: on these days: "Mon" to "Sun".
    #[schemars(extend("examples" = [["Sat", "Sun"]]))]
    pub weekdays: Option<Vec<String>>,
    /// Every week: from this time of the day on.
    #[schemars(extend("examples" = ["02:00"]))]
    pub start: Option<String>,
    /// Every week: for this long.
    #[schemars(extend("examples" = ["2h"]))]
    pub r#for: Option<Span>,
    /// Every week: by the clocks of this place (IANA name).
    #[schemars(extend("x-default" = "UTC", "examples" = ["Europe/Berlin"]))]
    pub timezone: Option<String>,
}
