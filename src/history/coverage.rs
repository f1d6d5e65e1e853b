//! How much of a period was monitored, and when each server was polled and answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::span::Span;
use super::stretches::Stretches;
use crate::store::{Grain, Rollup};
use ntp_monitor_core::sample::Sample;
use ntp_monitor_core::text::percent::percentages;
use ntp_monitor_core::text::units::span as length;

/// A poll covers this many of its intervals, so that one lost poll is not a gap.
const INTERVALS: f64 = 2.0;

/// When a server was polled, and when it gave samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Presence {
    /// The time in which polls ended with any outcome.
    pub polled: Stretches,
    /// The time in which polls gave a sample.
    pub answered: Stretches,
}

impl Presence {
    /// Adds a poll; polls must be in order of time.
    fn add(&mut self, sample: &Sample) {
        let poll_s = if sample.poll_s.is_finite() { sample.poll_s.max(1.0) } else { 1.0 };
        let to_ns = sample.at.wall_ns.saturating_add((poll_s * INTERVALS * 1e9) as i64);
        let span = Span { from_ns: sample.at.wall_ns, to_ns };
        self.polled.push(span);
        if sample.outcome.is_success() {
            self.answered.push(span);
        }
    }

    /// The hours whose rollups have polls, between the first and the last poll of the server.
    #[must_use]
    pub(super) fn of_rollups<'a>(rollups: impl Iterator<Item = &'a Rollup>, seen: Span) -> Self {
        let (mut polled, mut answered) = (Vec::new(), Vec::new());
        for rollup in rollups {
            let at_ns = |bucket_s: i64| bucket_s.saturating_mul(1_000_000_000);
            let from_ns = at_ns(rollup.bucket_s);
            let span = Span { from_ns, to_ns: from_ns.saturating_add(at_ns(Grain::Hour.width_s())) };
            polled.push(span);
            if rollup.counts.samples() > 0 {
                answered.push(span);
            }
        }
        let [polled, answered] = [polled, answered].map(|spans| Stretches::of(spans).clipped(seen));
        Self { polled, answered }
    }

    /// The presence within a period.
    #[must_use]
    pub(super) fn clipped(&self, to: Span) -> Self {
        Self { polled: self.polled.clipped(to), answered: self.answered.clipped(to) }
    }
}

/// The presence of every server, from samples in order of time.
#[derive(Debug, Default)]
pub(super) struct Attendance(BTreeMap<Arc<str>, Presence>);

impl Attendance {
    pub(super) fn add(&mut self, sample: &Sample) {
        match self.0.get_mut(&sample.server.name) {
            Some(presence) => presence.add(sample),
            None => self.0.entry(Arc::clone(&sample.server.name)).or_default().add(sample),
        }
    }

    pub(super) fn take(&mut self, server: &str) -> Presence {
        self.0.remove(server).unwrap_or_default()
    }
}

/// How much of a period was monitored, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Coverage {
    /// The part of the period that has passed: `monitored_s + unmonitored_s`.
    pub expected_s: f64,
    /// At least one server was polled.
    pub monitored_s: f64,
    /// No server was polled: before the first poll, after the last one, and while the monitor did not run.
    pub unmonitored_s: f64,
    /// The part of the period that has not passed yet. It does not count as unmonitored.
    pub future_s: f64,
}

impl Coverage {
    /// The coverage of a period; `past` is the part that has passed.
    #[must_use]
    pub(super) fn of(monitored: &Stretches, span: Span, past: Span) -> Self {
        let (expected_s, monitored_s) = (past.length_s(), monitored.clipped(past).length_s());
        let unmonitored_s = (expected_s - monitored_s).max(0.0);
        Self { expected_s, monitored_s, unmonitored_s, future_s: (span.length_s() - expected_s).max(0.0) }
    }

    /// In words, such as `Monitored for 3 d of 30 d (10.00 %); no server was polled for 27 d (90.00 %).`
    #[must_use]
    pub fn sentence(&self) -> String {
        let text = |seconds: f64| Duration::try_from_secs_f64(seconds.round()).map_or_else(|_| String::new(), length);
        let [monitored, unmonitored] = percentages([self.monitored_s, self.unmonitored_s]);
        // Less is no gap but the time between polls.
        let past = match (self.expected_s > 0.0, self.unmonitored_s >= 0.5) {
            (false, _) => "No part of the period has passed.".to_owned(),
            (true, false) => format!("Monitored for all of {}.", text(self.expected_s)),
            (true, true) => format!(
                "Monitored for {} of {} ({monitored}); no server was polled for {} ({unmonitored}).",
                text(self.monitored_s),
                text(self.expected_s),
                text(self.unmonitored_s),
            ),
        };
        if self.future_s < 1.0 {
            return past;
        }
        format!("{past} {} of the period are in the future.", text(self.future_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * 1_000_000_000;

    fn coverage(monitored: &[(i64, i64)], to: i64, now: i64) -> Coverage {
        let spans = monitored.iter().map(|(from, to)| Span { from_ns: from * HOUR, to_ns: to * HOUR }).collect();
        let span = Span { from_ns: 0, to_ns: to * HOUR };
        Coverage::of(&Stretches::of(spans), span, Span { to_ns: span.to_ns.min(now * HOUR), ..span })
    }

    #[test]
    fn unmonitored_time_and_the_future_are_different_figures() {
        let got = coverage(&[(216, 222), (230, 300)], 480, 240);
        let seconds = [got.expected_s, got.monitored_s, got.unmonitored_s, got.future_s];
        assert_eq!(seconds.map(|s| s / 3600.0), [240.0, 16.0, 224.0, 240.0]);
        assert_eq!(
            got.sentence(),
            "Monitored for 16 h of 10 d (6.67 %); no server was polled for 9 d 8 h (93.33 %). 10 d of the period are \
             in the future."
        );
    }

    #[test]
    fn complete_and_future_periods_have_plain_words() {
        assert_eq!(coverage(&[(0, 24)], 24, 30).sentence(), "Monitored for all of 1 d.");
        let future = coverage(&[], 24, 0).sentence();
        assert_eq!(future, "No part of the period has passed. 1 d of the period are in the future.");
    }
}
