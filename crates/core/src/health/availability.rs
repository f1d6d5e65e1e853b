//! Success rates of one server over sliding windows, in constant memory (about 0.4 kB a server).
//!
//! Each window moves in steps of one bucket. The 1 h rate, for example, covers the last 55 to 60 minutes.

use schemars::JsonSchema;
use serde::Serialize;

/// The number of polls, and how many of them gave a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize)]
pub struct Tally {
    /// Polls that gave a sample.
    pub ok: u64,
    /// All polls that ended.
    pub polls: u64,
}

impl Tally {
    /// The share of polls that gave a sample, 0 to 1; `None` without polls.
    #[must_use]
    pub fn ratio(self) -> Option<f64> {
        (self.polls > 0).then(|| self.ok as f64 / self.polls as f64)
    }

    /// Adds the polls of `other`.
    pub fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.polls += other.polls;
    }
}

/// A counter of a bucket.
trait Count: Copy + Default + Into<u64> {
    /// Adds `n`; stays at the largest value instead of beginning again.
    fn plus(self, n: u64) -> Self;
}

impl Count for u16 {
    fn plus(self, n: u64) -> Self {
        self.saturating_add(Self::try_from(n).unwrap_or(Self::MAX))
    }
}

impl Count for u32 {
    fn plus(self, n: u64) -> Self {
        self.saturating_add(Self::try_from(n).unwrap_or(Self::MAX))
    }
}

/// A ring buffer of `N` buckets of `SECONDS` seconds each. `C` counts the polls of a bucket, of which there are at most
/// ten in a second.
#[derive(Debug, Clone)]
struct Ring<C, const N: usize, const SECONDS: i64> {
    buckets: [(C, C); N],
    newest: i64,
}

impl<C: Count, const N: usize, const SECONDS: i64> Ring<C, N, SECONDS> {
    fn new() -> Self {
        Self { buckets: [(C::default(), C::default()); N], newest: i64::MIN }
    }

    fn advance(&mut self, now_s: i64) {
        let bucket = now_s.div_euclid(SECONDS);
        if self.newest == i64::MIN {
            self.newest = bucket;
        }
        let steps = bucket.saturating_sub(self.newest).clamp(0, N as i64);
        for step in 1..=steps {
            self.buckets[Self::slot(bucket - steps + step)] = (C::default(), C::default());
        }
        self.newest = self.newest.max(bucket);
    }

    fn add(&mut self, at_s: i64, tally: Tally) {
        self.advance(at_s);
        let bucket = at_s.div_euclid(SECONDS);
        if bucket > self.newest - N as i64 {
            let (ok, polls) = &mut self.buckets[Self::slot(bucket)];
            (*ok, *polls) = (ok.plus(tally.ok), polls.plus(tally.polls));
        }
    }

    fn total(&mut self, now_s: i64) -> Tally {
        self.advance(now_s);
        let mut total = Tally::default();
        for (ok, polls) in self.buckets {
            total.add(Tally { ok: ok.into(), polls: polls.into() });
        }
        total
    }

    fn slot(bucket: i64) -> usize {
        bucket.rem_euclid(N as i64) as usize
    }
}

/// Counts the polls of one server over all windows. Times are seconds of a monotonic clock.
#[derive(Debug, Clone)]
pub struct Availability {
    hour: Ring<u16, 12, 300>,
    day: Ring<u16, 24, 3600>,
    week: Ring<u32, 28, 21_600>,
}

/// The success rates of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize)]
pub struct Rates {
    /// The last hour.
    pub hour: Tally,
    /// The last 24 hours.
    pub day: Tally,
    /// The last 7 days.
    pub week: Tally,
}

impl Default for Availability {
    fn default() -> Self {
        Self { hour: Ring::new(), day: Ring::new(), week: Ring::new() }
    }
}

impl Availability {
    /// Records a poll that ended at `at_s`.
    pub fn record(&mut self, at_s: i64, ok: bool) {
        let one = Tally { ok: ok.into(), polls: 1 };
        self.hour.add(at_s, one);
        self.day.add(at_s, one);
        self.week.add(at_s, one);
    }

    /// Adds the counts of an earlier process for the hour that began at `at_s`.
    pub fn recall(&mut self, at_s: i64, tally: Tally) {
        self.hour.add(at_s, tally);
        self.day.add(at_s, tally);
        self.week.add(at_s, tally);
    }

    /// The rates as of `now_s`.
    pub fn rates(&mut self, now_s: i64) -> Rates {
        Rates { hour: self.hour.total(now_s), day: self.day.total(now_s), week: self.week.total(now_s) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    #[test]
    fn rates_cover_the_polls_of_their_window() {
        let mut availability = Availability::default();
        for minute in 0..60 {
            availability.record(minute * 60, minute % 4 != 0);
        }
        let rates = availability.rates(3599);
        assert_eq!(rates.hour, Tally { ok: 45, polls: 60 });
        assert_eq!(rates.hour.ratio(), Some(0.75));
        assert_eq!(rates.week, rates.hour);
    }

    #[test]
    fn old_polls_leave_the_short_window_first() {
        let mut availability = Availability::default();
        availability.record(0, false);
        availability.record(2 * HOUR, true);
        let rates = availability.rates(2 * HOUR);
        assert_eq!((rates.hour.polls, rates.day.polls), (1, 2));
        assert_eq!(availability.rates(40 * HOUR).day.polls, 0);
        assert_eq!(availability.rates(400 * HOUR).week, Tally::default());
    }

    #[test]
    fn poll_older_than_the_window_is_ignored() {
        let mut availability = Availability::default();
        availability.record(1000 * HOUR, true);
        availability.record(0, false);
        assert_eq!(availability.rates(1000 * HOUR).week, Tally { ok: 1, polls: 1 });
    }

    #[test]
    fn without_polls_there_is_no_rate() {
        assert_eq!(Availability::default().rates(0).hour.ratio(), None);
    }
}
