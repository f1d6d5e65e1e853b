//! Kinds of worlds in which this host restarts with a wrong clock, is slewed fast, set in between, warmed or paused.

use ntp_monitor_core::world::World;

use super::{Case, Fault, Guilt, Kind, NEVER, Party, guilty, healthy, internet, lan, onset, sign};

const HOUR_S: f64 = 3600.0;
/// The fastest slew of chronyd, in ppm.
const FASTEST_PPM: f64 = 83_333.0;

fn set(at_s: f64, size_s: f64) -> Fault {
    Fault::LocalStep { at_s, size_s }
}

fn slew(from_s: f64, until_s: f64, ppm: f64) -> Fault {
    Fault::LocalSlew { from_s, until_s, ppm }
}

fn lenient(world: World, from_s: f64, until_s: f64) -> Case {
    Case { world, guilt: vec![Guilt { party: Party::Own, from_s, until_s, required: false }] }
}

/// The machine restarts and is off by `size_s` from then on, until it is set `after_s` later.
fn restarted(seed: u64, size_s: f64, after_s: f64) -> Case {
    let (from_s, at_s) = (onset(seed, 64.0), onset(seed, 64.0) + 150.0);
    let until_s = at_s + after_s;
    let faults = vec![Fault::Restart { from_s, until_s: at_s }, set(at_s, size_s), set(until_s, -size_s)];
    let mut world = internet(seed, 64.0, 600.0, faults);
    world.has_raw = true;
    guilty(world, Party::Own, at_s, until_s)
}

/// The oscillator runs at another rate for every `each_s`: it gets warm and cold again.
fn swings(mut world: World, from_s: f64, until_s: f64, each_s: f64, ppm: f64) -> World {
    let mut rate = 0.0;
    let mut at_s = from_s;
    let mut k = 0_u32;
    while at_s < until_s {
        let next = ppm * [1.0, -1.0, -1.0, 1.0][(k % 4) as usize];
        world.faults.push(Fault::LocalDrift { at_s, ppm: next - rate });
        (rate, at_s, k) = (next, at_s + each_s, k + 1);
    }
    world.faults.push(Fault::LocalDrift { at_s: until_s, ppm: -rate });
    world
}

pub const KINDS: &[Kind] = kinds! {
    false "restarts an hour behind, set after 40 min" |s| restarted(s, -HOUR_S, 2400.0);
    true "restarts an hour ahead, set after 3 h" |s| restarted(s, HOUR_S, 3.0 * HOUR_S);
    false "restarts 56 years behind, set after 20 min" |s| restarted(s, -1.77e9, 1200.0);
    false "restarts 2 s behind, set after 2 h" |s| restarted(s, -2.0, 2.0 * HOUR_S);
    true "restarts an hour behind, set after a minute" |s| {
        let mut case = restarted(s, -HOUR_S, 50.0);
        case.guilt[0].required = false;
        case
    };
    false "restarts with a right clock" |s| {
        let from_s = onset(s, 64.0);
        let mut world = internet(s, 64.0, 500.0, vec![Fault::Restart { from_s, until_s: from_s + 150.0 }]);
        world.has_raw = true;
        healthy(world)
    };
    false "own step 5 s, slewed back at 83333 ppm after 10 min" |s| {
        let (at_s, from_s) = (onset(s, 64.0), onset(s, 64.0) + 600.0);
        let until_s = from_s + 5e6 / FASTEST_PPM;
        let faults = vec![set(at_s, 5.0 * sign(s)), slew(from_s, until_s, -FASTEST_PPM * sign(s))];
        let mut case = guilty(internet(s, 64.0, 500.0, faults), Party::Own, at_s, until_s);
        case.guilt[0].required = true;
        case
    };
    true "own step 40 s, slewed back at 83333 ppm" |s| {
        let (at_s, from_s) = (onset(s, 64.0), onset(s, 64.0) + 1000.0);
        let until_s = from_s + 40e6 / FASTEST_PPM;
        let faults = vec![set(at_s, 40.0 * sign(s)), slew(from_s, until_s, -FASTEST_PPM * sign(s))];
        guilty(internet(s, 64.0, 500.0, faults), Party::Own, at_s, until_s)
    };
    false "own drift 50 ppm, set in the middle, drifts on" |s| {
        let at_s = onset(s, 64.0);
        let faults = vec![
            Fault::LocalDrift { at_s, ppm: 50.0 * sign(s) },
            set(at_s + HOUR_S, -0.18 * sign(s)),
            slew(at_s + HOUR_S, NEVER, -50.0 * sign(s)),
        ];
        guilty(internet(s, 64.0, 500.0, faults), Party::Own, at_s, at_s + HOUR_S)
    };
    false "own oscillator swings by 5 ppm within 10 min" |s| {
        let world = swings(internet(s, 64.0, 900.0, vec![]), 12_000.0, 40_800.0, 300.0, 5.0);
        lenient(world, 12_000.0, 40_800.0)
    };
    true "own oscillator swings by 5 ppm within 5 min, LAN" |s| {
        let world = swings(lan(s, 16.0, 2500.0, vec![]), 6000.0, 21_000.0, 150.0, 5.0);
        lenient(world, 6000.0, 21_300.0)
    };
    false "paused for 30 s to 5 min, time kept by the host below" |s| {
        let pause = |k: u32| {
            let from_s = 8000.0 + 4000.0 * f64::from(k);
            Fault::Suspend { from_s, until_s: from_s + [30.0, 90.0, 300.0, 150.0][(k % 4) as usize] }
        };
        let mut world = internet(s, 64.0, 600.0, (0..7).map(pause).collect());
        world.has_boot = s.is_multiple_of(2);
        healthy(world)
    };
    true "frozen for 30 s to 5 min, set a few minutes later" |s| {
        let freeze = |k: u32| {
            let from_s = 8000.0 + 6000.0 * f64::from(k);
            let length_s = [30.0, 90.0, 300.0, 150.0][(k % 4) as usize];
            [Fault::Freeze { from_s, until_s: from_s + length_s }, set(from_s + length_s + 400.0, length_s)]
        };
        let world = internet(s, 64.0, 600.0, (0..4).flat_map(freeze).collect());
        let spell = |k: u32| {
            let from_s = 8000.0 + 6000.0 * f64::from(k);
            let until_s = from_s + [30.0, 90.0, 300.0, 150.0][(k % 4) as usize] + 400.0;
            Guilt { party: Party::Own, from_s, until_s, required: false }
        };
        Case { world, guilt: (0..4).map(spell).collect() }
    };
    false "intervals change from 64 to 16 to 256 s, own step 40 ms" |s| {
        let at_s = 40_000.0;
        let every = |from_s, until_s, poll_s| Fault::Interval { from_s, until_s, poll_s };
        let faults =
            vec![every(15_000.0, 25_000.0, 16.0), every(30_000.0, NEVER, 256.0), set(at_s, 0.04 * sign(s))];
        guilty(internet(s, 64.0, 1400.0, faults), Party::Own, at_s, NEVER)
    };
};
