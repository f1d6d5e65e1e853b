//! More kinds of worlds in which this host's clock is at fault, or all servers move together.

use super::{Case, Fault, Guilt, Kind, MIDNIGHT_S, NEVER, Party, guilty, healthy, internet, lan, onset, sign};

/// This host's clock is wrong for a while and need not be named.
fn lenient(world: ntp_monitor_core::world::World, from_s: f64, until_s: f64) -> Case {
    Case { world, guilt: vec![Guilt { party: Party::Own, from_s, until_s, required: false }] }
}

fn set(at_s: f64, size_s: f64) -> Fault {
    Fault::LocalStep { at_s, size_s }
}

fn slew(from_s: f64, until_s: f64, ppm: f64) -> Fault {
    Fault::LocalSlew { from_s, until_s, ppm }
}

pub const KINDS: &[Kind] = kinds! {
    false "own clock 128 ms off, slewed away at 500 ppm from the start" |s| {
        let faults = vec![set(0.0, 0.128 * sign(s)), slew(30.0, 286.0, -500.0 * sign(s))];
        lenient(internet(s, 64.0, 500.0, faults), 0.0, 290.0)
    };
    true "own clock 1 s off, slewed away at 500 ppm from the start" |s| {
        let faults = vec![set(0.0, sign(s)), slew(30.0, 2030.0, -500.0 * sign(s))];
        lenient(internet(s, 64.0, 500.0, faults), 0.0, 2040.0)
    };
    false "own rate off by 3 ppm for 3 h" |s| {
        let at_s = onset(s, 64.0);
        let drift = |at_s, ppm| Fault::LocalDrift { at_s, ppm: ppm * sign(s) };
        lenient(internet(s, 64.0, 700.0, vec![drift(at_s, 3.0), drift(at_s + 10_800.0, -3.0)]), at_s, NEVER)
    };
    true "own clock waves by 2 ms every 2 h" |s| {
        let wave = Fault::LocalSettling { at_s: 0.0, size_s: 0.002, tau_s: f64::INFINITY, period_s: 7200.0 };
        lenient(internet(s, 64.0, 1500.0, vec![wave]), 0.0, NEVER)
    };
    false "own clock waves by 100 µs every 20 min, LAN" |s| {
        let wave = Fault::LocalSettling { at_s: 0.0, size_s: 1e-4, tau_s: f64::INFINITY, period_s: 1200.0 };
        lenient(lan(s, 16.0, 3000.0, vec![wave]), 0.0, NEVER)
    };
    false "own step 20 ms, slewed back at 100 ppm" |s| {
        let at_s = onset(s, 64.0);
        let faults = vec![set(at_s, 0.02 * sign(s)), slew(at_s + 3000.0, at_s + 3200.0, -100.0 * sign(s))];
        guilty(internet(s, 64.0, 600.0, faults), Party::Own, at_s, at_s + 3200.0)
    };
    true "own clock forward by an hour, then back" |s| {
        let at_s = onset(s, 64.0);
        // The history uses the time of this host's clock, so its overlap with true time is not scored.
        let faults = vec![set(at_s, 3600.0), set(at_s + 5000.0, -3600.0)];
        lenient(internet(s, 64.0, 500.0, faults), at_s, at_s + 5000.0)
    };
    false "own clock settles from 30 ms in mid-run" |s| {
        let at_s = onset(s, 64.0);
        let settling = Fault::LocalSettling { at_s, size_s: 0.03 * sign(s), tau_s: 600.0, period_s: f64::INFINITY };
        lenient(internet(s, 64.0, 600.0, vec![settling]), at_s, at_s + 4800.0)
    };
    true "own clock oscillates in mid-run, LAN" |s| {
        let at_s = onset(s, 16.0);
        let settling = Fault::LocalSettling { at_s, size_s: 0.001 * sign(s), tau_s: 900.0, period_s: 800.0 };
        lenient(lan(s, 16.0, 1500.0, vec![settling]), at_s, at_s + 7200.0)
    };
    false "suspended for 2 h, 300 ms off until corrected" |s| {
        let (from_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 7200.0);
        let faults =
            vec![Fault::Suspend { from_s, until_s }, set(until_s, 0.3 * sign(s)), set(until_s + 700.0, -0.3 * sign(s))];
        let mut world = internet(s, 64.0, 700.0, faults);
        (world.has_boot, world.has_raw) = (s.is_multiple_of(2), true);
        lenient(world, until_s, until_s + 700.0)
    };
    true "suspended for 10 min, again and again" |s| {
        let nap = |k: u32| {
            let from_s = onset(s, 64.0) + 3000.0 * f64::from(k);
            Fault::Suspend { from_s, until_s: from_s + 600.0 }
        };
        let mut world = internet(s, 64.0, 700.0, (0..10).map(nap).collect());
        (world.has_boot, world.has_raw) = (s.is_multiple_of(2), true);
        healthy(world)
    };
    false "frozen for 400 ms, not corrected" |s| {
        let from_s = onset(s, 64.0);
        let mut world = internet(s, 64.0, 500.0, vec![Fault::Freeze { from_s, until_s: from_s + 0.4 }]);
        world.has_raw = true;
        lenient(world, from_s, NEVER)
    };
    true "frozen for 20 min, then corrected" |s| {
        let from_s = onset(s, 64.0);
        let faults = vec![Fault::Freeze { from_s, until_s: from_s + 1200.0 }, set(from_s + 4000.0, 1200.0)];
        let mut world = internet(s, 64.0, 500.0, faults);
        world.has_raw = true;
        lenient(world, from_s, from_s + 4000.0)
    };
    false "leap second missed, corrected after 2 h" |s| {
        let mut world = internet(s, 64.0, 600.0, vec![]);
        (world.start_unix_s, world.has_raw) = (MIDNIGHT_S - 16_000, true);
        world.faults = vec![Fault::Leap { at_s: 16_000.0, done: false }, set(23_200.0, -1.0)];
        guilty(world, Party::Own, 16_000.0, 23_200.0)
    };
    true "leap second missed by one server" |s| {
        let mut world = internet(s, 64.0, 500.0, vec![]);
        (world.start_unix_s, world.has_raw) = (MIDNIGHT_S - 16_000, true);
        world.faults = vec![
            Fault::Leap { at_s: 16_000.0, done: true },
            Fault::ServerStep { server: 1, at_s: 16_000.0, size_s: 1.0 },
        ];
        guilty(world, Party::Server(1), 16_000.0, NEVER)
    };
    false "own step 100 µs, LAN" |s| {
        let at_s = onset(s, 16.0);
        guilty(lan(s, 16.0, 550.0, vec![set(at_s, 1e-4 * sign(s))]), Party::Own, at_s, NEVER)
    };
    true "own drift 40 ppm, LAN" |s| {
        let at_s = onset(s, 16.0);
        guilty(lan(s, 16.0, 550.0, vec![Fault::LocalDrift { at_s, ppm: 40.0 * sign(s) }]), Party::Own, at_s, NEVER)
    };
    true "own clock starts like a measured one, LAN" |s| {
        // The course of chronyd in its first ten minutes: two wrong rates and three corrections.
        let course = vec![
            slew(17.0, 85.0, -72.0 * sign(s)),
            set(90.0, 6e-4 * sign(s)),
            slew(97.0, 150.0, -40.0 * sign(s)),
            set(155.0, 5.7e-3 * sign(s)),
            slew(161.0, 212.0, 4.0 * sign(s)),
            set(217.0, 1.15e-3 * sign(s)),
            slew(225.0, 560.0, -2.8 * sign(s)),
        ];
        let mut world = lan(s, 16.0, 1500.0, course);
        world.has_raw = false;
        // It leaves the clock wrong by 0.3 ms, which the error ranges of some servers prove.
        lenient(world, 0.0, NEVER)
    };
    false "own clock 80 ms off from the start, for good" |s| {
        guilty(internet(s, 64.0, 500.0, vec![set(0.0, 0.08 * sign(s))]), Party::Own, 0.0, NEVER)
    };
};
