//! Kinds of worlds that were written after the rules: other intervals, faults that follow each other, interruptions,
//! servers that share, join and leave.

use ntp_monitor_core::world::{Dice, World};

use super::{Case, Fault, Guilt, Kind, MIDNIGHT_S, NEVER, Party, guilty, healthy, internet, lan, onset, sign};

const HOUR_S: f64 = 3600.0;
/// The rate of a smeared leap second, in ppm.
const SMEAR_PPM: f64 = 1e6 / 86_401.0;

fn step(at_s: f64, size_s: f64) -> Fault {
    Fault::ServerStep { server: 1, at_s, size_s }
}

fn drift(at_s: f64, ppm: f64) -> Fault {
    Fault::ServerDrift { server: 1, at_s, ppm }
}

fn set(at_s: f64, size_s: f64) -> Fault {
    Fault::LocalStep { at_s, size_s }
}

fn slew(from_s: f64, until_s: f64, ppm: f64) -> Fault {
    Fault::LocalSlew { from_s, until_s, ppm }
}

fn own_drift(at_s: f64, ppm: f64) -> Fault {
    Fault::LocalDrift { at_s, ppm }
}

fn silence(from_s: f64, until_s: f64) -> Fault {
    Fault::Silence { server: Some(1), from_s, until_s }
}

fn guilt(party: Party, from_s: f64, until_s: f64, required: bool) -> Guilt {
    Guilt { party, from_s, until_s, required }
}

fn lenient(world: World, party: Party, from_s: f64, until_s: f64) -> Case {
    Case { world, guilt: vec![guilt(party, from_s, until_s, false)] }
}

/// Each server has its own interval, from 16 to 1024 s.
fn mixed(mut world: World) -> World {
    let servers = world.servers.iter_mut().enumerate();
    servers.for_each(|(i, it)| it.poll_s = [64.0, 256.0, 16.0, 1024.0, 128.0][i % 5]);
    world
}

/// A world of `servers` servers. The first `shared` of them have one upstream.
fn sharing(seed: u64, servers: usize, shared: usize, fault: impl Fn(usize, f64) -> Fault) -> Case {
    let at_s = onset(seed, 64.0);
    let mut world = World::ordinary(seed, servers, 64.0, 500.0 * 64.0);
    world.has_raw = !seed.is_multiple_of(3);
    world.servers.iter_mut().take(shared).for_each(|it| it.upstream = 99);
    world.faults = (0..shared).map(|server| fault(server, at_s)).collect();
    Case { world, guilt: (0..shared).map(|i| guilt(Party::Server(i), at_s, NEVER, true)).collect() }
}

fn around_midnight(mut world: World) -> World {
    world.start_unix_s = MIDNIGHT_S - 64_800;
    world
}

fn coarse(mut world: World, grain_s: f64) -> World {
    world.faults.extend((0..world.servers.len()).map(|server| Fault::Grain { server, grain_s }));
    world
}

pub const KINDS: &[Kind] = kinds! {
    false "healthy, every 8 s, LAN, 8 h" |s| healthy(lan(s, 8.0, 3600.0, vec![]));
    false "server step 20 ms at 1024 s" |s| {
        guilty(internet(s, 1024.0, 400.0, vec![step(onset(s, 1024.0), 0.02 * sign(s))]), Party::Server(1), onset(s, 1024.0), NEVER)
    };
    true "server step 20 ms, intervals of 16 to 1024 s" |s| {
        let at_s = 60_000.0 + 17.0 * (s % 11) as f64;
        guilty(mixed(internet(s, 64.0, 2000.0, vec![step(at_s, 0.02 * sign(s))])), Party::Server(1), at_s, NEVER)
    };
    false "own step 40 ms, intervals of 16 to 1024 s" |s| {
        let at_s = 60_000.0 + 17.0 * (s % 11) as f64;
        guilty(mixed(internet(s, 64.0, 2000.0, vec![set(at_s, 0.04 * sign(s))])), Party::Own, at_s, NEVER)
    };
    true "own drift 5 ppm, intervals of 16 to 1024 s" |s| {
        let at_s = 60_000.0 + 17.0 * (s % 11) as f64;
        guilty(mixed(internet(s, 64.0, 2000.0, vec![own_drift(at_s, 5.0 * sign(s))])), Party::Own, at_s, NEVER)
    };
    false "server step 30 ms and its repair in bursts of loss" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 4.0 * HOUR_S);
        let faults = vec![
            step(at_s, 0.03 * sign(s)),
            step(until_s, -0.03 * sign(s)),
            silence(at_s - 120.0, at_s + 60.0),
            silence(until_s - 60.0, until_s + 200.0),
        ];
        guilty(internet(s, 64.0, 600.0, faults), Party::Server(1), at_s, until_s)
    };
    true "routes change while this host's clock settles" |s| {
        let settling = Fault::LocalSettling { at_s: 0.0, size_s: 0.03 * sign(s), tau_s: 600.0, period_s: f64::INFINITY };
        let mut dice = Dice::new(s);
        let mut route = |server, from_s| Fault::Route {
            server,
            from_s,
            until_s: NEVER,
            out_s: dice.between(0.0, 0.01),
            back_s: dice.between(0.0, 0.01),
        };
        let faults = vec![settling, route(1, 700.0), route(2, 1500.0), route(0, 2600.0)];
        lenient(internet(s, 64.0, 600.0, faults), Party::Own, 0.0, 4800.0)
    };
    false "a route changes while this host's clock is off" |s| {
        let at_s = onset(s, 64.0);
        let route = Fault::Route { server: 1, from_s: at_s + 1000.0, until_s: NEVER, out_s: 0.012, back_s: 0.002 };
        let faults = vec![set(at_s, 0.02 * sign(s)), set(at_s + 6000.0, -0.02 * sign(s)), route];
        guilty(internet(s, 64.0, 600.0, faults), Party::Own, at_s, at_s + 6000.0)
    };
    false "one server smears a leap second" |s| {
        let smear = Fault::Smear { server: 1, midnight_unix_s: MIDNIGHT_S };
        let world = around_midnight(internet(s, 64.0, 1500.0, vec![smear]));
        guilty(world, Party::Server(1), 21_600.0, NEVER)
    };
    true "all servers smear a leap second, and so does this host" |s| {
        let mut world = around_midnight(internet(s, 64.0, 2200.0, vec![slew(21_600.0, 108_001.0, -SMEAR_PPM)]));
        for server in 0..world.servers.len() {
            let rate = |at_s, ppm| Fault::ServerDrift { server, at_s, ppm };
            world.faults.extend([rate(21_600.0, -SMEAR_PPM), rate(108_001.0, SMEAR_PPM)]);
        }
        healthy(world)
    };
    false "server step 60 ms, suspended for 3 h during it" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 7.0 * HOUR_S);
        let nap = Fault::Suspend { from_s: at_s + HOUR_S, until_s: at_s + 4.0 * HOUR_S };
        let faults = vec![step(at_s, 0.06 * sign(s)), step(until_s, -0.06 * sign(s)), nap];
        let mut world = internet(s, 64.0, 700.0, faults);
        world.has_boot = s.is_multiple_of(2);
        guilty(world, Party::Server(1), at_s, until_s)
    };
    true "own step 60 ms, suspended for 3 h during it" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 7.0 * HOUR_S);
        let nap = Fault::Suspend { from_s: at_s + HOUR_S, until_s: at_s + 4.0 * HOUR_S };
        let faults = vec![set(at_s, 0.06 * sign(s)), set(until_s, -0.06 * sign(s)), nap];
        let mut world = internet(s, 64.0, 700.0, faults);
        (world.has_boot, world.has_raw) = (s.is_multiple_of(2), true);
        guilty(world, Party::Own, at_s, until_s)
    };
    false "server step 30 ms, the monitor stopped for 2 h during it" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 5.0 * HOUR_S);
        let pause = Fault::Pause { from_s: at_s + HOUR_S, until_s: at_s + 3.0 * HOUR_S };
        let faults = vec![step(at_s, 0.03 * sign(s)), step(until_s, -0.03 * sign(s)), pause];
        guilty(internet(s, 64.0, 700.0, faults), Party::Server(1), at_s, until_s)
    };
    false "server step 20 ms, 3 h later 200 ms more, then repaired" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 6.0 * HOUR_S);
        let more_s = 0.2 * if s.is_multiple_of(4) { 1.0 } else { sign(s) };
        let first_s = 0.02 * sign(s);
        let faults = vec![step(at_s, first_s), step(at_s + 3.0 * HOUR_S, more_s), step(until_s, -first_s - more_s)];
        guilty(internet(s, 64.0, 700.0, faults), Party::Server(1), at_s, until_s)
    };
    true "server drift 10 ppm, after 2 h a step home" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 2.0 * HOUR_S);
        let faults =
            vec![drift(at_s, 10.0 * sign(s)), drift(until_s, -10.0 * sign(s)), step(until_s, -0.072 * sign(s))];
        guilty(internet(s, 64.0, 500.0, faults), Party::Server(1), at_s, until_s)
    };
    false "one server repaired, an hour later another one steps" |s| {
        let at_s = onset(s, 64.0);
        let (until_s, next_s) = (at_s + 2.0 * HOUR_S, at_s + 3.0 * HOUR_S);
        let other = Fault::ServerStep { server: 2, at_s: next_s, size_s: -0.03 * sign(s) };
        let world = internet(s, 64.0, 600.0, vec![step(at_s, 0.03 * sign(s)), step(until_s, -0.03 * sign(s)), other]);
        Case {
            world,
            guilt: vec![guilt(Party::Server(1), at_s, until_s, true), guilt(Party::Server(2), next_s, NEVER, true)],
        }
    };
    true "a server steps, 2 h later this host's clock" |s| {
        let at_s = onset(s, 64.0);
        let own_s = at_s + 2.0 * HOUR_S;
        let world = internet(s, 64.0, 600.0, vec![step(at_s, 0.03 * sign(s)), set(own_s, 0.05 * sign(s))]);
        Case {
            world,
            guilt: vec![guilt(Party::Server(1), at_s, NEVER, true), guilt(Party::Own, own_s, NEVER, true)],
        }
    };
    false "server step 30 ms, slewed back at 10 ppm" |s| {
        let at_s = onset(s, 64.0);
        let (from_s, until_s) = (at_s + 2.0 * HOUR_S, at_s + 2.0 * HOUR_S + 3000.0);
        let faults =
            vec![step(at_s, 0.03 * sign(s)), drift(from_s, -10.0 * sign(s)), drift(until_s, 10.0 * sign(s))];
        guilty(internet(s, 64.0, 600.0, faults), Party::Server(1), at_s, until_s)
    };
    true "own step 100 ms, slewed back at 40 ppm" |s| {
        let at_s = onset(s, 64.0);
        let (from_s, until_s) = (at_s + 2000.0, at_s + 4500.0);
        let faults = vec![set(at_s, 0.1 * sign(s)), slew(from_s, until_s, -40.0 * sign(s))];
        guilty(internet(s, 64.0, 600.0, faults), Party::Own, at_s, until_s)
    };
    false "GPS server 1 s off for 6 h" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 6.0 * HOUR_S);
        guilty(internet(s, 64.0, 700.0, vec![step(at_s, sign(s)), step(until_s, -sign(s))]), Party::Server(1), at_s, until_s)
    };
    true "GPS server 1 s off from the start" |s| {
        guilty(lan(s, 64.0, 400.0, vec![step(0.0, sign(s))]), Party::Server(1), 0.0, NEVER)
    };
    false "5 of 12 servers share an upstream that steps by 40 ms" |s| {
        sharing(s, 12, 5, |server, at_s| Fault::ServerStep { server, at_s, size_s: 0.04 * sign(s) })
    };
    true "8 of 20 servers share an upstream that drifts by 5 ppm" |s| {
        sharing(s, 20, 8, |server, at_s| Fault::ServerDrift { server, at_s, ppm: 5.0 * sign(s) })
    };
    false "stamps of 1 ms, nothing wrong, LAN, a day" |s| healthy(coarse(lan(s, 16.0, 5400.0, vec![]), 1e-3));
    true "stamps of 1 ms at one server, nothing wrong, 4 days" |s| {
        healthy(internet(s, 64.0, 5400.0, vec![Fault::Grain { server: 1, grain_s: 1e-3 }]))
    };
    false "server step 10 ms, stamps of 1 ms, LAN" |s| {
        let at_s = onset(s, 16.0);
        guilty(coarse(lan(s, 16.0, 550.0, vec![step(at_s, 0.01 * sign(s))]), 1e-3), Party::Server(1), at_s, NEVER)
    };
    false "healthy, servers join and leave, 2 days" |s| {
        let mut world = World::ordinary(s, 7, 64.0, 2700.0 * 64.0);
        world.has_raw = !s.is_multiple_of(3);
        let absent = |server, from_s, until_s| Fault::Absent { server, from_s, until_s };
        world.faults =
            vec![absent(0, 3e4, NEVER), absent(2, 0.0, 2e4), absent(3, 0.0, 4e4), absent(4, 5e4, 9e4), absent(6, 0.0, 1e5)];
        healthy(world)
    };
    true "a server 80 ms off joins" |s| {
        let at_s = onset(s, 64.0);
        let faults = vec![step(0.0, 0.08 * sign(s)), Fault::Absent { server: 1, from_s: 0.0, until_s: at_s }];
        guilty(internet(s, 64.0, 500.0, faults), Party::Server(1), at_s, NEVER)
    };
    false "a good server leaves and another joins during a fault" |s| {
        let at_s = onset(s, 64.0);
        let absent = |server, from_s, until_s| Fault::Absent { server, from_s, until_s };
        let faults =
            vec![step(at_s, 0.03 * sign(s)), absent(0, at_s + 2000.0, NEVER), absent(2, 0.0, at_s + 4000.0)];
        let mut world = World::ordinary(s, 6, 64.0, 550.0 * 64.0);
        (world.faults, world.has_raw) = (faults, !s.is_multiple_of(3));
        guilty(world, Party::Server(1), at_s, NEVER)
    };
    false "starts while a server drifts by 20 ppm" |s| {
        guilty(internet(s, 64.0, 500.0, vec![drift(-5000.0, 20.0 * sign(s))]), Party::Server(1), 0.0, NEVER)
    };
    true "starts while this host's clock drifts by 20 ppm" |s| {
        guilty(internet(s, 64.0, 500.0, vec![own_drift(-5000.0, 20.0 * sign(s))]), Party::Own, 0.0, NEVER)
    };
    false "starts while a route is longer by 20 ms" |s| {
        let route = Fault::Route { server: 1, from_s: 0.0, until_s: 3000.0, out_s: 0.02, back_s: 0.0 };
        healthy(internet(s, 64.0, 500.0, vec![route]))
    };
    true "starts during congestion of the access link" |s| {
        healthy(internet(s, 64.0, 500.0, vec![Fault::Congestion { from_s: 0.0, until_s: 3000.0, mean_s: 0.03 }]))
    };
    false "own clock runs away by 20 ppm and is set back every hour" |s| {
        let at_s = onset(s, 64.0);
        let back = |k: u32| set(at_s + HOUR_S * f64::from(k), -0.072 * sign(s));
        let faults = std::iter::once(own_drift(at_s, 20.0 * sign(s))).chain((1..6).map(back));
        let mut case = guilty(internet(s, 64.0, 480.0, faults.collect()), Party::Own, at_s, NEVER);
        // The clock is right for a while after each correction.
        case.guilt = (0..7).map(|k| guilt(Party::Own, at_s + HOUR_S * f64::from(k), at_s + HOUR_S * f64::from(k + 1), k == 0)).collect();
        case
    };
    true "server step 20 ms behind a wandering queue" |s| {
        let queue = Fault::Queue { server: 1, mean_s: 0.003, tau_s: 1800.0, share_out: 1.0 };
        let at_s = 100_000.0;
        guilty(internet(s, 64.0, 2500.0, vec![queue, step(at_s, 0.02 * sign(s))]), Party::Server(1), at_s, NEVER)
    };
    false "restless routes, both directions, every 2 h" |s| super::restless(s, 4.0, 0.08, true);
    true "restless routes and a server drift of 5 ppm" |s| {
        let mut case = super::restless(s, 4.0, 0.5, true);
        case.world.faults.push(drift(1e5, 5.0 * sign(s)));
        guilty(case.world, Party::Server(1), 1e5, NEVER)
    };
};
