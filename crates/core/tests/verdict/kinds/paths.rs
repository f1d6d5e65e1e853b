//! More kinds of worlds in which only paths change: every accusation of a clock is wrong.

use ntp_monitor_core::world::{Dice, World};

use super::{Case, Fault, Kind, NEVER, Party, guilty, healthy, internet, onset, restless, sign};

fn route(server: usize, from_s: f64, until_s: f64, (out_s, back_s): (f64, f64)) -> Fault {
    Fault::Route { server, from_s, until_s, out_s, back_s }
}

/// Extra delay of a path in one direction, positive on the way to the server.
fn way(extra_s: f64) -> (f64, f64) {
    (extra_s.max(0.0), (-extra_s).max(0.0))
}

/// Extra delay appears, then moves from one direction to the other every 40 minutes.
fn appears_and_moves(seed: u64) -> Case {
    let extra_s = Dice::new(seed).between(0.004, 0.02);
    let moves = |k: u32| {
        let from_s = onset(seed, 64.0) + 2400.0 * f64::from(k);
        route(1, from_s, from_s + 2400.0, way(if k.is_multiple_of(2) { extra_s } else { -extra_s }))
    };
    healthy(internet(seed, 64.0, 1000.0, (0..20).map(moves).collect()))
}

/// A path alternates between two routes.
fn alternating(seed: u64, period_s: f64) -> Case {
    let mut dice = Dice::new(seed);
    let size_s = dice.between(0.002, 0.02);
    let other = |k: u32| {
        let from_s = onset(seed, 64.0) + period_s * f64::from(2 * k);
        route(1, from_s, from_s + period_s, way(size_s * sign(seed)))
    };
    healthy(internet(seed, 64.0, 1350.0, (0..30).map(other).collect()))
}

fn queues(seed: u64, mean_s: f64, tau_s: f64, polls: f64) -> Case {
    let mut world = internet(seed, 64.0, polls, vec![]);
    let mut dice = Dice::new(seed ^ 0x9e);
    let queue = |server| Fault::Queue { server, mean_s, tau_s, share_out: dice.unit().round() };
    world.faults = (0..world.servers.len()).map(queue).collect();
    healthy(world)
}

pub const KINDS: &[Kind] = kinds! {
    false "one direction of a route changes by 20 ms" |s| {
        healthy(internet(s, 64.0, 700.0, vec![route(1, onset(s, 64.0), NEVER, way(0.02 * sign(s)))]))
    };
    true "one direction of a route becomes shorter" |s| {
        let at_s = onset(s, 64.0);
        let longer = |world: &World| 0.3 * world.servers[1].delay_s;
        let mut world = internet(s, 64.0, 700.0, vec![]);
        world.faults = vec![route(1, 0.0, at_s, way(longer(&world) * sign(s)))];
        healthy(world)
    };
    false "extra delay appears, then changes direction" appears_and_moves;
    false "route alternates every 40 min" |s| alternating(s, 2400.0);
    true "route alternates every 4 h" |s| alternating(s, 14_400.0);
    false "restless routes, both directions, 4 times a day" |s| restless(s, 6.0, 0.25, true);
    true "restless routes, one direction, 3 times a day" |s| restless(s, 6.0, 0.33, false);
    false "restless routes, both directions, every 3 days" |s| restless(s, 20.0, 3.0, true);
    false "queues of 3 ms wander within half an hour, 4 days" |s| queues(s, 0.003, 1800.0, 5400.0);
    true "queues of 1 ms wander within three hours, 4 days" |s| queues(s, 0.001, 10_000.0, 5400.0);
    false "access link congested 8 h a day, 4 days" |s| {
        let day = |k: u32| {
            let from_s = 30_000.0 + 86_400.0 * f64::from(k);
            Fault::Congestion { from_s, until_s: from_s + 28_800.0, mean_s: 0.02 }
        };
        healthy(internet(s, 64.0, 5400.0, (0..4).map(day).collect()))
    };
    true "one direction of all routes changes by 15 ms" |s| {
        let mut world = internet(s, 64.0, 700.0, vec![]);
        let changed = |server| route(server, onset(s, 64.0), NEVER, way(0.015 * sign(s)));
        world.faults = (0..world.servers.len()).map(changed).collect();
        healthy(world)
    };
    false "half of the routes change by 15 ms at once" |s| {
        let mut world = internet(s, 64.0, 700.0, vec![]);
        let changed = |server| route(server, onset(s, 64.0), NEVER, way(0.015 * sign(s)));
        world.faults = (0..world.servers.len() / 2).map(changed).collect();
        healthy(world)
    };
    true "one direction of a route creeps by 10 ms over 3 h" |s| {
        let part = |k: u32| route(1, onset(s, 64.0) + 270.0 * f64::from(k), NEVER, way(0.000_25 * sign(s)));
        healthy(internet(s, 64.0, 700.0, (0..40).map(part).collect()))
    };
    false "server step 300 ms on restless routes" |s| {
        let mut case = restless(s, 2.0, 0.5, true);
        case.world.faults.push(Fault::ServerStep { server: 1, at_s: 1e5, size_s: 0.3 * sign(s) });
        guilty(case.world, Party::Server(1), 1e5, NEVER)
    };
    true "server step 20 ms on a path that changed once" |s| {
        let mut world = internet(s, 64.0, 900.0, vec![route(1, 9000.0, NEVER, way(0.01))]);
        // The path may have changed again, so the server need not be named.
        world.faults.push(Fault::ServerStep { server: 1, at_s: 32_000.0, size_s: 0.02 * sign(s) });
        let mut case = guilty(world, Party::Server(1), 32_000.0, NEVER);
        case.guilt[0].required = false;
        case
    };
};
