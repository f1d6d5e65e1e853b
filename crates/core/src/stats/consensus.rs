//! What servers claim at one instant: correctness intervals, and the groups that agree with each other.
//!
//! If a server is correct, the true offset is inside `[theta − lambda, theta + lambda]` (RFC 5905 §11.2.1). Assuming
//! that
//! **more than half of the servers are right**, the true offset is covered by more than half of the intervals. The
//! *majority interval* is the hull of all such points. A server is blamed only if its interval does not overlap the
//! majority interval (the overlap rule of ntpd 4.2.8). RFC 5905, ntpd and chrony look for the *deepest* overlap
//! instead. That works for choosing a source, but there two wrong servers that overlap two right ones can outvote a
//! third right one. Here, a server whose interval contains the true offset is never blamed as long as the assumption
//! holds.
//!
//! Limit: the intervals alone cannot show that the majority itself is wrong.

use serde::{Deserialize, Serialize};

/// The range of possible true offsets according to one server, in seconds; both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end in seconds.
    pub low_s: f64,
    /// The upper end in seconds; not below the lower one.
    pub high_s: f64,
}

impl Interval {
    /// The interval `[centre − half, centre + half]`. `None` if a number is not finite or `half_s` is negative.
    #[must_use]
    pub fn around(centre_s: f64, half_s: f64) -> Option<Self> {
        let it = Self { low_s: centre_s - half_s, high_s: centre_s + half_s };
        (half_s >= 0.0 && it.low_s.is_finite() && it.high_s.is_finite()).then_some(it)
    }

    /// The distance between two intervals in seconds; zero if they share a point.
    #[must_use]
    pub fn gap_s(&self, other: &Self) -> f64 {
        (other.low_s - self.high_s).max(self.low_s - other.high_s).max(0.0)
    }

    /// Whether the interval contains the point.
    #[must_use]
    pub fn contains(&self, point_s: f64) -> bool {
        self.low_s <= point_s && point_s <= self.high_s
    }
}

/// The minimum number of servers among which a wrong one can be identified.
pub const MIN_SERVERS: usize = 3;

/// The groups of servers that agree with each other when there is no majority, largest first, as indices into the
/// input. Each group covers the deepest point of the remaining intervals. O(n log n) for each group that is asked for.
pub fn camps(intervals: &[Interval]) -> impl Iterator<Item = Vec<usize>> {
    let mut left: Vec<usize> = (0..intervals.len()).collect();
    std::iter::from_fn(move || {
        let remaining: Vec<Interval> = left.iter().map(|i| intervals[*i]).collect();
        let deepest_s = deepest_s(&remaining)?;
        let (camp, rest) = std::mem::take(&mut left).into_iter().partition(|i| intervals[*i].contains(deepest_s));
        left = rest;
        Some(camp)
    })
}

/// The lowest point that the largest number of intervals cover.
fn deepest_s(intervals: &[Interval]) -> Option<f64> {
    let mut edges: Vec<(f64, bool)> = intervals.iter().flat_map(|it| [(it.low_s, false), (it.high_s, true)]).collect();
    // Intervals are closed: at equal points, starts sort before ends, so that touching intervals overlap.
    edges.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut depth, mut deepest) = (0, (0, None));
    for (at_s, ends) in edges {
        depth += if ends { -1 } else { 1 };
        if depth > deepest.0 {
            deepest = (depth, Some(at_s));
        }
    }
    deepest.1
}

#[cfg(test)]
mod tests;
