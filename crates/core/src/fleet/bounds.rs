//! Bounds of differences between the vantages' clocks, through the servers that vantages share.
//!
//! The true difference of two clocks is at most the sum of the bounds along any chain of readings, so the best bound is
//! a shortest path. Only path bounds are used, so a wrong server still compares two clocks.

use super::grid::{Cells, Grid};

/// The upper bound of the clock of one vantage less that of another, for each pair; infinite if nothing connects them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bounds {
    size: usize,
    upper_s: Vec<f64>,
}

/// The two best upper and the two best lower bounds, each from another vantage or server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub low: [f64; 2],
    pub high: [f64; 2],
    pub count: usize,
}

impl Ends {
    pub const NONE: Self = Self { low: [f64::NEG_INFINITY; 2], high: [f64::INFINITY; 2], count: 0 };

    pub fn add(&mut self, low: f64, high: f64) {
        self.count += 1;
        self.low = [self.low[0].max(low), self.low[1].max(self.low[0].min(low))];
        self.high = [self.high[0].min(high), self.high[1].min(self.high[0].max(high))];
    }

    /// From the intervals of the offset in `b` less that in `a`, over all cells that both have.
    pub fn between(a: Cells, b: Cells) -> Self {
        let (a_offsets, a_rest) = a.offsets_s.as_chunks::<LANES>();
        let (b_offsets, b_rest) = b.offsets_s.as_chunks::<LANES>();
        let ((a_halves, a_half), (b_halves, b_half)) = (a.halves_s.as_chunks(), b.halves_s.as_chunks());
        let mut lanes = Lanes::NONE;
        for ((a_offset, a_half), (b_offset, b_half)) in
            a_offsets.iter().zip(a_halves).zip(b_offsets.iter().zip(b_halves))
        {
            lanes.add(a_offset, a_half, b_offset, b_half);
        }
        let mut ends = lanes.ends();
        for ((a_offset, a_half), (b_offset, b_half)) in a_rest.iter().zip(a_half).zip(b_rest.iter().zip(b_half)) {
            let (middle, half) = (b_offset - a_offset, a_half + b_half);
            if half.is_finite() {
                ends.add(middle - half, middle + half);
            }
        }
        ends
    }

    /// The intersection of all; empty when the low end is above the high one.
    pub fn plain(&self) -> (f64, f64) {
        (self.low[0], self.high[0])
    }

    /// The interval that holds even if any one of the intervals is false.
    pub fn robust(&self) -> (f64, f64) {
        (self.low[1], self.high[1])
    }
}

/// Cells that are compared at once: the compiler turns four at a time into vector instructions.
const LANES: usize = 4;

/// Four [`Ends`], each of every fourth interval.
struct Lanes {
    low: [[f64; LANES]; 2],
    high: [[f64; LANES]; 2],
    count: [f64; LANES],
}

impl Lanes {
    const NONE: Self =
        Self { low: [[f64::NEG_INFINITY; LANES]; 2], high: [[f64::INFINITY; LANES]; 2], count: [0.0; LANES] };

    #[inline]
    fn add(&mut self, a: &[f64; LANES], a_half: &[f64; LANES], b: &[f64; LANES], b_half: &[f64; LANES]) {
        // These compile to one instruction each, unlike `f64::max` and `f64::min`, which handle NaN.
        let max = |a: f64, b: f64| if a > b { a } else { b };
        let min = |a: f64, b: f64| if a < b { a } else { b };
        for at in 0..LANES {
            let (middle, half) = (b[at] - a[at], a_half[at] + b_half[at]);
            let (low, high) = (middle - half, middle + half);
            self.low[1][at] = max(self.low[1][at], min(self.low[0][at], low));
            self.low[0][at] = max(self.low[0][at], low);
            self.high[1][at] = min(self.high[1][at], max(self.high[0][at], high));
            self.high[0][at] = min(self.high[0][at], high);
            self.count[at] += if half < f64::INFINITY { 1.0 } else { 0.0 };
        }
    }

    fn ends(&self) -> Ends {
        let mut ends = Ends::NONE;
        for at in 0..LANES {
            ends.add(self.low[0][at], self.high[0][at]);
            ends.add(self.low[1][at], self.high[1][at]);
        }
        Ends { count: self.count.iter().sum::<f64>() as usize, ..ends }
    }
}

impl Bounds {
    /// The bounds between the clocks of all vantages.
    pub fn between_vantages(grid: &Grid) -> Self {
        let mut bounds = Self::direct(grid);
        bounds.close();
        bounds
    }

    /// The bounds of pairs with common servers, from their own readings only: no other vantage can falsify them. If the
    /// common servers contradict each other, the bound holds if only one of these servers shows different clocks.
    pub fn direct(grid: &Grid) -> Self {
        let size = grid.vantages;
        let mut bounds = Self { size, upper_s: vec![f64::INFINITY; size * size] };
        for a in 0..size {
            bounds.upper_s[a * size + a] = 0.0;
            for b in a + 1..size {
                let ends = Ends::between(grid.row(a), grid.row(b));
                let (low, high) = if ends.low[0] <= ends.high[0] { ends.plain() } else { ends.robust() };
                if low <= high {
                    bounds.upper_s[a * size + b] = high;
                    bounds.upper_s[b * size + a] = -low;
                }
            }
        }
        bounds
    }

    /// Improves the bounds by chains through other vantages, unless the readings contradict each other.
    fn close(&mut self) {
        let direct = self.upper_s.clone();
        let size = self.size;
        for via in 0..size {
            let onward = self.upper_s[via * size..(via + 1) * size].to_vec();
            for bounds in self.upper_s.chunks_exact_mut(size) {
                let to_via = bounds[via];
                if to_via.is_finite() {
                    for (bound, next) in bounds.iter_mut().zip(&onward) {
                        let through = to_via + next;
                        *bound = if through < *bound { through } else { *bound };
                    }
                }
            }
        }
        if (0..size).any(|a| self.upper_s[a * size + a] < 0.0) {
            self.upper_s = direct;
        }
    }

    /// The interval of the clock of `a` less the clock of `b`, in seconds; infinite if nothing connects them.
    pub fn difference(&self, a: usize, b: usize) -> (f64, f64) {
        (-self.upper_s[b * self.size + a], self.upper_s[a * self.size + b])
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::View;
    use super::*;

    fn grid(cells: &[(usize, usize, f64, f64)], vantages: usize, servers: usize) -> Grid {
        let mut grid = Grid::new(vantages, servers);
        for (vantage, server, offset_s, half_s) in cells {
            let view = View { offset_s: *offset_s, half_s: *half_s, is_fresh: true };
            grid.set(*vantage, *server, Some(view));
        }
        grid
    }

    #[test]
    fn common_server_bounds_the_difference_though_it_is_wrong() {
        // The server is 5 s off; the clocks differ by 20 ms.
        let grid = grid(&[(0, 0, 5.0, 0.01), (1, 0, 5.02, 0.005)], 2, 1);
        let (low, high) = Bounds::between_vantages(&grid).difference(0, 1);
        assert!((low - 0.005).abs() < 1e-9 && (high - 0.035).abs() < 1e-9, "{low} {high}");
    }

    #[test]
    fn chain_bounds_a_pair_without_common_server() {
        let cells = [(0, 0, 0.0, 0.01), (1, 0, 0.0, 0.01), (1, 1, 0.1, 0.01), (2, 1, 0.1, 0.01)];
        let bounds = Bounds::between_vantages(&grid(&cells, 4, 2));
        let (low, high) = bounds.difference(0, 2);
        assert!((low + 0.04).abs() < 1e-9 && (high - 0.04).abs() < 1e-9, "{low} {high}");
        assert_eq!(bounds.difference(0, 3), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn one_server_with_two_clocks_does_not_falsify_the_bound() {
        let mut cells = Vec::new();
        for server in 0..4 {
            cells.push((0, server, 0.0, 0.005));
            cells.push((1, server, if server == 3 { 0.04 } else { 0.0 }, 0.005));
        }
        let (low, high) = Bounds::between_vantages(&grid(&cells, 2, 4)).difference(0, 1);
        assert!(low <= 0.0 && (0.0..=0.011).contains(&high), "{low} {high}");
    }
}
