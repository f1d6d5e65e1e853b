//! Evidence of traceability: the share of the time for which servers show this host's clock to be within a limit.
//!
//! A sample shows that the error of this host's clock is at most |offset| + root distance, if the server's claim holds.
//! It counts until the next sample, for at most [`HOLDS`] usual intervals. Time without a valid sample counts as not
//! shown. For aggregated data, the largest offset plus the largest distance counts for the whole bucket, so evidence
//! gets weaker with age, never stronger.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::history::course::Measured;
use crate::history::span::Span;

/// Width of the time slots in which servers are counted, in nanoseconds.
const SLOT_NS: i64 = 300_000_000_000;
/// Maximum number of slots in a period; long periods have wider slots.
const MOST_SLOTS: i64 = 20_000;
/// Number of usual sample intervals for which a sample is valid.
const HOLDS: i64 = 2;

/// Shares of a period. They add up to one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// The clock was shown to be within the limit.
    pub within: f64,
    /// The error bound exceeded the limit, which does not mean that the error did.
    pub beyond: f64,
    /// There was no valid sample.
    pub unshown: f64,
}

/// The evidence of one period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traceability {
    /// The limit, in seconds.
    pub limit_s: f64,
    /// The shares by each server alone.
    pub servers: BTreeMap<String, Shares>,
    /// The shares by more than half of the servers at a time.
    pub majority: Shares,
}

/// Collects evidence server by server, so memory does not grow with their number.
#[derive(Debug)]
pub struct Evidence {
    span: Span,
    limit_s: f64,
    width_ns: i64,
    /// For each slot, the number of servers with a bound, and of those whose bound is within the limit.
    known: Vec<u32>,
    within: Vec<u32>,
    servers: BTreeMap<String, Shares>,
}

impl Evidence {
    #[must_use]
    pub fn new(span: Span, limit_s: f64) -> Self {
        let length_ns = span.to_ns.saturating_sub(span.from_ns).max(1);
        let width_ns = SLOT_NS.max(length_ns / MOST_SLOTS + 1);
        let slots = usize::try_from(length_ns / width_ns + i64::from(length_ns % width_ns > 0)).unwrap_or(0);
        Self { span, limit_s, width_ns, known: vec![0; slots], within: vec![0; slots], servers: BTreeMap::new() }
    }

    /// Adds the measurements of one server. Call once per server.
    pub fn add(&mut self, measured: &Measured) {
        let bounds = self.worst_bounds(measured);
        for (slot, bound_s) in bounds.iter().enumerate() {
            self.known[slot] += u32::from(bound_s.is_some());
            self.within[slot] += u32::from(bound_s.is_some_and(|bound_s| bound_s <= self.limit_s));
        }
        let shown = bounds.iter().map(|bound_s| bound_s.map(|bound_s| bound_s <= self.limit_s));
        self.servers.insert(measured.server.clone(), shares(shown));
    }

    /// The result; `None` without a server.
    #[must_use]
    pub fn finish(self) -> Option<Traceability> {
        let all = self.servers.len() as u64;
        let agree = |(known, within): (&u32, &u32)| (*known > 0).then_some(2 * u64::from(*within) > all);
        let majority = shares(self.known.iter().zip(&self.within).map(agree));
        (all > 0).then_some(Traceability { limit_s: self.limit_s, servers: self.servers, majority })
    }

    /// The largest valid bound in each slot.
    fn worst_bounds(&self, measured: &Measured) -> Vec<Option<f64>> {
        let mut worst: Vec<Option<f64>> = vec![None; self.known.len()];
        let last = worst.len().saturating_sub(1);
        let slot = |at_ns: i64| {
            let slot = at_ns.saturating_sub(self.span.from_ns).max(0) / self.width_ns;
            usize::try_from(slot).unwrap_or(last).min(last)
        };
        for point in &measured.points {
            // An aggregate is in the middle of its bucket and counts for all of it.
            let (before_ns, after_ns) = match measured.width_ns {
                Some(width_ns) => (width_ns / 2, width_ns / 2),
                None => (0, measured.usual_ns.saturating_mul(HOLDS)),
            };
            let (first, end) = (point.at_ns.saturating_sub(before_ns), point.at_ns.saturating_add(after_ns.max(1) - 1));
            for bound_s in &mut worst[slot(first)..=slot(end)] {
                *bound_s = Some(bound_s.map_or(point.bound_s, |so_far| so_far.max(point.bound_s)));
            }
        }
        worst
    }
}

fn shares(slots: impl Iterator<Item = Option<bool>>) -> Shares {
    let (mut within, mut beyond, mut unshown) = (0_u64, 0_u64, 0_u64);
    for slot in slots {
        match slot {
            Some(true) => within += 1,
            Some(false) => beyond += 1,
            None => unshown += 1,
        }
    }
    let share = |part: u64| part as f64 / (within + beyond + unshown).max(1) as f64;
    Shares { within: share(within), beyond: share(beyond), unshown: share(unshown) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::course::{Point, Range};

    const MINUTE: i64 = 60_000_000_000;
    const HOUR: Span = Span { from_ns: 0, to_ns: 60 * MINUTE };

    /// A poll every five minutes with these bounds; NaN is a failed poll.
    fn polled(server: &str, bounds_s: &[f64]) -> Measured {
        let one = Range { mean: 0.0, low: 0.0, high: 0.0 };
        let at = bounds_s.iter().zip(0..).filter(|(bound_s, _)| !bound_s.is_nan());
        let points = at.map(|(bound_s, n)| Point {
            at_ns: n * 5 * MINUTE,
            n: 1,
            offset_s: one,
            delay_s: one,
            distance_s: *bound_s,
            bound_s: *bound_s,
        });
        let points = points.collect();
        Measured { server: server.to_owned(), points, width_ns: None, usual_ns: 5 * MINUTE, failures_ns: Vec::new() }
    }

    fn traceability(all: &[Measured]) -> Option<Traceability> {
        let mut evidence = Evidence::new(HOUR, 0.05);
        all.iter().for_each(|one| evidence.add(one));
        evidence.finish()
    }

    fn assert_shares(got: Shares, within: f64, beyond: f64, unshown: f64) {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(got.within, within) && close(got.beyond, beyond) && close(got.unshown, unshown), "{got:?}");
    }

    #[test]
    fn sample_is_valid_for_two_intervals_and_gaps_are_unshown() {
        let (good, none) = (0.01, f64::NAN);
        // Twelve slots: the last sample is in the fourth and is valid for that one and the next.
        let a = polled("a", &[good, good, good, good, none, none, none, none, none, none, none, none]);
        let got = traceability(&[a]).unwrap();
        assert_shares(got.servers["a"], 5.0 / 12.0, 0.0, 7.0 / 12.0);
        assert_eq!(got.majority, got.servers["a"]);
    }

    #[test]
    fn largest_bound_of_a_slot_counts() {
        let mut bounds = [0.01; 12];
        bounds[3] = 0.2;
        let got = traceability(&[polled("a", &bounds)]).unwrap();
        // It is valid in its own slot and the next one.
        assert_shares(got.servers["a"], 10.0 / 12.0, 2.0 / 12.0, 0.0);
    }

    #[test]
    fn majority_counts_all_servers_including_silent_ones() {
        let (good, bad, silent) = ([0.01; 12], [0.3; 12], [f64::NAN; 12]);
        let majority = |all: &[&[f64]]| {
            let named = all.iter().enumerate().map(|(n, bounds)| polled(&n.to_string(), bounds));
            traceability(&named.collect::<Vec<_>>()).unwrap().majority
        };
        assert_shares(majority(&[&good, &good, &bad]), 1.0, 0.0, 0.0);
        assert_shares(majority(&[&good, &bad]), 0.0, 1.0, 0.0);
        assert_shares(majority(&[&good, &silent]), 0.0, 1.0, 0.0);
        assert_shares(majority(&[&silent, &silent]), 0.0, 0.0, 1.0);
        assert_eq!(traceability(&[]), None);
    }
}
