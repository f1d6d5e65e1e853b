//! `[report]` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::Span;

/// `[report]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Report {
    /// When to make a report: days of the week, daily, monthly, or days of the month ("1,15", "last"), and a time of day.
    /// Each report covers the time since the previous one.
    #[schemars(extend("examples" = ["Mon 08:00"]))]
    pub schedule: Option<String>,
    /// The time zone of the schedule and of the times in reports, by its IANA name; "system" for that of this host.
    #[schemars(extend("default" = "UTC", "examples" = ["Europe/Amsterdam"]))]
    pub timezone: String,
    /// Names of the notifiers that receive each report: mail gets the whole report, chats get its summary.
    #[schemars(extend("default" = []))]
    pub to: Vec<String>,
    /// How many reports are kept in the directory reports in monitor.data_dir; the oldest are deleted.
    #[schemars(extend("default" = 52), range(min = 1, max = 10_000))]
    pub keep: u32,
    /// Limit for the evidence of traceability: the share of time in which this host's clock was proven to be within it.
    #[schemars(extend("x-default" = "the smallest offset_critical", "examples" = ["100ms"]))]
    pub limit: Option<Span>,
}
