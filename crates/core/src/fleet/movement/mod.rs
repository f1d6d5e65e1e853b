//! Which parties moved: the positions of every server and vantage over time, and the usual offset and delay of every
//! path.
//!
//! A cell shows the server's movement less the vantage's, and changes of its path. A change of the delay in one
//! direction moves the offset by half of it, so that much is taken out first. The rest is explained by as few parties
//! as possible ([`fit`]). Only differences can be seen, so who moved is decided by counting, and is therefore inferred.

mod fit;
mod path;
mod track;

use std::collections::{BTreeMap, VecDeque};

pub(super) use path::{Changed, Path};
pub(super) use track::{MoveKind, Moved, Track, median};

use super::Vantage;
use super::grid::Grid;
use super::raw::RawStep;
use fit::{Shown, explain};

/// Rounds for which the steps of a vantage's clock are kept.
const RAW_KEPT: usize = 8;

/// What the vantage's own clocks show about a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Testimony {
    /// The clock was set by as much.
    Confirms,
    /// The clock was not set.
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
    /// What the clocks of each vantage reported when its movement was found.
    testimonies: Vec<Option<Testimony>>,
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
    pub fn advance(&mut self, vantages: &[Vantage], grid: &Grid, steps: &[RawStep], now_ns: i64) {
        self.servers.resize_with(grid.servers, Track::default);
        self.vantages.resize_with(grid.vantages, Track::default);
        self.raw.resize_with(grid.vantages, VecDeque::new);
        self.testimonies.resize(grid.vantages, None);
        self.paths.resize_with(grid.vantages, BTreeMap::new);
        for (vantage, step) in steps.iter().enumerate() {
            let raw = &mut self.raw[vantage];
            raw.truncate(RAW_KEPT - 1);
            raw.push_front(*step);
            self.vantages[vantage].position_s += step.step_s;
        }
        let mut shown = Vec::new();
        let mut new: Vec<Option<New>> = Vec::new();
        let is_due = self.due(vantages, grid);
        for (at, vantage) in vantages.iter().enumerate() {
            for (server, _) in grid.seen_by(at).filter(|(server, _)| is_due[*server]) {
                let Some(cell) = vantage.cells.get(&server) else { continue };
                let Some(last) = cell.last() else { continue };
                let path = self.paths[at].entry(server).or_default();
                // A reading that was taken before still shows that the clocks had not moved then.
                let is_new = last.at_ns > path.last_ns;
                path.last_ns = last.at_ns;
                // Cells are read at different times, so clocks that drift have moved further since.
                let drift = drift(&self.servers[server]) - drift(&self.vantages[at]);
                let age_s = (now_ns - last.at_ns) as f64 / 1e9;
                let shift_s = cell.offset_s().unwrap_or(last.offset_s) + drift * age_s;
                let offset_s = shift_s - self.servers[server].position_s + self.vantages[at].position_s;
                match path.beyond_s(offset_s, last.delay_s) {
                    None if is_new => path.warm_up(offset_s, last.delay_s),
                    None => {}
                    Some((beyond_s, by_s)) => {
                        shown.push(Shown { vantage: at, server, by_s, noise_s: path.noise_s() });
                        new.push(is_new.then_some(New { at_ns: last.at_ns, beyond_s, delay_s: last.delay_s }));
                    }
                }
            }
        }
        self.apply(&shown, &new, now_ns);
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

    fn apply(&mut self, shown: &[Shown], new: &[Option<New>], now_ns: i64) {
        let (servers, vantages) = (self.servers.len(), self.vantages.len());
        let price = |vantage: usize, by_s: f64| match testimony(&self.raw[vantage], by_s, 2) {
            // A confirmed step is in the position already, so a further movement contradicts the clocks. It must cost
            // more than a movement of three servers of a site that only this vantage sees.
            Testimony::Confirms | Testimony::Denies => 4.0,
            Testimony::Silent => 1.0,
        };
        let fit = explain(shown, servers, vantages, &price);
        let mut read = Vec::new();
        for (cell, new) in shown.iter().zip(new) {
            let Some(new) = new else { continue };
            read.push(*cell);
            let clocks_s = fit.servers[cell.server] - fit.vantages[cell.vantage];
            if let Some(path) = self.paths[cell.vantage].get_mut(&cell.server) {
                path.learn(new.at_ns, new.beyond_s - clocks_s, new.delay_s);
            }
        }
        push(&mut self.servers, &fit.servers, &noise(&read, servers, |cell| cell.server), now_ns);
        // The clock of a host wanders more than that of a server.
        let wander =
            |noise: Vec<Option<f64>>| noise.into_iter().map(|it| it.map(|noise_s| 2.0 * noise_s)).collect::<Vec<_>>();
        push(&mut self.vantages, &fit.vantages, &wander(noise(&read, vantages, |cell| cell.vantage)), now_ns);
        for (vantage, track) in self.vantages.iter().enumerate() {
            self.testimonies[vantage] = match (&track.moved, self.testimonies[vantage]) {
                (Some(moved), None) => Some(testimony(&self.raw[vantage], moved.by_s, RAW_KEPT)),
                (Some(_), known) => known,
                (None, _) => None,
            };
        }
    }

    /// The rate of a vantage's clock beyond what the bounds allow for in any case, in seconds per second.
    pub fn rate_of(&self, vantage: usize) -> f64 {
        let rate = self.vantages.get(vantage).map_or(0.0, |track| track.rate().abs());
        (1.5 * rate - 1e-5).max(0.0)
    }

    /// What the clocks of a vantage showed about a movement when it was found, or else in the last rounds.
    pub fn testimony(&self, vantage: usize, by_s: f64) -> Testimony {
        let found = self.testimonies.get(vantage).copied().flatten();
        found.or_else(|| Some(testimony(self.raw.get(vantage)?, by_s, RAW_KEPT))).unwrap_or(Testimony::Silent)
    }

    /// Every path, with its vantage and its server.
    pub fn paths(&self) -> impl Iterator<Item = (usize, usize, &Path)> {
        let all = self.paths.iter().enumerate();
        all.flat_map(|(vantage, paths)| paths.iter().map(move |(server, path)| (vantage, *server, path)))
    }
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
        if let Some(noise_s) = noise_s {
            track.push(now_ns, track.position_s + by_s, *noise_s);
        }
    }
}

fn testimony(raw: &VecDeque<RawStep>, by_s: f64, rounds: usize) -> Testimony {
    // A step within the jitter of reading clocks is not seen.
    let is_known = raw.iter().any(|step| step.is_known) && by_s.abs() > 1e-3;
    let set_s: f64 = raw.iter().take(rounds).map(|step| step.step_s).sum();
    match is_known {
        false => Testimony::Silent,
        true if (set_s - by_s).abs() < 0.3 * by_s.abs() => Testimony::Confirms,
        true => Testimony::Denies,
    }
}
