//! What the common mode shows of this host's clock.

use super::*;
use crate::world::Dice;

/// Follows the common mode at these times with noise of 0.2 ms, and returns the fastest rate that was learned after
/// the first hour.
fn fastest(seed: u64, times_s: impl Iterator<Item = f64>) -> f64 {
    let (mut own, mut dice, mut fastest) = (Own::default(), Dice::new(seed), 0.0_f64);
    for t_s in times_s {
        let now = Now {
            t_s,
            moved_s: 0.0,
            has_raw: true,
            steered: 0.0,
            near_leap: false,
            doubt_s: Some(2e-3),
            since_noon_s: None,
        };
        let (common_s, spread_s) = (2e-4 * dice.normal(), 2e-4);
        own.follow(&now, Shown { common_s, spread_s, excess_s: 0.0, by_most: true, period_s: 16.0 }, false);
        fastest = fastest.max(if t_s > 3600.0 { own.rate.abs() } else { 0.0 });
    }
    fastest
}

#[test]
fn rounds_within_a_second_teach_no_rate() {
    for seed in 1..30 {
        let regular = (0..225).map(|k| f64::from(k) * 16.0);
        let bursts = (0..40).flat_map(|k| (0..4).map(move |i| 3664.0 + 64.0 * f64::from(k) + 0.4 * f64::from(i)));
        let rate = fastest(seed, regular.chain(bursts));
        assert!(rate < 2e-5, "seed {seed}: {rate:e}");
    }
}
