//! Kinds of worlds, each with its truth.

use ntp_monitor_core::world::Dice;
use ntp_monitor_core::world::fleet::{FleetWorld, What};

/// A world and the right verdict. Parties are `server:NAME`, `vantage:NAME`, `path:VANTAGE/SERVER` (`*` for all) and
/// `undecidable`.
#[derive(Debug, Clone)]
pub struct Case {
    pub world: FleetWorld,
    /// Groups of parties; at least one party of each group must be named.
    pub must: Vec<Vec<String>>,
    /// Other parties that may be named.
    pub may: Vec<String>,
    /// Parties that must not be called proven.
    pub never_proven: Vec<String>,
    /// Servers that must not be said to show several clocks.
    pub never_split: Vec<String>,
    /// When the fault begins. Every accusation before is wrong.
    pub onset_s: f64,
    pub until_s: Option<f64>,
    /// Parties that may be named until then, and not longer.
    pub until_read: Vec<(String, f64)>,
    /// Whether "it cannot be decided" is right too.
    pub undecidable_ok: bool,
    /// By how many polls the stated onset may differ from the true one.
    pub polls: f64,
    /// Whether the samples are replayed in the order of the vantages' clocks, as recordings are sorted.
    pub by_clock: bool,
    /// Whether bounds hold without exception: no server shows two clocks, no report is false, no clock was set.
    pub is_strict: bool,
}

pub type Make = fn(u64) -> Case;

pub const END: f64 = f64::INFINITY;

impl Case {
    pub fn new(world: FleetWorld) -> Self {
        Self {
            world,
            must: Vec::new(),
            may: Vec::new(),
            never_proven: Vec::new(),
            never_split: Vec::new(),
            onset_s: 0.0,
            until_s: None,
            until_read: Vec::new(),
            undecidable_ok: false,
            polls: 12.0,
            by_clock: false,
            is_strict: true,
        }
    }

    pub fn must(mut self, parties: &[String]) -> Self {
        self.must.push(parties.to_vec());
        self
    }

    pub fn may(mut self, parties: &[String]) -> Self {
        self.may.extend_from_slice(parties);
        self
    }

    pub fn from(mut self, onset_s: f64) -> Self {
        self.onset_s = onset_s;
        self
    }

    pub fn loose(mut self) -> Self {
        self.is_strict = false;
        self
    }

    pub fn within(mut self, polls: f64) -> Self {
        self.polls = polls;
        self
    }

    pub fn undecidable_ok(mut self) -> Self {
        self.undecidable_ok = true;
        self
    }
}

pub fn server(at: usize) -> String {
    format!("server:{}", FleetWorld::server(at))
}

pub fn vantage(at: usize) -> String {
    format!("vantage:{}", FleetWorld::vantage(at))
}

pub fn cell(v: usize, s: usize) -> String {
    format!("path:{}/{}", FleetWorld::vantage(v), FleetWorld::server(s))
}

pub fn access(v: usize) -> String {
    format!("path:{}/*", FleetWorld::vantage(v))
}

pub fn link(s: usize) -> String {
    format!("path:*/{}", FleetWorld::server(s))
}

pub fn undecidable() -> String {
    "undecidable".to_owned()
}

/// A world of five vantages and six servers, an onset, a server and a vantage drawn for it.
pub struct Drawn {
    pub world: FleetWorld,
    pub at_s: f64,
    pub s: usize,
    pub v: usize,
    pub sign: f64,
}

pub fn drawn(seed: u64) -> Drawn {
    of(seed, FleetWorld::internet(seed, 5, 6))
}

pub fn lan(seed: u64) -> Drawn {
    of(seed, FleetWorld::lan(seed, 5, 6))
}

pub fn of(seed: u64, world: FleetWorld) -> Drawn {
    let mut dice = Dice::new(seed.wrapping_mul(77).wrapping_add(5));
    let at_s = world.duration_s * dice.between(0.4, 0.55);
    let s = (dice.bits() % world.servers.len() as u64) as usize;
    let v = (dice.bits() % world.sees.len() as u64) as usize;
    let sign = if dice.unit() < 0.5 { 1.0 } else { -1.0 };
    Drawn { world, at_s, s, v, sign }
}

pub fn server_step(d: Drawn, size_s: f64) -> Case {
    let what = What::Server(d.s, d.sign * size_s, vec![]);
    Case::new(d.world.with(d.at_s, END, what)).must(&[server(d.s)]).from(d.at_s)
}

fn server_drift(d: Drawn, ppm: f64, polls: f64) -> Case {
    let what = What::ServerDrift(d.s, d.sign * ppm * 1e-6);
    Case::new(d.world.with(d.at_s, END, what)).must(&[server(d.s)]).from(d.at_s).within(polls)
}

pub fn vantage_case(d: Drawn, what: fn(usize, f64) -> What, size: f64, polls: f64) -> Case {
    let what = what(d.v, d.sign * size);
    let is_drift = matches!(what, What::Drift(..));
    let case = Case::new(d.world.with(d.at_s, END, what)).must(&[vantage(d.v)]).from(d.at_s).within(polls);
    if is_drift { case } else { case.loose() }
}

fn path_case(d: Drawn, what: fn(Option<usize>, Option<usize>, f64) -> What, v: bool, s: bool, by_s: f64) -> Case {
    let (vantage, server) = (v.then_some(d.v), s.then_some(d.s));
    let by_s = if matches!(what(None, None, 0.0), What::OneWay(..)) { d.sign * by_s } else { by_s };
    let party = match (v, s) {
        (true, true) => cell(d.v, d.s),
        (true, false) => access(d.v),
        _ => link(d.s),
    };
    let case = Case::new(d.world.with(d.at_s, END, what(vantage, server, by_s))).from(d.at_s).within(16.0);
    match by_s.abs() {
        by_s if by_s >= 0.01 && matches!(what(None, None, 0.0), What::OneWay(..)) => case.must(&[party]),
        _ => case.may(&[party]),
    }
}

fn pulse(mut case: Case, length_s: f64) -> Case {
    let until_s = case.onset_s + length_s;
    case.world.faults.iter_mut().for_each(|fault| fault.until_s = until_s);
    case.until_s = Some(until_s);
    case
}

pub fn constant(mut case: Case) -> Case {
    case.world.faults.iter_mut().for_each(|fault| fault.from_s = -1.0);
    case.onset_s = 0.0;
    case
}

fn repaired(case: Case, at_s: f64) -> Case {
    let mut case = constant(case);
    case.world.faults.iter_mut().for_each(|fault| fault.until_s = at_s);
    case.until_s = Some(at_s);
    case
}

fn servers_step(d: Drawn, count: usize, size_s: f64) -> (Case, Vec<usize>) {
    let n = d.world.servers.len();
    let moved: Vec<usize> = (0..count).map(|k| (d.s + k) % n).collect();
    let mut world = d.world;
    for s in &moved {
        world = world.with(d.at_s, END, What::Server(*s, d.sign * size_s, vec![]));
    }
    (Case::new(world).from(d.at_s), moved)
}

fn majority(seed: u64, count: usize, has_raw: bool) -> Case {
    let mut d = drawn(seed);
    d.world.has_raw = has_raw;
    let (case, moved) = servers_step(d, count, 0.03);
    let moved: Vec<_> = moved.into_iter().map(server).collect();
    let mut case = case.must(&[vec![undecidable()], moved.clone()].concat()).may(&moved).undecidable_ok();
    case.never_proven = moved;
    case
}

pub fn split(seed: u64, count: usize, size_s: f64) -> Case {
    let d = drawn(seed);
    let seen_by: Vec<usize> = (0..count).map(|k| (d.v + k) % 5).collect();
    let cells: Vec<_> = seen_by.iter().map(|v| cell(*v, d.s)).collect();
    let what = What::Server(d.s, d.sign * size_s, seen_by);
    let parties = [vec![server(d.s)], cells].concat();
    Case::new(d.world.with(d.at_s, END, what)).must(&parties).may(&parties).from(d.at_s).loose()
}

fn lie(seed: u64, cells: usize, size_s: f64) -> Case {
    let d = drawn(seed);
    let mut world = d.world;
    let mut parties = vec![vantage(d.v)];
    for k in 0..cells {
        let s = (d.s + k) % 6;
        let sign = if k % 2 == 0 { d.sign } else { -1.4 * d.sign };
        world = world.with(d.at_s, END, What::Lie(d.v, Some(s), sign * size_s));
        parties.push(cell(d.v, s));
    }
    Case::new(world).must(&parties).may(&parties).from(d.at_s).loose()
}

fn framed(seed: u64, alone: bool) -> Case {
    let mut d = drawn(seed);
    if alone {
        // Only the vantage with the false reports sees the server.
        for (v, row) in d.world.sees.iter_mut().enumerate() {
            row[d.s] = v == d.v;
        }
    }
    let what = What::Lie(d.v, Some(d.s), d.sign * 0.04);
    let case = Case::new(d.world.with(d.at_s, END, what)).from(d.at_s).loose();
    let case = case.may(&[vantage(d.v), cell(d.v, d.s)]);
    // If only one vantage sees the server, it cannot be decided which of the two is at fault.
    if alone { case.may(&[server(d.s)]).undecidable_ok() } else { case.must(&[vantage(d.v), cell(d.v, d.s)]) }
}

fn site(seed: u64, is_shared: bool) -> Case {
    let mut world = FleetWorld::internet(seed, 5, 8);
    world.sees = (0..5).map(|v| (0..8).map(|s| if v == 0 { s < 5 } else { s >= 3 }).collect()).collect();
    if is_shared {
        for server in &mut world.servers[..3] {
            server.refid = [10, 99, 99, 1];
        }
    }
    let d = of(seed, world);
    let mut world = d.world;
    for s in 0..3 {
        world = world.with(d.at_s, END, What::Server(s, d.sign * 0.04, vec![]));
    }
    let case = Case::new(world).from(d.at_s);
    (0..3).fold(case, |case, s| case.must(&[server(s)]))
}

pub fn small(seed: u64, vantages: usize, servers: usize) -> Drawn {
    of(seed, FleetWorld::internet(seed, vantages, servers))
}

/// Two halves of the fleet without a common server.
fn apart(seed: u64) -> Drawn {
    let mut d = small(seed, 6, 8);
    d.world.sees = (0..6).map(|v| (0..8).map(|s| (v < 3) == (s < 4)).collect()).collect();
    d
}

/// Every kind by name.
pub const KINDS: &[(&str, Make)] = &[
    ("calm", |seed| Case::new(drawn(seed).world)),
    ("calm_lan", |seed| Case::new(lan(seed).world)),
    ("calm_wandering", |seed| {
        let mut d = drawn(seed);
        d.world.wander_s = 1e-3;
        Case::new(d.world)
    }),
    ("calm_lossy", |seed| {
        let mut d = drawn(seed);
        d.world.loss = 0.25;
        Case::new(d.world)
    }),
    ("calm_mixed_intervals", |seed| {
        let mut d = drawn(seed);
        d.world.polls_s = vec![16.0, 64.0, 64.0, 128.0, 64.0];
        Case::new(d.world)
    }),
    ("calm_queues", |seed| {
        let d = drawn(seed);
        Case::new(d.world.with(0.0, END, What::Queue(None, None, 0.01)))
    }),
    ("calm_large", |seed| Case::new(FleetWorld::internet(seed, 9, 14))),
    ("calm_without_raw", |seed| {
        let mut d = drawn(seed);
        d.world.has_raw = false;
        Case::new(d.world)
    }),
    ("server_step_5ms", |seed| server_step(drawn(seed), 0.005)),
    ("server_step_20ms", |seed| server_step(drawn(seed), 0.02)),
    ("server_step_300ms", |seed| server_step(drawn(seed), 0.3)),
    ("server_step_lan_200us", |seed| server_step(lan(seed), 2e-4)),
    ("server_step_pulse", |seed| pulse(server_step(drawn(seed), 0.03), 30.0 * 64.0)),
    ("server_drift_20ppm", |seed| server_drift(drawn(seed), 20.0, 16.0)),
    ("server_drift_5ppm", |seed| server_drift(drawn(seed), 5.0, 40.0)),
    ("server_constant_40ms", |seed| constant(server_step(drawn(seed), 0.04))),
    ("server_constant_repaired", |seed| repaired(server_step(drawn(seed), 0.06), 4800.0)),
    ("two_servers_step_apart", |seed| {
        let d = drawn(seed);
        let other = (d.s + 2) % 6;
        let world = d.world.with(d.at_s, END, What::Server(d.s, d.sign * 0.03, vec![]));
        let world = world.with(d.at_s, END, What::Server(other, -d.sign * 0.05, vec![]));
        Case::new(world).must(&[server(d.s)]).must(&[server(other)]).from(d.at_s)
    }),
    ("two_servers_step_together", |seed| {
        let (case, moved) = servers_step(drawn(seed), 2, 0.03);
        moved.into_iter().fold(case, |case, s| case.must(&[server(s)]))
    }),
    ("shared_upstream_of_three", |seed| {
        let mut d = drawn(seed);
        for k in 0..3 {
            let at = (d.s + k) % 6;
            d.world.servers[at].refid = [10, 99, 99, 1];
        }
        let (case, moved) = servers_step(d, 3, 0.04);
        moved.into_iter().fold(case, |case, s| case.must(&[server(s)]))
    }),
    ("vantage_step_20ms", |seed| vantage_case(drawn(seed), What::Set, 0.02, 12.0)),
    ("vantage_step_500ms", |seed| vantage_case(drawn(seed), What::Set, 0.5, 12.0)),
    ("vantage_step_without_raw", |seed| {
        let mut d = drawn(seed);
        d.world.has_raw = false;
        vantage_case(d, What::Set, 0.02, 12.0)
    }),
    ("vantage_step_pulse", |seed| pulse(vantage_case(drawn(seed), What::Set, 0.03, 12.0), 30.0 * 64.0)),
    ("vantage_frozen_30ms", |seed| vantage_case(drawn(seed), What::Froze, 0.03, 12.0)),
    ("vantage_drift_20ppm", |seed| vantage_case(drawn(seed), What::Drift, 20e-6, 16.0)),
    ("vantage_drift_5ppm", |seed| vantage_case(drawn(seed), What::Drift, 5e-6, 60.0)),
    ("vantage_constant_80ms", |seed| constant(vantage_case(drawn(seed), What::Set, 0.08, 12.0))),
    ("vantage_constant_repaired", |seed| repaired(vantage_case(drawn(seed), What::Set, 0.08, 12.0), 4800.0)),
    ("vantage_an_hour_off", |seed| constant(vantage_case(drawn(seed), What::Set, 3600.0, 12.0))),
    ("two_vantages_step", |seed| {
        let d = drawn(seed);
        let other = (d.v + 2) % 5;
        let world = d.world.with(d.at_s, END, What::Set(d.v, d.sign * 0.03));
        let world = world.with(d.at_s, END, What::Set(other, d.sign * 0.05));
        Case::new(world).must(&[vantage(d.v)]).must(&[vantage(other)]).from(d.at_s).loose()
    }),
    ("server_and_vantage_step", |seed| {
        let d = drawn(seed);
        let world = d.world.with(d.at_s, END, What::Server(d.s, d.sign * 0.04, vec![]));
        let world = world.with(d.at_s + 600.0, END, What::Set(d.v, d.sign * 0.03));
        Case::new(world).must(&[server(d.s)]).must(&[vantage(d.v)]).from(d.at_s).within(24.0).loose()
    }),
    ("access_link_16ms", |seed| path_case(drawn(seed), What::OneWay, true, false, 0.016)),
    ("access_link_pulse", |seed| pulse(path_case(drawn(seed), What::OneWay, true, false, 0.02), 35.0 * 64.0)),
    ("server_link_16ms", |seed| path_case(drawn(seed), What::OneWay, false, true, 0.016)),
    ("one_path_20ms", |seed| path_case(drawn(seed), What::OneWay, true, true, 0.02)),
    ("one_path_longer_both_ways", |seed| path_case(drawn(seed), What::BothWays, true, true, 0.01)),
    ("access_link_longer_both_ways", |seed| path_case(drawn(seed), What::BothWays, true, false, 0.01)),
    ("queue_at_a_vantage", |seed| path_case(drawn(seed), What::Queue, true, false, 0.03)),
    ("queue_at_a_server", |seed| path_case(drawn(seed), What::Queue, false, true, 0.03)),
    ("anycast_two_of_five", |seed| split(seed, 2, 0.06)),
    ("anycast_one_of_five", |seed| split(seed, 1, 0.06)),
    ("anycast_three_of_five", |seed| split(seed, 3, 0.06)),
    ("liar_one_cell", |seed| lie(seed, 1, 0.08)),
    ("liar_three_cells", |seed| lie(seed, 3, 0.08)),
    ("liar_all_cells_alike", |seed| {
        let d = drawn(seed);
        let what = What::Lie(d.v, None, d.sign * 0.05);
        Case::new(d.world.with(d.at_s, END, what)).must(&[vantage(d.v)]).from(d.at_s).loose()
    }),
    ("liar_reports_noise", |seed| {
        let d = drawn(seed);
        let cells: Vec<_> = (0..6).map(|s| cell(d.v, s)).collect();
        let case = Case::new(d.world.with(d.at_s, END, What::Noise(d.v, 0.1))).from(d.at_s).loose();
        case.must(&[vantage(d.v)]).may(&cells).within(20.0)
    }),
    ("liar_claims_nothing", |seed| {
        let d = drawn(seed);
        Case::new(d.world.with(d.at_s, END, What::ClaimNothing(d.v))).from(d.at_s).loose()
    }),
    ("liar_frames_within_bounds", |seed| {
        let d = drawn(seed);
        let what = What::Lie(d.v, Some(d.s), d.sign * 0.006);
        let case = Case::new(d.world.with(d.at_s, END, what)).from(d.at_s).loose();
        case.may(&[vantage(d.v), cell(d.v, d.s)])
    }),
    ("liar_frames_openly", |seed| framed(seed, false)),
    ("liar_frames_what_it_alone_sees", |seed| framed(seed, true)),
    ("site_majority_shared_upstream", |seed| site(seed, true)),
    ("site_majority_unshared", |seed| site(seed, false)),
    ("majority_moves_with_raw", |seed| majority(seed, 4, true)),
    ("majority_moves_without_raw", |seed| majority(seed, 4, false)),
    ("half_moves", |seed| majority(seed, 3, true)),
    ("all_but_one_move", |seed| majority(seed, 5, true)),
    ("all_servers_move", |seed| {
        let mut case = majority(seed, 6, false);
        let vantages: Vec<_> = (0..5).map(vantage).collect();
        case.may.extend(vantages);
        case
    }),
    ("two_by_two_server_step", |seed| {
        let case = server_step(small(seed, 2, 2), 0.02).undecidable_ok();
        let must = [server(0), server(1), undecidable()];
        let named = case.must[0].clone();
        Case { must: vec![[named.clone(), must[2..].to_vec()].concat()], may: named, ..case }
    }),
    ("three_by_four_server_step", |seed| server_step(small(seed, 3, 4), 0.03)),
    ("one_vantage_server_step", |seed| {
        let case = server_step(small(seed, 1, 6), 0.04);
        Case { undecidable_ok: true, ..case }
    }),
    ("apart_server_step", |seed| server_step(apart(seed), 0.03)),
    ("apart_calm", |seed| Case::new(apart(seed).world)),
    ("vantage_falls_silent", |seed| {
        let d = drawn(seed);
        Case::new(d.world.with(d.at_s, d.at_s + 3000.0, What::Silent(d.v)))
    }),
    ("vantage_joins_late", |seed| {
        let d = drawn(seed);
        Case::new(d.world.with(-1.0, d.at_s, What::Silent(d.v)))
    }),
    ("server_dies", |seed| {
        let d = drawn(seed);
        Case::new(d.world.with(d.at_s, END, What::Dead(d.s)))
    }),
    ("plan_of_three_vantages_a_server", |seed| {
        let mut world = FleetWorld::internet(seed, 9, 12);
        world.sees = (0..9).map(|v| (0..12).map(|s| (v + 9 - s % 9) % 9 % 3 == 0).collect()).collect();
        server_step(of(seed, world), 0.04)
    }),
];
