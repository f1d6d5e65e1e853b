//! Worlds whose vantages poll at different intervals, and worlds in which a server or a vantage pauses.

use ntp_monitor_core::world::Dice;
use ntp_monitor_core::world::fleet::{FleetWorld, What};

use super::kinds::{Case, Drawn, END, Make, cell, drawn, of, server, server_step, undecidable, vantage, vantage_case};

/// How long a pause takes, in seconds; the fault begins in its middle.
const PAUSE_S: f64 = 900.0;

pub const KINDS: &[(&str, Make)] = &[
    ("mixed_polls_calm", |seed| Case::new(mixed(seed).world)),
    ("mixed_polls_server_step", |seed| slow(server_step(mixed(seed), 0.04))),
    ("mixed_polls_server_step_100ms", |seed| slow(server_step(mixed(seed), 0.1))),
    ("mixed_polls_vantage_step", |seed| slow(vantage_case(mixed(seed), What::Set, 0.04, 40.0))),
    ("mixed_polls_half_see_another_clock", |seed| {
        let d = mixed(seed);
        let some = [d.v, (d.v + 1) % 5];
        let world = d.world.with(d.at_s, END, What::Server(d.s, d.sign * 0.05, some.to_vec()));
        let named = [server(d.s), cell(some[0], d.s), cell(some[1], d.s)];
        slow(Case::new(world).must(&named).may(&named).from(d.at_s).loose())
    }),
    ("one_of_two_lies", |seed| of_two(drawn(seed), 0.04)),
    ("one_of_two_lies_200ms", |seed| of_two(drawn(seed), 0.2)),
    ("mixed_polls_one_of_two_lies", |seed| slow(of_two(mixed(seed), 0.04))),
    ("server_returns_wrong", |seed| {
        let mut d = drawn(seed);
        d.world = d.world.with(d.at_s, d.at_s + PAUSE_S, What::Dead(d.s));
        d.at_s += PAUSE_S / 2.0;
        slow(server_step(d, 0.05))
    }),
    ("vantage_returns_wrong", |seed| {
        let mut d = drawn(seed);
        d.world = d.world.with(d.at_s, d.at_s + PAUSE_S, What::Silent(d.v));
        d.at_s += PAUSE_S / 2.0;
        slow(vantage_case(d, What::Set, 0.06, 40.0))
    }),
];

/// Vantages that poll every 16 to 256 s.
fn mixed(seed: u64) -> Drawn {
    let mut world = FleetWorld::internet(seed, 5, 6);
    let mut dice = Dice::new(seed.wrapping_mul(91).wrapping_add(3));
    world.polls_s.iter_mut().for_each(|poll_s| *poll_s = f64::from(16u32 << (dice.bits() % 5)));
    world.duration_s = 21_600.0;
    of(seed, world)
}

/// A fault is found after some polls of the slowest vantage.
fn slow(case: Case) -> Case {
    case.within(80.0)
}

/// A server that only two vantages see, of which one reports it displaced.
fn of_two(d: Drawn, by_s: f64) -> Case {
    let mut world = d.world.with(d.at_s, END, What::Lie(d.v, Some(d.s), d.sign * by_s));
    let other = (d.v + 1) % 5;
    for (at, sees) in world.sees.iter_mut().enumerate() {
        sees[d.s] = at == d.v || at == other;
    }
    let case = Case::new(world).must(&[cell(d.v, d.s), vantage(d.v), undecidable()]).from(d.at_s).loose();
    Case {
        never_proven: vec![server(d.s), vantage(other)],
        ..case.may(&[vantage(d.v), cell(d.v, d.s)]).undecidable_ok()
    }
}
