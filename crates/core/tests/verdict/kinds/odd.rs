//! Kinds of worlds for cases that the rules were not written for: many and few servers, much loss, hours with queues in
//! one direction, two faults at once, short faults, servers that come and go, changing upstreams.

use ntp_monitor_core::world::{Dice, World};

use super::{Case, Fault, Guilt, Kind, MIDNIGHT_S, NEVER, Party, guilty, healthy, internet, lan, onset, sign};

const HOUR_S: f64 = 3600.0;
const DAY_S: f64 = 86_400.0;

fn step(server: usize, at_s: f64, size_s: f64) -> Fault {
    Fault::ServerStep { server, at_s, size_s }
}

fn set(at_s: f64, size_s: f64) -> Fault {
    Fault::LocalStep { at_s, size_s }
}

fn guilt(party: Party, from_s: f64, until_s: f64, required: bool) -> Guilt {
    Guilt { party, from_s, until_s, required }
}

fn world(seed: u64, servers: usize, polls: f64, faults: Vec<Fault>) -> World {
    let mut world = World::ordinary(seed, servers, 64.0, polls * 64.0);
    (world.faults, world.has_raw) = (faults, !seed.is_multiple_of(3));
    world
}

fn lossy(mut world: World, loss: f64) -> World {
    world.servers.iter_mut().for_each(|it| it.loss = loss);
    world
}

fn wandering(mut world: World, sigma_s: f64, tau_s: f64) -> World {
    world.faults.extend((0..world.servers.len()).map(|server| Fault::ServerWander { server, sigma_s, tau_s }));
    world
}

/// A queue in one direction grows and shrinks in the same hours of each day.
fn rush_hours(seed: u64) -> Case {
    let mut it = world(seed, 5, 6750.0, vec![]);
    let mut dice = Dice::new(seed ^ 0x4a);
    for server in 0..2 {
        let most_s = dice.between(0.002, 0.012);
        for (day, part) in (0..5).flat_map(|day| (0..16).map(move |part| (f64::from(day), f64::from(part)))) {
            let from_s = DAY_S * (day + 0.2 * (server + 1) as f64) + 900.0 * part;
            let extra_s = most_s * (std::f64::consts::PI * (part + 0.5) / 16.0).sin();
            let (out_s, back_s) = if server == 0 { (extra_s, 0.0) } else { (0.0, extra_s) };
            it.faults.push(Fault::Route { server, from_s, until_s: from_s + 900.0, out_s, back_s });
        }
    }
    healthy(it)
}

/// A room that is warm by day: this host's clock changes its rate; its daemon corrects that half an hour later.
fn warm_days(seed: u64) -> Case {
    let mut faults = Vec::new();
    for k in 0..6 {
        let (at_s, ppm) = (20_000.0 + 0.5 * DAY_S * f64::from(k), if k % 2 == 0 { 0.4 } else { -0.4 } * sign(seed));
        faults.push(Fault::LocalDrift { at_s, ppm });
        faults.push(Fault::LocalSlew { from_s: at_s + 1800.0, until_s: NEVER, ppm: -ppm });
    }
    let world = internet(seed, 64.0, 4050.0, faults);
    Case { world, guilt: vec![guilt(Party::Own, 20_000.0, NEVER, false)] }
}

/// All paths move extra delay from one direction to the other at random times.
fn exchanging(seed: u64, servers: usize) -> Case {
    let mut it = world(seed, servers, 5400.0, vec![]);
    let mut dice = Dice::new(seed ^ 0xec);
    for server in 0..servers {
        let extra_s = dice.between(0.003, 0.015);
        let (mut at_s, mut is_out) = (0.0, dice.unit() < 0.5);
        while at_s < it.duration_s {
            let until_s = at_s + dice.exponential(DAY_S);
            let (out_s, back_s) = if is_out { (extra_s, 0.0) } else { (0.0, extra_s) };
            it.faults.push(Fault::Route { server, from_s: at_s, until_s, out_s, back_s });
            (at_s, is_out) = (until_s, !is_out);
        }
    }
    healthy(it)
}

pub const KINDS: &[Kind] = kinds! {
    false "healthy, 30 servers, 20 % loss, a day" |s| healthy(lossy(world(s, 30, 1350.0, vec![]), 0.2));
    false "healthy, 3 servers, 256 s, 10 days" |s| {
        let mut it = World::ordinary(s, 3, 256.0, 3375.0 * 256.0);
        it.has_raw = !s.is_multiple_of(3);
        healthy(it)
    };
    false "healthy, servers wander by 400 µs within a day, 10 days" |s| {
        healthy(wandering(internet(s, 64.0, 13_500.0, vec![]), 4e-4, 30_000.0))
    };
    true "healthy, servers wander by 5 µs within an hour, LAN, 2 days" |s| {
        healthy(wandering(lan(s, 32.0, 5400.0, vec![]), 5e-6, 3000.0))
    };
    false "one direction is queued in the same hours, 5 days" rush_hours;
    false "extra delay of all paths changes direction once a day" |s| exchanging(s, 5);
    true "the same with 12 servers" |s| exchanging(s, 12);
    false "this host's room is warm by day" warm_days;
    false "two servers, one steps by 50 ms" |s| {
        let at_s = onset(s, 64.0);
        healthy(world(s, 2, 500.0, vec![step(1, at_s, 0.05 * sign(s))]))
    };
    false "a server steps by 30 ms in the minute in which this host's clock does" |s| {
        let at_s = onset(s, 64.0);
        let it = internet(s, 64.0, 500.0, vec![step(1, at_s, 0.03 * sign(s)), set(at_s + 20.0, 0.05)]);
        Case {
            world: it,
            guilt: vec![guilt(Party::Server(1), at_s, NEVER, false), guilt(Party::Own, at_s, NEVER, true)],
        }
    };
    false "a server steps by 8 ms in the minute in which the route to another one changes" |s| {
        let at_s = onset(s, 64.0);
        let route = Fault::Route { server: 2, from_s: at_s + 10.0, until_s: NEVER, out_s: 0.01, back_s: 0.002 };
        guilty(internet(s, 64.0, 550.0, vec![step(1, at_s, 0.008 * sign(s)), route]), Party::Server(1), at_s, NEVER)
    };
    false "server 40 ms off for 5 minutes" |s| {
        let (at_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 300.0);
        let it = internet(s, 64.0, 500.0, vec![step(1, at_s, 0.04 * sign(s)), step(1, until_s, -0.04 * sign(s))]);
        Case { world: it, guilt: vec![guilt(Party::Server(1), at_s, until_s, false)] }
    };
    true "own clock 25 ms off for 5 minutes, every 16 s" |s| {
        let (at_s, until_s) = (onset(s, 16.0), onset(s, 16.0) + 300.0);
        let it = internet(s, 16.0, 500.0, vec![set(at_s, 0.025 * sign(s)), set(until_s, -0.025 * sign(s))]);
        Case { world: it, guilt: vec![guilt(Party::Own, at_s, until_s, true)] }
    };
    false "a server comes and goes every hour and steps by 30 ms" |s| {
        let at_s = onset(s, 64.0);
        let absent = |k: u32| {
            let from_s = at_s + HOUR_S * f64::from(k);
            Fault::Absent { server: 1, from_s: from_s + 1800.0, until_s: from_s + HOUR_S }
        };
        let faults = (0..8).map(absent).chain([step(1, at_s, 0.03 * sign(s))]).collect();
        guilty(internet(s, 64.0, 600.0, faults), Party::Server(1), at_s, NEVER)
    };
    false "a server changes its upstream every 20 min and steps by 15 ms" |s| {
        let at_s = onset(s, 64.0);
        let faults = vec![Fault::Upstreams { server: 1, every_s: 1200.0 }, step(1, at_s, 0.015 * sign(s))];
        guilty(internet(s, 64.0, 550.0, faults), Party::Server(1), at_s, NEVER)
    };
    true "server drift 3 ppm at 20 % loss" |s| {
        let at_s = onset(s, 64.0);
        let drift = Fault::ServerDrift { server: 1, at_s, ppm: 3.0 * sign(s) };
        guilty(lossy(internet(s, 64.0, 600.0, vec![drift]), 0.2), Party::Server(1), at_s, NEVER)
    };
    false "a server inserts the leap second an hour late" |s| {
        let mut it = internet(s, 64.0, 500.0, vec![]);
        (it.start_unix_s, it.has_raw) = (MIDNIGHT_S - 16_000, true);
        let late_s = 16_000.0 + HOUR_S;
        it.faults = vec![Fault::Leap { at_s: 16_000.0, done: true }, step(1, 16_000.0, 1.0), step(1, late_s, -1.0)];
        guilty(it, Party::Server(1), 16_000.0, late_s)
    };
    false "own clock settles from 30 ms while a route changes direction" |s| {
        let settling = Fault::LocalSettling { at_s: 0.0, size_s: 0.03 * sign(s), tau_s: 500.0, period_s: 700.0 };
        let route = |from_s, until_s, out_s, back_s| Fault::Route { server: 1, from_s, until_s, out_s, back_s };
        let faults = vec![settling, route(0.0, 3000.0, 0.012, 0.0), route(3000.0, NEVER, 0.0, 0.012)];
        let it = internet(s, 64.0, 500.0, faults);
        Case { world: it, guilt: vec![guilt(Party::Own, 0.0, 4000.0, false)] }
    };
};
