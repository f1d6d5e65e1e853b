//! How fast the clocks move while they are read. The cells of a vantage are read one after the other, so a clock whose
//! rate changes shows each of its cells something else, unless all are moved to one instant.

use super::super::Vantage;
use super::super::grid::Grid;
use super::fit::lazy_median;

/// The rates of the clocks in this round, in seconds per second.
pub(super) struct Rates {
    servers: Vec<f64>,
    pub vantages: Vec<f64>,
}

impl Rates {
    /// From what the last readings of each cell show. A rate counts only if more than half of the cells share it.
    pub fn of(vantages: &[Vantage], grid: &Grid) -> Self {
        let mut rates = Self { servers: vec![0.0; grid.servers], vantages: vec![0.0; grid.vantages] };
        let mut of_server: Vec<Vec<f64>> = vec![Vec::new(); grid.servers];
        for (at, vantage) in vantages.iter().enumerate() {
            let cell = |server| Some((server, vantage.cells.get(&server)?.trend().rate?));
            let cells: Vec<(usize, f64)> = grid.seen_by(at).filter_map(|(server, _)| cell(server)).collect();
            let rate = -lazy_median(cells.iter().map(|(_, rate)| *rate).collect());
            rates.vantages[at] = rate;
            cells.iter().for_each(|(server, of_cell)| of_server[*server].push(of_cell + rate));
        }
        rates.servers = of_server.into_iter().map(lazy_median).collect();
        rates
    }

    /// The rate at which the offset of a cell changes.
    pub fn of_cell(&self, vantage: usize, server: usize) -> f64 {
        self.servers[server] - self.vantages[vantage]
    }
}
