//! Kinds of worlds in which some servers smear a leap second and others insert it, or announce one that does not occur.

use super::{Case, Fault, Guilt, Kind, MIDNIGHT_S, NEVER, Party, guilty, healthy, internet, onset, sign};

/// Times of a world that begins 18 hours before the leap second: noon, when a smear begins, midnight, and its end.
const NOON_S: f64 = 21_600.0;
const LEAP_S: f64 = 64_800.0;
const END_S: f64 = 108_001.0;
/// The rate of a smeared leap second, in ppm.
const SMEAR_PPM: f64 = 1e6 / 86_401.0;

/// The first `smearing` of `servers` smear a leap second, the others insert it. What this host does, `own` says.
fn smeared(seed: u64, servers: usize, smearing: usize, own: &[Fault]) -> Case {
    let mut world = internet(seed, 64.0, 2000.0, Vec::new());
    let models = ntp_monitor_core::world::World::ordinary(seed, servers, 64.0, 0.0).servers;
    (world.servers, world.start_unix_s) = (models, MIDNIGHT_S - 64_800);
    let smear = |server| Fault::Smear { server, midnight_unix_s: MIDNIGHT_S };
    world.faults = (0..smearing).map(smear).chain(own.iter().cloned()).collect();
    let blame = |i| Guilt { party: Party::Server(i), from_s: NOON_S, until_s: END_S, required: false };
    Case { guilt: (0..smearing).map(blame).collect(), world }
}

/// UTC has a leap second, and this host inserts it or steps over it.
fn leap(done: bool) -> Fault {
    Fault::Leap { at_s: LEAP_S, done }
}

/// This host follows the smearing servers: slower than UTC by the rate of the smear, and ahead by half a second at
/// midnight, when its clock does not repeat a second.
fn follows_smear() -> [Fault; 2] {
    [Fault::LocalSlew { from_s: NOON_S, until_s: END_S, ppm: -SMEAR_PPM }, leap(false)]
}

pub const KINDS: &[Kind] = kinds! {
    false "two of seven servers smear a leap second, this host inserts it" |s| {
        let mut case = smeared(s, 7, 2, &[leap(true)]);
        case.guilt.iter_mut().for_each(|it| it.required = true);
        case
    };
    false "four of seven servers smear a leap second, this host inserts it" |s| smeared(s, 7, 4, &[leap(true)]);
    true "three of five servers smear a leap second, this host inserts it" |s| smeared(s, 5, 3, &[leap(true)]);
    false "half of six servers smear a leap second, this host inserts it" |s| smeared(s, 6, 3, &[leap(true)]);
    false "four of five servers smear a leap second, and so does this host" |s| smeared(s, 5, 4, &follows_smear());
    true "five of seven servers smear a leap second, and so does this host" |s| smeared(s, 7, 5, &follows_smear());
    false "all servers smear a leap second, this host inserts it" |s| smeared(s, 5, 5, &[leap(true)]);
    false "one server announces a leap second that does not occur" |s| {
        let mut world = internet(s, 64.0, 1500.0, vec![Fault::LeapFlag { server: 1, from_s: 0.0, until_s: LEAP_S + 600.0 }]);
        world.start_unix_s = MIDNIGHT_S - 64_800;
        healthy(world)
    };
    true "a server with a wrong announcement inserts a second that does not occur" |s| {
        let flag = Fault::LeapFlag { server: 1, from_s: 0.0, until_s: LEAP_S };
        let step = |at_s, size_s| Fault::ServerStep { server: 1, at_s, size_s };
        let until_s = LEAP_S + onset(s, 64.0);
        let mut world = internet(s, 64.0, 1500.0, vec![flag, step(LEAP_S, -1.0), step(until_s, 1.0)]);
        world.start_unix_s = MIDNIGHT_S - 64_800;
        guilty(world, Party::Server(1), LEAP_S, until_s)
    };
    false "this host is set by a second on another midnight" |s| {
        let set = Fault::LocalStep { at_s: LEAP_S, size_s: sign(s) };
        let mut world = internet(s, 64.0, 1300.0, vec![set]);
        (world.start_unix_s, world.has_raw) = (MIDNIGHT_S - 64_800 - 40 * 86_400, true);
        guilty(world, Party::Own, LEAP_S, NEVER)
    };
};
