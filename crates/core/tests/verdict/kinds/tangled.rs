//! Kinds of worlds in which something else changes during a fault or just before it: the route of the server, other
//! servers, the start of the monitor.

use ntp_monitor_core::world::{Dice, World};

use super::sequels::{drift, route, step};
use super::{Case, Fault, Guilt, Kind, NEVER, Party, guilty, healthy, internet, lan, onset, sign};

const HOUR_S: f64 = 3600.0;

fn set(at_s: f64, size_s: f64) -> Fault {
    Fault::LocalStep { at_s, size_s }
}

fn slew(from_s: f64, until_s: f64, ppm: f64) -> Fault {
    Fault::LocalSlew { from_s, until_s, ppm }
}

fn guilt(party: Party, from_s: f64, until_s: f64, required: bool) -> Guilt {
    Guilt { party, from_s, until_s, required }
}

/// How a route changes, in one direction or both.
fn change(dice: &mut Dice) -> (f64, f64) {
    let ways = [(1.0, 0.0), (0.0, 1.0), (0.6, 0.3), (0.2, 0.7)][(dice.unit() * 4.0) as usize % 4];
    let size_s = dice.between(0.006, 0.025);
    (ways.0 * size_s, ways.1 * size_s)
}

/// A server is off by `size_s` for five hours. Its route changes `after_s` after the onset.
fn rerouted_while_off(seed: u64, size_s: f64, after_s: f64, route_until_s: f64) -> Case {
    let (at_s, until_s) = (onset(seed, 64.0), onset(seed, 64.0) + 5.0 * HOUR_S);
    let size_s = size_s * sign(seed);
    let way = change(&mut Dice::new(seed ^ 0x7a));
    let route = route(1, at_s + after_s, route_until_s, way);
    let world = internet(seed, 64.0, 900.0, vec![step(1, at_s, size_s), step(1, until_s, -size_s), route]);
    guilty(world, Party::Server(1), at_s, until_s)
}

/// A route changes, and its server steps some polls later.
fn rerouted_before(seed: u64, size_s: f64, required: bool) -> Case {
    let at_s = onset(seed, 64.0);
    let before_s = 64.0 * [4.0, 12.0, 30.0, 70.0][(seed / 2 % 4) as usize];
    let way = change(&mut Dice::new(seed ^ 0x7b));
    let world =
        internet(seed, 64.0, 600.0, vec![route(1, at_s - before_s, NEVER, way), step(1, at_s, size_s * sign(seed))]);
    Case { world, guilt: vec![guilt(Party::Server(1), at_s, NEVER, required)] }
}

/// A majority of the servers drifts the same way, without a common upstream, and is set right after three hours.
fn majority_drifts(seed: u64, ppm: f64) -> Case {
    let (at_s, until_s) = (onset(seed, 64.0), onset(seed, 64.0) + 3.0 * HOUR_S);
    let mut world = World::ordinary(seed, 5, 64.0, 700.0 * 64.0);
    world.has_raw = !seed.is_multiple_of(3);
    let ppm = ppm * sign(seed);
    let of = |server| {
        let back_s = -ppm * 1e-6 * (until_s - at_s);
        [drift(server, at_s, ppm), drift(server, until_s, -ppm), step(server, until_s, back_s)]
    };
    world.faults = [0, 2, 3].into_iter().flat_map(of).collect();
    let blame = |server| guilt(Party::Server(server), at_s, until_s, false);
    Case { world, guilt: vec![blame(0), blame(2), blame(3)] }
}

/// This host has no raw clock, and its daemon corrects an error of the clock by slewing.
fn slewed_without_raw(mut world: World, from_s: f64, until_s: f64, ppm: f64) -> Case {
    world.has_raw = false;
    world.faults = vec![slew(from_s, until_s, ppm), slew(until_s + 900.0, 2.0 * until_s - from_s + 900.0, -ppm)];
    Case { world, guilt: vec![guilt(Party::Own, from_s, 2.0 * until_s - from_s + 900.0, false)] }
}

/// This host's clock is corrected several times in its first minutes, as a daemon does that has just started.
fn disturbed_start(mut world: World, seed: u64, has_raw: bool, scale: f64) -> Case {
    let mut dice = Dice::new(seed ^ 0x57);
    world.has_raw = has_raw;
    let poll_s = world.servers[0].poll_s;
    let mut off_s = scale * dice.between(0.3, 1.0) * sign(seed);
    world.faults = vec![set(0.0, off_s)];
    let mut at_s = 0.0;
    for _ in 0..4 {
        at_s += poll_s * dice.between(1.5, 4.5);
        let next_s = off_s * dice.between(-0.4, 0.4);
        if dice.unit() < 0.5 {
            world.faults.push(set(at_s, next_s - off_s));
        } else {
            let ppm = 1e6 * (next_s - off_s) / (2.0 * poll_s);
            world.faults.push(slew(at_s, at_s + 2.0 * poll_s, ppm));
            at_s += 2.0 * poll_s;
        }
        off_s = next_s;
    }
    at_s += 3.0 * poll_s;
    world.faults.push(set(at_s, -off_s));
    Case { world, guilt: vec![guilt(Party::Own, 0.0, at_s, false)] }
}

pub(super) const KINDS: &[Kind] = kinds! {
    false "server off by 50 ms for 5 h, its route changes meanwhile" |s| rerouted_while_off(s, 0.05, 2.0 * HOUR_S, NEVER);
    true "server off by 20 ms for 5 h, its route changes meanwhile" |s| rerouted_while_off(s, 0.02, 1.5 * HOUR_S, NEVER);
    false "server off by 120 ms for 5 h, its route changes for an hour" |s| {
        rerouted_while_off(s, 0.12, HOUR_S, onset(s, 64.0) + 2.0 * HOUR_S)
    };
    false "server drift 10 ppm for 3 h, its route changes meanwhile" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 3.0 * HOUR_S);
        let faults = vec![
            drift(1, at_s, 10.0 * sign(s)),
            drift(1, until_s, -10.0 * sign(s)),
            step(1, until_s, -0.108 * sign(s)),
            route(1, at_s + 1.5 * HOUR_S, NEVER, change(&mut Dice::new(s ^ 0x7c))),
        ];
        guilty(internet(s, 64.0, 800.0, faults), Party::Server(1), at_s, until_s)
    };
    false "server step 200 ms soon after its route changed" |s| rerouted_before(s, 0.2, true);
    true "server step 100 ms soon after its route changed" |s| rerouted_before(s, 0.1, true);
    false "server step 40 ms soon after its route changed" |s| rerouted_before(s, 0.04, false);
    false "three of five servers drift by 8 ppm for 3 h" |s| majority_drifts(s, 8.0);
    true "three of five servers drift by 20 ppm for 3 h" |s| majority_drifts(s, 20.0);
    false "own slew 128 ppm without a raw clock" |s| {
        let at_s = onset(s, 64.0);
        slewed_without_raw(internet(s, 64.0, 1700.0, vec![]), at_s, at_s + 600.0, 128.0 * sign(s))
    };
    true "own slew 250 ppm without a raw clock, every 16 s" |s| {
        let at_s = onset(s, 16.0);
        slewed_without_raw(internet(s, 16.0, 1700.0, vec![]), at_s, at_s + 300.0, 250.0 * sign(s))
    };
    false "own slew 60 ppm without a raw clock, LAN" |s| {
        let at_s = onset(s, 16.0);
        slewed_without_raw(lan(s, 16.0, 1700.0, vec![]), at_s, at_s + 400.0, 60.0 * sign(s))
    };
    false "own clock off by up to 200 ms, corrected five times from the start" |s| {
        disturbed_start(internet(s, 64.0, 900.0, vec![]), s, true, 0.2)
    };
    true "the same without a raw clock" |s| disturbed_start(internet(s, 64.0, 900.0, vec![]), s, false, 0.2);
    false "own clock off by up to 20 ms, corrected five times from the start, LAN" |s| {
        disturbed_start(lan(s, 16.0, 1800.0, vec![]), s, s.is_multiple_of(2), 0.02)
    };
    false "own clock off by up to 3 s, corrected five times from the start, every 16 s" |s| {
        disturbed_start(internet(s, 16.0, 900.0, vec![]), s, s.is_multiple_of(2), 3.0)
    };
    false "directions of a route change oppositely, twice" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 4.0 * HOUR_S);
        let mut world = internet(s, 64.0, 700.0, vec![]);
        let extra_s = 0.5 * world.servers[1].delay_s * Dice::new(s ^ 0x7d).between(0.15, 0.6) * sign(s);
        world.faults = vec![route(1, at_s, until_s, (extra_s, -extra_s))];
        healthy(world)
    };
};
