//! What the last readings of a cell show about the difference of its two clocks: jumps, drifts and rates.

use std::collections::VecDeque;

use super::grid::PHI;
use super::median::smaller;
use super::reading::Reading;

/// The newest readings among which a clock that is set often shows more than one jump.
const JUMPS_WITHIN: usize = 6;

/// How the difference of both clocks of a cell changes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trend {
    /// By how much it provably jumped between the last two readings, in seconds, and when the last one was taken. `None`
    /// if it also jumped at the reading before, which shows nothing about the clocks.
    pub jump: Option<(f64, i64)>,
    /// Whether it provably jumped in more than one of the intervals between the last readings.
    pub is_jumpy: bool,
    /// The rate at which it provably changes, in seconds per second: `None` unless it changed in the same direction in
    /// each of the last two intervals.
    pub drift: Option<f64>,
    /// The rate at which it changes beyond what the delays explain, in seconds per second: the slower one of the last two
    /// intervals, and zero if they differ in direction. So neither a step nor a queue looks like a rate.
    pub rate: Option<f64>,
}

impl Trend {
    /// Of readings that are in order of their times, the newest one last.
    pub fn of(readings: &VecDeque<Reading>) -> Self {
        let newest = readings.iter().rev().take(JUMPS_WITHIN);
        let pairs = || newest.clone().skip(1).zip(newest.clone());
        let jumps = || pairs().map(|(before, last)| jumped(before, last));
        let jump = match (jumps().next().flatten(), jumps().nth(1).flatten()) {
            (Some(by_s), None) => readings.back().map(|last| (by_s, last.at_ns)),
            _ => None,
        };
        let is_jumpy = jumps().flatten().count() > 1;
        let mut pairs = pairs();
        let (Some(later), Some(earlier)) = (pairs.next(), pairs.next()) else {
            return Self { jump, is_jumpy, drift: None, rate: None };
        };
        Self { jump, is_jumpy, drift: drift(earlier, later), rate: Some(smaller(rate(earlier), rate(later))) }
    }
}

/// Two readings in a row, the older one first.
type Pair<'a> = (&'a Reading, &'a Reading);

fn drift(earlier: Pair<'_>, later: Pair<'_>) -> Option<f64> {
    let is_one_way = changed_s(earlier.0, earlier.1) * changed_s(later.0, later.1) > 0.0;
    let provable = |(from, to): Pair<'_>| Some(jumped(from, to)? / between_s(from, to));
    let fastest = provable(earlier)?.max(provable(later)?);
    is_one_way.then_some(fastest)
}

fn rate((from, to): Pair<'_>) -> f64 {
    let (by_s, explained_s) = (changed_s(from, to), (to.delay_s - from.delay_s).abs() / 2.0);
    by_s.signum() * (by_s.abs() - explained_s).max(0.0) / between_s(from, to)
}

fn between_s(from: &Reading, to: &Reading) -> f64 {
    ((to.at_ns - from.at_ns) as f64 / 1e9).max(1e-3)
}

/// By how much the offset changed between two readings, without the steps of the vantage's clock that its raw clock shows.
fn changed_s(before: &Reading, last: &Reading) -> f64 {
    last.offset_s + last.stepped_s - before.offset_s - before.stepped_s
}

/// By how much the offset changed between two readings, when their bounds do not allow for it.
fn jumped(before: &Reading, last: &Reading) -> Option<f64> {
    let by_s = changed_s(before, last).abs();
    let within_s = (last.delay_s + before.delay_s) / 2.0 + PHI * (last.at_ns - before.at_ns) as f64 / 1e9;
    (by_s > within_s).then_some(by_s)
}
