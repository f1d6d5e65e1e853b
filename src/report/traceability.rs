//! Evidence of traceability: for how much of the time was the own clock shown to be within a limit, and by whom.
//!
//! A sample shows that the own clock is off by no more than |offset| + root distance, if the server's claim holds. It
//! stands for the time up to the next sample, at most for [`HOLDS`] usual distances; time that no sample stands for is
//! not shown, and counts against. Where only sums are left, the largest offset with the largest distance stands for its
//! bucket: evidence gets weaker with age, never stronger.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::history::course::Measured;
use crate::history::span::Span;

/// The slots in which servers are counted.
const SLOT_NS: i64 = 300_000_000_000;
/// Slots that a span has at most; longer ones have wider slots.
const MOST_SLOTS: i64 = 20_000;
/// For how many usual distances a sample stands.
const HOLDS: i64 = 2;

/// Shares of a span. They add up to one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// The own clock was shown to be within the limit.
    pub within: f64,
    /// What was shown is weaker than the limit: which is not to say that the clock was beyond it.
    pub beyond: f64,
    /// Nothing was measured.
    pub unshown: f64,
}

/// The evidence of one span.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traceability {
    /// The limit in seconds.
    pub limit_s: f64,
    /// By each server alone.
    pub servers: BTreeMap<String, Shares>,
    /// By more than half of the servers at a time.
    pub majority: Shares,
}

/// Evidence being collected, server by server: memory does not grow with their number.
#[derive(Debug)]
pub struct Evidence {
    span: Span,
    limit_s: f64,
    width_ns: i64,
    /// Servers with a bound in each slot, and those whose bound is within the limit.
    known: Vec<u32>,
    within: Vec<u32>,
    servers: BTreeMap<String, Shares>,
}

impl Evidence {
    /// Nothing yet.
    #[must_use]
    pub fn new(span: Span, limit_s: f64) -> Self {
        let length_ns = span.to_ns.saturating_sub(span.from_ns).max(1);
        let width_ns = SLOT_NS.max(length_ns / MOST_SLOTS + 1);
        let slots = usize::try_from(length_ns / width_ns + i64::from(length_ns % width_ns > 0)).unwrap_or(0);
        Self { span, limit_s, width_ns, known: vec![0; slots], within: vec![0; slots], servers: BTreeMap::new() }
    }

    /// Takes what was measured of a server into account; once each.
    pub fn add(&mut self, measured: &Measured) {
        let bounds = self.worst_bounds(measured);
        for (slot, bound_s) in bounds.iter().enumerate() {
            self.known[slot] += u32::from(bound_s.is_some());
            self.within[slot] += u32::from(bound_s.is_some_and(|bound_s| bound_s <= self.limit_s));
        }
        let shown = bounds.iter().map(|bound_s| bound_s.map(|bound_s| bound_s <= self.limit_s));
        self.servers.insert(measured.server.clone(), shares(shown));
    }

    /// All of it; `None` without a server.
    #[must_use]
    pub fn finish(self) -> Option<Traceability> {
        let all = self.servers.len() as u64;
        let agree = |(known, within): (&u32, &u32)| (*known > 0).then_some(2 * u64::from(*within) > all);
        let majority = shares(self.known.iter().zip(&self.within).map(agree));
        (all > 0).then_some(Traceability { limit_s: self.limit_s, servers: self.servers, majority })
    }

    /// The worst bound that holds in each slot.
    fn worst_bounds(&self, measured: &Measured) -> Vec<Option<f64>> {
        let mut worst: Vec<Option<f64>> = vec![None; self.known.len()];
        let last = worst.len().saturating_sub(1);
        let slot = |at_ns: i64| {
            let slot = at_ns.saturating_sub(self.span.from_ns).max(0) / self.width_ns;
            usize::try_from(slot).unwrap_or(last).min(last)
        };
        for point in &measured.points {
            // A sum stands for its bucket, in whose middle it is.
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

    /// A poll every five minutes with these bounds; NaN is a poll that brought nothing.
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
    fn a_sample_holds_until_two_usual_distances_and_silence_counts_against() {
        let (good, none) = (0.01, f64::NAN);
        // Twelve slots: the last sample, in the fourth, holds for that and the next one.
        let a = polled("a", &[good, good, good, good, none, none, none, none, none, none, none, none]);
        let got = traceability(&[a]).unwrap();
        assert_shares(got.servers["a"], 5.0 / 12.0, 0.0, 7.0 / 12.0);
        assert_eq!(got.majority, got.servers["a"]);
    }

    #[test]
    fn the_worst_bound_of_a_slot_counts() {
        let mut bounds = [0.01; 12];
        bounds[3] = 0.2;
        let got = traceability(&[polled("a", &bounds)]).unwrap();
        // It is in force in its own slot and the next.
        assert_shares(got.servers["a"], 10.0 / 12.0, 2.0 / 12.0, 0.0);
    }

    #[test]
    fn more_than_half_of_all_servers_must_agree_also_when_some_are_silent() {
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
