//! Builds the grid of one round from the cells.

use super::cell::Cell;
use super::grid::{Grid, PHI, View};
use super::movement::Movement;
use super::raw::RawStep;
use super::{Server, Vantage, Weight, groups};

/// The largest number of rounds that counts as the time between two polls of a vantage.
const SLOWEST: usize = 32;

/// Takes the steps of the clocks of every vantage since the last round.
pub(super) fn raw_steps(vantages: &mut [Vantage]) -> Vec<RawStep> {
    vantages.iter_mut().map(|vantage| vantage.clock.take()).collect()
}

/// The usual time between two polls of a cell, in seconds: the median over the vantages, so that one with many cells
/// decides no more than the others.
pub(super) fn usual_spacing_s(vantages: &[Vantage]) -> f64 {
    middle_s(vantages.iter().filter_map(spacing_s).collect()).unwrap_or(64.0)
}

/// The usual time between two polls of the cells of a vantage, in seconds. A planned interval counts only if no cell was
/// read twice.
fn spacing_s(vantage: &Vantage) -> Option<f64> {
    let of = |is_read_twice: bool| {
        let cells = vantage.cells.values().filter(move |cell| cell.is_read_twice() == is_read_twice);
        middle_s(cells.map(Cell::spacing_s).collect())
    };
    of(true).or_else(|| of(false))
}

fn middle_s(mut all: Vec<f64>) -> Option<f64> {
    let middle = all.len() / 2;
    (!all.is_empty()).then(|| *all.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// All readings that count at `now_ns`, with claims and groups of servers.
pub(super) fn grid(vantages: &[Vantage], servers: &[Server], now_ns: i64, round_s: f64, movement: &Movement) -> Grid {
    let mut grid = Grid::new(vantages.len(), servers.len());
    let mut claims: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
    let voting = || vantages.iter().enumerate().filter(|(_, vantage)| vantage.weight == Weight::Voting);
    for (at, vantage) in voting() {
        let rate = movement.rate_of(at);
        let spacing_s = spacing_s(vantage).unwrap_or(round_s);
        grid.rounds[at] = ((spacing_s / round_s).ceil() as usize).clamp(1, SLOWEST);
        for (&server, cell) in vantage.cells.iter().filter(|(_, cell)| cell.is_current(now_ns, round_s)) {
            let Some(last) = cell.last() else { continue };
            let age_s = cell.age_s(now_ns);
            let set_s = cell.stepped_since_s(vantage.clock.stepped_s);
            // A slew moves the clock, or it corrects an oscillator whose rate changed: then the clock rests.
            let slew_s = cell.moved_since_s(vantage.moved_s) - set_s;
            let offset_s = last.offset_s - set_s - slew_s / 2.0;
            let half_s = cell.half_s(now_ns, rate)
                + 0.05 * set_s.abs()
                + (set_s.abs() + slew_s.abs()).min(5e-5)
                + slew_s.abs() / 2.0;
            let is_fresh = age_s <= 1.1 * cell.spacing_s().max(round_s);
            grid.set(at, server, Some(View { offset_s, half_s, is_fresh }));
            claims[server].push(last.claim_s + last.precision_s + PHI * age_s);
        }
    }
    widen_stale(&mut grid, vantages, now_ns);
    find_jumpy(&mut grid, vantages);
    grid.claims_s = claims.into_iter().map(claim_s).collect();
    let cells = voting().flat_map(|(_, vantage)| vantage.cells.iter().map(|(server, cell)| (*server, cell)));
    let current = cells.filter(|(_, cell)| cell.is_current(now_ns, round_s));
    let upstreams = groups::upstreams(current, servers.len());
    let readers: Vec<_> = (0..servers.len()).map(|server| grid.readers(server)).collect();
    grid.groups = groups::of(&servers.iter().map(|server| &server.witness).collect::<Vec<_>>(), &upstreams, &readers);
    grid
}

/// Finds the clocks that jump between most of their readings: they are set often, or their reports are false. A vantage
/// with a raw clock shows when it is set.
fn find_jumpy(grid: &mut Grid, vantages: &[Vantage]) {
    let (mut of_vantage, mut of_server) = (vec![(0, 0); grid.vantages], vec![(0, 0); grid.servers]);
    for (at, vantage) in vantages.iter().enumerate() {
        for (server, _) in grid.seen_by(at) {
            let is_jumpy = vantage.cells.get(&server).is_some_and(|cell| cell.trend().is_jumpy);
            for (all, jumpy) in [&mut of_vantage[at], &mut of_server[server]] {
                *all += 1;
                *jumpy += usize::from(is_jumpy);
            }
        }
    }
    let are_most = |(all, jumpy): (usize, usize)| jumpy > 1 && 2 * jumpy > all;
    let has_raw = |at: usize| vantages[at].clock.is_known();
    grid.jumpy_vantages = of_vantage.into_iter().enumerate().map(|(at, it)| are_most(it) && !has_raw(at)).collect();
    grid.jumpy_servers = of_server.into_iter().map(are_most).collect();
}

/// The claim of a server: the second largest of three or more reports, so that one false report cannot enlarge it.
fn claim_s(mut reports: Vec<f64>) -> Option<f64> {
    reports.sort_by(|a, b| b.total_cmp(a));
    if reports.len() >= 3 { reports.get(1).copied() } else { reports.first().copied() }
}

/// Widens cells whose server or vantage provably moved since they were last read: by the size of a jump after the
/// reading, and by the rate of a drift times the age of the reading. At least two cells must show the movement.
fn widen_stale(grid: &mut Grid, vantages: &[Vantage], now_ns: i64) {
    let mut of_server: Vec<Moves> = vec![Moves::default(); grid.servers];
    let mut of_vantage: Vec<Moves> = vec![Moves::default(); grid.vantages];
    for (at, vantage) in vantages.iter().enumerate() {
        for (&server, cell) in &vantage.cells {
            of_server[server].add(cell);
            of_vantage[at].add(cell);
        }
    }
    for (at, vantage) in vantages.iter().enumerate() {
        for (&server, cell) in &vantage.cells {
            let by_s = of_server[server].since(cell, now_ns).max(of_vantage[at].since(cell, now_ns));
            let is_stale = of_server[server].has_jumped_since(cell) || of_vantage[at].has_jumped_since(cell);
            if let Some(view) = grid.view(at, server).filter(|_| by_s > 0.0) {
                let is_fresh = view.is_fresh && !is_stale;
                grid.set(at, server, Some(View { half_s: view.half_s + by_s, is_fresh, ..view }));
            }
        }
    }
}

/// The two largest jumps and the two fastest drifts that the cells of one server or vantage show. The second ones count,
/// so that a single false report widens nothing.
#[derive(Debug, Clone, Default)]
struct Moves {
    /// Sizes in seconds, and when the reading after the jump was taken.
    jumps: [(f64, i64); 2],
    /// Rates in seconds per second.
    drifts: [f64; 2],
}

impl Moves {
    fn add(&mut self, cell: &Cell) {
        if let Some(jump) = cell.trend().jump {
            let [first, second] = self.jumps;
            self.jumps = match () {
                () if jump.0 > first.0 => [jump, first],
                () if jump.0 > second.0 => [first, jump],
                () => self.jumps,
            };
        }
        if let Some(rate) = cell.trend().drift {
            self.drifts[1] = self.drifts[1].max(self.drifts[0].min(rate));
            self.drifts[0] = self.drifts[0].max(rate);
        }
    }

    fn has_jumped_since(&self, cell: &Cell) -> bool {
        cell.last().is_some_and(|last| self.jumps[1].0 > 0.0 && last.at_ns < self.jumps[1].1)
    }

    /// By how much the clock may have moved since the last reading of a cell, in seconds.
    fn since(&self, cell: &Cell, now_ns: i64) -> f64 {
        let by_jump_s = if self.has_jumped_since(cell) { self.jumps[1].0 } else { 0.0 };
        by_jump_s.max(self.drifts[1] * cell.age_s(now_ns))
    }
}
