//! Worlds in which no majority of the servers is right, and worlds in which a majority turns.

use ntp_monitor_core::world::fleet::{FleetWorld, What};

use super::kinds::{Case, Drawn, END, Make, cell, drawn, of, server, small, undecidable, vantage};

pub const KINDS: &[(&str, Make)] = &[
    ("half_wrong_apart", |seed| no_majority(drawn(seed), 3)),
    ("three_of_five_wrong_apart", |seed| no_majority(small(seed, 4, 5), 3)),
    ("two_of_four_wrong_two_vantages", |seed| no_majority(small(seed, 2, 4), 2)),
    ("two_of_three_wrong_apart", |seed| no_majority(small(seed, 3, 3), 2)),
    ("right_server_dies_half_is_left", |seed| dying(seed, 1)),
    ("right_servers_die_minority_is_left", |seed| dying(seed, 2)),
    ("step_joins_servers_wrong_all_along", joining),
    ("majority_drifts_together_5ppm", |seed| drifting(drawn(seed), 4, 5e-6)),
    ("majority_drifts_together_20ppm", |seed| drifting(drawn(seed), 4, 20e-6)),
    ("majority_of_seven_drifts_10ppm", |seed| drifting(small(seed, 4, 7), 4, 10e-6)),
    ("all_vantages_drift_together", all_drift),
    ("three_vantages_run_free", |seed| run_free(small(seed, 3, 4), 0.0)),
    ("five_vantages_run_free", |seed| run_free(drawn(seed), 0.0)),
    ("server_steps_and_one_keeps_the_old_offset", keeping),
    ("step_against_an_asymmetric_link", |seed| against_asymmetry(seed, 0.02)),
    ("five_vantages_run_free_server_step", |seed| run_free(drawn(seed), 0.04)),
];

fn wrong(world: FleetWorld, from_s: f64, s: usize, by_s: f64) -> FleetWorld {
    world.with(from_s, END, What::Server(s, by_s, vec![]))
}

/// `count` servers are wrong by different amounts from the beginning, and the others are half or fewer.
fn no_majority(d: Drawn, count: usize) -> Case {
    let (mut world, servers) = (d.world.clone(), d.world.servers.len());
    let off: Vec<usize> = (0..count).map(|k| (d.s + k) % servers).collect();
    for (k, s) in off.iter().enumerate() {
        let sign = if k == 1 { -1.6 } else { 1.0 + k as f64 };
        world = wrong(world, -1.0, *s, d.sign * sign * 0.06);
    }
    let case = Case::new(world).must(&[undecidable()]).undecidable_ok();
    off.into_iter().fold(case, |case, s| case.may(&[server(s)]))
}

/// Two of five servers are wrong by the same amount from the beginning, and `count` of the right ones die.
fn dying(seed: u64, count: usize) -> Case {
    let d = small(seed, 5, 5);
    let mut world = d.world.clone();
    for k in 0..2 {
        world = wrong(world, -1.0, (d.s + k) % 5, d.sign * 0.06);
    }
    for k in 0..count {
        world = world.with(d.at_s + 900.0 * k as f64, END, What::Dead((d.s + 2 + k) % 5));
    }
    Case::new(world)
        .must(&[server(d.s)])
        .must(&[server((d.s + 1) % 5)])
        .must(&[undecidable()])
        .within(200.0)
        .undecidable_ok()
}

/// Two of five servers are wrong from the beginning; a third one steps to where they are.
fn joining(seed: u64) -> Case {
    let d = of(seed, FleetWorld::internet(seed, 5, 5));
    let mut world = d.world.clone();
    for k in 0..3 {
        let from_s = if k == 2 { d.at_s } else { -1.0 };
        world = wrong(world, from_s, (d.s + k) % 5, d.sign * 0.06);
    }
    let case = Case::new(world).must(&[server((d.s + 2) % 5), undecidable()]).within(200.0).undecidable_ok();
    (0..2).fold(case, |case, k| case.must(&[server((d.s + k) % 5)]))
}

/// `count` servers, which are a majority, drift together.
fn drifting(d: Drawn, count: usize, rate: f64) -> Case {
    let (mut world, servers) = (d.world.clone(), d.world.servers.len());
    let moved: Vec<String> = (0..count).map(|k| server((d.s + k) % servers)).collect();
    for k in 0..count {
        world = world.with(d.at_s, END, What::ServerDrift((d.s + k) % servers, d.sign * rate));
    }
    let case = Case::new(world).must(&[vec![undecidable()], moved.clone()].concat()).may(&moved).undecidable_ok();
    Case { never_proven: moved, ..case.from(d.at_s).within(80.0) }
}

/// The oscillators of all vantages change alike, as those of one hypervisor do.
fn all_drift(seed: u64) -> Case {
    let d = drawn(seed);
    let all: Vec<String> = (0..5).map(vantage).collect();
    let world = (0..5).fold(d.world, |world, v| world.with(d.at_s, END, What::Drift(v, d.sign * 15e-6)));
    let case = Case::new(world).must(&[vec![undecidable()], all.clone()].concat()).may(&all).undecidable_ok();
    Case { never_proven: (0..6).map(server).collect(), ..case.from(d.at_s).within(40.0) }
}

/// No vantage has a time daemon; a server steps by `by_s`.
fn run_free(d: Drawn, by_s: f64) -> Case {
    let mut world = d.world.clone();
    for v in 0..world.sees.len() {
        let rate = [-15e-6, 18e-6, 16e-6, -12e-6, 17e-6][v];
        world = world.with(-1.0, END, What::Drift(v, rate));
    }
    let all: Vec<String> = (0..world.sees.len()).map(vantage).collect();
    if by_s == 0.0 {
        return Case::new(world).may(&all).within(200.0);
    }
    let world = world.with(d.at_s, END, What::Server(d.s, d.sign * by_s, vec![]));
    Case::new(world).must(&[server(d.s)]).may(&all).within(200.0)
}

/// A server steps, and one vantage reports it as before.
fn keeping(seed: u64) -> Case {
    let d = drawn(seed);
    let by_s = d.sign * 0.05;
    let world = d.world.with(d.at_s, END, What::Server(d.s, by_s, vec![]));
    let world = world.with(d.at_s, END, What::Lie(d.v, Some(d.s), -by_s));
    let case = Case::new(world).must(&[server(d.s)]).may(&[cell(d.v, d.s), vantage(d.v)]).from(d.at_s).loose();
    Case { never_split: vec![server(d.s)], ..case.undecidable_ok() }
}

/// The link of a server makes it look ahead or behind from the start; it steps the other way.
fn against_asymmetry(seed: u64, by_s: f64) -> Case {
    let d = drawn(seed);
    let world = d.world.with(-1.0, END, What::OneWay(None, Some(d.s), d.sign * 0.03));
    let world = world.with(d.at_s, END, What::Server(d.s, -d.sign * by_s, vec![]));
    Case::new(world).must(&[server(d.s)]).from(d.at_s)
}
