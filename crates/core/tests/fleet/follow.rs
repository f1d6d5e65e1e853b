//! Worlds in which the clocks of some vantages follow a wrong server, and worlds in which only one vantage reads a
//! server.

use ntp_monitor_core::world::Dice;
use ntp_monitor_core::world::fleet::{FleetWorld, What};

use super::kinds::{Case, Drawn, END, Make, cell, drawn, of, server, undecidable, vantage};

pub const KINDS: &[(&str, Make)] = &[
    ("follow_step_40ms", |seed| follow(drawn(seed), 1, Wrong::Step(0.04))),
    ("follow_step_300ms", |seed| follow(drawn(seed), 1, Wrong::Step(0.3))),
    ("two_follow_step_40ms", |seed| follow(drawn(seed), 2, Wrong::Step(0.04))),
    ("two_follow_step_300ms", |seed| follow(drawn(seed), 2, Wrong::Step(0.3))),
    ("two_follow_drift_20ppm", |seed| follow(drawn(seed), 2, Wrong::Drift(20e-6))),
    ("two_follow_drift_200ppm", |seed| follow(drawn(seed), 2, Wrong::Drift(2e-4))),
    ("planned_three_follow_step", |seed| or_undecidable(follow(planned(seed), 3, Wrong::Step(0.05)))),
    ("planned_three_follow_drift", |seed| or_undecidable(follow(planned(seed), 3, Wrong::Drift(50e-6)))),
    ("alone_lies_until_another_reads", |seed| alone(seed, 0.05, true)),
    ("alone_lies_from_the_start", |seed| alone(seed, 0.05, false)),
    ("alone_lies_a_little", |seed| alone(seed, 0.015, true).undecidable_ok()),
];

/// How the server is wrong.
enum Wrong {
    Step(f64),
    Drift(f64),
}

fn planned(seed: u64) -> Drawn {
    let mut world = FleetWorld::internet(seed, 9, 12);
    world.sees = (0..9).map(|v| (0..12).map(|s| (v + 9 - s % 9) % 9 % 3 == 0).collect()).collect();
    of(seed, world)
}

/// All vantages that read the server follow it, and three servers that rest. This has no majority.
fn or_undecidable(mut case: Case) -> Case {
    case.must[0].push(undecidable());
    case.undecidable_ok()
}

/// `count` vantages follow a wrong server. They are wrong too, and may be named.
fn follow(d: Drawn, count: usize, wrong: Wrong) -> Case {
    let mut dice = Dice::new(d.world.seed.wrapping_mul(53).wrapping_add(9));
    let what = match wrong {
        Wrong::Step(by_s) => What::Server(d.s, d.sign * by_s, vec![]),
        Wrong::Drift(rate) => What::ServerDrift(d.s, d.sign * rate),
    };
    let vantages = d.world.sees.len();
    let mut world = d.world.with(d.at_s, END, what);
    let followers: Vec<usize> =
        (0..vantages).map(|k| (d.v + k) % vantages).filter(|v| world.sees[*v][d.s]).take(count).collect();
    for v in &followers {
        let tau_s = 60.0 * 16f64.powf(dice.unit());
        world = world.with(d.at_s, END, What::Follow(*v, d.s, tau_s));
    }
    let also: Vec<String> = followers.into_iter().map(vantage).collect();
    Case::new(world).must(&[server(d.s)]).may(&also).from(d.at_s).within(40.0).loose()
}

/// A vantage reports a server displaced that no other vantage reads until an hour later.
fn alone(seed: u64, by_s: f64, is_later: bool) -> Case {
    let d = drawn(seed);
    let (from_s, read_s) = if is_later { (d.at_s, d.at_s + 1800.0) } else { (-1.0, d.at_s) };
    let mut world = d.world.with(from_s, END, What::Lie(d.v, Some(d.s), d.sign * by_s));
    for other in (0..5).filter(|v| *v != d.v) {
        world = world.with(-1.0, read_s, What::Unpolled(other, d.s));
    }
    let onset_s = if is_later { from_s } else { 0.0 };
    let case = Case::new(world).may(&[server(d.s), vantage(d.v), cell(d.v, d.s)]).from(onset_s).loose();
    Case { until_read: vec![(server(d.s), read_s)], ..case }
}
