//! True statements about clocks without a simulated fault: clocks wander, and a true statement about that is not wrong.

use ntp_monitor_core::fleet::verdict::FleetVerdict;
use ntp_monitor_core::world::fleet::{FleetSample, FleetWorld};

use super::kinds::Case;
use super::score::{START_NS, since_s, until_s};

/// The usual error of a clock is taken from this time before the onset, in seconds.
const BEFORE_S: f64 = 3600.0;
/// A clock that moved less far than this, in standard deviations of its wander, must not be named.
const UNUSUAL: f64 = 2.5;

/// The error of the clock of a vantage when it took a sample.
fn clock_s(it: &FleetSample) -> f64 {
    (it.sample.at.wall_ns - START_NS) as f64 / 1e9 - it.at_s
}

/// Whether `party` is a vantage that is named by inference and whose clock did move as far as stated.
pub fn is_true(case: &Case, samples: &[FleetSample], verdict: &FleetVerdict, party: &str) -> bool {
    let named = verdict.vantages.iter().find(|it| party.strip_prefix("vantage:") == Some(&it.vantage) && !it.proven);
    let Some((name, size_s, bound_s)) = named.and_then(|it| Some((&it.vantage, it.size_s?, it.bound_s?))) else {
        return false;
    };
    let (since_s, until_s) = (since_s(verdict), until_s(verdict));
    let within = |from_s: f64, to_s: f64| {
        let own = samples.iter().filter(|it| FleetWorld::vantage(it.vantage) == *name);
        own.filter(move |it| (from_s..to_s).contains(&it.at_s)).map(clock_s)
    };
    let mut before: Vec<f64> = within(since_s - BEFORE_S, since_s).collect();
    before.sort_by(f64::total_cmp);
    let Some(level_s) = before.get(before.len() / 2) else { return false };
    let moved_s = within(since_s, until_s).map(|clock_s| (clock_s - level_s) * size_s.signum()).fold(0.0, f64::max);
    moved_s >= size_s.abs() - bound_s && moved_s >= UNUSUAL * case.world.wander_s
}
