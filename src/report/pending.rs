//! The way of a scheduled report from "due" to "everybody has it", and what survives a restart on it. Pure.
//!
//! What was begun is noted before it is made; the mark of the last report that was due moves when its file is there. So a
//! kill at any instant repeats at most what its reader can tell to be the same: a file of the same name, and a message
//! with the same title.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use ntp_monitor_core::calendar::schedule::Schedule;

/// A report that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The time for which it is made.
    pub due: Timestamp,
    /// When its span begins.
    pub from: Timestamp,
    /// The notifiers that have not got it yet.
    pub to: Vec<String>,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Wait,
    /// The mark is to be set to now: there was none, or it lies in the future because the clock was wrong.
    Mark,
    /// A report is due, for this time, about the time from the first.
    Make {
        /// The beginning of its span: when the one before was due.
        from: Timestamp,
        /// The time for which it is made.
        due: Timestamp,
    },
}

/// Decides by the time of the last report that was due. Of several that were missed while nobody was there, the last is
/// made; a service that begins to make reports makes none for the time before.
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
    fn a_report_is_due_once_and_is_about_the_time_since_the_one_before() {
        let week = make("2026-11-16T08:00:00Z", "2026-11-23T08:00:00Z");
        assert_eq!(decided(Some("2026-11-16T08:00:00Z"), "2026-11-23T07:59:59Z"), Decision::Wait);
        assert_eq!(decided(Some("2026-11-16T08:00:00Z"), "2026-11-23T08:00:00Z"), week);
        assert_eq!(decided(Some("2026-11-23T08:00:00Z"), "2026-11-23T08:00:00Z"), Decision::Wait);
        assert_eq!(decided(Some("2026-11-23T08:00:00Z"), "2026-11-29T23:00:00Z"), Decision::Wait);
    }

    #[test]
    fn of_reports_that_were_missed_the_last_is_made_up() {
        let last = make("2026-11-16T08:00:00Z", "2026-11-23T08:00:00Z");
        assert_eq!(decided(Some("2026-10-05T08:00:00Z"), "2026-11-25T12:00:00Z"), last);
    }

    #[test]
    fn a_new_service_and_a_clock_that_was_ahead_make_nothing_up() {
        assert_eq!(decided(None, "2026-11-25T12:00:00Z"), Decision::Mark);
        assert_eq!(decided(Some("2046-11-25T12:00:00Z"), "2026-11-25T12:00:00Z"), Decision::Mark);
    }
}
