//! Kinds of worlds with their truth. Sizes, signs, intervals and numbers of servers vary with the seed.
//!
//! A third of the kinds is held out: they are never used to choose thresholds, so that their figures show what to
//! expect in unknown worlds.

use ntp_monitor_core::world::{Dice, Fault, World};

macro_rules! kinds {
    ($($held:literal $name:literal $make:expr;)*) => {
        &[$(Kind { name: $name, held_out: $held, make: $make },)*]
    };
}

mod clocks;
mod leaps;
mod mixed;
mod odd;
mod own;
mod paths;
mod sequels;
mod servers;
mod steered;
mod tangled;

/// A party that can be at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    Own,
    Server(usize),
}

/// One party, wrong from `from_s` to `until_s` in true time.
#[derive(Debug, Clone, Copy)]
pub struct Guilt {
    pub party: Party,
    pub from_s: f64,
    pub until_s: f64,
    /// Whether it has to be found. A fault that is too small or too short may be named or not.
    pub required: bool,
}

pub struct Case {
    pub world: World,
    pub guilt: Vec<Guilt>,
}

pub struct Kind {
    pub name: &'static str,
    pub held_out: bool,
    pub make: fn(u64) -> Case,
}

const NEVER: f64 = f64::INFINITY;
/// 2027-01-01, the end of a leap second of the simulation.
const MIDNIGHT_S: i64 = 1_798_761_600;

fn sign(seed: u64) -> f64 {
    if seed.is_multiple_of(2) { 1.0 } else { -1.0 }
}

fn onset(seed: u64, poll_s: f64) -> f64 {
    150.0 * poll_s + 17.0 * (seed % 11) as f64
}

/// Quartz oscillators are off by up to 100 ppm, most by less than 50.
fn oscillator_ppm(seed: u64) -> f64 {
    [12.0, -45.0, 28.0, 0.0, 80.0, -20.0, 5.0][(seed % 7) as usize]
}

fn internet(seed: u64, poll_s: f64, polls: f64, faults: Vec<Fault>) -> World {
    let mut world = World::ordinary(seed, [5, 4, 7, 5, 9][(seed % 5) as usize], poll_s, polls * poll_s);
    (world.faults, world.has_raw, world.oscillator_ppm) = (faults, !seed.is_multiple_of(3), oscillator_ppm(seed));
    world
}

fn lan(seed: u64, poll_s: f64, polls: f64, faults: Vec<Fault>) -> World {
    let mut world = World::lan(seed, [4, 5, 3, 6][(seed % 4) as usize], poll_s, polls * poll_s);
    (world.faults, world.has_raw, world.oscillator_ppm) = (faults, !seed.is_multiple_of(3), oscillator_ppm(seed));
    world
}

fn healthy(world: World) -> Case {
    Case { world, guilt: Vec::new() }
}

fn guilty(world: World, party: Party, from_s: f64, until_s: f64) -> Case {
    Case { world, guilt: vec![Guilt { party, from_s, until_s, required: true }] }
}

fn server_fault(seed: u64, world: fn(u64, f64, f64, Vec<Fault>) -> World, poll_s: f64, fault: Fault) -> Case {
    let server = match fault {
        Fault::ServerStep { server, .. } | Fault::ServerDrift { server, .. } => server,
        Fault::Intermittent { server, .. } | Fault::ServerSine { server, .. } => server,
        _ => 0,
    };
    let at_s = onset(seed, poll_s);
    guilty(world(seed, poll_s, 550.0, vec![fault]), Party::Server(server), at_s, NEVER)
}

fn server_step(seed: u64, world: fn(u64, f64, f64, Vec<Fault>) -> World, poll_s: f64, size_s: f64) -> Case {
    let fault = Fault::ServerStep { server: 1, at_s: onset(seed, poll_s), size_s: sign(seed) * size_s };
    server_fault(seed, world, poll_s, fault)
}

fn server_drift(seed: u64, poll_s: f64, ppm: f64) -> Case {
    let fault = Fault::ServerDrift { server: 1, at_s: onset(seed, poll_s), ppm: sign(seed) * ppm };
    server_fault(seed, internet, poll_s, fault)
}

fn intermittent(seed: u64, share: f64, size_s: f64) -> Case {
    let at_s = onset(seed, 64.0);
    let size_s = sign(seed) * size_s;
    server_fault(seed, internet, 64.0, Fault::Intermittent { server: 1, from_s: at_s, until_s: NEVER, size_s, share })
}

/// This host's clock is wrong from the first sample and is corrected after a few polls.
fn early(seed: u64, size_s: f64, polls: f64) -> Case {
    let (size_s, until_s) = (sign(seed) * size_s, polls * 64.0 + 20.0);
    let set = |at_s, size_s| Fault::LocalStep { at_s, size_s };
    let world = internet(seed, 64.0, 500.0, vec![set(0.0, size_s), set(until_s, -size_s)]);
    Case { world, guilt: vec![Guilt { party: Party::Own, from_s: 0.0, until_s, required: false }] }
}

fn settling(world: World, seed: u64, size_s: f64, tau_s: f64, period_s: f64) -> Case {
    let mut world = world;
    world.faults = vec![Fault::LocalSettling { at_s: 0.0, size_s: sign(seed) * size_s, tau_s, period_s }];
    let until_s = 8.0 * tau_s;
    Case { world, guilt: vec![Guilt { party: Party::Own, from_s: 0.0, until_s, required: false }] }
}

/// The routes of all servers change at random times, in `both` directions or one.
fn restless(seed: u64, days: f64, mean_days: f64, both: bool) -> Case {
    let mut world = internet(seed, 64.0, days * 1350.0, Vec::new());
    let mut dice = Dice::new(seed ^ 0x70);
    for server in 0..world.servers.len() {
        let mut at_s = dice.exponential(mean_days * 86_400.0);
        while at_s < world.duration_s {
            let until_s = at_s + dice.exponential(mean_days * 86_400.0).max(1200.0);
            let (a, b) = (dice.between(-0.3, 1.0), dice.between(-0.3, 1.0));
            let delay_s = world.servers[server].delay_s;
            let (out_s, back_s) = if both {
                (a, b)
            } else if seed.is_multiple_of(2) {
                (a, 0.0)
            } else {
                (0.0, a)
            };
            let (out_s, back_s) = (0.5 * out_s * delay_s, 0.5 * back_s * delay_s);
            world.faults.push(Fault::Route { server, from_s: at_s, until_s, out_s, back_s });
            at_s = until_s;
        }
    }
    healthy(world)
}

/// Extra delay moves from one direction of a route to the other, which no round trip shows.
fn swapped(seed: u64) -> Case {
    let extra_s = Dice::new(seed).between(0.004, 0.02);
    let route = |from_s, until_s, way: f64| Fault::Route {
        server: 1,
        from_s,
        until_s,
        out_s: extra_s * f64::from(way > 0.0),
        back_s: extra_s * f64::from(way < 0.0),
    };
    let at_s = onset(seed, 64.0);
    let moves = (0..20).map(|k| {
        let from_s = at_s + 2400.0 * f64::from(k);
        route(from_s, from_s + 2400.0, if k % 2 == 0 { 1.0 } else { -1.0 })
    });
    healthy(internet(seed, 64.0, 1000.0, std::iter::once(route(0.0, at_s, -1.0)).chain(moves).collect()))
}

fn all_step(seed: u64) -> Case {
    let mut world = internet(seed, 64.0, 500.0, Vec::new());
    world.has_raw = true;
    let at_s = onset(seed, 64.0);
    let step = |server| Fault::ServerStep { server, at_s, size_s: 0.1 * sign(seed) };
    world.faults = (0..world.servers.len()).map(step).collect();
    healthy(world)
}

/// Three of five servers share an upstream and are wrong together. Naming them is right, and so is naming no party.
fn upstream(seed: u64, fault: fn(usize, f64) -> Fault) -> Case {
    let at_s = onset(seed, 64.0);
    let mut world = World::ordinary(seed, 5, 64.0, 500.0 * 64.0);
    world.has_raw = !seed.is_multiple_of(3);
    let bad = [0, 2, 4];
    bad.iter().for_each(|i| world.servers[*i].upstream = 99);
    world.faults = bad.iter().map(|i| fault(*i, at_s)).collect();
    let blame = |i: &usize| Guilt { party: Party::Server(*i), from_s: at_s, until_s: NEVER, required: false };
    Case { guilt: bad.iter().map(blame).collect(), world }
}

fn leap(seed: u64, done: bool) -> Case {
    let mut world = internet(seed, 64.0, 500.0, Vec::new());
    world.start_unix_s = MIDNIGHT_S - 16_000;
    world.has_raw = true;
    world.faults = vec![Fault::Leap { at_s: 16_000.0, done }];
    if done { healthy(world) } else { guilty(world, Party::Own, 16_000.0, NEVER) }
}

fn repaired(seed: u64, size_s: f64, from_s: f64, until_s: f64) -> Case {
    let step = |at_s, size_s| Fault::ServerStep { server: 1, at_s, size_s: sign(seed) * size_s };
    let world = internet(seed, 64.0, 700.0, vec![step(from_s, size_s), step(until_s, -size_s)]);
    guilty(world, Party::Server(1), from_s, until_s)
}

fn own(seed: u64, faults: Vec<Fault>, until_s: f64) -> Case {
    guilty(internet(seed, 64.0, 600.0, faults), Party::Own, onset(seed, 64.0), until_s)
}

/// Every kind of world.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    let first = KINDS.iter().chain(own::KINDS).chain(servers::KINDS).chain(paths::KINDS).chain(mixed::KINDS);
    let first = first.chain(odd::KINDS).chain(leaps::KINDS).chain(clocks::KINDS).chain(sequels::KINDS);
    first.chain(steered::KINDS).chain(tangled::KINDS)
}

const KINDS: &[Kind] = kinds! {
    false "healthy, Internet, 4 days" |s| healthy(internet(s, 64.0, 5400.0, vec![]));
    false "healthy, LAN, a day at 16 s" |s| healthy(lan(s, 16.0, 5400.0, vec![]));
    true "healthy, 5 % loss, 2 ms of noise" |s| {
        let mut world = internet(s, 64.0, 2000.0, vec![]);
        world.servers.iter_mut().for_each(|s| (s.noise_s, s.queue_s, s.loss) = (0.002, 0.003, 0.05));
        healthy(world)
    };
    true "healthy, own clock wanders by 1.5 ms" |s| {
        let mut world = internet(s, 64.0, 2000.0, vec![]);
        world.wander_s = 0.0015;
        healthy(world)
    };
    false "server step 100 ms" |s| server_step(s, internet, 64.0, 0.1);
    false "server step 10 ms" |s| server_step(s, internet, 64.0, 0.01);
    false "server step 3 ms" |s| server_step(s, internet, 64.0, 0.003);
    true "server step 6 ms at 16 s" |s| server_step(s, internet, 16.0, 0.006);
    false "server step 100 µs, LAN" |s| server_step(s, lan, 16.0, 1e-4);
    true "server step 300 µs, LAN" |s| server_step(s, lan, 64.0, 3e-4);
    false "server drift 1 ppm" |s| server_drift(s, 64.0, 1.0);
    false "server drift 2 ppm" |s| server_drift(s, 64.0, 2.0);
    true "server drift 5 ppm" |s| server_drift(s, 64.0, 5.0);
    false "every second reply 100 ms off" |s| intermittent(s, 0.5, 0.1);
    false "a third of the replies 50 ms off" |s| intermittent(s, 0.33, 0.05);
    true "a quarter of the replies 200 ms off" |s| intermittent(s, 0.25, 0.2);
    false "±5 ms with a period of a day" |s| {
        let fault = Fault::ServerSine { server: 1, from_s: 9600.0, amplitude_s: 0.005, period_s: 86_400.0 };
        guilty(internet(s, 64.0, 3000.0, vec![fault]), Party::Server(1), 9600.0, NEVER)
    };
    true "±20 ms with a period of 4 h" |s| {
        let fault = Fault::ServerSine { server: 1, from_s: 9600.0, amplitude_s: 0.02, period_s: 14_400.0 };
        guilty(internet(s, 64.0, 1500.0, vec![fault]), Party::Server(1), 9600.0, NEVER)
    };
    false "100 ms off from the start, repaired" |s| repaired(s, 0.1, 0.0, 17_000.0);
    false "18 s off from the start, repaired" |s| repaired(s, 18.0, 0.0, 3000.0);
    false "server step 100 ms, repaired after 5 h" |s| repaired(s, 0.1, 10_000.0, 28_000.0);
    true "server step 20 ms, repaired" |s| repaired(s, 0.02, 12_000.0, 24_000.0);
    false "own step 60 ms" |s| {
        own(s, vec![Fault::LocalStep { at_s: onset(s, 64.0), size_s: 0.06 * sign(s) }], NEVER)
    };
    false "own step 8 ms" |s| own(s, vec![Fault::LocalStep { at_s: onset(s, 64.0), size_s: 0.008 * sign(s) }], NEVER);
    true "own step 30 ms, corrected" |s| {
        let set = |at_s, size_s| Fault::LocalStep { at_s, size_s: size_s * sign(s) };
        own(s, vec![set(onset(s, 64.0), 0.03), set(onset(s, 64.0) + 7000.0, -0.03)], onset(s, 64.0) + 7000.0)
    };
    false "own drift 10 ppm" |s| {
        own(s, vec![Fault::LocalDrift { at_s: onset(s, 64.0), ppm: 10.0 * sign(s) }], NEVER)
    };
    true "own slew 110 ppm" |s| {
        let at_s = onset(s, 64.0);
        let slew = |from_s, until_s, ppm| Fault::LocalSlew { from_s, until_s, ppm: ppm * sign(s) };
        own(s, vec![slew(at_s, at_s + 600.0, 110.0), slew(at_s + 4000.0, at_s + 4600.0, -110.0)], at_s + 4600.0)
    };
    false "own clock 50 ms off, corrected at poll 5" |s| early(s, 0.05, 5.0);
    false "own clock 2.5 s off, corrected at poll 4" |s| early(s, 2.5, 4.0);
    true "own clock 300 ms off, corrected at poll 9" |s| early(s, 0.3, 9.0);
    false "own clock settles from 50 ms, 600 s" |s| {
        settling(internet(s, 64.0, 600.0, vec![]), s, 0.05, 600.0, f64::INFINITY)
    };
    false "own clock settles from 2 ms on a LAN, 100 s" |s| {
        settling(lan(s, 16.0, 1500.0, vec![]), s, 0.002, 100.0, f64::INFINITY)
    };
    true "own clock oscillates from 20 ms" |s| settling(internet(s, 64.0, 600.0, vec![]), s, 0.02, 1500.0, 1800.0);
    false "extra delay changes direction" swapped;
    false "restless routes, one direction, 10 days" |s| restless(s, 10.0, 1.0, false);
    false "restless routes, both directions, 10 days" |s| restless(s, 10.0, 1.0, true);
    false "suspended for 8 h" |s| {
        let (from_s, until_s) = (onset(s, 64.0), onset(s, 64.0) + 28_800.0);
        let mut world = internet(s, 64.0, 900.0, vec![Fault::Suspend { from_s, until_s }]);
        world.has_boot = s.is_multiple_of(2);
        healthy(world)
    };
    false "leap second inserted by all" |s| leap(s, true);
    false "leap second missed by this host" |s| leap(s, false);
    true "frozen for 6.7 s, then corrected" |s| {
        let at_s = onset(s, 64.0);
        let set = Fault::LocalStep { at_s: at_s + 6000.0, size_s: 6.7 };
        let world = internet(s, 64.0, 500.0, vec![Fault::Freeze { from_s: at_s, until_s: at_s + 6.7 }, set]);
        let until_s = at_s + 6000.0;
        Case { world, guilt: vec![Guilt { party: Party::Own, from_s: at_s, until_s, required: false }] }
    };
    false "all servers step by 100 ms" all_step;
    false "shared upstream drifts by 3 ppm" |s| upstream(s, |server, at_s| Fault::ServerDrift { server, at_s, ppm: -3.0 });
    true "shared upstream steps by 50 ms" |s| {
        upstream(s, |server, at_s| Fault::ServerStep { server, at_s, size_s: 0.05 })
    };
    false "rare server at 1024 s among 16 s steps by 60 ms" |s| {
        let at_s = 16_000.0 + 17.0 * (s % 11) as f64;
        let fault = Fault::ServerStep { server: 1, at_s, size_s: 0.06 * sign(s) };
        let mut world = internet(s, 16.0, 2500.0, vec![fault]);
        world.servers[1].poll_s = 1024.0;
        guilty(world, Party::Server(1), at_s, NEVER)
    };
    false "two of four step by 200 ms" |s| {
        let poll_s = if s.is_multiple_of(2) { 256.0 } else { 64.0 };
        let at_s = onset(s, poll_s);
        let mut world = World::ordinary(s, 4, poll_s, 800.0 * poll_s);
        world.has_raw = !s.is_multiple_of(3);
        world.faults = (0..2).map(|server| Fault::ServerStep { server, at_s, size_s: 0.2 * sign(s) }).collect();
        let blame = |i| Guilt { party: Party::Server(i), from_s: at_s, until_s: NEVER, required: false };
        Case { world, guilt: vec![blame(0), blame(1)] }
    };
    false "server step 600 ms amid congestion" |s| {
        let at_s = onset(s, 64.0);
        let queue = Fault::Congestion { from_s: at_s - 2500.0, until_s: at_s + 2500.0, mean_s: 0.05 };
        let step = Fault::ServerStep { server: 1, at_s, size_s: 0.6 };
        guilty(internet(s, 64.0, 500.0, vec![queue, step]), Party::Server(1), at_s, NEVER)
    };
    true "congestion of the access link" |s| {
        let from_s = onset(s, 64.0);
        healthy(internet(s, 64.0, 500.0, vec![Fault::Congestion { from_s, until_s: from_s + 4000.0, mean_s: 0.08 }]))
    };
};
