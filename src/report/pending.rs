//! The progress of a scheduled report from due to delivered, which survives a restart. Pure.
//!
//! A pending report is saved before it is made, and the time of the last due report is updated once its file exists. A
//! crash therefore repeats at most a file of the same name and a message with the same title, which the reader
//! recognises.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use ntp_monitor_core::calendar::schedule::Schedule;

/// A report in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The time at which it was due.
    pub due: Timestamp,
    /// The start of the reported period.
    pub from: Timestamp,
    /// The notifiers that have not received it yet.
    pub to: Vec<String>,
    /// The parts that some of them have accepted, in the notifier's own format.
    #[serde(default)]
    pub progress: BTreeMap<String, String>,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Wait,
    /// Set the time of the last due report to now: it is missing, or in the future because the clock was wrong.
    Mark,
    /// A report is due.
    Make {
        /// The start of the period: the time at which the previous report was due.
        from: Timestamp,
        /// The time at which this report is due, which ends the period.
        due: Timestamp,
    },
}

/// Decides from the time of the last due report. If several were missed while the service was down, only the last one
/// is made. When reports are first enabled, none is made for the time before.
#[must_use]
pub fn decide(schedule: &Schedule, zone: &TimeZone, mark: Option<Timestamp>, now: Timestamp) -> Decision {
    let Some(mark) = mark.filter(|mark| *mark <= now) else { return Decision::Mark };
    let Some(due) = schedule.last(now, zone).filter(|due| *due > mark) else { return Decision::Wait };
    let before = due.checked_sub(1.second()).ok().and_then(|before| schedule.last(before, zone));
    before.map_or(Decision::Wait, |from| Decision::Make { from, due })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(mark: Option<&str>, now: &str) -> Decision {
        let schedule = "Mon 08:00".parse().unwrap();
        let mark = mark.map(|mark| mark.parse().unwrap());
        decide(&schedule, &TimeZone::UTC, mark, now.parse().unwrap())
    }

    fn make(from: &str, due: &str) -> Decision {
        Decision::Make { from: from.parse().unwrap(), due: due.parse().unwrap() }
    }

    #[test]
    fn report_is_due_once_and_covers_the_time_since_the_last() {
        let week = make("2026-11-16T08:00:00Z", "2026-11-23T08:00:00Z");
        assert_eq!(decided(Some("2026-11-16T08:00:00Z"), "2026-11-23T07:59:59Z"), Decision::Wait);
        assert_eq!(decided(Some("2026-11-16T08:00:00Z"), "2026-11-23T08:00:00Z"), week);
        assert_eq!(decided(Some("2026-11-23T08:00:00Z"), "2026-11-23T08:00:00Z"), Decision::Wait);
        assert_eq!(decided(Some("2026-11-23T08:00:00Z"), "2026-11-29T23:00:00Z"), Decision::Wait);
    }

    #[test]
    fn only_the_last_missed_report_is_made() {
        let last = make("2026-11-16T08:00:00Z", "2026-11-23T08:00:00Z");
        assert_eq!(decided(Some("2026-10-05T08:00:00Z"), "2026-11-25T12:00:00Z"), last);
    }

    #[test]
    fn new_service_or_clock_set_back_makes_no_report() {
        assert_eq!(decided(None, "2026-11-25T12:00:00Z"), Decision::Mark);
        assert_eq!(decided(Some("2046-11-25T12:00:00Z"), "2026-11-25T12:00:00Z"), Decision::Mark);
    }
}
