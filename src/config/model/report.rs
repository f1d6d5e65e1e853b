//! `[report]`: the schedule and the receivers of reports.

use std::time::Duration;

use jiff::tz::TimeZone;

use ntp_monitor_core::calendar::schedule::Schedule;

#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The schedule; `None` if reports are made on request only.
    pub schedule: Option<Schedule>,
    /// The time zone of the schedule.
    pub zone: TimeZone,
    /// The notifiers that receive each report.
    pub to: Vec<String>,
    /// The number of reports to keep, at least one.
    pub keep: usize,
    /// The limit of the evidence; `None` for the smallest `offset_critical` of the servers.
    pub limit: Option<Duration>,
}
