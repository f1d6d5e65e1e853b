//! What the error ranges prove at one moment, if more than half of the votes are right.
//!
//! Servers that share an upstream, a network or an address share one vote.

use crate::stats::consensus::Interval;

/// A range with its part of a vote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub range: Interval,
    pub vote: f64,
}

/// Votes are sums of fractions; two sums that differ by less are equal.
const EQUAL: f64 = 1e-9;

/// The hull of all points that more than half of the votes cover. `absent` votes could cover any point.
pub(super) fn majority(claims: &[Claim], absent: f64) -> Option<Interval> {
    let all: f64 = claims.iter().map(|c| c.vote).sum::<f64>() + absent;
    let (mut depth, mut deepest) = (0.0, 0.0_f64);
    let mut hull: Option<Interval> = None;
    for (at_s, vote) in edges(claims) {
        let covers = depth + absent > all / 2.0 + EQUAL;
        if vote > 0.0 {
            depth += vote;
            deepest = deepest.max(depth);
            if depth + absent > all / 2.0 + EQUAL && hull.is_none() {
                hull = Some(Interval { low_s: at_s, high_s: at_s });
            }
        } else {
            if let Some(hull) = hull.as_mut().filter(|_| covers) {
                hull.high_s = at_s;
            }
            depth += vote;
        }
    }
    // There is no majority if the absent votes are needed to make one.
    hull.filter(|_| deepest > all / 2.0 + EQUAL)
}

/// The largest number of votes that cover one point. O(n log n).
pub(super) fn depth(claims: &[Claim]) -> f64 {
    let mut depth = 0.0;
    edges(claims).into_iter().fold(0.0, |deepest: f64, (_, vote)| {
        depth += vote;
        deepest.max(depth)
    })
}

/// Where ranges begin, with their votes, and where they end, with their votes as negative numbers, in order.
fn edges(claims: &[Claim]) -> Vec<(f64, f64)> {
    let both = |claim: &Claim| [(claim.range.low_s, claim.vote), (claim.range.high_s, -claim.vote)];
    let mut edges: Vec<(f64, f64)> = claims.iter().flat_map(both).collect();
    // Ranges include their ends: at equal points beginnings come before ends.
    edges.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(ranges: &[(f64, f64, f64)]) -> Vec<Claim> {
        let claim = |(low_s, high_s, vote): &(f64, f64, f64)| Claim {
            range: Interval { low_s: *low_s, high_s: *high_s },
            vote: *vote,
        };
        ranges.iter().map(claim).collect()
    }

    #[test]
    fn more_than_half_of_the_votes_make_a_majority() {
        let three = claims(&[(0.0, 2.0, 1.0), (1.0, 3.0, 1.0), (9.0, 9.5, 1.0)]);
        assert_eq!(majority(&three, 0.0), Some(Interval { low_s: 1.0, high_s: 2.0 }));
        let two = claims(&[(0.0, 2.0, 1.0), (3.0, 4.0, 1.0)]);
        assert_eq!(majority(&two, 0.0), None);
    }

    #[test]
    fn servers_with_one_upstream_are_one_vote() {
        let third = 1.0 / 3.0;
        let five = [(5.0, 6.0, third), (5.0, 6.0, third), (5.0, 6.0, third), (0.0, 1.0, 1.0), (0.5, 1.5, 1.0)];
        assert_eq!(majority(&claims(&five), 0.0), Some(Interval { low_s: 0.5, high_s: 1.0 }));
    }

    #[test]
    fn absent_servers_widen_the_majority_and_make_none() {
        let two = claims(&[(0.0, 2.0, 1.0), (1.0, 3.0, 1.0)]);
        assert_eq!(majority(&two, 1.0), Some(Interval { low_s: 0.0, high_s: 3.0 }));
        let apart = claims(&[(0.0, 1.0, 1.0), (2.0, 3.0, 1.0)]);
        assert_eq!((majority(&apart, 1.0), depth(&apart)), (None, 1.0));
    }
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod properties;
