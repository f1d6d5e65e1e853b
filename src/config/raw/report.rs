//! `[report]` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::Span;

/// `[report]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Report {
    /// When a report is made by itself: days of the week, or daily, and a time of day. Each is about the time since the
    /// one before.
    #[schemars(extend("examples" = ["Mon 08:00"]))]
    pub schedule: Option<String>,
    /// The time zone of the schedule, by its IANA name; "system" for that of this machine.
    #[schemars(extend("default" = "UTC", "examples" = ["Europe/Amsterdam"]))]
    pub timezone: String,
    /// The notifiers that are sent each report: mail gets all of it, chats its summary.
    #[schemars(extend("default" = []))]
    pub to: Vec<String>,
    /// How many reports are kept in the directory reports of monitor.data_dir; the oldest go first.
    #[schemars(extend("default" = 52), range(min = 1, max = 10_000))]
    pub keep: u32,
    /// What the evidence of traceability is about: for how much of the time was the own clock shown to be within this?
    #[schemars(extend("x-default" = "the smallest offset_critical", "examples" = ["100ms"]))]
    pub limit: Option<Span>,
}
