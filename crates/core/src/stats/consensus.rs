//! Who can be right at one instant: the majority intersection of correctness intervals.
//!
//! A server whose claim holds has the true offset inside `[theta − lambda, theta + lambda]` (RFC 5905 §11.2.1). Under the
//! assumption that **more than half of the servers are right**, the truth is a point that more than half of the
//! intervals cover. The *majority interval* is the hull of all such points, and a server is blamed only when its
//! interval is disjoint from it (the overlap rule of ntpd 4.2.8). RFC 5905, ntpd and chrony all look for the *deepest*
//! overlap instead; that is right for choosing a source, but two liars that overlap two honest servers can outvote a third
//! honest one there. Here a server whose interval holds the truth is never blamed while the assumption holds.
//!
//! Limit: a wrong majority cannot be told from a right one by anybody who only has these intervals.

/// Where the truth is if a claim holds: seconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end in seconds.
    pub low_s: f64,
    /// The upper end in seconds; not below the lower one.
    pub high_s: f64,
}

impl Interval {
    /// `[centre − half, centre + half]`. `None` when a number is not finite or `half_s` is negative.
    #[must_use]
    pub fn around(centre_s: f64, half_s: f64) -> Option<Self> {
        let it = Self { low_s: centre_s - half_s, high_s: centre_s + half_s };
        (half_s >= 0.0 && it.low_s.is_finite() && it.high_s.is_finite()).then_some(it)
    }

    /// The distance between two intervals in seconds; zero when they share a point.
    #[must_use]
    pub fn gap_s(&self, other: &Self) -> f64 {
        (other.low_s - self.high_s).max(self.low_s - other.high_s).max(0.0)
    }

    /// Whether the point lies inside.
    #[must_use]
    pub fn contains(&self, point_s: f64) -> bool {
        self.low_s <= point_s && point_s <= self.high_s
    }
}

/// What the intervals of one instant say of one server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// Its interval meets the majority interval: not proven wrong.
    Truechimer,
    /// Its interval is disjoint from the majority interval: wrong by at least `gap_s`, if the majority is right.
    Falseticker {
        /// The distance to the majority interval in seconds, positive.
        gap_s: f64,
    },
    /// There is no majority to compare it with.
    Unknown,
}

/// Why nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecidable {
    /// Fewer than three servers cannot outvote a wrong one.
    TooFew,
    /// No point is covered by more than half of the intervals.
    NoMajority,
}

/// The majority intersection of one set of intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Consensus {
    /// The hull of all points that more than half of the intervals cover.
    pub majority: Option<Interval>,
    /// The points that the largest number of intervals cover (their hull), for estimates; never for blame.
    pub deepest: Option<Interval>,
    /// How many intervals cover the deepest point.
    pub depth: usize,
    /// The standing of each server, in the order of the input.
    pub standings: Vec<Standing>,
    /// Why nothing was decided.
    pub undecidable: Option<Undecidable>,
    /// How many servers count of which none has an interval at this instant.
    absent: usize,
}

/// The fewest servers among which one wrong one can be told.
pub const MIN_SERVERS: usize = 3;

impl Consensus {
    /// Whether there is no majority because camps oppose each other, and not because voters are absent: were the absent
    /// ones all of the largest camp, there would still be none.
    #[must_use]
    pub fn is_split(&self) -> bool {
        let voters = self.standings.len() + self.absent;
        self.undecidable == Some(Undecidable::NoMajority) && (self.depth + self.absent) * 2 <= voters
    }

    /// How many are not proven wrong.
    #[must_use]
    pub fn truechimers(&self) -> usize {
        self.standings.iter().filter(|s| matches!(s, Standing::Truechimer)).count()
    }
}

/// Finds the majority among `intervals`. O(n log n). Fewer than three are never decided, but their common interval is
/// still reported as `deepest`.
#[must_use]
pub fn consense(intervals: &[Interval]) -> Consensus {
    consense_among(intervals, intervals.len())
}

/// Like [`consense`], when `voters` servers count of which only some have an interval at this instant. A majority is more
/// than half of the voters, so a lost poll does not turn a camp into one; and the majority interval then reaches over every
/// point that the absent ones could lift to a majority, so nobody is blamed for their absence.
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
        // Intervals are closed, so at one point all that begin come before all that end: touching is meeting.
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

/// The camps of a set without a majority, largest first: again and again the servers that cover the deepest remaining
/// point. Indices into the input. O(g n log n) for g camps; only asked for when there is something to explain.
#[must_use]
pub fn camps(intervals: &[Interval]) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..intervals.len()).collect();
    let mut camps = Vec::new();
    while !left.is_empty() {
        let remaining: Vec<Interval> = left.iter().map(|i| intervals[*i]).collect();
        let Some(deepest) = Sweep::over(&remaining, remaining.len()).deepest else { break };
        let (camp, rest) = left.into_iter().partition(|i| intervals[*i].contains(deepest.low_s));
        camps.push(camp);
        left = rest;
    }
    camps
}

#[cfg(test)]
mod tests;
