//! The last readings of one server by one vantage.

use std::collections::VecDeque;

use super::grid::PHI;
use super::reading::Reading;
use super::trend::Trend;

/// Readings that are kept of each cell.
const KEPT: usize = 9;
/// A cell that was not read for more than so many of its usual intervals no longer counts.
const LAPSES_AFTER: f64 = 4.0;
/// The longest poll interval, in seconds (RFC 5905: MAXPOLL). A vantage may state any.
const LONGEST_POLL_S: f64 = 131_072.0;
/// Errors of reading a clock that its stated precision does not include, in seconds.
const GRAIN_S: f64 = 1e-6;

/// The readings of one cell, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    readings: VecDeque<Reading>,
    /// By how much the clock of the vantage had been moved at the last reading, in seconds.
    moved_s: f64,
    /// The usual time between two readings, in seconds.
    spacing_s: f64,
    /// It is compared in every round, and changes only with a reading.
    trend: Trend,
}

impl Cell {
    /// Adds a reading; one that is not newer than the last is refused. `moved_s` is by how much the clock of the vantage
    /// was set and slewed so far, `stepped_s` by how much it was set.
    pub fn add(&mut self, reading: Reading, moved_s: f64, stepped_s: f64) -> bool {
        if self.readings.back().is_some_and(|last| last.at_ns >= reading.at_ns) {
            return false;
        }
        if self.readings.len() == KEPT {
            self.readings.pop_front();
        }
        self.moved_s = moved_s;
        self.readings.push_back(Reading { stepped_s, ..reading });
        self.spacing_s = spacing_s(&self.readings);
        self.trend = Trend::of(&self.readings);
        true
    }

    /// Notes that the clock of the vantage was set by so much before the last reading.
    pub fn set_by(&mut self, stepped_s: f64) {
        self.moved_s += stepped_s;
        if let Some(last) = self.readings.back_mut() {
            last.stepped_s += stepped_s;
            self.trend = Trend::of(&self.readings);
        }
    }

    /// Whether the time between two readings was measured.
    pub fn is_read_twice(&self) -> bool {
        self.readings.len() > 1
    }

    pub fn last(&self) -> Option<&Reading> {
        self.readings.back()
    }

    /// By how much the clock of the vantage was moved since the last reading, in seconds, if it is `moved_s` in all.
    pub fn moved_since_s(&self, moved_s: f64) -> f64 {
        moved_s - self.moved_s
    }

    /// By how much the clock of the vantage was set since the last reading, in seconds, if it was by `stepped_s` in all.
    pub fn stepped_since_s(&self, stepped_s: f64) -> f64 {
        stepped_s - self.last().map_or(stepped_s, |last| last.stepped_s)
    }

    /// The usual time between two readings in seconds: their median, or the poll interval before there are two.
    pub fn spacing_s(&self) -> f64 {
        self.spacing_s
    }

    /// What the last readings show about the clocks.
    pub fn trend(&self) -> &Trend {
        &self.trend
    }

    /// How old the last reading is, in seconds.
    pub fn age_s(&self, now_ns: i64) -> f64 {
        self.last().map_or(f64::INFINITY, |last| ((now_ns - last.at_ns) as f64 / 1e9).max(0.0))
    }

    pub fn is_current(&self, now_ns: i64, round_s: f64) -> bool {
        self.age_s(now_ns) <= LAPSES_AFTER * self.spacing_s().max(round_s)
    }

    /// The path bound at `now_ns`: half of the round trip, errors of the clocks, and a drift of [`PHI`] plus `rate`.
    pub fn half_s(&self, now_ns: i64, rate: f64) -> f64 {
        let Some(last) = self.last() else { return f64::INFINITY };
        // Each of the two stamps of the server and of the vantage has an error of its own.
        last.delay_s / 2.0 + 2.0 * last.precision_s + GRAIN_S + (PHI + rate) * self.age_s(now_ns)
    }
}

fn spacing_s(readings: &VecDeque<Reading>) -> f64 {
    let (mut spans, mut count) = ([0.0; KEPT - 1], 0);
    for (a, b) in readings.iter().zip(readings.iter().skip(1)) {
        spans[count] = (b.at_ns - a.at_ns) as f64 / 1e9;
        count += 1;
    }
    let spans = &mut spans[..count];
    spans.sort_by(f64::total_cmp);
    let planned = || readings.back().map_or(64.0, |last| last.poll_s.min(LONGEST_POLL_S));
    spans.get(count / 2).copied().unwrap_or_else(planned).max(0.05)
}
