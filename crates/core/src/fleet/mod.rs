//! One verdict from many vantages: which server, which vantage's clock or which network path is wrong, and what cannot
//! be decided.
//!
//! [`Fleet`] takes the samples of every vantage and judges all of them together once a round. A *cell* is one server as
//! one vantage sees it. Two bounds are kept apart: how far a reading can be from the true difference of two clocks
//! (half of the round trip, whatever the server's clock shows) and how far a server claims to be from true time.
//!
//! - [`skew`]: the clock of each vantage less that of each other one, by common servers. The servers need not be right.
//! - `conflict`: readings that no state of the clocks explains. This needs neither a majority nor a claim.
//! - `claims`: servers and vantages that are wrong if more than half of the independent servers keep their claims.
//! - `movement`: the parties that moved, by the smallest explanation; inferred, never proven.
//! - [`plan`]: which vantage polls which server, and how often.
//!
//! Instants are nanoseconds on one time scale that the caller chooses for all vantages. A hub uses its own clock at the
//! arrival of a sample less the age of the sample; a replay uses the recorded wall clock, corrected when it is far off.

mod bounds;
mod cell;
mod claims;
mod conflict;
mod findings;
mod grid;
mod groups;
mod history;
mod judge;
mod majority;
mod median;
mod movement;
mod party;
mod placing;
pub mod plan;
mod raw;
mod reading;
pub mod replay;
mod round;
mod sight;
pub mod skew;
mod text;
mod trend;
pub mod verdict;
mod votes;
pub mod witness;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::ntp::Leap;
use crate::sample::Sample;
use bounds::Bounds;
use cell::Cell;
use findings::Findings;
use grid::Grid;
use history::History;
use movement::Movement;
use reading::Reading;
use skew::SkewMatrix;
use verdict::{FleetReport, FleetVerdict};
use witness::Witness;

/// The least length of a round, in seconds: samples arrive up to a second late and would lapse in shorter ones.
const SHORTEST_ROUND_S: f64 = 1.0;
/// The greatest length of a round, in seconds.
const LONGEST_ROUND_S: f64 = 30.0 * 86_400.0;
/// Most servers that are judged. A round compares each with every other one, in time and in memory.
const MOST_SERVERS: usize = 2000;
/// Most of them that one vantage brings in, so that it leaves room for those of others.
const MOST_OF_ONE: usize = MOST_SERVERS / 2;
/// The number of verdicts that are kept by default.
const VERDICTS: usize = 10_000;

/// Settings of the fleet's verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetConfig {
    /// The time between two judgements in seconds; the usual poll interval of the cells when absent.
    pub round_s: Option<f64>,
    /// How many verdicts the history keeps.
    pub verdicts: usize,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self { round_s: None, verdicts: VERDICTS }
    }
}

/// How much the samples of a vantage count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weight {
    /// They count in full.
    #[default]
    Voting,
    /// They are kept but do not count, as for a vantage that is new, silent, late or of another version.
    Observed,
}

/// A vantage of the fleet.
#[derive(Debug, Clone)]
struct Vantage {
    weight: Weight,
    /// Cells by server.
    cells: BTreeMap<usize, Cell>,
    clock: raw::RawClock,
    /// By how much its clock was set and slewed so far, in seconds.
    moved_s: f64,
    /// The server that was read when a step of its clock was first seen, until the next sample confirms the step.
    doubted: Option<usize>,
    /// How many servers it was the first to see.
    brought: usize,
}

/// By how much the wall clock of a vantage is set at the leap second that more than half of its servers announced last,
/// in seconds; zero without one.
fn leap_s(cells: &BTreeMap<usize, Cell>) -> f64 {
    let announced = |leap| cells.values().filter(|cell| cell.last().is_some_and(|last| last.leap == leap)).count();
    let is_most = |leap| 2 * announced(leap) > cells.len();
    match () {
        () if is_most(Leap::Insert) => -1.0,
        () if is_most(Leap::Delete) => 1.0,
        () => 0.0,
    }
}

/// A server of the fleet.
#[derive(Debug, Clone)]
struct Server {
    witness: Witness,
    /// The name that each vantage last called it.
    names: BTreeMap<usize, Arc<str>>,
}

/// The state of the whole fleet. The same samples at the same instants give the same verdicts.
#[derive(Debug, Clone)]
pub struct Fleet {
    config: FleetConfig,
    names: Vec<Arc<str>>,
    by_name: HashMap<Arc<str>, usize>,
    vantages: Vec<Vantage>,
    servers: Vec<Server>,
    by_witness: HashMap<Witness, usize>,
    movement: Movement,
    findings: Findings,
    suspects: conflict::Suspects,
    history: History,
    grid: Grid,
    skew: SkewMatrix,
    judged_ns: Option<i64>,
    first_ns: Option<i64>,
    left_out: u64,
}

impl Fleet {
    /// A fleet without samples.
    #[must_use]
    pub fn new(config: FleetConfig) -> Self {
        let history = History::new(config.verdicts);
        Self {
            config,
            names: Vec::new(),
            by_name: HashMap::new(),
            vantages: Vec::new(),
            servers: Vec::new(),
            by_witness: HashMap::new(),
            movement: Movement::default(),
            findings: Findings::default(),
            suspects: conflict::Suspects::default(),
            history,
            grid: Grid::default(),
            skew: SkewMatrix::default(),
            judged_ns: None,
            first_ns: None,
            left_out: 0,
        }
    }

    /// Takes a sample of `vantage`, measured at `at_ns`, in O(1); [`Fleet::judge`] judges it. A sample that is not
    /// newer than the last one of its cell is ignored, and so are samples of servers beyond 2000, or beyond 1000 that one
    /// vantage was the first to see.
    pub fn observe(&mut self, vantage: &str, witness: &Witness, sample: &Sample, at_ns: i64) {
        let vantage = self.vantage(vantage);
        let Some(server) = self.server(vantage, witness) else {
            self.left_out += 1;
            return;
        };
        let name = self.servers[server].names.entry(vantage).or_insert_with(|| Arc::clone(&sample.server.name));
        if *name != sample.server.name {
            name.clone_from(&sample.server.name);
        }
        self.first_ns = Some(self.first_ns.map_or(at_ns, |first_ns| first_ns.min(at_ns)));
        let vantage = &mut self.vantages[vantage];
        let Vantage { cells, clock, .. } = vantage;
        let stepped_s = clock.stepped_s;
        if let Some(moved_s) = clock.moved_s(sample.at, at_ns, || leap_s(cells)) {
            vantage.moved_s += moved_s;
        }
        // A reading that was taken with the first stamp after a step shows the step already.
        let confirmed_s = vantage.clock.stepped_s - stepped_s;
        if let Some(cell) = vantage.doubted.take().and_then(|server| vantage.cells.get_mut(&server)) {
            cell.set_by(confirmed_s);
        }
        vantage.doubted = vantage.clock.is_doubted().then_some(server);
        if let Some(reading) = Reading::of(sample, at_ns) {
            vantage.cells.entry(server).or_default().add(reading, vantage.moved_s, vantage.clock.stepped_s);
        }
    }

    /// How many samples were left out because there are too many servers.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether so few of `servers` servers would be known after a new beginning that there was room again.
    #[must_use]
    pub fn has_room_for(servers: usize) -> bool {
        servers <= MOST_OF_ONE
    }

    /// Sets how much the samples of `vantage` count from now on.
    pub fn weigh(&mut self, vantage: &str, weight: Weight) {
        let vantage = self.vantage(vantage);
        self.vantages[vantage].weight = weight;
    }

    /// The length of a round in seconds, from one second to 30 days: the configured one, or the usual time between polls
    /// of a cell.
    #[must_use]
    pub fn round_s(&self) -> f64 {
        self.config
            .round_s
            .unwrap_or_else(|| round::usual_spacing_s(&self.vantages))
            .clamp(SHORTEST_ROUND_S, LONGEST_ROUND_S)
    }

    /// Judges everything at `now_ns` and returns the verdict. Within one round of the last judgement it returns the
    /// last verdict, because the same readings are no further evidence.
    pub fn judge(&mut self, now_ns: i64) -> FleetVerdict {
        let round_s = self.round_s();
        let is_due = self.judged_ns.is_none_or(|last_ns| (now_ns - last_ns) as f64 / 1e9 >= 0.9 * round_s);
        if is_due && !self.vantages.is_empty() {
            self.judge_round(now_ns, round_s);
            self.judged_ns = Some(now_ns);
        }
        self.verdict()
    }

    /// The verdict of the last round.
    #[must_use]
    pub fn verdict(&self) -> FleetVerdict {
        self.history.last().cloned().unwrap_or_else(FleetVerdict::nothing_yet)
    }

    /// The verdicts so far, oldest first.
    pub fn verdicts(&self) -> impl ExactSizeIterator<Item = &FleetVerdict> {
        self.history.entries()
    }

    /// The differences of the vantages' clocks as of the last round.
    #[must_use]
    pub fn skew(&self) -> &SkewMatrix {
        &self.skew
    }

    /// The names of all vantages, in the order in which they were first seen.
    #[must_use]
    pub fn vantages(&self) -> &[Arc<str>] {
        &self.names
    }

    fn private_twice(&self) -> Vec<SocketAddr> {
        let private = self.servers.iter().filter(|server| matches!(server.witness, Witness::Private { .. }));
        let mut addresses: Vec<SocketAddr> = private.filter_map(|server| server.witness.address()).collect();
        addresses.sort_unstable();
        let twice = addresses.chunk_by(PartialEq::eq).filter(|same| same.len() > 1);
        twice.map(|same| same[0]).collect()
    }

    /// Verdicts and skew, as `replay --json` prints them.
    #[must_use]
    pub fn report(&self) -> FleetReport {
        FleetReport {
            verdicts: self.history.entries().cloned().collect(),
            skew: self.skew.pairs().to_vec(),
            private_twice: self.private_twice(),
        }
    }

    fn vantage(&mut self, name: &str) -> usize {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let (name, index): (Arc<str>, _) = (name.into(), self.vantages.len());
        self.by_name.insert(Arc::clone(&name), index);
        self.names.push(name);
        let (weight, clock) = (Weight::default(), raw::RawClock::default());
        self.vantages.push(Vantage { weight, cells: BTreeMap::new(), clock, moved_s: 0.0, doubted: None, brought: 0 });
        index
    }

    /// The index of a server, which `vantage` may be the first to see; `None` beyond the limits.
    fn server(&mut self, vantage: usize, witness: &Witness) -> Option<usize> {
        if let Some(known) = self.by_witness.get(witness) {
            return Some(*known);
        }
        let (index, brought) = (self.servers.len(), &mut self.vantages[vantage].brought);
        if index >= MOST_SERVERS || *brought >= MOST_OF_ONE {
            return None;
        }
        *brought += 1;
        self.by_witness.insert(witness.clone(), index);
        self.servers.push(Server { witness: witness.clone(), names: BTreeMap::new() });
        Some(index)
    }

    /// Judges one round: the grid of all readings, its contradictions, bounds, proofs and skew, and the verdict.
    fn judge_round(&mut self, now_ns: i64, round_s: f64) {
        self.grid = round::grid(&self.vantages, &self.servers, now_ns, round_s, &self.movement);
        let steps = round::raw_steps(&mut self.vantages);
        self.movement.advance(&self.vantages, &self.grid, &steps, now_ns, round_s);
        let conflict = conflict::find(&self.grid, &mut self.suspects);
        let mut sound = self.grid.clone();
        conflict.exclude_from(&mut sound, self.findings.false_parties());
        let proofs = claims::prove(&sound, &Bounds::direct(&sound));
        self.skew = SkewMatrix::of(&sound, &Bounds::between_vantages(&sound), &self.names);
        let labels = text::Labels::new(&self.names, &self.servers);
        let first_ns = self.first_ns.unwrap_or(now_ns);
        let round = judge::Round { grid: &self.grid, conflict: &conflict, proofs: &proofs, now_ns, first_ns, round_s };
        let verdict = judge::judge(&round, &mut self.findings, &mut self.movement, &labels);
        self.history.record(verdict, (3e9 * round_s) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::sample::{Outcome, ServerIdent};

    #[test]
    fn servers_of_one_vantage_leave_room_for_those_of_others() {
        let mut fleet = Fleet::new(FleetConfig::default());
        let sample = Sample::unasked(Stamp::new(1, 1, 0), ServerIdent::named("s"), Outcome::Timeout, 16.0);
        let witness = |n: u32| Witness::at((std::net::Ipv4Addr::from_bits(0xc600_0000 + n), 123).into(), &"g".into());
        for n in 0..5000 {
            fleet.observe("eve", &witness(n), &sample, i64::from(n));
        }
        assert_eq!((fleet.servers.len(), fleet.left_out()), (MOST_OF_ONE, 4000));
        fleet.observe("ams", &witness(10_000), &sample, 5000);
        fleet.observe("ams", &witness(0), &sample, 5000);
        assert_eq!((fleet.servers.len(), fleet.left_out()), (MOST_OF_ONE + 1, 4000), "a known one is no new one");
        for n in 20_000..25_000 {
            fleet.observe("ber", &witness(n), &sample, 6000);
            fleet.observe("fra", &witness(n + 10_000), &sample, 6000);
        }
        assert_eq!(fleet.servers.len(), MOST_SERVERS);
    }
}
