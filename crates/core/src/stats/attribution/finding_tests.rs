//! Onset, size and rate of faults with a known truth.

use super::*;
use crate::world::Dice;

fn points(seed: u64, f: impl Fn(f64) -> f64) -> Vec<(f64, f64, f64)> {
    let mut dice = Dice::new(seed);
    (0..120).map(|k| (f64::from(k) * 64.0, f(f64::from(k) * 64.0) + 1e-4 * dice.normal(), 1.0)).collect()
}

#[test]
fn step_is_dated_within_a_poll_and_measured() {
    for seed in 0..20 {
        let it = shape(&points(seed, |t| if t >= 6400.0 { 2e-3 } else { 0.0 }), 1e-4, 0.0, false).unwrap();
        assert!((it.onset_s - 6400.0).abs() <= 64.0 && (it.size_s - 2e-3).abs() < 1e-4, "{it:?}");
        assert_eq!(it.rate, None);
    }
}

#[test]
fn size_of_a_step_that_decays_is_that_at_its_onset() {
    for seed in 0..20 {
        let decay = |t: f64| if t >= 3000.0 { 0.2 * (-(t - 3000.0) / 2400.0).exp() } else { 0.0 };
        let it = shape(&points(seed, decay), 1e-4, 0.0, false).unwrap();
        assert!(it.rate.is_none() && (it.size_s - 0.2).abs() < 0.01, "{it:?}");
    }
}

#[test]
fn interval_of_a_rate_allows_for_wander_known_before() {
    let line = |slow_s| shape(&points(3, |t| 5e-6 * (t - 4000.0).max(0.0)), 1e-4, slow_s, false).unwrap();
    let half = |slow_s| line(slow_s).rate.unwrap().1;
    assert!(half(2e-4) > 3.0 * half(0.0) && half(f64::INFINITY) == half(0.0));
}

#[test]
fn slope_is_dated_and_its_interval_covers_its_rate() {
    for seed in 0..20 {
        let it = shape(&points(seed, |t| 5e-6 * (t - 4000.0).max(0.0)), 1e-4, 0.0, false).unwrap();
        let (rate, half) = it.rate.unwrap();
        assert!((it.onset_s - 4000.0).abs() < 200.0 && (rate - 5e-6).abs() < half.max(1e-7), "{it:?}");
    }
}
