//! One server address: its last samples, its values on the common grid, and what it is like when nothing is wrong.
//!
//! Memory: [`CELLS`] grid values of 16 bytes and [`RECENT`] samples of 40 bytes, about 3 kB per address in all.

mod reach;
mod sense;

use std::net::SocketAddr;
use std::sync::Arc;

use self::reach::Reach;
use super::change::Change;
use super::grain::Grain;
use super::robust;
use super::watch::Watch;
use crate::sample::ServerIdent;
use crate::stats::events::ServerWatch;
pub(super) use sense::Pace;

/// Grid values that are kept: two hours and a quarter at a poll interval of 64 s.
pub(super) const CELLS: usize = 128;
/// Samples that are kept for interpolation.
const RECENT: usize = 16;
/// Grid values that a baseline needs at least.
const MIN_BASELINE: usize = 8;
/// The newest grid values do not enter a baseline: they are what it judges.
const HOLD_OUT: u64 = 4;
/// Smallest and largest change of a server's offset that is worth a word, in seconds; between them a fifth of the
/// server's root distance.
const MATERIAL_S: (f64, f64) = (0.0005, 0.005);

/// A baseline of so many measurements doubles the threshold: its own error is then as large as what it is compared with.
const YOUNG: f64 = 6.0;

/// An accepted measurement.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Point {
    pub t_s: f64,
    pub theta_s: f64,
    pub delay_s: f64,
    pub lambda_s: f64,
}

/// The value of a server at a grid time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    /// Offset in seconds.
    pub theta_s: f64,
    /// Delay in seconds.
    pub delay_s: f64,
    /// Half width of the correctness interval in seconds.
    pub lambda_s: f64,
    /// How far the offset can be from the truth without a fault of a clock: half of the unusual delay, and `leap_s`.
    pub slack_s: f64,
    /// See [`Series::leap_between`].
    leap_s: f64,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    theta_s: f64,
    delay_s: f32,
    slack_s: f32,
}

const EMPTY: Cell = Cell { theta_s: f64::NAN, delay_s: f32::NAN, slack_s: f32::NAN };

/// What a server is like when nothing is wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Baseline {
    /// Median offset of the low-delay values, in seconds.
    pub offset_s: f64,
    /// Low delay (the lower fifth), in seconds.
    pub delay_s: f64,
    /// Noise of the offset, one standard deviation, in seconds.
    pub noise_s: f64,
    /// Noise of the delay.
    pub delay_noise_s: f64,
    /// How far above the low delay nineteen of twenty values stay, in seconds: a path with queues is no new route.
    pub delay_spread_s: f64,
    /// How many measurements it was learned from.
    pub measured: usize,
}

/// A deviation that is being watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Episode {
    /// The cell at which it was opened.
    pub opened: u64,
    /// When it was seen first, on the samples' axis.
    pub seen_s: f64,
    /// Its onset on the samples' axis.
    pub since_s: f64,
    /// What it is, as far as known.
    pub change: Option<Change>,
    /// Whether its shape is known well enough to say so.
    pub named: bool,
}

#[derive(Debug)]
pub(super) struct Series {
    pub ident: Arc<ServerIdent>,
    pub address: Option<SocketAddr>,
    pub watch: ServerWatch,
    recent: [Point; RECENT],
    count: usize,
    cells: Box<[Cell; CELLS]>,
    /// Grid values before this cell belong to another life of the server and are ignored.
    valid_from: u64,
    pub base: Option<Baseline>,
    pub now: Option<Present>,
    /// How many measurements the value at the newest cell rests on, and whether that is more than at the cell before: only
    /// then there is something new to be seen.
    known: usize,
    pub is_fresh: bool,
    /// Slow average of the root distance.
    lambda_s: f64,
    /// The smallest movement that is more than the rounding of stamps.
    grain_s: f64,
    /// The time of the last poll, whatever came of it; minus infinity before the first.
    pub last_poll_s: f64,
    gaps_s: [f64; 4],
    pub reach: Reach,
    /// The server answers, but calls itself unsynchronised.
    pub unsynchronised: bool,
    pub first_s: f64,
    /// Its interval is disjoint from the majority's.
    pub disjoint: Watch,
    pub disjoint_since_s: f64,
    pub gap_s: f64,
    /// Its offset left its baseline against the others.
    pub moved: Watch,
    pub episode: Option<Episode>,
    /// Its delay left its baseline and explains its offset.
    pub route: Watch,
    pub route_since_s: f64,
    pub route_size_s: f64,
    pub route_steady: bool,
}

impl Series {
    pub fn new(ident: &Arc<ServerIdent>, address: Option<SocketAddr>, t_s: f64) -> Self {
        Self {
            ident: Arc::clone(ident),
            address,
            watch: ServerWatch::default(),
            recent: [Point::default(); RECENT],
            count: 0,
            cells: Box::new([EMPTY; CELLS]),
            valid_from: 0,
            base: None,
            now: None,
            known: 0,
            is_fresh: false,
            lambda_s: 0.0,
            grain_s: 0.0,
            last_poll_s: f64::NEG_INFINITY,
            gaps_s: [f64::INFINITY; 4],
            reach: Reach::new(t_s),
            unsynchronised: false,
            first_s: t_s,
            disjoint: Watch::default(),
            disjoint_since_s: t_s,
            gap_s: 0.0,
            moved: Watch::default(),
            episode: None,
            route: Watch::default(),
            route_since_s: t_s,
            route_size_s: 0.0,
            route_steady: true,
        }
    }

    /// Takes note that a poll ended at `t_s`, whatever came of it.
    pub fn polled(&mut self, t_s: f64) {
        if self.last_poll_s.is_finite() {
            self.gaps_s.rotate_left(1);
            self.gaps_s[3] = t_s - self.last_poll_s;
        }
        self.last_poll_s = t_s;
    }

    /// The poll interval as observed: the shortest of the last four, so that losses and pauses do not count.
    pub fn interval_s(&self) -> Option<f64> {
        let shortest = self.gaps_s.iter().copied().fold(f64::INFINITY, f64::min);
        shortest.is_finite().then_some(shortest)
    }

    /// Keeps an accepted measurement; times only grow.
    pub fn accept(&mut self, point: Point, grain: &mut Grain) {
        if let Some(before) = self.count.checked_sub(1) {
            grain.note(self.recent[before % RECENT].theta_s, point.theta_s);
        }
        self.grain_s = grain.threshold_s();
        self.recent[self.count % RECENT] = point;
        self.count += 1;
        let weight = if self.count == 1 { 1.0 } else { 0.1 };
        self.lambda_s += weight * (point.lambda_s - self.lambda_s);
    }

    /// The time of the newest accepted measurement.
    pub fn last_accepted_s(&self) -> Option<f64> {
        self.count.checked_sub(1).map(|i| self.recent[i % RECENT].t_s)
    }

    /// Whether it was measured lately enough to have a voice, though perhaps not at this very cell.
    pub fn votes(&self, t_s: f64, step_s: f64) -> bool {
        // One that was asked but once may be asked as rarely as the grid waits for.
        let patience_s = 6.0 * self.interval_s().unwrap_or(4.0 * step_s).max(step_s);
        !self.reach.is_lost() && self.last_accepted_s().is_some_and(|last| t_s - last <= patience_s)
    }

    /// The smallest change of this server's offset that counts, in seconds.
    pub fn threshold_s(&self) -> f64 {
        let material = (0.2 * self.lambda_s).clamp(MATERIAL_S.0, MATERIAL_S.1).max(self.grain_s);
        self.base.map_or(material, |b| material.max(6.0 * b.noise_s) * (1.0 + YOUNG / b.measured as f64))
    }

    /// The smallest change of this server's delay that counts, in seconds.
    pub fn delay_threshold_s(&self) -> f64 {
        let material = (0.2 * self.lambda_s).clamp(MATERIAL_S.0, MATERIAL_S.1);
        material.max(self.base.map_or(0.0, |b| (6.0 * b.delay_noise_s).max(1.5 * b.delay_spread_s)))
    }

    /// The cells that count, oldest first, up to and including `until`.
    fn valid(&self, k: u64, until: u64) -> impl Iterator<Item = (u64, &Cell)> {
        let from = self.valid_from.max((k + 1).saturating_sub(CELLS as u64));
        (from..=until).map(|j| (j, &self.cells[slot(j)])).filter(|(_, cell)| !cell.theta_s.is_nan())
    }

    /// The offset at a cell that is still kept.
    pub fn offset_at(&self, k: u64) -> Option<f64> {
        let theta_s = self.cells[slot(k)].theta_s;
        (k >= self.valid_from && !theta_s.is_nan()).then_some(theta_s)
    }

    /// Offsets of the usable cells up to `k` as (cell, offset); what can have waited in queues for longer than twice
    /// `limit_s` is left out when enough remains.
    pub fn offsets(&self, k: u64, limit_s: f64) -> Vec<(u64, f64)> {
        let limit = limit_s as f32;
        let clean: Vec<_> = self.valid(k, k).filter(|(_, c)| c.slack_s <= limit).map(|(j, c)| (j, c.theta_s)).collect();
        if clean.len() >= MIN_BASELINE { clean } else { self.valid(k, k).map(|(j, c)| (j, c.theta_s)).collect() }
    }

    /// The delays since a cell.
    pub fn delays_since(&self, first: u64, k: u64) -> Vec<f64> {
        self.valid(k, k).filter(|(j, _)| *j >= first).map(|(_, c)| f64::from(c.delay_s)).collect()
    }

    /// Median delay since a cell and its scatter: what a new route looks like.
    pub fn since_cell(&self, first: u64, k: u64) -> (f64, f64) {
        let mut delays = self.delays_since(first, k);
        let scatter = robust::noise(delays.iter().copied(), &mut Vec::new());
        (robust::median(&mut delays), scatter)
    }

    /// How fast its offset changes from cell to cell: the median slope of pairs that lie half the window apart, in s/s when
    /// `time_s` tells the time of a cell.
    pub fn rate(&self, k: u64, time_s: impl Fn(u64) -> f64) -> Option<f64> {
        let points: Vec<_> = self.valid(k, k).map(|(j, c)| (time_s(j), c.theta_s)).collect();
        let (early, late) = points.split_at(points.len() / 2);
        let mut slopes: Vec<f64> = early.iter().zip(late).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect();
        (slopes.len() >= MIN_BASELINE).then(|| robust::median(&mut slopes))
    }

    /// Learns what is usual from the cells before the newest few. Keeps the old baseline while there are too few. Returns how
    /// much larger the usual offset would have been if the own clock had not been taken to `wander`.
    pub fn learn(&mut self, k: u64, step_s: f64, wander: impl Fn(u64) -> f64, scratch: &mut Vec<f64>) -> Option<f64> {
        let until = k.saturating_sub(HOLD_OUT);
        // What is between two measurements is interpolated: it is smoother than they are, and says nothing new.
        let stride = (self.interval_s().unwrap_or(step_s) / step_s).round().clamp(1.0, MIN_BASELINE as f64) as usize;
        let mut delays: Vec<f64> = self.valid(k, until).map(|(_, c)| f64::from(c.delay_s)).collect();
        if delays.len() < MIN_BASELINE {
            return None;
        }
        let noise_s = robust::noise(self.valid(k, until).map(|(_, c)| c.theta_s).step_by(stride), scratch);
        let delay_noise_s = robust::noise(delays.iter().copied().step_by(stride), scratch);
        let measured = delays.len() / stride;
        let delay_s = robust::quantile(&mut delays, 0.2);
        let delay_spread_s = robust::quantile(&mut delays, 0.95) - delay_s;
        // The quarter with the least delay, but not fewer than a baseline needs.
        let share = (MIN_BASELINE as f64 / delays.len() as f64).clamp(0.25, 1.0);
        let cut = robust::quantile(&mut delays, share);
        let is_low = |(_, c): &(u64, &Cell)| f64::from(c.delay_s) <= cut;
        let (mut low, mut low_as_seen): (Vec<f64>, Vec<f64>) =
            self.valid(k, until).filter(is_low).map(|(j, c)| (c.theta_s - wander(j), c.theta_s)).unzip();
        let offset_s = robust::median(&mut low);
        self.base = Some(Baseline { offset_s, delay_s, noise_s, delay_noise_s, delay_spread_s, measured });
        Some(robust::median(&mut low_as_seen) - offset_s)
    }

    /// Moves what is usual.
    pub fn shift(&mut self, by_s: f64) {
        if let Some(base) = &mut self.base {
            base.offset_s += by_s;
        }
    }

    /// Whether nothing is being watched that its offset or delay did.
    pub fn is_quiet(&self) -> bool {
        self.moved.is_quiet() && self.route.is_quiet()
    }

    /// From now on this server is another one (repaired, or on a new route): its past is no measure for it.
    pub fn begin_anew(&mut self, from: u64) {
        self.valid_from = from;
        self.base = None;
        self.episode = None;
        self.moved.reset();
        self.route.reset();
    }

    /// What was seen while something was wrong must not teach the baseline; the baseline itself stays.
    pub fn forget_until(&mut self, k: u64) {
        self.valid_from = k;
    }
}

fn slot(k: u64) -> usize {
    (k % CELLS as u64) as usize
}
