//! The skew matrix: the clock of each vantage less the clock of each other one, by the servers that both see.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::bounds::Bounds;
use super::grid::Grid;

/// The difference of two vantages' clocks, though they never exchange a packet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Skew {
    /// One vantage.
    pub a: Arc<str>,
    /// The other vantage.
    pub b: Arc<str>,
    /// The clock of `a` less the clock of `b`, in seconds.
    pub estimate_s: f64,
    /// The true difference is within this of the estimate, in seconds, unless a server shows two clocks, a vantage
    /// reports falsely, or a clock was set since it was last read.
    pub bound_s: f64,
}

impl Skew {
    /// Whether the clocks differ by more than `limit_s`, and the intervals prove it.
    #[must_use]
    pub fn exceeds(&self, limit_s: f64) -> bool {
        self.estimate_s.abs() - self.bound_s > limit_s
    }
}

/// All pairs of vantages that anything connects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SkewMatrix {
    pairs: Vec<Skew>,
}

impl SkewMatrix {
    pub(super) fn of(grid: &Grid, bounds: &Bounds, names: &[Arc<str>]) -> Self {
        let mut pairs = Vec::new();
        for a in 0..grid.vantages {
            for b in a + 1..grid.vantages {
                let (low, high) = bounds.difference(a, b);
                if !low.is_finite() || !high.is_finite() {
                    continue;
                }
                let middle = (low + high) / 2.0;
                let estimate_s = common_estimate(grid, a, b).unwrap_or(middle).clamp(low, high);
                let bound_s = (high - estimate_s).max(estimate_s - low);
                pairs.push(Skew { a: Arc::clone(&names[a]), b: Arc::clone(&names[b]), estimate_s, bound_s });
            }
        }
        Self { pairs }
    }

    /// Every pair once.
    #[must_use]
    pub fn pairs(&self) -> &[Skew] {
        &self.pairs
    }

    /// The clock of `a` less the clock of `b`; the signs follow the order of the names.
    #[must_use]
    pub fn between(&self, a: &str, b: &str) -> Option<Skew> {
        let found =
            self.pairs.iter().find(|pair| (&*pair.a == a && &*pair.b == b) || (&*pair.a == b && &*pair.b == a))?;
        if &*found.a == a {
            return Some(found.clone());
        }
        let Skew { a, b, estimate_s, bound_s } = found.clone();
        Some(Skew { a: b, b: a, estimate_s: -estimate_s, bound_s })
    }

    /// The pairs that are proven to differ by more than `limit_s`, the largest difference first, at most `most`.
    #[must_use]
    pub fn beyond(&self, limit_s: f64, most: usize) -> Vec<&Skew> {
        let mut found: Vec<_> = self.pairs.iter().filter(|pair| pair.exceeds(limit_s)).collect();
        found.sort_by(|a, b| b.estimate_s.abs().total_cmp(&a.estimate_s.abs()));
        found.truncate(most);
        found
    }
}

/// The mean over the common servers, weighted by how narrow each is.
fn common_estimate(grid: &Grid, a: usize, b: usize) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (mine, theirs) in grid.row(a).iter().zip(grid.row(b)) {
        if let (Some(mine), Some(theirs)) = (mine, theirs) {
            let weight = (mine.half_s + theirs.half_s).max(1e-9).powi(-2);
            sum += weight * (theirs.offset_s - mine.offset_s);
            weights += weight;
        }
    }
    (weights > 0.0).then(|| sum / weights)
}
