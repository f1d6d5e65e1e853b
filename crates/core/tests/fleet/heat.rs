//! Worlds in which clocks move without a fault: rooms that become warmer, clocks that are set by a timer, machines that
//! are paused, and raw clocks that are read wrong.

use ntp_monitor_core::world::Dice;
use ntp_monitor_core::world::fleet::What;

use super::clocks::{Clock, Daemon, Heat};
use super::kinds::{Case, Drawn, END, Make, drawn, lan, small, vantage};

pub const KINDS: &[(&str, Make)] = &[
    ("heat_of_four_vantages", |seed| heat(drawn(seed), 4, 15e-6)),
    ("heat_of_all_vantages_in_a_lan", |seed| heat(lan(seed), 5, 5e-6)),
    ("heat_of_two_vantages_of_three", |seed| heat(small(seed, 3, 4), 2, 12e-6)),
    ("heat_between_rare_polls", |seed| {
        let mut d = drawn(seed);
        d.world.polls_s = vec![512.0; 5];
        d.world.duration_s *= 8.0;
        d.at_s *= 8.0;
        heat(d, 3, 3e-6)
    }),
    ("vantage_set_by_a_timer", |seed| {
        let clock = Clock::corrected(30e-6, Daemon::SetEvery(600.0), 1e-4);
        one(drawn(seed), clock)
    }),
    ("vantage_paused_often", |seed| {
        let d = drawn(seed);
        let paused = (0..8).map(|n| (d.at_s + 500.0 * f64::from(n), 0.02)).collect();
        one(d, Clock { paused, ..Clock::corrected(10e-6, Daemon::Loop(300.0), 1e-4) })
    }),
    ("raw_clock_misread_often", |seed| raw_misread(seed, 0.2)),
    ("raw_clock_misread_always", |seed| raw_misread(seed, 1.0)),
];

fn dice(d: &Drawn) -> Dice {
    Dice::new(d.world.seed.wrapping_mul(29).wrapping_add(17))
}

/// `count` vantages in one room become warmer, and their time daemons correct that. They may be named, as they do move.
fn heat(mut d: Drawn, count: usize, rate: f64) -> Case {
    let mut dice = dice(&d);
    d.world.wander_s = 1e-5;
    for v in 0..d.world.sees.len() {
        let daemon = Daemon::Loop(300.0 * 5f64.powf(dice.unit()));
        let mut clock = Clock::corrected(dice.between(-3e-5, 3e-5), daemon, 2e-5);
        if v < count {
            clock.heat.push(Heat::Step(d.at_s, d.sign * rate * dice.between(0.8, 1.2), 120.0));
        }
        d.world.courses.push(clock.course(d.world.duration_s, &mut dice));
    }
    let heated: Vec<String> = (0..count).map(vantage).collect();
    Case::new(d.world).may(&heated).from(d.at_s).undecidable_ok()
}

/// The clock of one vantage takes its own course from the beginning.
fn one(mut d: Drawn, clock: Clock) -> Case {
    let mut dice = dice(&d);
    d.world.courses = vec![Default::default(); d.v + 1];
    d.world.courses[d.v] = clock.course(d.world.duration_s, &mut dice);
    Case::new(d.world).may(&[vantage(d.v)]).loose()
}

/// The raw clock of a vantage is read wrong in this share of its samples. All clocks are right.
fn raw_misread(seed: u64, share: f64) -> Case {
    let d = drawn(seed);
    Case::new(d.world.with(d.at_s, END, What::RawMisread(d.v, 5e-3, share))).loose()
}
