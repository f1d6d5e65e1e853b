//! More kinds of worlds in which servers are at fault, or only wander.

use ntp_monitor_core::world::{Dice, World};

use super::{Case, Fault, Guilt, Kind, NEVER, Party, guilty, healthy, intermittent, internet, lan, onset, sign};
use super::{repaired, server_drift, server_step};

fn step(at_s: f64, size_s: f64) -> Fault {
    Fault::ServerStep { server: 1, at_s, size_s }
}

fn wandering(mut world: World, sigma_s: f64, tau_s: f64) -> World {
    world.faults.extend((0..world.servers.len()).map(|server| Fault::ServerWander { server, sigma_s, tau_s }));
    world
}

fn guilt(server: usize, from_s: f64, until_s: f64, required: bool) -> Guilt {
    Guilt { party: Party::Server(server), from_s, until_s, required }
}

/// Each server is silent at random times, for some minutes.
fn bursts(mut world: World, mean_gap_s: f64, mean_s: f64) -> World {
    let mut dice = Dice::new(world.seed ^ 0xb0);
    for server in 0..world.servers.len() {
        let mut at_s = dice.exponential(mean_gap_s);
        while at_s < world.duration_s {
            let until_s = at_s + dice.exponential(mean_s);
            world.faults.push(Fault::Silence { server: Some(server), from_s: at_s, until_s });
            at_s = until_s + dice.exponential(mean_gap_s);
        }
    }
    world
}

/// A server whose clock drifts and is set back, repeatedly.
fn sawtooth(seed: u64, ppm: f64, period_s: f64) -> Case {
    let at_s = onset(seed, 64.0);
    let back = |k: u32| step(at_s + period_s * f64::from(k), -ppm * 1e-6 * period_s);
    let drift = Fault::ServerDrift { server: 1, at_s, ppm };
    let world = internet(seed, 64.0, 1200.0, std::iter::once(drift).chain((1..30).map(back)).collect());
    guilty(world, Party::Server(1), at_s, NEVER)
}

pub const KINDS: &[Kind] = kinds! {
    false "server step 1 ms" |s| {
        let mut case = server_step(s, internet, 64.0, 0.001);
        case.guilt[0].required = false;
        case
    };
    true "server step 50 ms at 256 s" |s| server_step(s, internet, 256.0, 0.05);
    false "healthy, servers wander by 200 µs, 4 days" |s| {
        healthy(wandering(internet(s, 64.0, 5400.0, vec![]), 2e-4, 4000.0))
    };
    true "healthy, servers wander by 500 µs slowly, 10 days" |s| {
        healthy(wandering(internet(s, 64.0, 13_500.0, vec![]), 5e-4, 20_000.0))
    };
    false "healthy, servers wander by 10 µs, LAN, a day" |s| {
        healthy(wandering(lan(s, 16.0, 5400.0, vec![]), 1e-5, 1000.0))
    };
    true "server step 6 ms among wandering servers" |s| {
        let at_s = onset(s, 64.0);
        let world = wandering(internet(s, 64.0, 550.0, vec![step(at_s, 0.006 * sign(s))]), 2e-4, 4000.0);
        guilty(world, Party::Server(1), at_s, NEVER)
    };
    false "server drift 20 ppm" |s| server_drift(s, 64.0, 20.0);
    false "server drift 5 ppm at 256 s" |s| server_drift(s, 256.0, 5.0);
    true "server drift 100 ppm at 16 s" |s| server_drift(s, 16.0, 100.0);
    false "server runs away by 10 ppm and is set back every 2 h" |s| sawtooth(s, 10.0 * sign(s), 7200.0);
    false "half of the replies from a bad backend, 100 ms" |s| intermittent(s, 0.49, 0.1);
    true "half of the replies from a bad backend, 20 ms" |s| intermittent(s, 0.49, 0.02);
    false "one in ten replies 200 ms off" |s| intermittent(s, 0.1, 0.2);
    true "50 ms off for an hour of every two" |s| {
        let at_s = onset(s, 64.0);
        let set = |k: u32| step(at_s + 3600.0 * f64::from(k), 0.05 * sign(s) * if k.is_multiple_of(2) { 1.0 } else { -1.0 });
        let spell = |k: u32| guilt(1, at_s + 7200.0 * f64::from(k), at_s + 7200.0 * f64::from(k) + 3600.0, k == 0);
        Case { world: internet(s, 64.0, 900.0, (0..10).map(set).collect()), guilt: (0..5).map(spell).collect() }
    };
    false "two servers, a step and later a drift" |s| {
        let at_s = onset(s, 64.0);
        let drift = Fault::ServerDrift { server: 3, at_s: at_s + 8000.0, ppm: 10.0 };
        let mut world = World::ordinary(s, 7, 64.0, 600.0 * 64.0);
        (world.faults, world.has_raw) = (vec![step(at_s, 0.02 * sign(s)), drift], !s.is_multiple_of(3));
        Case { world, guilt: vec![guilt(1, at_s, NEVER, true), guilt(3, at_s + 8000.0, NEVER, true)] }
    };
    false "server step 50 ms at poll 12" |s| {
        guilty(internet(s, 64.0, 500.0, vec![step(780.0, 0.05 * sign(s))]), Party::Server(1), 780.0, NEVER)
    };
    true "server 100 ms off from the start, for good" |s| {
        guilty(internet(s, 64.0, 400.0, vec![step(0.0, 0.1 * sign(s))]), Party::Server(1), 0.0, NEVER)
    };
    false "server step 300 ms, slewed back at 500 ppm" |s| {
        let at_s = onset(s, 64.0);
        let rate = |at_s, ppm| Fault::ServerDrift { server: 1, at_s, ppm: ppm * sign(s) };
        let faults = vec![step(at_s, 0.3 * sign(s)), rate(at_s + 6000.0, -500.0), rate(at_s + 6600.0, 500.0)];
        guilty(internet(s, 64.0, 600.0, faults), Party::Server(1), at_s, at_s + 6600.0)
    };
    true "server step 2 s, repaired after 20 min" |s| repaired(s, 2.0, 20_000.0, 21_200.0);
    false "server off by 40 ms twice, for 3 h" |s| {
        let set = |at_s, size_s: f64| step(at_s, size_s * sign(s));
        // After the first movement that ended, the path may have changed, so the second one need not be named.
        let faults = vec![set(1e4, 0.04), set(2.08e4, -0.04), set(3e4, 0.04), set(4.08e4, -0.04)];
        let world = internet(s, 64.0, 900.0, faults);
        Case { world, guilt: vec![guilt(1, 1e4, 2.08e4, true), guilt(1, 3e4, 4.08e4, false)] }
    };
    false "±2 ms with a period of 3 h" |s| {
        let fault = Fault::ServerSine { server: 1, from_s: 9600.0, amplitude_s: 0.002, period_s: 10_800.0 };
        guilty(internet(s, 64.0, 1500.0, vec![fault]), Party::Server(1), 9600.0, NEVER)
    };
    true "server wanders by 10 ms within the hour" |s| {
        let mut world = internet(s, 64.0, 1500.0, vec![]);
        world.faults = vec![Fault::ServerWander { server: 1, sigma_s: 0.01, tau_s: 3600.0 }];
        guilty(world, Party::Server(1), 0.0, NEVER)
    };
    false "healthy, bursts of loss, 4 days" |s| healthy(bursts(internet(s, 64.0, 5400.0, vec![]), 20_000.0, 900.0));
    false "server step 30 ms among bursts of loss" |s| {
        let at_s = onset(s, 64.0);
        let world = bursts(internet(s, 64.0, 800.0, vec![step(at_s, 0.03 * sign(s))]), 5000.0, 300.0);
        guilty(world, Party::Server(1), at_s, NEVER)
    };
    true "server step 50 ms at 40 % loss" |s| {
        let at_s = onset(s, 64.0);
        let mut world = internet(s, 64.0, 600.0, vec![step(at_s, 0.05 * sign(s))]);
        world.servers.iter_mut().for_each(|it| it.loss = 0.4);
        guilty(world, Party::Server(1), at_s, NEVER)
    };
    false "fast server at 16 s among 1024 s steps by 30 ms" |s| {
        let at_s = 200_000.0;
        let mut world = internet(s, 1024.0, 400.0, vec![step(at_s, 0.03 * sign(s))]);
        world.servers[1].poll_s = 16.0;
        guilty(world, Party::Server(1), at_s, NEVER)
    };
    true "healthy, intervals of 16 to 1024 s, 4 days" |s| {
        let mut world = internet(s, 64.0, 5400.0, vec![]);
        let servers = world.servers.iter_mut().enumerate();
        servers.for_each(|(i, it)| it.poll_s = [16.0, 1024.0, 64.0, 256.0, 32.0][i % 5]);
        healthy(world)
    };
    false "one of three servers steps by 20 ms" |s| {
        let at_s = onset(s, 64.0);
        let mut world = World::ordinary(s, 3, 64.0, 550.0 * 64.0);
        (world.faults, world.has_raw) = (vec![step(at_s, 0.02 * sign(s))], !s.is_multiple_of(3));
        guilty(world, Party::Server(1), at_s, NEVER)
    };
    true "one of twelve servers steps by 4 ms" |s| {
        let at_s = onset(s, 64.0);
        let mut world = World::ordinary(s, 12, 64.0, 550.0 * 64.0);
        (world.faults, world.has_raw) = (vec![step(at_s, 0.004 * sign(s))], !s.is_multiple_of(3));
        guilty(world, Party::Server(1), at_s, NEVER)
    };
    false "two of five with one upstream drift by 5 ppm" |s| {
        let at_s = onset(s, 64.0);
        let mut world = World::ordinary(s, 5, 64.0, 500.0 * 64.0);
        [0, 2].iter().for_each(|i: &usize| world.servers[*i].upstream = 99);
        world.faults = [0, 2].map(|server| Fault::ServerDrift { server, at_s, ppm: 5.0 * sign(s) }).to_vec();
        Case { world, guilt: vec![guilt(0, at_s, NEVER, false), guilt(2, at_s, NEVER, false)] }
    };
    true "all but one share an upstream that steps by 50 ms" |s| {
        let at_s = onset(s, 64.0);
        let mut world = World::ordinary(s, 5, 64.0, 500.0 * 64.0);
        (1..5).for_each(|i: usize| world.servers[i].upstream = 99);
        world.faults = (1..5).map(|server| Fault::ServerStep { server, at_s, size_s: 0.05 * sign(s) }).collect();
        world.has_raw = true;
        Case { world, guilt: (1..5).map(|i| guilt(i, at_s, NEVER, false)).collect() }
    };
};
