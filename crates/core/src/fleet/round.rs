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

/// The usual time between two polls over all cells, in seconds.
pub(super) fn usual_spacing_s(vantages: &[Vantage]) -> f64 {
    let mut all: Vec<_> = vantages.iter().flat_map(|vantage| vantage.cells.values()).map(Cell::spacing_s).collect();
    if all.is_empty() {
        return 64.0;
    }
    let middle = all.len() / 2;
    *all.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// All readings that count at `now_ns`, with claims and groups of servers.
pub(super) fn grid(vantages: &[Vantage], servers: &[Server], now_ns: i64, round_s: f64, movement: &Movement) -> Grid {
    let mut grid = Grid::new(vantages.len(), servers.len());
    let mut claims: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
    let voting = || vantages.iter().enumerate().filter(|(_, vantage)| vantage.weight == Weight::Voting);
    for (at, vantage) in voting() {
        let rate = movement.rate_of(at);
        let spacing_s = usual_spacing_s(std::slice::from_ref(vantage));
        grid.rounds[at] = ((spacing_s / round_s).ceil() as usize).clamp(1, SLOWEST);
        for (&server, cell) in vantage.cells.iter().filter(|(_, cell)| cell.is_current(now_ns, round_s)) {
            let (Some(offset_s), Some(last)) = (cell.offset_s(), cell.last()) else { continue };
            let age_s = cell.age_s(now_ns);
            let set_s = cell.moved_s();
            let half_s = cell.half_s(now_ns, rate) + if set_s > 0.0 { 5e-5 + 0.05 * set_s } else { 0.0 };
            let is_fresh = age_s <= 1.1 * cell.spacing_s().max(round_s);
            grid.set(at, server, Some(View { offset_s, half_s, is_fresh }));
            claims[server].push(last.claim_s + last.precision_s + PHI * age_s);
        }
    }
    widen_stale(&mut grid, vantages);
    grid.claims_s = claims.into_iter().map(claim_s).collect();
    let upstreams = groups::upstreams(vantages, servers.len());
    grid.groups = groups::of(&servers.iter().map(|server| &server.witness).collect::<Vec<_>>(), &upstreams);
    grid
}

/// The claim of a server: the second largest of three or more reports, so that one false report cannot enlarge it.
fn claim_s(mut reports: Vec<f64>) -> Option<f64> {
    reports.sort_by(|a, b| b.total_cmp(a));
    if reports.len() >= 3 { reports.get(1).copied() } else { reports.first().copied() }
}

/// Widens cells that were last read before their server or vantage provably jumped, by the size of the jump, until they
/// are read again. At least two cells must show the jump.
fn widen_stale(grid: &mut Grid, vantages: &[Vantage]) {
    let jumps = |(&server, cell): (&usize, &Cell)| Some((server, cell.jump()?));
    let mut of_server: Vec<Vec<(f64, i64)>> = vec![Vec::new(); grid.servers];
    for vantage in vantages {
        for (server, jump) in vantage.cells.iter().filter_map(jumps) {
            of_server[server].push(jump);
        }
    }
    let second = |mut jumps: Vec<(f64, i64)>| {
        jumps.sort_by(|a, b| b.0.total_cmp(&a.0));
        jumps.get(1).copied()
    };
    let of_vantage: Vec<_> = vantages
        .iter()
        .map(|vantage| second(vantage.cells.iter().filter_map(jumps).map(|(_, jump)| jump).collect()))
        .collect();
    let of_server: Vec<_> = of_server.into_iter().map(second).collect();
    for (at, vantage) in vantages.iter().enumerate() {
        for (&server, cell) in &vantage.cells {
            let Some(last) = cell.last() else { continue };
            let stale_by =
                |jump: Option<(f64, i64)>| jump.filter(|(_, at_ns)| last.at_ns < *at_ns).map_or(0.0, |it| it.0);
            let by_s = stale_by(of_server[server]).max(stale_by(of_vantage[at]));
            if let Some(view) = grid.view(at, server).filter(|_| by_s > 0.0) {
                grid.set(at, server, Some(View { half_s: view.half_s + by_s, is_fresh: false, ..view }));
            }
        }
    }
}
