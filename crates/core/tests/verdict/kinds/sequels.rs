//! Kinds of worlds in which faults of servers and paths are followed by something else: repairs of slow drifts, better
//! routes, decaying errors, replies that are rare, servers that share a source.

use ntp_monitor_core::world::{Dice, World};

use super::{Case, Fault, Guilt, Kind, NEVER, Party, guilty, healthy, internet, lan, onset, restless, sign};

const HOUR_S: f64 = 3600.0;

pub(super) fn step(server: usize, at_s: f64, size_s: f64) -> Fault {
    Fault::ServerStep { server, at_s, size_s }
}

pub(super) fn drift(server: usize, at_s: f64, ppm: f64) -> Fault {
    Fault::ServerDrift { server, at_s, ppm }
}

pub(super) fn route(server: usize, from_s: f64, until_s: f64, (out_s, back_s): (f64, f64)) -> Fault {
    Fault::Route { server, from_s, until_s, out_s, back_s }
}

fn guilt(server: usize, from_s: f64, until_s: f64, required: bool) -> Guilt {
    Guilt { party: Party::Server(server), from_s, until_s, required }
}

/// A server that lost its GPS signal drifts by `ppm` until it has it again and is set right.
fn holdover(mut world: World, from_s: f64, until_s: f64, ppm: f64) -> Case {
    let size_s = ppm * 1e-6 * (until_s - from_s);
    world.faults = vec![drift(1, from_s, ppm), drift(1, until_s, -ppm), step(1, until_s, -size_s)];
    Case { world, guilt: vec![guilt(1, from_s, until_s, false)] }
}

/// A server that steps and then comes back by a part of the rest every minute.
fn decaying(seed: u64, size_s: f64, tau_s: f64) -> Case {
    let at_s = onset(seed, 64.0);
    let size_s = size_s * sign(seed);
    let mut faults = vec![step(1, at_s, size_s)];
    let mut rate = 0.0;
    for k in 0..(12.0 * tau_s / 60.0) as u32 {
        let t_s = 60.0 * f64::from(k);
        let after = |t_s: f64| size_s * (-t_s / tau_s).exp();
        let next = 1e6 * (after(t_s + 60.0) - after(t_s)) / 60.0;
        faults.push(drift(1, at_s + t_s, next - rate));
        rate = next;
    }
    faults.push(drift(1, at_s + 12.0 * tau_s, -rate));
    guilty(internet(seed, 64.0, 600.0, faults), Party::Server(1), at_s, at_s + tau_s * (size_s.abs() / 3e-4).ln())
}

fn few(seed: u64, servers: usize, loss: f64) -> World {
    let mut world = World::ordinary(seed, servers, 64.0, 1500.0 * 64.0);
    world.servers.iter_mut().for_each(|it| it.loss = loss);
    world.has_raw = !seed.is_multiple_of(3);
    world
}

fn noisy(mut world: World, noise_s: f64) -> World {
    world.servers.iter_mut().for_each(|it| it.queue_s = noise_s);
    world
}

/// The first `shared` of `servers` have one upstream, which drifts.
fn sharing(seed: u64, servers: usize, shared: &[usize], ppm: f64) -> Case {
    let at_s = onset(seed, 64.0);
    let mut world = World::ordinary(seed, servers, 64.0, 700.0 * 64.0);
    world.has_raw = !seed.is_multiple_of(3);
    shared.iter().for_each(|i| world.servers[*i].upstream = 99);
    world.faults = shared.iter().map(|i| drift(*i, at_s, ppm * sign(seed))).collect();
    Case { world, guilt: shared.iter().map(|i| guilt(*i, at_s, NEVER, true)).collect() }
}

pub const KINDS: &[Kind] = kinds! {
    false "GPS holdover of 0.02 ppm for 5 h, repaired, LAN" |s| {
        holdover(lan(s, 16.0, 2500.0, vec![]), 10_000.0, 28_000.0, 0.02 * sign(s))
    };
    false "GPS holdover of 0.005 ppm for 20 h, repaired, LAN" |s| {
        holdover(lan(s, 64.0, 2000.0, vec![]), 10_000.0, 84_200.0, 0.005 * sign(s))
    };
    false "GPS holdover of 0.03 ppm for 20 h, repaired" |s| {
        holdover(internet(s, 64.0, 1500.0, vec![]), 8000.0, 80_000.0, 0.03 * sign(s))
    };
    true "GPS holdover of 0.05 ppm for 12 h, repaired" |s| {
        holdover(internet(s, 64.0, 1000.0, vec![]), 8000.0, 51_200.0, 0.05 * sign(s))
    };
    false "server drift 3 ppm for 4 h, slewed back at 100 ppm" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 4.0 * HOUR_S);
        let end_s = until_s + 432.0;
        let faults = vec![
            drift(1, at_s, 3.0 * sign(s)),
            drift(1, until_s, -103.0 * sign(s)),
            drift(1, end_s, 100.0 * sign(s)),
        ];
        guilty(internet(s, 64.0, 700.0, faults), Party::Server(1), at_s, end_s)
    };
    false "the route to a server becomes shorter by half" |s| {
        let mut world = internet(s, 64.0, 700.0, vec![]);
        let half_s = 0.25 * world.servers[1].delay_s;
        world.faults = vec![route(1, onset(s, 64.0), NEVER, (-half_s, -half_s))];
        healthy(world)
    };
    true "all routes become shorter by 40 %" |s| {
        let mut world = internet(s, 64.0, 700.0, vec![]);
        world.faults = world.servers.iter().enumerate().map(|(i, it)| route(i, onset(s, 64.0), NEVER, (-0.2 * it.delay_s, -0.2 * it.delay_s))).collect();
        healthy(world)
    };
    false "a queue of 20 ms in one direction ends" |s| {
        let at_s = onset(s, 64.0);
        let mut world = internet(s, 64.0, 700.0, vec![]);
        let mut dice = Dice::new(s);
        world.faults = (0..(at_s / 64.0) as u32).map(|k| {
            let from_s = 64.0 * f64::from(k);
            route(1, from_s, from_s + 64.0, (0.01 + dice.exponential(0.01), 0.0))
        }).collect();
        healthy(world)
    };
    true "queues of all paths end" |s| {
        healthy(internet(s, 64.0, 700.0, vec![Fault::Congestion { from_s: 0.0, until_s: onset(s, 64.0), mean_s: 0.04 }]))
    };
    false "a satellite route of 600 ms changes its directions" |s| {
        let mut world = internet(s, 64.0, 1500.0, vec![]);
        let satellite = |k: u32| {
            let from_s = 9000.0 + 14_000.0 * f64::from(k);
            route(1, from_s, from_s + 7000.0, if k.is_multiple_of(2) { (0.27, 0.27) } else { (0.54, 0.0) })
        };
        world.faults = (0..6).map(satellite).collect();
        healthy(world)
    };
    true "all routes by satellite, one way each day" |s| {
        let mut world = internet(s, 64.0, 2600.0, vec![]);
        let count = world.servers.len();
        let way = |k: u32| if k.is_multiple_of(2) { (0.27, 0.0) } else { (0.27, 0.27) };
        world.faults = (0..count).flat_map(|i| (0..4).map(move |k| {
            let from_s = 40_000.0 * f64::from(k) + 700.0 * i as f64;
            route(i, from_s, from_s + 40_000.0, way(k))
        })).collect();
        healthy(world)
    };
    false "restless routes and a server drift of 20 ppm" |s| {
        let mut case = restless(s, 3.0, 0.4, true);
        case.world.faults.push(drift(1, 1e5, 20.0 * sign(s)));
        guilty(case.world, Party::Server(1), 1e5, NEVER)
    };
    false "restless routes and a server drift of 3 ppm for a day" |s| {
        let mut case = restless(s, 4.0, 0.5, false);
        case.world.faults.extend([drift(1, 1e5, 3.0 * sign(s)), drift(1, 2e5, -3.0 * sign(s)), step(1, 2e5, -0.3 * sign(s))]);
        guilty(case.world, Party::Server(1), 1e5, 2e5)
    };
    false "two servers differ by 50 ms for 3 h" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 3.0 * HOUR_S);
        let mut world = World::ordinary(s, 2, 64.0, 500.0 * 64.0);
        world.has_raw = !s.is_multiple_of(3);
        world.faults = vec![step(1, at_s, 0.2 * sign(s)), step(1, until_s, -0.2 * sign(s))];
        healthy(world)
    };
    false "three servers, half of the polls lost" |s| healthy(few(s, 3, 0.5));
    true "three servers, 70 % of the polls lost" |s| healthy(few(s, 3, 0.7));
    false "three servers, half of the polls lost, one steps by 80 ms" |s| {
        let mut world = few(s, 3, 0.5);
        world.faults = vec![step(1, onset(s, 64.0), 0.08 * sign(s))];
        guilty(world, Party::Server(1), onset(s, 64.0), NEVER)
    };
    true "three servers in bursts of loss" |s| {
        let mut world = few(s, 3, 0.02);
        let mut dice = Dice::new(s ^ 0xb1);
        for server in 0..3 {
            let mut at_s = dice.exponential(3000.0);
            while at_s < world.duration_s {
                let until_s = at_s + dice.exponential(350.0);
                world.faults.push(Fault::Silence { server: Some(server), from_s: at_s, until_s });
                at_s = until_s + dice.exponential(3000.0);
            }
        }
        healthy(world)
    };
    false "server step 200 ms decays with 40 min" |s| decaying(s, 0.2, 2400.0);
    true "server step 2 s decays with 20 min" |s| decaying(s, 2.0, 1200.0);
    false "server step 100 ms, slewed back at 500 ppm at once" |s| {
        let at_s = onset(s, 64.0);
        let faults = vec![
            step(1, at_s, 0.1 * sign(s)),
            drift(1, at_s + 10.0, -500.0 * sign(s)),
            drift(1, at_s + 210.0, 500.0 * sign(s)),
        ];
        Case { world: internet(s, 64.0, 500.0, faults), guilt: vec![guilt(1, at_s, at_s + 210.0, false)] }
    };
    false "3 of 10 servers share an upstream that drifts by 3 ppm" |s| sharing(s, 10, &[0, 2, 4], 3.0);
    false "3 of 10 servers share an upstream that drifts by 0.7 ppm" |s| sharing(s, 10, &[0, 2, 4], 0.7);
    true "4 of 11 servers share an upstream that drifts by 10 ppm" |s| sharing(s, 11, &[1, 2, 6, 9], 10.0);
    false "healthy, servers with 100 ms of jitter, 4 days" |s| healthy(noisy(internet(s, 64.0, 5400.0, vec![]), 0.1));
    true "server step 1 s among servers with 100 ms of jitter" |s| {
        let at_s = onset(s, 64.0);
        guilty(noisy(internet(s, 64.0, 600.0, vec![step(1, at_s, sign(s))]), 0.1), Party::Server(1), at_s, NEVER)
    };
    false "two servers step at different times and are repaired" |s| {
        let at_s = onset(s, 64.0);
        let faults = vec![
            step(1, at_s, 0.06 * sign(s)),
            step(2, at_s + HOUR_S, -0.09 * sign(s)),
            step(1, at_s + 2.0 * HOUR_S, -0.06 * sign(s)),
            step(2, at_s + 3.0 * HOUR_S, 0.09 * sign(s)),
        ];
        let mut world = World::ordinary(s, 7, 64.0, 600.0 * 64.0);
        (world.faults, world.has_raw) = (faults, !s.is_multiple_of(3));
        Case {
            world,
            guilt: vec![
                guilt(1, at_s, at_s + 2.0 * HOUR_S, true),
                guilt(2, at_s + HOUR_S, at_s + 3.0 * HOUR_S, true),
            ],
        }
    };
    false "server step 60 ms, 3 h later as far on the other side" |s| {
        let at_s = onset(s, 64.0);
        let (to_s, until_s) = (at_s + 3.0 * HOUR_S, at_s + 6.0 * HOUR_S);
        let size_s = 0.06 * sign(s);
        let faults = vec![step(1, at_s, size_s), step(1, to_s, -2.0 * size_s), step(1, until_s, size_s)];
        guilty(internet(s, 64.0, 700.0, faults), Party::Server(1), at_s, until_s)
    };
    true "intervals change from 64 to 16 to 256 s, a server steps by 30 ms" |s| {
        let at_s = 40_000.0;
        let every = |from_s, until_s, poll_s| Fault::Interval { from_s, until_s, poll_s };
        let faults = vec![every(15_000.0, 25_000.0, 16.0), every(30_000.0, NEVER, 256.0), step(1, at_s, 0.03 * sign(s))];
        guilty(internet(s, 64.0, 1400.0, faults), Party::Server(1), at_s, NEVER)
    };
};
