//! The common grid: when a cell is closed, which servers are waited for, how wide a cell is.

use super::common::Common;
use super::grain::Grain;
use super::robust;
use super::series::{Pace, Series};
use super::wander::Wander;

/// Everything on the common grid.
#[derive(Debug)]
pub(super) struct Engine {
    pub series: Vec<Series>,
    /// Indices of the series that have a value at the present cell.
    pub present: Vec<usize>,
    /// How many series count for a majority, present at this cell or not.
    pub voters: usize,
    /// No majority moves the same way at this cell.
    pub torn_now: bool,
    pub common: Common,
    pub grain: Grain,
    pub wander: Wander,
    /// The newest cell and its time.
    pub cell: u64,
    pub cell_s: f64,
    /// Distance of cells, and the time of the next one.
    pub step_s: f64,
    pub next_s: f64,
    /// Series that are being polled, and those of them that were polled after the next cell's time.
    pub live: usize,
    pub passed: usize,
    pub wait_s: f64,
    /// Whether the step comes from observed intervals.
    pub tuned: bool,
    /// Whether a server was asked twice.
    asked_twice: bool,
    pub dirty: bool,
    pub scratch: Vec<f64>,
}

impl Engine {
    pub fn new() -> Self {
        Self {
            series: Vec::new(),
            present: Vec::new(),
            voters: 0,
            torn_now: false,
            common: Common::default(),
            grain: Grain::default(),
            wander: Wander::default(),
            cell: 0,
            cell_s: 0.0,
            step_s: 0.0,
            next_s: 0.0,
            live: 0,
            passed: 0,
            wait_s: 0.0,
            tuned: false,
            asked_twice: false,
            dirty: true,
            scratch: Vec::new(),
        }
    }

    pub fn add(&mut self, series: Series) {
        self.series.push(series);
        self.live += 1;
        self.dirty = true;
    }

    /// A silence of all servers longer than this is a pause of the monitor.
    pub fn pause_s(&self) -> f64 {
        4.0 * self.step_s.max(self.wait_s)
    }

    pub fn polled(&mut self, i: usize, t_s: f64) {
        let before_s = self.series[i].last_poll_s;
        self.series[i].polled(t_s);
        self.asked_twice |= self.series[i].interval_s().is_some();
        self.passed += usize::from(before_s <= self.next_s && t_s > self.next_s);
    }

    /// Closes every cell that no further sample can change.
    pub fn advance(&mut self, t_s: f64) {
        if !self.tuned {
            // Every poll of a server that is new passes here, so nothing must be counted before it can matter.
            self.next_s = t_s;
            if self.asked_twice {
                self.begin_grid(t_s);
            }
        } else if t_s - self.next_s > self.pause_s() {
            // Nobody was asked in between: those cells have no values, and the grid goes on from here. It may be that
            // polls became rare.
            self.close_cell(self.next_s);
            self.tune_grid();
            self.next_s = t_s + 0.5 * self.step_s;
            self.count_live(t_s);
        }
        while self.tuned && t_s > self.next_s && (self.passed >= self.live || t_s > self.next_s + self.wait_s) {
            self.close_cell(self.next_s);
            self.next_s += self.step_s;
            if self.cell <= 4 || self.cell.is_multiple_of(16) {
                self.tune_grid();
            }
            self.count_live(t_s);
        }
    }

    /// The grid begins once somebody was asked twice: what a recording says of its poll interval need not be true.
    fn begin_grid(&mut self, t_s: f64) {
        self.tune_grid();
        self.count_live(t_s);
    }

    fn close_cell(&mut self, g_s: f64) {
        self.cell += 1;
        self.cell_s = g_s;
        self.common.begin(self.cell, g_s);
        self.present.clear();
        let pace = Pace { step_s: self.step_s, rate: self.common.drift() };
        for (i, series) in self.series.iter_mut().enumerate() {
            if series.sense(self.cell, g_s, pace) {
                self.present.push(i);
            }
        }
        let voters = self.series.iter().filter(|s| s.votes(g_s, self.step_s)).count();
        self.dirty |= std::mem::replace(&mut self.voters, voters) != voters;
        if !self.present.is_empty() {
            self.look_at_cell();
        }
    }

    pub fn count_live(&mut self, t_s: f64) {
        let (step_s, next_s) = (self.step_s, self.next_s);
        let is_live = |s: &&Series| t_s - s.last_poll_s <= 10.0 * s.interval_s().unwrap_or(0.0).max(step_s);
        self.live = self.series.iter().filter(is_live).count();
        self.passed = self.series.iter().filter(is_live).filter(|s| s.last_poll_s > next_s).count();
    }

    /// The grid follows the median poll interval; it waits for slower servers, up to four times as long.
    fn tune_grid(&mut self) {
        self.scratch.clear();
        self.scratch.extend(self.series.iter().filter_map(Series::interval_s));
        if self.scratch.is_empty() {
            return;
        }
        self.tuned = true;
        let slowest_s = self.scratch.iter().copied().fold(0.0, f64::max);
        self.step_s = robust::median(&mut self.scratch).clamp(0.05, 4096.0);
        self.wait_s = 1.5 * slowest_s.min(4.0 * self.step_s) + 2.0_f64.min(self.step_s);
    }
}
