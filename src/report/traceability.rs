//! Evidence of traceability: the share of the time for which servers show this host's clock to be within a limit.
//!
//! A sample shows that the error of this host's clock is at most |offset| + root distance, if the server's claim holds.
//! It counts until the next sample, for at most [`HOLDS`] usual intervals. While a verdict calls the clock of a server
//! wrong, its claim does not hold and its samples show nothing. For aggregated data, the largest offset plus the largest
//! distance counts for the whole bucket, so evidence gets weaker with age, never stronger.
//!
//! The result of a time slot counts for the part of the slot in which the server was polled; the rest is not monitored.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::history::course::Measured;
use crate::history::span::Span;
use crate::history::stretches::Stretches;
use ntp_monitor_core::stats::consensus::MIN_SERVERS;
use ntp_monitor_core::text::percent::percentages;

/// Width of the time slots in which servers are counted, in nanoseconds.
const SLOT_NS: i64 = 300_000_000_000;
/// Maximum number of slots in a period; long periods have wider slots.
const MOST_SLOTS: i64 = 20_000;
/// Number of usual sample intervals for which a sample is valid.
const HOLDS: i64 = 2;

/// Shares of the part of a period that has passed. They add up to one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// The clock was shown to be within the limit.
    pub within: f64,
    /// The error bound exceeded the limit, which does not mean that the error did.
    pub beyond: f64,
    /// The server was found wrong, so its samples do not count.
    pub found_wrong: f64,
    /// There was no valid sample, or no majority.
    pub unshown: f64,
    /// The server was not polled.
    pub unmonitored: f64,
}

impl Shares {
    /// The shares in the order of the fields as percentages that add up to 100 %.
    #[must_use]
    pub fn texts(&self) -> [String; 5] {
        percentages([self.within, self.beyond, self.found_wrong, self.unshown, self.unmonitored])
    }
}

/// The evidence of one period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traceability {
    /// The limit, in seconds.
    pub limit_s: f64,
    /// The shares of each server.
    pub servers: BTreeMap<String, Shares>,
    /// The shares by the majority: more than half of the servers polled at a time, and at least three.
    pub majority: Shares,
    /// Whether there were ever three servers to form a majority.
    pub has_majority: bool,
}

/// Data about a server other than its measurements.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// When it was polled.
    pub polled: &'a Stretches,
    /// When its clock was found wrong.
    pub wrong: &'a Stretches,
}

/// The result for a time slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Within,
    Beyond,
    FoundWrong,
    Nothing,
    Unmonitored,
}

/// Collects evidence server by server, so memory does not grow with their number.
#[derive(Debug)]
pub struct Evidence {
    past: Span,
    limit_s: f64,
    width_ns: i64,
    slots: Vec<Slot>,
    /// When any server was polled.
    polled: Stretches,
    servers: BTreeMap<String, Shares>,
}

/// The number of servers in a slot that were polled, that showed a bound, and that showed a bound within the limit.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    polled: u32,
    known: u32,
    within: u32,
}

impl Evidence {
    /// Evidence for the part of a period that has passed.
    #[must_use]
    pub fn new(past: Span, limit_s: f64) -> Self {
        let length_ns = past.to_ns.saturating_sub(past.from_ns).max(1);
        let width_ns = SLOT_NS.max(length_ns / MOST_SLOTS + 1);
        let slots = usize::try_from(length_ns / width_ns + i64::from(length_ns % width_ns > 0)).unwrap_or(0);
        let slots = vec![Slot::default(); slots];
        Self { past, limit_s, width_ns, slots, polled: Stretches::default(), servers: BTreeMap::new() }
    }

    /// Adds the measurements of one server. Call once per server.
    pub fn add(&mut self, measured: &Measured, known: Known<'_>) {
        let bounds = self.worst_bounds(measured);
        let polled_s = self.lengths_s(known.polled);
        let mut shown = Vec::with_capacity(self.slots.len());
        for (n, bound_s) in bounds.into_iter().enumerate() {
            let span = self.span(n);
            let one = match bound_s {
                _ if polled_s[n] <= 0.0 => Shown::Unmonitored,
                _ if known.wrong.touches(span) => Shown::FoundWrong,
                Some(bound_s) if bound_s <= self.limit_s => Shown::Within,
                Some(_) => Shown::Beyond,
                None => Shown::Nothing,
            };
            let slot = &mut self.slots[n];
            slot.polled += u32::from(one != Shown::Unmonitored);
            slot.known += u32::from(matches!(one, Shown::Within | Shown::Beyond));
            slot.within += u32::from(one == Shown::Within);
            shown.push(one);
        }
        self.polled = Stretches::union([&self.polled, known.polled].into_iter());
        self.servers.insert(measured.server.clone(), self.shares(&shown, &polled_s));
    }

    /// The result; `None` without a server. Nothing is shown while the verdict was undecidable.
    #[must_use]
    pub fn finish(self, undecided: &Stretches) -> Option<Traceability> {
        let majority = self.slots.iter().enumerate().map(|(n, slot)| match *slot {
            Slot { polled: 0, .. } => Shown::Unmonitored,
            Slot { polled, known, .. }
                if (polled as usize) < MIN_SERVERS || known == 0 || undecided.touches(self.span(n)) =>
            {
                Shown::Nothing
            }
            Slot { polled, within, .. } if 2 * within > polled => Shown::Within,
            _ => Shown::Beyond,
        });
        let majority = self.shares(&majority.collect::<Vec<_>>(), &self.lengths_s(&self.polled));
        let has_majority = self.slots.iter().any(|slot| slot.polled as usize >= MIN_SERVERS);
        let servers = self.servers;
        let is_any = !servers.is_empty();
        is_any.then_some(Traceability { limit_s: self.limit_s, servers, majority, has_majority })
    }

    /// The length of the part of each slot that is in `set`, in seconds.
    fn lengths_s(&self, set: &Stretches) -> Vec<f64> {
        let mut lengths_s = vec![0.0; self.slots.len()];
        self.measure(&set.clipped(self.past), 0, &mut lengths_s);
        lengths_s
    }

    /// The same for the slots from `first` on. `set` is not larger than these slots. Slots are halved until they are
    /// empty, full or single.
    fn measure(&self, set: &Stretches, first: usize, lengths_s: &mut [f64]) {
        let length_s = set.length_s();
        if lengths_s.is_empty() || length_s <= 0.0 {
            return;
        }
        let whole = |n: usize| self.span(n).length_s();
        let last = first + lengths_s.len() - 1;
        let all = Span { from_ns: self.span(first).from_ns, to_ns: self.span(last).to_ns };
        if lengths_s.len() == 1 {
            lengths_s[0] = length_s;
        } else if length_s >= all.length_s() {
            lengths_s.iter_mut().enumerate().for_each(|(n, length_s)| *length_s = whole(first + n));
        } else {
            let half = lengths_s.len() / 2;
            let middle_ns = self.span(first + half).from_ns;
            let (before, after) = lengths_s.split_at_mut(half);
            self.measure(&set.clipped(Span { to_ns: middle_ns, ..all }), first, before);
            self.measure(&set.clipped(Span { from_ns: middle_ns, ..all }), first + half, after);
        }
    }

    /// The shares of the results. Each result counts for the part of its slot that was polled.
    fn shares(&self, shown: &[Shown], polled_s: &[f64]) -> Shares {
        let mut parts_s = [0.0; 5];
        for (n, (shown, polled_s)) in shown.iter().zip(polled_s).enumerate() {
            parts_s[*shown as usize] += polled_s;
            parts_s[Shown::Unmonitored as usize] += (self.span(n).length_s() - polled_s).max(0.0);
        }
        let all_s: f64 = parts_s.iter().sum();
        let [within, beyond, found_wrong, unshown, unmonitored] =
            parts_s.map(|part_s| if all_s > 0.0 { part_s / all_s } else { 0.0 });
        Shares { within, beyond, found_wrong, unshown, unmonitored }
    }

    fn span(&self, slot: usize) -> Span {
        let before = i64::try_from(slot).unwrap_or(i64::MAX).saturating_mul(self.width_ns);
        let from_ns = self.past.from_ns.saturating_add(before);
        Span { from_ns, to_ns: from_ns.saturating_add(self.width_ns).min(self.past.to_ns) }
    }

    /// The largest valid bound in each slot.
    fn worst_bounds(&self, measured: &Measured) -> Vec<Option<f64>> {
        let mut worst: Vec<Option<f64>> = vec![None; self.slots.len()];
        let last = worst.len().saturating_sub(1);
        let slot = |at_ns: i64| {
            let slot = at_ns.saturating_sub(self.past.from_ns).max(0) / self.width_ns;
            usize::try_from(slot).unwrap_or(last).min(last)
        };
        for point in &measured.points {
            // An aggregate is in the middle of its bucket and counts for all of it.
            let (before_ns, after_ns) = match measured.width_ns {
                Some(width_ns) => (width_ns / 2, width_ns / 2),
                None => (0, measured.usual_ns.saturating_mul(HOLDS)),
            };
            let (first, end) = (point.at_ns.saturating_sub(before_ns), point.at_ns.saturating_add(after_ns.max(1) - 1));
            if first >= self.past.to_ns || end < self.past.from_ns || worst.is_empty() {
                continue;
            }
            for bound_s in &mut worst[slot(first)..=slot(end)] {
                *bound_s = Some(bound_s.map_or(point.bound_s, |so_far| so_far.max(point.bound_s)));
            }
        }
        worst
    }
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

    fn minutes(from: i64, to: i64) -> Stretches {
        Stretches::of(vec![Span { from_ns: from * MINUTE, to_ns: to * MINUTE }])
    }

    /// The evidence of servers that were polled all the time and never found wrong.
    fn traceability(all: &[Measured]) -> Option<Traceability> {
        let mut evidence = Evidence::new(HOUR, 0.05);
        let (polled, wrong) = (minutes(0, 60), Stretches::default());
        all.iter().for_each(|one| evidence.add(one, Known { polled: &polled, wrong: &wrong }));
        evidence.finish(&Stretches::default())
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
        assert_shares(got.majority, 0.0, 0.0, 1.0);
        assert!(!got.has_majority, "one server is no majority");
    }

    #[test]
    fn slot_counts_for_the_part_in_which_the_server_was_polled() {
        let mut evidence = Evidence::new(HOUR, 0.05);
        // Half of the first, of the fifth and of the last slot; all of the second and the third.
        let spans = [(0, 150), (300, 900), (1350, 1500), (3450, 3600)];
        let second = |(from, to): (i64, i64)| Span { from_ns: from * MINUTE / 60, to_ns: to * MINUTE / 60 };
        let polled_at = Stretches::of(spans.map(second).to_vec());
        for name in ["a", "b", "c"] {
            evidence.add(&polled(name, &[0.01; 12]), Known { polled: &polled_at, wrong: &Stretches::default() });
        }
        let got = evidence.finish(&Stretches::default()).unwrap();
        for shares in [got.servers["a"], got.majority] {
            assert_shares(shares, 1050.0 / 3600.0, 0.0, 0.0);
            assert!((shares.unmonitored - 2550.0 / 3600.0).abs() < 1e-12, "{shares:?}");
        }
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
        assert_shares(majority(&[&good, &bad, &silent]), 0.0, 1.0, 0.0);
        assert_shares(majority(&[&good, &good, &silent, &silent]), 0.0, 1.0, 0.0);
        assert_shares(majority(&[&silent, &silent, &silent]), 0.0, 0.0, 1.0);
        assert_eq!(traceability(&[]), None);
    }

    #[test]
    fn server_that_was_found_wrong_is_no_evidence() {
        let mut evidence = Evidence::new(HOUR, 0.05);
        for (name, wrong) in [("a", minutes(30, 60)), ("b", minutes(30, 60)), ("c", Stretches::default())] {
            evidence.add(&polled(name, &[0.01; 12]), Known { polled: &minutes(0, 60), wrong: &wrong });
        }
        let got = evidence.finish(&Stretches::default()).unwrap();
        assert_eq!(got.servers["a"].found_wrong, 0.5);
        assert_shares(got.servers["a"], 0.5, 0.0, 0.0);
        assert_shares(got.majority, 0.5, 0.5, 0.0);
    }

    #[test]
    fn unmonitored_and_undecided_time_is_not_within_the_limit() {
        let day = Span { from_ns: -23 * 60 * MINUTE, to_ns: 60 * MINUTE };
        let mut evidence = Evidence::new(day, 0.05);
        let known = Known { polled: &minutes(0, 60), wrong: &Stretches::default() };
        for name in ["a", "b", "c"] {
            evidence.add(&polled(name, &[0.01; 12]), known);
        }
        let got = evidence.finish(&minutes(0, 15)).unwrap();
        assert_eq!(got.servers["a"].texts(), ["4.17 %", "0.00 %", "0.00 %", "0.00 %", "95.83 %"]);
        assert_eq!(got.majority.texts(), ["3.13 %", "0.00 %", "0.00 %", "1.04 %", "95.83 %"]);
    }
}
