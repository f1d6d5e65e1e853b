//! Which movements of series with a known truth are seen, and how soon.

use super::*;
use crate::world::Dice;

const ALONE: Peers = Peers { sigmas: [f64::NAN; 5], claim_s: 1e-3, grain_s: 0.0, floor: 0.35 };

/// Polls until a fault that begins at poll 200 is seen.
fn delay(seed: u64, fault: impl Fn(f64) -> f64) -> Option<u32> {
    let (mut track, mut dice, mut scratch) = (Track::new(0.0), Dice::new(seed), Scratch::default());
    for k in 0..400_u32 {
        let value_s = 1e-4 * dice.normal() + fault(f64::from(k) - 200.0);
        track.push(f64::from(k) * 64.0, value_s, 0.02 + dice.exponential(1e-4), true);
        if track.is_due() {
            track.learn(&ALONE, &mut scratch);
        }
        if track.look(&ALONE).is_some() {
            assert!(k >= 200, "seed {seed}: false alarm at {k}");
            return Some(k - 200);
        }
    }
    None
}

#[test]
fn bound_is_never_below_the_mean() {
    let mut dice = Dice::new(8);
    for round in 0..2000 {
        let shift = f64::from(round % 7) * 0.3;
        let values: Vec<f64> = (0..32).map(|_| dice.normal() + shift).collect();
        let weights: Vec<f64> = (0..32).map(|_| dice.unit().max(0.01)).collect();
        let mut bound = Bound::default();
        for length in WINDOWS {
            bound.extend(&values[..length], &weights[..length]);
            assert!(bound.of_mean() >= mean(&values[..length], &weights[..length]).abs() - 1e-12);
        }
    }
}

#[test]
fn slow_wander_is_not_seen() {
    for seed in 0..6 {
        let (mut track, mut dice, mut scratch) = (Track::new(0.0), Dice::new(seed), Scratch::default());
        let (keep, mut wander_s) = (0.997_f64, 0.0);
        let mut sightings = 0;
        for k in 0..9000_u32 {
            wander_s = keep * wander_s + 5e-4 * (1.0 - keep * keep).sqrt() * dice.normal();
            track.push(f64::from(k) * 64.0, wander_s + 5e-5 * dice.normal(), 0.02, true);
            if track.is_due() {
                track.learn(&ALONE, &mut scratch);
            }
            // The first level does not show how far levels move.
            sightings += u32::from(k > 1000 && track.look(&ALONE).is_some());
        }
        assert!(sightings == 0, "seed {seed}: {sightings}");
    }
}

#[test]
fn noise_alone_is_never_seen() {
    assert!((0..50).all(|seed| delay(seed, |_| 0.0).is_none()));
}

#[test]
fn steps_and_drifts_of_a_few_sigmas_are_seen_soon() {
    for seed in 0..20 {
        assert!(delay(seed, |k| if k >= 0.0 { 1.5e-3 } else { 0.0 }).is_some_and(|d| d <= 3), "seed {seed}");
        assert!(delay(seed, |k| 3e-5 * k.max(0.0)).is_some_and(|d| d <= 40), "seed {seed}");
    }
}

#[test]
fn what_the_delay_explains_is_not_seen() {
    let (mut track, mut scratch) = (Track::new(0.0), Scratch::default());
    let mut dice = Dice::new(4);
    for k in 0..200_u32 {
        let queue_s = if k >= 150 { 0.02 } else { dice.exponential(2e-4) };
        track.push(f64::from(k) * 64.0, 5e-5 * dice.normal() + queue_s / 2.0, 0.02 + queue_s, true);
        track.learn(&ALONE, &mut scratch);
        assert!(track.look(&ALONE).is_none(), "{k}");
    }
}

#[test]
fn series_that_follows_a_route_keeps_its_level_and_noise() {
    for seed in 0..20 {
        let (mut track, mut dice, mut scratch) = (Track::new(0.0), Dice::new(seed), Scratch::default());
        for k in 0..216_u32 {
            let is_wrong = k >= 150;
            let (moved_s, more_s) = if k >= 200 { (0.004, 0.008) } else { (0.0, 0.0) };
            let value_s = 1e-4 * dice.normal() + moved_s + if is_wrong { 0.02 } else { 0.0 };
            track.push(f64::from(k) * 64.0, value_s, 0.02 + more_s + dice.exponential(1e-4), !is_wrong);
            if track.is_due() && !is_wrong {
                track.learn(&ALONE, &mut scratch);
            }
        }
        let before = track.usual.unwrap();
        let moved_s = track.reroute(12, 0.0).unwrap();
        let after = track.usual.unwrap();
        assert!((moved_s - 0.004).abs() < 2e-4 && (after.level_s - before.level_s - 0.004).abs() < 2e-4);
        assert!((after.delay_s - before.delay_s - 0.008).abs() < 3e-4 && after.sigmas[0] == before.sigmas[0]);
        let rest = track.deviations(66).iter().all(|(_, y_s, _)| (y_s - 0.02).abs() < 1e-3);
        assert!(rest && track.look(&ALONE).is_some_and(|it| (it.size_s - 0.02).abs() < 5e-4));
    }
}
