//! Kinds of worlds with several things wrong at once, or with something that looks like another fault.

use ntp_monitor_core::world::fleet::{FleetWorld, What};

use super::kinds::{
    Case, Drawn, END, Make, access, cell, constant, drawn, lan, link, server, server_step, small, split, undecidable,
    vantage, vantage_case,
};

/// All of these servers are off by `size_s` from `at_s` on.
fn step_of(mut world: FleetWorld, at_s: f64, servers: &[usize], size_s: f64) -> FleetWorld {
    for s in servers {
        world = world.with(at_s, END, What::Server(*s, size_s, vec![]));
    }
    world
}

fn others(d: &Drawn, count: usize) -> Vec<usize> {
    (0..count).map(|k| (d.s + k) % d.world.servers.len()).collect()
}

/// Four of six servers follow one upstream, and the other two have their own: three independent groups.
fn shared_upstream_of_four(seed: u64) -> Case {
    let mut d = drawn(seed);
    let moved = others(&d, 4);
    for s in &moved {
        d.world.servers[*s].refid = [10, 99, 99, 1];
    }
    let case = Case::new(step_of(d.world, d.at_s, &moved, d.sign * 0.04)).from(d.at_s).undecidable_ok();
    moved.into_iter().fold(case, |case, s| case.must(&[server(s), undecidable()]))
}

/// Two vantages are broken in different ways at the same time.
fn two_broken_vantages(seed: u64, second: fn(usize, f64) -> What) -> Case {
    let d = drawn(seed);
    let other = (d.v + 2) % 5;
    let world = d.world.with(d.at_s, END, What::Set(d.v, d.sign * 0.05)).with(d.at_s, END, second(other, 0.08));
    let cells: Vec<_> = (0..6).map(|s| cell(other, s)).collect();
    Case::new(world).must(&[vantage(d.v)]).must(&[vantage(other)]).may(&cells).from(d.at_s).within(20.0).loose()
}

fn drift_behind_a_queue(seed: u64, queue_s: f64) -> Case {
    let d = drawn(seed);
    let world = d.world.with(d.at_s, END, What::Drift(d.v, d.sign * 20e-6));
    let world = world.with(0.0, END, What::Queue(Some(d.v), None, queue_s));
    Case::new(world).must(&[vantage(d.v)]).may(&[access(d.v)]).from(d.at_s).within(40.0)
}

/// A vantage reports measurements of some time ago as new; meanwhile a server or its own clock steps.
fn replay(seed: u64, is_server: bool) -> Case {
    let d = drawn(seed);
    let begin_s = d.at_s - 1500.0;
    let world = d.world.with(begin_s, END, What::Replay(d.v, 1400.0));
    let cells: Vec<_> = (0..6).map(|s| cell(d.v, s)).collect();
    if is_server {
        let world = world.with(d.at_s, END, What::Server(d.s, d.sign * 0.05, vec![]));
        let case = Case::new(world).must(&[server(d.s)]).may(&[vantage(d.v)]).may(&cells);
        return case.from(d.at_s).undecidable_ok().loose();
    }
    let world = world.with(d.at_s, END, What::Set(d.v, d.sign * 0.05));
    Case::new(world).may(&[vantage(d.v)]).may(&cells).from(begin_s).loose()
}

/// The paths from a vantage to only some of the servers become longer in one direction.
fn access_to_some(seed: u64, count: usize) -> Case {
    let d = drawn(seed);
    let (mut world, mut parties) = (d.world.clone(), vec![access(d.v)]);
    for s in others(&d, count) {
        world = world.with(d.at_s, END, What::OneWay(Some(d.v), Some(s), d.sign * 0.018));
        parties.push(cell(d.v, s));
    }
    Case::new(world).must(&parties).may(&parties).from(d.at_s).within(16.0)
}

fn joins_late(seed: u64, size_s: f64) -> Case {
    let d = drawn(seed);
    let world = d.world.with(-1.0, d.at_s, What::Silent(d.v)).with(-1.0, END, What::Set(d.v, d.sign * size_s));
    Case::new(world).must(&[vantage(d.v)]).from(d.at_s)
}

/// The IPv6 address of a server is another witness with the same name.
fn only_ipv6(seed: u64, size_s: f64, is_constant: bool) -> Case {
    let mut d = drawn(seed);
    let other = (d.s + 1) % 6;
    d.world.servers[other].same_as = Some(d.s);
    d.world.servers[other].refid = d.world.servers[d.s].refid;
    let address = format!("server:n{}@[2001:db8:{:x}::1]:123", d.s + 1, other + 1);
    let what = What::Server(other, d.sign * size_s, vec![]);
    let case = Case::new(d.world.with(d.at_s, END, what)).must(&[address]).from(d.at_s);
    if is_constant { constant(case) } else { case }
}

fn smear(seed: u64, count: usize) -> Case {
    let d = drawn(seed);
    let moved = others(&d, count);
    let mut world = d.world.clone();
    for s in &moved {
        world = world.with(d.at_s, END, What::ServerDrift(*s, d.sign * 11.574e-6));
    }
    let case = Case::new(world).from(d.at_s).within(24.0);
    moved.into_iter().fold(case, |case, s| case.must(&[server(s)]))
}

/// One of several hosts behind a server's address is wrong.
fn one_of_many(seed: u64, share: f64) -> Case {
    let d = drawn(seed);
    let cells: Vec<_> = (0..5).map(|v| cell(v, d.s)).collect();
    let case = Case::new(d.world.with(d.at_s, END, What::OneOfMany(d.s, d.sign * 0.06, share))).from(d.at_s).loose();
    case.must(&[server(d.s)]).may(&cells).within(24.0).undecidable_ok()
}

fn noisy_server(seed: u64, scatter_s: f64) -> Case {
    let d = drawn(seed);
    let cells: Vec<_> = (0..5).map(|v| cell(v, d.s)).collect();
    let case = Case::new(d.world.with(d.at_s, END, What::ServerNoise(d.s, scatter_s))).from(d.at_s).loose();
    case.must(&[server(d.s)]).may(&cells).within(24.0).undecidable_ok()
}

/// Vantages whose clocks are all wrong by different amounts from the beginning.
fn most_vantages_wrong(seed: u64, count: usize) -> Case {
    let d = drawn(seed);
    let (mut world, mut parties) = (d.world.clone(), Vec::new());
    for k in 0..count {
        let v = (d.v + k) % 5;
        world = world.with(-1.0, END, What::Set(v, d.sign * (0.05 + 0.02 * k as f64)));
        parties.push(vantage(v));
    }
    parties.into_iter().fold(Case::new(world), |case, party| case.must(&[party]))
}

/// Vantages whose clocks are set at the same time, by a common GPS receiver or by an operator.
fn vantages_set_together(seed: u64, count: usize, has_raw: bool) -> Case {
    let mut d = drawn(seed);
    d.world.has_raw = has_raw;
    let (mut world, mut parties) = (d.world.clone(), Vec::new());
    for k in 0..count {
        let v = (d.v + k) % 5;
        world = world.with(d.at_s, END, What::Set(v, d.sign * 0.04));
        parties.push(vantage(v));
    }
    let case = Case::new(world).from(d.at_s).loose();
    if has_raw {
        return parties.into_iter().fold(case, |case, party| case.must(&[party]));
    }
    let all = [parties.clone(), vec![undecidable()]].concat();
    parties.into_iter().fold(case.undecidable_ok(), |case, _| case.must(&all))
}

/// The vantage's clock is slewed by this much within ten minutes, as a time daemon does.
fn slewed(seed: u64, by_s: f64) -> Case {
    let d = drawn(seed);
    let world = d.world.with(d.at_s, END, What::Drift(d.v, d.sign * by_s / 600.0));
    let world = world.with(d.at_s + 600.0, END, What::Drift(d.v, -d.sign * by_s / 600.0));
    Case::new(world).must(&[vantage(d.v)]).from(d.at_s).within(16.0)
}

/// One path is longer in one direction from time to time.
fn flapping_path(seed: u64) -> Case {
    let d = drawn(seed);
    let mut world = d.world.clone();
    for n in 0..8 {
        let from_s = d.at_s + 600.0 * f64::from(n);
        world = world.with(from_s, from_s + 300.0, What::OneWay(Some(d.v), Some(d.s), d.sign * 0.02));
    }
    Case::new(world).may(&[cell(d.v, d.s)]).from(d.at_s)
}

/// Each server is polled by two of six vantages only.
fn sparse(seed: u64) -> Drawn {
    let mut d = small(seed, 6, 9);
    d.world.sees = (0..6).map(|v| (0..9).map(|s| v == s % 6 || v == (s + 1 + s / 6) % 6).collect()).collect();
    d
}

/// One vantage polls once in 1024 s.
fn slow_vantage(seed: u64) -> Drawn {
    let mut d = drawn(seed);
    d.world.polls_s[(d.v + 1) % 5] = 1024.0;
    d.world.duration_s *= 2.0;
    d.at_s *= 2.0;
    d
}

/// Every kind by name.
pub const KINDS: &[(&str, Make)] = &[
    ("shared_upstream_of_four", shared_upstream_of_four),
    ("two_broken_vantages_set", |seed| two_broken_vantages(seed, What::Set)),
    ("two_broken_vantages_noise", |seed| two_broken_vantages(seed, What::Noise)),
    ("two_broken_vantages_drift", |seed| two_broken_vantages(seed, |v, _| What::Drift(v, 30e-6))),
    ("vantage_drift_behind_a_queue", |seed| drift_behind_a_queue(seed, 0.005)),
    ("vantage_drift_behind_a_long_queue", |seed| drift_behind_a_queue(seed, 0.02)),
    ("replay_hides_a_server_step", |seed| replay(seed, true)),
    ("replay_hides_a_vantage_step", |seed| replay(seed, false)),
    ("access_to_three_of_six", |seed| access_to_some(seed, 3)),
    ("access_to_two_of_six", |seed| access_to_some(seed, 2)),
    ("access_to_five_of_six", |seed| access_to_some(seed, 5)),
    ("vantage_joins_late_and_wrong", |seed| joins_late(seed, 0.08)),
    ("vantage_joins_late_a_minute_off", |seed| joins_late(seed, 60.0)),
    ("ipv6_address_steps", |seed| only_ipv6(seed, 0.05, false)),
    ("ipv6_address_constant", |seed| only_ipv6(seed, 0.05, true)),
    ("smear_by_one_server", |seed| smear(seed, 1)),
    ("smear_by_two_servers", |seed| smear(seed, 2)),
    ("one_of_many_hosts_30_percent", |seed| one_of_many(seed, 0.3)),
    ("one_of_many_hosts_60_percent", |seed| one_of_many(seed, 0.6)),
    ("liar_reports_short_delays", |seed| {
        let d = drawn(seed);
        let cells: Vec<_> = (0..6).map(|s| cell(d.v, s)).collect();
        let case = Case::new(d.world.with(d.at_s, END, What::ShortDelay(d.v, 0.05))).from(d.at_s).loose();
        case.may(&[vantage(d.v), access(d.v)]).may(&cells)
    }),
    ("vantage_reboots", |seed| {
        let d = drawn(seed);
        Case::new(d.world.with(d.at_s, END, What::Reboot(d.v)))
    }),
    ("vantage_sleeps", |seed| {
        let d = drawn(seed);
        Case::new(d.world.with(d.at_s, d.at_s + 1800.0, What::Suspended(d.v)))
    }),
    ("vantage_wakes_up_wrong", |seed| {
        let d = drawn(seed);
        let world = d.world.with(d.at_s - 1800.0, d.at_s, What::Suspended(d.v));
        Case::new(world.with(d.at_s, END, What::Set(d.v, d.sign * 0.1))).must(&[vantage(d.v)]).from(d.at_s).loose()
    }),
    ("server_wrong_twice", |seed| {
        let d = drawn(seed);
        let what = || What::Server(d.s, d.sign * 0.04, vec![]);
        let world = d.world.with(d.at_s, d.at_s + 1200.0, what()).with(d.at_s + 2400.0, d.at_s + 3600.0, what());
        Case::new(world).must(&[server(d.s)]).from(d.at_s)
    }),
    ("noisy_server", |seed| noisy_server(seed, 0.05)),
    ("server_clock_stands_still", |seed| server_step_like(drawn(seed), |s| What::ServerDrift(s, -1.0))),
    ("three_of_five_vantages_wrong", |seed| most_vantages_wrong(seed, 3)),
    ("all_vantages_wrong", |seed| most_vantages_wrong(seed, 5)),
    ("three_vantages_set_together", |seed| vantages_set_together(seed, 3, true)),
    ("all_vantages_set_together", |seed| vantages_set_together(seed, 5, true)),
    ("three_vantages_set_without_raw", |seed| vantages_set_together(seed, 3, false)),
    ("vantage_slewed_50ms", |seed| slewed(seed, 0.05)),
    ("one_path_flaps", flapping_path),
    ("sparse_server_step", |seed| server_step(sparse(seed), 0.05)),
    ("sparse_vantage_step", |seed| vantage_case(sparse(seed), What::Set, 0.05, 12.0)),
    ("sparse_calm", |seed| Case::new(sparse(seed).world)),
    ("slow_vantage_server_step", |seed| server_step(slow_vantage(seed), 0.04)),
    ("slow_vantage_is_set", |seed| {
        let mut d = slow_vantage(seed);
        d.v = (d.v + 1) % 5;
        vantage_case(d, What::Set, 0.05, 40.0)
    }),
    ("lossy_server_step", |seed| {
        let mut d = drawn(seed);
        d.world.loss = 0.4;
        server_step(d, 0.04)
    }),
    ("lossy_vantage_step", |seed| {
        let mut d = drawn(seed);
        d.world.loss = 0.4;
        vantage_case(d, What::Set, 0.04, 12.0)
    }),
    ("three_by_three_vantage_step", |seed| vantage_case(small(seed, 3, 3), What::Set, 0.04, 12.0)),
    ("three_by_three_server_constant", |seed| constant(server_step(small(seed, 3, 3), 0.05))),
    ("twenty_by_five_server_step", |seed| server_step(small(seed, 20, 5), 0.02)),
    ("two_faces_of_a_server", |seed| {
        let d = drawn(seed);
        let (some, rest): (Vec<_>, Vec<_>) =
            ((0..2).map(|k| (d.v + k) % 5).collect(), (2..5).map(|k| (d.v + k) % 5).collect());
        let world = d.world.with(d.at_s, END, What::Server(d.s, 0.05, some));
        let world = world.with(d.at_s, END, What::Server(d.s, -0.05, rest));
        Case::new(world).must(&[server(d.s)]).from(d.at_s).loose()
    }),
    ("split_from_the_beginning", |seed| constant(split(seed, 2, 0.06))),
    ("server_and_its_path", |seed| {
        let d = drawn(seed);
        let world = d.world.with(d.at_s, END, What::Server(d.s, d.sign * 0.04, vec![]));
        let world = world.with(d.at_s, END, What::OneWay(Some(d.v), Some(d.s), 0.02));
        Case::new(world).must(&[server(d.s)]).may(&[cell(d.v, d.s)]).from(d.at_s)
    }),
    ("vantage_and_its_access_link", |seed| {
        let d = drawn(seed);
        let world = d.world.with(d.at_s, END, What::Set(d.v, d.sign * 0.05));
        let world = world.with(d.at_s, END, What::OneWay(Some(d.v), None, 0.016));
        Case::new(world).must(&[vantage(d.v)]).may(&[access(d.v)]).from(d.at_s).loose()
    }),
    ("server_repaired_while_another_breaks", |seed| {
        let d = drawn(seed);
        let other = (d.s + 3) % 6;
        let world = d.world.with(-1.0, d.at_s, What::Server(d.s, d.sign * 0.05, vec![]));
        let world = world.with(d.at_s, END, What::Server(other, d.sign * 0.05, vec![]));
        Case::new(world).must(&[server(d.s)]).must(&[server(other)]).within(200.0)
    }),
    ("server_claims_a_second", |seed| {
        let mut d = drawn(seed);
        d.world.servers[d.s].dispersion_s = 1.0;
        Case::new(d.world)
    }),
    ("lan_vantage_drift", |seed| vantage_case(lan(seed), What::Drift, 5e-6, 40.0)),
    ("lan_with_one_far_vantage", |seed| {
        let d = lan(seed);
        let world = d.world.with(-1.0, END, What::BothWays(Some(d.v), None, 0.04));
        let what = What::Server(d.s, d.sign * 0.001, vec![]);
        Case::new(world.with(d.at_s, END, what)).must(&[server(d.s)]).may(&[link(d.s)]).from(d.at_s)
    }),
];

fn server_step_like(d: Drawn, what: fn(usize) -> What) -> Case {
    Case::new(d.world.with(d.at_s, END, what(d.s))).must(&[server(d.s)]).from(d.at_s).loose()
}
