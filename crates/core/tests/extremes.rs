//! Samples with any values that a file or the network can bring: no statistic and no verdict panics, and every number in
//! them is finite.
//!
//! `EXTREMES_SEEDS=1000` draws more of them.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a failed unwrap is a failed test

use std::collections::HashMap;
use std::sync::Arc;

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::fleet::witness::Witness;
use ntp_monitor_core::fleet::{Fleet, FleetConfig};
use ntp_monitor_core::health::log::ServerHealthLog;
use ntp_monitor_core::ntp::Leap;
use ntp_monitor_core::sample::{Outcome, Sample};
use ntp_monitor_core::sheet::Book;
use ntp_monitor_core::stats::replay::Replay;
use ntp_monitor_core::world::fleet::FleetWorld;
use ntp_monitor_core::world::{Dice, World};

fn seeds() -> u64 {
    std::env::var("EXTREMES_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// A number that is small, large, or at the end of what its type can hold.
fn number(dice: &mut Dice) -> f64 {
    let all = [0.0, 1e-300, 1e-12, 1e-9, 1e-6, 1e-3, 1.0, 3600.0, 65_536.0, 2.2e9, 4.3e9, 1e12, 1e18, 1e150, f64::MAX];
    let at = (dice.bits() % all.len() as u64) as usize;
    all[at] * if dice.unit() < 0.3 { -1.0 } else { 1.0 } * if dice.unit() < 0.5 { 1.0 } else { dice.unit() }
}

/// A time at which a fleet can be judged: a hub reads its own clock, a replay brings recorded times into this range.
fn instant(dice: &mut Dice) -> i64 {
    stamp(dice).saturating_abs()
}

/// Any number of nanoseconds.
fn stamp(dice: &mut Dice) -> i64 {
    let all = [i64::MIN, -1, 0, 1, 1_772_000_000_000_000_000, 4_102_444_800_000_000_000, i64::MAX - 1, i64::MAX];
    all[(dice.bits() % all.len() as u64) as usize]
}

fn any_stamp(dice: &mut Dice) -> Stamp {
    Stamp { boot_ns: stamp(dice), ..Stamp::new(stamp(dice), stamp(dice), stamp(dice)) }
}

/// Changes some fields of a sample.
fn disturb(sample: &mut Sample, dice: &mut Dice) {
    for _ in 0..1 + dice.bits() % 3 {
        match dice.bits() % 14 {
            0 => sample.measure.iter_mut().for_each(|it| it.offset_s = number(dice)),
            1 => sample.measure.iter_mut().for_each(|it| it.delay_s = number(dice).abs()),
            2 => sample.measure.iter_mut().for_each(|it| it.root_distance_s = number(dice).abs()),
            3 => sample.reply.iter_mut().for_each(|it| it.root_delay_s = number(dice)),
            4 => sample.reply.iter_mut().for_each(|it| it.root_dispersion_s = number(dice).abs()),
            5 => sample.reply.iter_mut().for_each(|it| it.precision_log2 = (dice.bits() % 256) as u8 as i8),
            6 => sample.reply.iter_mut().for_each(|it| it.reference_age_s = Some(number(dice))),
            7 => sample.reply.iter_mut().for_each(|it| it.leap = Leap::Insert),
            8 => sample.poll_s = number(dice).abs(),
            9 => sample.at.wall_ns = stamp(dice),
            10 => sample.at.mono_ns = stamp(dice),
            11 => sample.at.raw_ns = stamp(dice),
            12 => sample.at.boot_ns = stamp(dice),
            _ => (sample.outcome, sample.measure) = (Outcome::Timeout, None),
        }
    }
}

#[test]
fn one_host_judges_any_samples_with_finite_numbers() {
    for seed in 0..seeds() {
        let mut dice = Dice::new(seed);
        let world = World::ordinary(seed, 4, 16.0, 6400.0);
        let share = 0.3 * dice.unit() * dice.unit();
        let (mut replay, mut book, mut health) = (Replay::new(), Book::default(), ServerHealthLog::default());
        for mut sample in world.samples() {
            if dice.unit() < share {
                disturb(&mut sample, &mut dice);
            }
            book.observe(&sample);
            health.record(&sample);
            replay.observe(&Arc::new(sample));
        }
        assert_finite(seed, &format!("{:?}", replay.snapshot(instant(&mut dice)).verdict));
        assert_finite(seed, &format!("{:?}", replay.finish(None)));
        assert_finite(
            seed,
            &format!("{:?} {:?}", book.take_changed(), health.report(any_stamp(&mut dice), &HashMap::new())),
        );
    }
}

#[test]
fn fleet_judges_any_samples_with_finite_numbers() {
    for seed in 0..seeds() {
        let mut dice = Dice::new(seed);
        let mut world = FleetWorld::internet(seed, 4, 5);
        world.duration_s = 3200.0;
        let share = 0.3 * dice.unit() * dice.unit();
        let mut fleet = Fleet::new(FleetConfig::default());
        let (samples, _) = world.run();
        for it in samples {
            let (mut sample, mut at_ns) = (Sample::clone(&it.sample), (it.at_s * 1e9) as i64);
            if dice.unit() < share {
                disturb(&mut sample, &mut dice);
            }
            if dice.unit() < 0.1 * share {
                at_ns = instant(&mut dice);
            }
            let from = Arc::clone(&sample.server.vantage);
            let witness = Witness::of(&sample, &Arc::default());
            fleet.observe(&from, &witness, &sample, at_ns);
            fleet.judge(at_ns);
        }
        assert_finite(seed, &format!("{:?}", fleet.report()));
    }
}

fn assert_finite(seed: u64, text: &str) {
    for what in ["NaN", " inf", "-inf", "(inf"] {
        if let Some(at) = text.find(what) {
            let from = at.saturating_sub(300);
            panic!("seed {seed}: {what}: {}", &text[from..(at + 40).min(text.len())]);
        }
    }
}
