//! The skew matrix: the clock of each vantage less the clock of each other one, by the servers that both see.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::bounds::Bounds;
use super::grid::Grid;

/// The difference of two vantages' clocks, found without any packet between them.
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

/// All pairs of vantages whose clocks can be compared.
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

/// The clock of a vantage less the median of all vantages' clocks.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FromMedian {
    /// The vantage.
    pub vantage: Arc<str>,
    /// The difference in seconds.
    pub estimate_s: f64,
    /// The true difference is within this of the estimate, in seconds.
    pub bound_s: f64,
}

/// The difference between each vantage and the median of all vantages, itself included. The weight of a vantage is the
/// inverse of its bound.
#[must_use]
pub fn from_median(pairs: &[Skew]) -> Vec<FromMedian> {
    let mut against: BTreeMap<&Arc<str>, Vec<(f64, f64)>> = BTreeMap::new();
    for pair in pairs {
        against.entry(&pair.a).or_default().push((pair.estimate_s, pair.bound_s));
        against.entry(&pair.b).or_default().push((-pair.estimate_s, pair.bound_s));
    }
    let one = |(vantage, mut all): (&Arc<str>, Vec<(f64, f64)>)| {
        let smallest_s = all.iter().map(|(_, bound_s)| *bound_s).fold(f64::INFINITY, f64::min).max(1e-9);
        all.push((0.0, 0.0));
        let middle = |sign: f64| {
            let weighed = |(by_s, bound_s): &(f64, f64)| (by_s + sign * bound_s, 1.0 / bound_s.max(smallest_s));
            weighted_median(all.iter().map(weighed).collect())
        };
        let (low, estimate_s, high) = (middle(-1.0), middle(0.0), middle(1.0));
        let bound_s = (high - estimate_s).max(estimate_s - low);
        FromMedian { vantage: Arc::clone(vantage), estimate_s, bound_s }
    };
    against.into_iter().map(one).collect()
}

/// The value that halves the weights; the mean of two values between which they are halved.
fn weighted_median(mut values: Vec<(f64, f64)>) -> f64 {
    /// Sums that differ by this part are equal.
    const EQUAL: f64 = 1e-9;
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (i, (value, weight)) in values.iter().enumerate() {
        below += weight;
        if below > half * (1.0 + EQUAL) {
            return *value;
        }
        if below >= half * (1.0 - EQUAL) {
            return values.get(i + 1).map_or(*value, |(next, _)| f64::midpoint(*value, *next));
        }
    }
    0.0
}

/// The mean over the common servers, weighted by the inverse squares of their bounds.
fn common_estimate(grid: &Grid, a: usize, b: usize) -> Option<f64> {
    let (mine, theirs) = (grid.row(a), grid.row(b));
    let (mut sum, mut weights) = (0.0, 0.0);
    let offsets = mine.offsets_s.iter().zip(theirs.offsets_s);
    for ((mine_s, theirs_s), (mine_half_s, theirs_half_s)) in offsets.zip(mine.halves_s.iter().zip(theirs.halves_s)) {
        // Zero if one of them has no reading.
        let weight = 1.0 / ((mine_half_s + theirs_half_s).powi(2) + 1e-18);
        sum += weight * (theirs_s - mine_s);
        weights += weight;
    }
    (weights > 0.0).then(|| sum / weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_is_compared_with_the_median_of_all() {
        let pair = |a: &str, b: &str, estimate_s| Skew { a: a.into(), b: b.into(), estimate_s, bound_s: 0.002 };
        let pairs = [pair("a", "b", 0.0), pair("a", "c", 0.03), pair("b", "c", 0.03)];
        let all = from_median(&pairs);
        assert_eq!(
            all.iter().map(|it| (&*it.vantage, it.estimate_s)).collect::<Vec<_>>(),
            [("a", 0.0), ("b", 0.0), ("c", -0.03)]
        );
        assert!(all.iter().all(|it| (it.bound_s - 0.002).abs() < 1e-9), "{all:?}");
    }

    #[test]
    fn vantage_with_a_wide_bound_moves_no_median() {
        let pair = |a: &str, b: &str, estimate_s, bound_s| Skew { a: a.into(), b: b.into(), estimate_s, bound_s };
        let pairs = [
            pair("ams", "ber", 0.0, 1e-4),
            pair("ams", "lon", -0.03, 1e-4),
            pair("ams", "nyc", -0.02, 0.02),
            pair("ber", "lon", -0.03, 1e-4),
            pair("ber", "nyc", -0.02, 0.02),
            pair("lon", "nyc", 0.01, 0.02),
        ];
        let all = from_median(&pairs);
        assert_eq!(all.iter().map(|it| it.estimate_s).collect::<Vec<_>>(), [0.0, 0.0, 0.03, 0.01]);
        assert!(all[..3].iter().all(|it| it.bound_s < 2e-4), "{all:?}");
    }

    #[test]
    fn median_of_equal_weights_is_the_usual_one() {
        let median = |values: &[f64]| weighted_median(values.iter().map(|value| (*value, 0.1)).collect());
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 3.0, 2.0]), median(&[])), (2.0, 2.5, 0.0));
    }
}
