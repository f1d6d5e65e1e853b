//! Finds the servers that can be right at one instant: the majority intersection of correctness intervals.
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

/// The classification of one server by the intervals of one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// The interval overlaps the majority interval: the server is not proven wrong.
    Truechimer,
    /// The interval does not overlap the majority interval: the server is wrong by at least `gap_s`, if the majority is
    /// right.
    Falseticker {
        /// The distance to the majority interval in seconds, positive.
        gap_s: f64,
    },
    /// There is no majority to compare with.
    Unknown,
}

/// Why there is no majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecidable {
    /// There are fewer than three servers, so a wrong one cannot be outvoted.
    TooFew,
    /// No point is covered by more than half of the intervals.
    NoMajority,
}

/// The majority intersection of one set of intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Consensus {
    /// The hull of all points that more than half of the intervals cover.
    pub majority: Option<Interval>,
    /// The hull of the points that the largest number of intervals cover. For estimates only, never to blame a server.
    pub deepest: Option<Interval>,
    /// The number of intervals that cover the deepest point.
    pub depth: usize,
    /// The classification of each server, in the order of the input.
    pub standings: Vec<Standing>,
    /// Why there is no majority; `None` if there is one.
    pub undecidable: Option<Undecidable>,
    /// The number of voters without an interval at this instant.
    absent: usize,
}

/// The minimum number of servers among which a wrong one can be identified.
pub const MIN_SERVERS: usize = 3;

impl Consensus {
    /// Whether the servers are split into groups: there would be no majority even if all absent voters agreed with the
    /// largest group.
    #[must_use]
    pub fn is_split(&self) -> bool {
        let voters = self.standings.len() + self.absent;
        self.undecidable == Some(Undecidable::NoMajority) && (self.depth + self.absent) * 2 <= voters
    }
}

/// Finds the majority among `intervals`, in O(n log n). Fewer than three voters never have a majority, but the common
/// interval is still reported as `deepest`. Not all of the `voters` may have an interval at this instant: a majority is more
/// than half of the voters, so a lost poll does not turn a group into a majority. The majority interval includes every point that
/// the absent voters could lift to a majority, so no server is blamed because others are absent.
#[must_use]
pub fn consense_among(intervals: &[Interval], voters: usize) -> Consensus {
    let n = intervals.len();
    let need = voters.max(n) / 2 + 1;
    let absent = voters.saturating_sub(n);
    let mut sweep = Sweep::over(intervals, need.saturating_sub(absent).max(1));
    if sweep.depth < need {
        sweep.majority = None;
    }
    let undecidable = if voters.max(n) < MIN_SERVERS {
        Some(Undecidable::TooFew)
    } else if sweep.majority.is_none() {
        Some(Undecidable::NoMajority)
    } else {
        None
    };
    let majority = sweep.majority.filter(|_| undecidable.is_none());
    let standings = intervals.iter().map(|it| standing(it, majority.as_ref())).collect();
    Consensus { majority, deepest: sweep.deepest, depth: sweep.depth, standings, undecidable, absent }
}

fn standing(interval: &Interval, majority: Option<&Interval>) -> Standing {
    let Some(majority) = majority else { return Standing::Unknown };
    let gap_s = interval.gap_s(majority);
    if gap_s > 0.0 { Standing::Falseticker { gap_s } } else { Standing::Truechimer }
}

/// One pass over the sorted edges.
struct Sweep {
    majority: Option<Interval>,
    deepest: Option<Interval>,
    depth: usize,
}

impl Sweep {
    fn over(intervals: &[Interval], need: usize) -> Self {
        let mut edges: Vec<(f64, bool)> = Vec::with_capacity(intervals.len() * 2);
        for it in intervals {
            edges.push((it.low_s, false));
            edges.push((it.high_s, true));
        }
        // Intervals are closed: at equal points, starts sort before ends, so that touching intervals overlap.
        edges.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut sweep = Self { majority: None, deepest: None, depth: 0 };
        let mut depth = 0;
        for (at, ends) in edges {
            if ends {
                sweep.close(at, depth, need);
                depth -= 1;
            } else {
                depth += 1;
                sweep.open(at, depth, need);
            }
        }
        sweep
    }

    fn open(&mut self, at: f64, depth: usize, need: usize) {
        let here = Interval { low_s: at, high_s: at };
        if depth >= need && self.majority.is_none() {
            self.majority = Some(here);
        }
        if depth > self.depth {
            (self.depth, self.deepest) = (depth, Some(here));
        }
    }

    fn close(&mut self, at: f64, depth: usize, need: usize) {
        if depth >= need
            && let Some(majority) = &mut self.majority
        {
            majority.high_s = at;
        }
        if depth == self.depth
            && let Some(deepest) = &mut self.deepest
        {
            deepest.high_s = at;
        }
    }
}

/// The groups of servers that agree with each other when there is no majority, largest first, as indices into the
/// input. Each group covers the deepest point of the remaining intervals. O(n log n) for each group that is asked for.
pub fn camps(intervals: &[Interval]) -> impl Iterator<Item = Vec<usize>> {
    let mut left: Vec<usize> = (0..intervals.len()).collect();
    std::iter::from_fn(move || {
        let remaining: Vec<Interval> = left.iter().map(|i| intervals[*i]).collect();
        let deepest = Sweep::over(&remaining, remaining.len()).deepest?;
        let (camp, rest) = std::mem::take(&mut left).into_iter().partition(|i| intervals[*i].contains(deepest.low_s));
        left = rest;
        Some(camp)
    })
}

#[cfg(test)]
mod tests;
