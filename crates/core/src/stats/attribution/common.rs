//! What the servers have in common: the movement that all of them share is the own clock's, seen from the other side.

use super::robust;
use super::series::{CELLS, Episode};
use super::watch::Watch;
use crate::stats::consensus::Interval;

/// Smallest and largest common change that counts, in seconds; between them a fifth of the median root distance.
const MATERIAL_S: (f64, f64) = (0.0005, 0.008);

/// Noise that was learned from so many cells counts twice.
const YOUNG: f64 = 6.0;
/// Noise from fewer cells than this does not replace what was known.
const MIN_NOISE: usize = 8;

/// Series on the common grid, and what is being watched in them.
#[derive(Debug)]
pub(super) struct Common {
    times_s: Box<[f64; CELLS]>,
    moves_s: Box<[f64; CELLS]>,
    levels_s: Box<[f64; CELLS]>,
    pub valid_from: u64,
    /// The median of all offsets when nothing was wrong, in seconds.
    pub usual_level_s: Option<f64>,
    pub noise_s: f64,
    /// How many cells the noise was learned from.
    learned: usize,
    /// The smallest common change that counts at the newest cell.
    pub threshold_now_s: f64,
    /// Cells from before the first baselines have no common movement yet.
    pub lacks_past: bool,
    /// The majority interval of the newest cell.
    pub majority: Option<Interval>,
    /// How far the path alone can have moved the common value of the newest cell.
    pub slack_s: f64,
    /// The common value left its baseline.
    pub moved: Watch,
    pub episode: Option<Episode>,
    /// The majority interval excludes zero.
    pub excluded: Watch,
    pub excluded_since_s: f64,
    /// There is no majority among the intervals.
    pub split: Watch,
    /// There is no majority among the movements.
    pub torn: Watch,
    /// Cells of the present episode at which some servers provably did not move, and all its cells looked at.
    pub contested: (u32, u32),
    /// Leaky count of cells at which most delays were up.
    pub congestion: u8,
    pub congested: bool,
    pub congested_since_s: f64,
    pub congested_first: u64,
}

impl Default for Common {
    fn default() -> Self {
        let empty = || Box::new([f64::NAN; CELLS]);
        Self {
            times_s: empty(),
            moves_s: empty(),
            levels_s: empty(),
            valid_from: 0,
            usual_level_s: None,
            noise_s: 0.0,
            learned: 0,
            threshold_now_s: 0.0,
            lacks_past: true,
            majority: None,
            slack_s: 0.0,
            moved: Watch::default(),
            episode: None,
            excluded: Watch::default(),
            excluded_since_s: 0.0,
            split: Watch::default(),
            torn: Watch::default(),
            contested: (0, 0),
            congestion: 0,
            congested: false,
            congested_since_s: 0.0,
            congested_first: 0,
        }
    }
}

impl Common {
    /// Whether any sign of a fault of the own clock was seen lately.
    pub fn is_suspect(&self) -> bool {
        [&self.moved, &self.excluded, &self.torn].into_iter().any(|watch| !watch.is_quiet())
    }

    /// How fast the own clock is known to drift against all servers, in s/s; not signed.
    pub fn drift(&self) -> f64 {
        let change = self.episode.and_then(|episode| episode.change);
        change.and_then(|change| change.slope).map_or(0.0, |line| line.slope.abs())
    }

    /// Begins the cell `k` at the grid time `g_s`.
    pub fn begin(&mut self, k: u64, g_s: f64) {
        let slot = (k % CELLS as u64) as usize;
        self.times_s[slot] = g_s;
        self.moves_s[slot] = f64::NAN;
        self.levels_s[slot] = f64::NAN;
    }

    /// The grid time of a cell that is still kept.
    pub fn time_s(&self, k: u64) -> f64 {
        self.times_s[(k % CELLS as u64) as usize]
    }

    /// The common movement at a cell, NaN when there was none to be had.
    pub fn move_s(&self, k: u64) -> f64 {
        self.moves_s[(k % CELLS as u64) as usize]
    }

    /// The median offset at a cell, NaN when there was none to be had.
    pub fn level_s(&self, k: u64) -> f64 {
        self.levels_s[(k % CELLS as u64) as usize]
    }

    pub fn set_move(&mut self, k: u64, move_s: f64) {
        self.moves_s[(k % CELLS as u64) as usize] = move_s;
    }

    pub fn set_level(&mut self, k: u64, level_s: f64) {
        self.levels_s[(k % CELLS as u64) as usize] = level_s;
    }

    /// The cells that are kept and count, oldest first.
    pub fn cells(&self, k: u64) -> std::ops::RangeInclusive<u64> {
        self.valid_from.max((k + 1).saturating_sub(CELLS as u64))..=k
    }

    /// (time, common movement) of the cells that count.
    pub fn moves(&self, k: u64) -> Vec<(f64, f64)> {
        self.cells(k).map(|j| (self.time_s(j), self.move_s(j))).filter(|(_, c)| !c.is_nan()).collect()
    }

    /// (time, median offset) of the cells that count.
    pub fn levels(&self, k: u64) -> Vec<(f64, f64)> {
        self.cells(k).map(|j| (self.time_s(j), self.level_s(j))).filter(|(_, c)| !c.is_nan()).collect()
    }

    /// The smallest common change that counts, for servers with this median root distance.
    pub fn threshold_s(&self, lambda_s: f64) -> f64 {
        let material_s = (0.2 * lambda_s).clamp(MATERIAL_S.0, MATERIAL_S.1);
        material_s.max(6.0 * self.noise_s * (1.0 + YOUNG / self.learned.max(1) as f64))
    }

    /// Learns what is usual from the cells up to `until`; `k` is the newest cell.
    pub fn learn(&mut self, k: u64, until: u64, scratch: &mut Vec<f64>) {
        // The ring holds the cells that end with the newest one. Older numbers would read its slots again.
        let cells = *self.cells(k).start()..=until;
        let moves = cells.clone().map(|j| self.move_s(j)).filter(|c| !c.is_nan());
        let learned = moves.clone().count();
        // After a fault there are few cells again, but what noise is usual is known.
        if learned >= MIN_NOISE || self.learned < MIN_NOISE {
            (self.noise_s, self.learned) = (robust::noise(moves, scratch), learned);
        }
        let mut levels: Vec<f64> = cells.map(|j| self.level_s(j)).filter(|c| !c.is_nan()).collect();
        if levels.len() >= 8 {
            self.usual_level_s = Some(robust::median(&mut levels));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_out_cells_teach_no_noise_and_no_level() {
        let last = CELLS as u64 + 40;
        let mut common = Common::default();
        for k in 0..=last {
            let is_held_out = k > last - 4;
            let moved_s = if is_held_out { 1.0 } else { 1e-5 * (k % 7) as f64 };
            common.begin(k, k as f64);
            common.set_move(k, moved_s);
            common.set_level(k, moved_s);
        }
        let mut expected = Common::default();
        for k in 0..CELLS as u64 - 4 {
            expected.begin(k, k as f64);
            let of_the_ring = k + last + 1 - CELLS as u64;
            expected.set_move(k, common.move_s(of_the_ring));
            expected.set_level(k, common.level_s(of_the_ring));
        }
        common.learn(last, last - 4, &mut Vec::new());
        expected.learn(CELLS as u64 - 5, CELLS as u64 - 5, &mut Vec::new());
        assert_eq!(common.noise_s, expected.noise_s);
        assert_eq!((common.learned, common.usual_level_s), (CELLS - 4, expected.usual_level_s));
    }
}
