//! Which parties moved: the positions of every server and vantage over time, and the usual offset and delay of every
//! path.
//!
//! A cell shows the server's movement less the vantage's, and changes of its path. A change of the delay in one
//! direction moves the offset by half of it, so that much is taken out first. The rest is explained by as few parties
//! as possible ([`fit`]). Only differences can be seen, so who moved is decided by counting, and is therefore inferred.

mod contrast;
mod fit;
mod path;
mod rates;
mod track;

use std::collections::{BTreeMap, VecDeque};

pub(super) use path::{Changed, Path};
pub(super) use track::{MoveKind, Moved, Track};

use super::Vantage;
use super::cell::Cell;
use super::grid::{Grid, PHI};
use super::median::{median, smaller};
use super::raw::RawStep;
use fit::{Explained, Shown, explain, lazy_median};
use rates::Rates;

/// Rounds for which the steps of a vantage's clock are kept.
const RAW_KEPT: usize = 8;

/// The part of a slew that is left after a round in which the readings did not show it.
const SLEW_KEPT: f64 = 0.7;

/// The part of the fastest rate that is remembered after a round.
const FASTEST_KEPT: f64 = 0.8;
/// Cells differ by this share of what a clock that is known to drift moves in a round.
pub(super) const STIRRED: f64 = 0.5;

/// A step below this is within the jitter of reading clocks, in seconds.
const SEEN_S: f64 = 1e-3;

/// What the vantage's own clocks show about a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Testimony {
    /// The clock was set or slewed by as much.
    Confirms,
    /// It was neither set nor slewed by as much.
    Denies,
    /// Nothing is known.
    Silent,
}

/// The movements of the whole fleet.
#[derive(Debug, Clone, Default)]
pub(super) struct Movement {
    pub servers: Vec<Track>,
    pub vantages: Vec<Track>,
    /// The paths of each vantage, by server.
    paths: Vec<BTreeMap<usize, Path>>,
    raw: Vec<VecDeque<RawStep>>,
    /// By how much the clock of each vantage was set and slewed, in seconds.
    raw_s: Vec<f64>,
    /// The slews of each vantage that its readings did not show yet, in seconds. They fade.
    slewed_s: Vec<f64>,
    /// The rate of the clock of each vantage in the last round, in seconds per second.
    rates: Vec<f64>,
    /// The rate of the fastest clock of a vantage in the last rounds; it fades.
    fastest: f64,
    /// The same before the movement that was found.
    raw_before_s: Vec<Option<f64>>,
}

/// The last reading of a cell, moved to one instant.
struct Read {
    server: usize,
    at_ns: i64,
    /// The offset less the movements of the clocks.
    offset_s: f64,
    delay_s: f64,
    /// Whether it was not looked at before.
    is_new: bool,
}

/// A reading that was not looked at before.
struct New {
    at_ns: i64,
    /// The offset less the usual one and the movements of the clocks.
    beyond_s: f64,
    delay_s: f64,
}

impl Movement {
    /// Takes the readings that are new since the round before.
    pub fn advance(&mut self, vantages: &[Vantage], grid: &Grid, steps: &[RawStep], now_ns: i64, round_s: f64) {
        self.servers.resize_with(grid.servers, Track::default);
        self.vantages.resize_with(grid.vantages, Track::default);
        self.raw.resize_with(grid.vantages, VecDeque::new);
        self.raw_s.resize(grid.vantages, 0.0);
        self.slewed_s.resize(grid.vantages, 0.0);
        self.raw_before_s.resize(grid.vantages, None);
        self.paths.resize_with(grid.vantages, BTreeMap::new);
        for (vantage, step) in steps.iter().enumerate() {
            let raw = &mut self.raw[vantage];
            raw.truncate(RAW_KEPT - 1);
            raw.push_front(*step);
            self.raw_s[vantage] += step.moved_s();
            // An oscillator does not change its rate by as much as this, so the clock did move.
            let sure_s = beyond_drift(step.slew_s, round_s);
            self.vantages[vantage].position_s += step.step_s + sure_s;
            self.slewed_s[vantage] = SLEW_KEPT * self.slewed_s[vantage] + step.slew_s - sure_s;
        }
        let (is_due, rates) = (self.due(vantages, grid), Rates::of(vantages, grid));
        self.rates.clone_from(&rates.vantages);
        self.fastest = rates.vantages.iter().map(|rate| rate.abs()).fold(FASTEST_KEPT * self.fastest, f64::max);
        let (mut shown, mut new) = (Vec::new(), Vec::new());
        for (at, vantage) in vantages.iter().enumerate() {
            let servers = grid.seen_by(at).map(|(server, _)| server).filter(|server| is_due[*server]);
            let mut reads: Vec<Read> = servers
                .filter_map(|server| {
                    let cell = vantage.cells.get(&server)?;
                    let age_s = cell.age_s(now_ns);
                    let set_s = cell.stepped_since_s(vantage.clock.stepped_s);
                    let sure_s = beyond_drift(cell.moved_since_s(vantage.moved_s) - set_s, age_s);
                    let by_rate_s = if sure_s == 0.0 { rates.of_cell(at, server) * age_s } else { 0.0 };
                    self.read(at, server, cell, by_rate_s - set_s - sure_s)
                })
                .collect();
            self.take_slew(at, &mut reads);
            for read in reads {
                let Some(path) = self.paths[at].get_mut(&read.server) else { continue };
                let Some((beyond_s, by_s)) = path.beyond_s(read.offset_s, read.delay_s) else { continue };
                path.displaced_s = Some(beyond_s + self.servers[read.server].position_s - self.vantages[at].position_s);
                shown.push(Shown { vantage: at, server: read.server, by_s, noise_s: path.noise_s() });
                new.push(read.is_new.then_some(New { at_ns: read.at_ns, beyond_s, delay_s: read.delay_s }));
            }
        }
        self.apply(&shown, &new, now_ns, round_s);
    }

    /// The last reading of a cell, whose offset has changed by `since_s` since; `None` before its usual values are known. A reading that was
    /// taken before still shows that the clocks had not moved then.
    fn read(&mut self, at: usize, server: usize, cell: &Cell, since_s: f64) -> Option<Read> {
        let last = cell.last()?;
        let path = self.paths[at].entry(server).or_default();
        let is_new = last.at_ns > path.last_ns;
        path.last_ns = last.at_ns;
        let clocks_s = self.servers[server].position_s - self.vantages[at].position_s;
        let offset_s = last.offset_s + since_s - clocks_s;
        let is_warm = path.beyond_s(offset_s, last.delay_s).is_some();
        if !is_warm && is_new {
            path.warm_up(offset_s, last.delay_s);
        }
        is_warm.then_some(Read { server, at_ns: last.at_ns, offset_s, delay_s: last.delay_s, is_new })
    }

    /// Moves the clock of a vantage by as much of its slew as its readings show. A slew that they do not show corrects an
    /// oscillator that became faster or slower.
    fn take_slew(&mut self, at: usize, reads: &mut [Read]) {
        let beyond = reads.iter().filter_map(|read| {
            let path = self.paths[at].get(&read.server)?;
            Some(path.beyond_s(read.offset_s, read.delay_s)?.1)
        });
        let shown_s = -lazy_median(beyond.collect());
        let taken_s = smaller(shown_s, self.slewed_s[at]);
        self.slewed_s[at] -= taken_s;
        self.vantages[at].position_s += taken_s;
        reads.iter_mut().for_each(|read| read.offset_s += taken_s);
    }

    /// Whether the cells of each server are looked at: when more than half of them have a new reading. A place that
    /// reads a server more often than others do must not decide alone whether it moved.
    fn due(&self, vantages: &[Vantage], grid: &Grid) -> Vec<bool> {
        let mut cells = vec![(0usize, 0usize); grid.servers];
        for (at, vantage) in vantages.iter().enumerate() {
            for (server, _) in grid.seen_by(at) {
                let last_ns = vantage.cells.get(&server).and_then(|cell| Some(cell.last()?.at_ns));
                let known_ns = self.paths[at].get(&server).map(|path| path.last_ns);
                cells[server].0 += usize::from(last_ns > known_ns);
                cells[server].1 += 1;
            }
        }
        cells.into_iter().map(|(new, all)| 2 * new > all).collect()
    }

    fn apply(&mut self, shown: &[Shown], new: &[Option<New>], now_ns: i64, round_s: f64) {
        let (servers, vantages) = (self.servers.len(), self.vantages.len());
        let may_drift = |vantage: usize, by_s: f64| {
            let usual_s = 2.0 * self.vantages[vantage].rate().abs() * round_s;
            drift(&self.vantages[vantage]) != 0.0 || by_s.abs() < SEEN_S + drifted_s(round_s) + usual_s
        };
        let price = |vantage: usize, by_s: f64| match testimony(&self.raw[vantage], by_s, 2) {
            // The raw clock drifts with the oscillator.
            _ if may_drift(vantage, by_s) || is_unsure(&self.raw[vantage], by_s, 2) => 1.0,
            // A confirmed step is in the position already, so a further movement contradicts the clocks. It must cost
            // more than a movement of three servers of a site that only this vantage sees.
            Testimony::Confirms | Testimony::Denies => 4.0,
            Testimony::Silent => 1.0,
        };
        let positions = |tracks: &[Track]| tracks.iter().map(|track| track.position_s).collect();
        let before = Explained { servers: positions(&self.servers), vantages: positions(&self.vantages) };
        let stirred_s = self.stirred_s(round_s);
        let fit = explain(shown, &before, stirred_s, &price);
        let mut read = Vec::new();
        for (cell, new) in shown.iter().zip(new) {
            let Some(new) = new else { continue };
            read.push(*cell);
            let clocks_s = fit.servers[cell.server] - fit.vantages[cell.vantage];
            if let Some(path) = self.paths[cell.vantage].get_mut(&cell.server) {
                path.learn(new.at_ns, new.beyond_s - clocks_s, new.delay_s, stirred_s);
            }
        }
        push(&mut self.servers, &fit.servers, &noise(&read, servers, |cell| cell.server), now_ns);
        // The clock of a host wanders more than that of a server.
        let wander =
            |noise: Vec<Option<f64>>| noise.into_iter().map(|it| it.map(|noise_s| 2.0 * noise_s)).collect::<Vec<_>>();
        push(&mut self.vantages, &fit.vantages, &wander(noise(&read, vantages, |cell| cell.vantage)), now_ns);
        for (vantage, track) in self.vantages.iter().enumerate() {
            let newest_s: f64 = self.raw[vantage].iter().map(|step| step.moved_s()).sum();
            let known_s = self.raw_before_s[vantage].unwrap_or(self.raw_s[vantage] - newest_s);
            self.raw_before_s[vantage] = track.moved.is_some().then_some(known_s);
        }
    }

    /// How far the clocks move in a round, in seconds: cells that are read at different times differ by as much.
    pub fn stirred_s(&self, round_s: f64) -> f64 {
        let drifts_s = self.servers.iter().chain(&self.vantages).map(|track| track.drift_s(round_s));
        (STIRRED * drifts_s.fold(0.0, f64::max)).max(self.fastest * round_s)
    }

    /// The rate of a vantage's clock beyond what the bounds allow for in any case, in seconds per second.
    pub fn rate_of(&self, vantage: usize) -> f64 {
        let rate = self.vantages.get(vantage).map_or(0.0, |track| track.rate().abs());
        let rate = rate.max(self.rates.get(vantage).map_or(0.0, |rate| rate.abs()));
        (1.5 * rate - 1e-5).max(0.0)
    }

    /// What the clocks of a vantage show about its movement since shortly before it was found, or else in the last
    /// rounds.
    pub fn testimony(&self, vantage: usize, by_s: f64) -> Testimony {
        let Some(raw) = self.raw.get(vantage) else { return Testimony::Silent };
        match self.raw_before_s[vantage] {
            Some(before_s) => compared(raw, self.raw_s[vantage] - before_s, by_s),
            None => testimony(raw, by_s, RAW_KEPT),
        }
    }

    /// Every path, with its vantage and its server.
    pub fn paths(&self) -> impl Iterator<Item = (usize, usize, &Path)> {
        let all = self.paths.iter().enumerate();
        all.flat_map(|(vantage, paths)| paths.iter().map(move |(server, path)| (vantage, *server, path)))
    }
}

/// The part of a slew that is larger than what an oscillator can drift in `for_s` seconds.
fn beyond_drift(slew_s: f64, for_s: f64) -> f64 {
    slew_s.signum() * (slew_s.abs() - drifted_s(for_s)).max(0.0)
}

/// By how much the oscillator of a vantage may drift in a round, in seconds.
pub(super) fn drifted_s(round_s: f64) -> f64 {
    2.0 * PHI * round_s
}

/// The rate of a clock that is known to drift, in seconds per second; zero for others.
fn drift(track: &Track) -> f64 {
    let is_drifting = track.moved.as_ref().is_some_and(|moved| moved.kind == MoveKind::Drift);
    if is_drifting { track.rate() } else { 0.0 }
}

/// The scatter of the readings of each party in this round; `None` without a reading.
fn noise(shown: &[Shown], parties: usize, party: fn(&Shown) -> usize) -> Vec<Option<f64>> {
    let mut of_party: Vec<Vec<f64>> = vec![Vec::new(); parties];
    shown.iter().for_each(|cell| of_party[party(cell)].push(cell.noise_s));
    let middle = |cells: Vec<f64>| {
        let count = cells.len();
        (count > 0).then(|| median(cells) / (count.min(4) as f64).sqrt())
    };
    of_party.into_iter().map(middle).collect()
}

fn push(tracks: &mut [Track], by_s: &[f64], noise_s: &[Option<f64>], now_ns: i64) {
    for ((track, by_s), noise_s) in tracks.iter_mut().zip(by_s).zip(noise_s) {
        match noise_s {
            Some(noise_s) => track.push(now_ns, track.position_s + by_s, *noise_s),
            None => track.position_s += by_s,
        }
    }
}

fn testimony(raw: &VecDeque<RawStep>, by_s: f64, rounds: usize) -> Testimony {
    compared(raw, raw.iter().take(rounds).map(|step| step.moved_s()).sum(), by_s)
}

/// Compares how far the raw clock shows that the wall clock was moved with a movement.
fn compared(raw: &VecDeque<RawStep>, raw_s: f64, by_s: f64) -> Testimony {
    let is_known = raw.iter().any(|step| step.is_known) && by_s.abs() > SEEN_S;
    match is_known {
        false => Testimony::Silent,
        true if (raw_s - by_s).abs() < 0.3 * by_s.abs() => Testimony::Confirms,
        true => Testimony::Denies,
    }
}

/// Whether the usual correction of the clock changed so much, as with the temperature, that the raw clock does not show
/// whether the wall clock moved by `by_s`.
fn is_unsure(raw: &VecDeque<RawStep>, by_s: f64, rounds: usize) -> bool {
    let unsure_s: f64 = raw.iter().take(rounds).map(|step| step.slew_s.abs() + step.unsure_s).sum();
    unsure_s > 0.3 * by_s.abs()
}
