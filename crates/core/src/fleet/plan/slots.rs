//! Slots: the time of each server is cut into slots of one length, and each slot belongs to at most one vantage. A
//! request is sent near the middle of a slot, so that two requests are never closer than the budget.
//!
//! Slots are numbered on a *line*, the time line of the hub. An agent finds the line on its own clock by bounds that
//! hold for messages with any delay ([`Relation`]); no wall clock is involved.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How fast two uncorrected clocks drift apart at most (100 ppm).
pub const DRIFT: f64 = 100e-6;
/// A slot is longer than the budget by at least this, in seconds.
const LEAST_GUARD_S: f64 = 0.03;

/// The slots whose number leaves the remainder `at` when it is divided by `cycle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u32, u32)", into = "(u32, u32)")]
pub struct Class {
    /// A slot belongs to the class once in so many slots.
    pub cycle: u32,
    /// Less than `cycle`.
    pub at: u32,
}

impl From<(u32, u32)> for Class {
    fn from((cycle, at): (u32, u32)) -> Self {
        Self { cycle: cycle.max(1), at: at % cycle.max(1) }
    }
}

impl From<Class> for (u32, u32) {
    fn from(class: Class) -> Self {
        (class.cycle, class.at)
    }
}

impl Class {
    /// Whether some slot belongs to both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let common = gcd(self.cycle, other.cycle);
        self.at % common == other.at % common
    }

    /// The first of its slots from `slot` on.
    fn next(self, slot: i64) -> i64 {
        slot + (i64::from(self.at) - slot).rem_euclid(i64::from(self.cycle))
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// The length of the slots of a server with this budget, in seconds.
#[must_use]
pub fn slot_s(budget_s: f64) -> f64 {
    budget_s + (budget_s / 16.0).max(LEAST_GUARD_S)
}

/// The largest distance of a request from the middle of a slot of this length, in seconds: a third of the time by which
/// the slot is longer than the budget. Two requests can use two thirds of that time; the last third allows for
/// different delays to the server and for a change of the hub.
#[must_use]
pub fn tolerance_s(slot_s: f64) -> f64 {
    (slot_s / 17.0).max(LEAST_GUARD_S) / 3.0
}

/// Where an agent finds the line on its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The agent's clock when the line is zero, in seconds.
    pub zero_s: f64,
    /// The largest error of that, at `at_s` of the agent's clock.
    pub bound_s: f64,
    /// When it was found, on the agent's clock.
    pub at_s: f64,
}

impl Line {
    fn bound_s(&self, at_s: f64) -> f64 {
        self.bound_s + DRIFT * (at_s - self.at_s).abs()
    }
}

/// The slots of one vantage at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// The length of a slot.
    pub length: Duration,
    /// The slots that belong to the vantage.
    pub classes: Vec<Class>,
}

impl Slots {
    /// The first span on the agent's clock that ends after `from_s` and in which a request may be sent. `None` if the
    /// position of the slots is not known well enough.
    #[must_use]
    pub fn next(&self, line: &Line, from_s: f64) -> Option<(f64, f64)> {
        let length_s = self.length.as_secs_f64();
        let tolerance_s = tolerance_s(length_s);
        let now = ((from_s - line.zero_s) / length_s).floor();
        let is_countable = now.abs() < 1e12;
        if length_s <= 0.0 || !is_countable {
            return None;
        }
        let span = |slot: i64| {
            let middle_s = line.zero_s + (slot as f64 + 0.5) * length_s;
            let half_s = tolerance_s - line.bound_s(middle_s);
            (half_s > tolerance_s / 8.0).then_some((middle_s - half_s, middle_s + half_s))
        };
        let first = |class: &Class| {
            let slot = class.next(now as i64);
            span(slot).filter(|(_, end_s)| *end_s > from_s).or_else(|| span(class.next(slot + 1)))
        };
        self.classes.iter().filter_map(first).min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// Bounds of the difference of two clocks, from the fact that no message arrives before it was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relation {
    /// The clock of the agent less that of the hub, in seconds.
    low_s: f64,
    high_s: f64,
    /// The time of the bounds on the clock of the hub, in seconds.
    at_s: f64,
}

impl Default for Relation {
    fn default() -> Self {
        Self { low_s: f64::NEG_INFINITY, high_s: f64::INFINITY, at_s: 0.0 }
    }
}

impl Relation {
    /// Notes a message that the agent sent at `sent_s` of its clock and the hub received at `heard_s` of its own.
    pub fn heard(&mut self, sent_s: f64, heard_s: f64) {
        self.narrow(sent_s - heard_s, f64::INFINITY, heard_s);
    }

    /// Notes a message that the hub sent at `sent_s` of its clock and the agent received at `received_s` of its own;
    /// the hub's clock is now at `now_s`.
    pub fn answered(&mut self, sent_s: f64, received_s: f64, now_s: f64) {
        // The clocks may have drifted since.
        let high_s = received_s - sent_s + DRIFT * (now_s - sent_s).abs();
        self.narrow(f64::NEG_INFINITY, high_s, now_s);
    }

    /// Narrows the difference to these bounds at `now_s` of the hub's clock.
    pub fn narrow(&mut self, low_s: f64, high_s: f64, now_s: f64) {
        if !(low_s.is_finite() || high_s.is_finite()) || !now_s.is_finite() {
            return;
        }
        let drifted_s = DRIFT * (now_s - self.at_s).abs();
        let next = Self {
            low_s: (self.low_s - drifted_s).max(low_s),
            high_s: (self.high_s + drifted_s).min(high_s),
            at_s: now_s,
        };
        // After a jump of a clock or a freeze of a machine, the earlier bounds are void.
        *self = if next.low_s <= next.high_s { next } else { Self { low_s, high_s, at_s: now_s } };
    }

    /// The difference and its largest error at `now_s` of the hub's clock, in seconds; `None` until both are bounded.
    #[must_use]
    pub fn difference_s(&self, now_s: f64) -> Option<(f64, f64)> {
        let bound_s = (self.high_s - self.low_s) / 2.0 + DRIFT * (now_s - self.at_s).abs();
        bound_s.is_finite().then_some(((self.high_s + self.low_s) / 2.0, bound_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(cycle: u32, at: u32) -> Class {
        Class { cycle, at }
    }

    #[test]
    fn classes_overlap_if_a_slot_belongs_to_both() {
        let all = [class(6, 0), class(6, 5), class(12, 5), class(12, 11), class(4, 1), class(1, 0), class(5, 3)];
        for a in all {
            for b in all {
                let common = (0..720).any(|slot| a.next(slot) == slot && b.next(slot) == slot);
                assert_eq!(a.overlaps(b), common, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn requests_of_different_slots_are_a_budget_apart() {
        for budget_s in [0.1, 1.0, 16.0, 300.0] {
            let length_s = slot_s(budget_s);
            assert!(length_s - 2.0 * tolerance_s(length_s) >= budget_s + tolerance_s(length_s) - 1e-9, "{budget_s}");
        }
    }

    #[test]
    fn request_is_sent_in_the_middle_of_an_own_slot() {
        let slots = Slots { length: Duration::from_secs(17), classes: vec![class(6, 2), class(6, 4)] };
        let line = Line { zero_s: 1000.0, bound_s: 0.1, at_s: 1000.0 };
        let middle = |from_s| slots.next(&line, from_s).map(|(begin_s, end_s)| f64::midpoint(begin_s, end_s)).unwrap();
        assert!([1000.0, 1042.0, 1042.7].map(middle).iter().all(|at_s| (at_s - 1042.5).abs() < 1e-9));
        assert!((middle(1042.8) - 1076.5).abs() < 1e-9);
        assert!((middle(1077.0) - (1042.5 + 102.0)).abs() < 1e-9);
        let (begin_s, end_s) = slots.next(&line, 1000.0).unwrap();
        assert!(end_s - begin_s < 2.0 * (tolerance_s(17.0) - 0.1), "the uncertainty of the line is left out");
        assert_eq!(slots.next(&line, 1000.0 + 0.3 / DRIFT), None, "the clocks have drifted apart");
        assert_eq!(Slots { classes: Vec::new(), ..slots }.next(&line, 0.0), None);
    }

    #[test]
    fn relation_holds_however_long_messages_take() {
        // The agent's clock is 500 s ahead and runs 80 ppm fast.
        let agent_s = |hub_s: f64| 500.0 + hub_s * (1.0 + 80e-6);
        let mut relation = Relation::default();
        for (n, delay_s) in [9.0, 0.4, 30.0, 0.02, 2.0, 0.03, 8.0].into_iter().enumerate() {
            let sent_s = 40.0 * n as f64;
            relation.answered(sent_s, agent_s(sent_s + delay_s), sent_s + 2.0 * delay_s);
            relation.heard(agent_s(sent_s + delay_s), sent_s + 2.0 * delay_s);
            let now_s = sent_s + 2.0 * delay_s + 1.0;
            let (difference_s, bound_s) = relation.difference_s(now_s).unwrap();
            assert!((difference_s - (agent_s(now_s) - now_s)).abs() <= bound_s, "{n}");
        }
        assert!(relation.difference_s(260.0).unwrap().1 < 0.1);
        // The agent's machine was frozen for a minute.
        relation.answered(300.0, agent_s(240.0), 300.1);
        relation.heard(agent_s(240.0), 300.2);
        let (difference_s, bound_s) = relation.difference_s(301.0).unwrap();
        assert!((difference_s - 440.0).abs() < bound_s + 0.1 && bound_s < 0.2, "{difference_s} {bound_s}");
    }
}
