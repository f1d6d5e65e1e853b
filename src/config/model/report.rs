//! `[report]`: when a report is made, and for whom.

use std::time::Duration;

use jiff::tz::TimeZone;

use ntp_monitor_core::calendar::schedule::Schedule;

#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// When a report is made by itself; `None` when it never is.
    pub schedule: Option<Schedule>,
    /// The time zone of the schedule.
    pub zone: TimeZone,
    /// The notifiers that are sent each report.
    pub to: Vec<String>,
    /// How many reports are kept, at least one.
    pub keep: usize,
    /// The limit of the evidence; `None` for the smallest `offset_critical` of the servers.
    pub limit: Option<Duration>,
}
