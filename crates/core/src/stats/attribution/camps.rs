//! Servers that stay with this host's clock while the common mode moves away from both: counting does not show who moved.

use super::decide::{SAME, TOGETHER};
use super::engine::Engine;
use super::finding::Finding;
use super::own::Now;
use crate::stats::consensus::MIN_SERVERS;
use crate::stats::verdict::Kind;

/// The common mode has moved away from a server that stays with this host's clock once it has moved by so many standard
/// deviations. From fewer on, a server that seems to move against it is not named for the first time.
const STAYED: f64 = 4.0;
const MAY_STAY: f64 = 1.5;

impl Engine {
    /// Whether a server stayed with this host's clock when the common mode moved: then it is not known who moved, unless
    /// the raw clock shows that this host's clock was set.
    pub(super) fn stayed_with_own(&self, i: usize, now: &Now) -> bool {
        let series = &self.series[i];
        // Replies from before a slew that no raw clock shows seem to have stayed where this host's clock was.
        let least_s = (STAYED * self.own.track.sigma_s()).max(self.own.unseen_s(now, self.period_s));
        let moved_s = self.own.lean_s();
        let is_move = moved_s.abs() > least_s && self.moved_against(i, moved_s);
        let own_since_s = self.own.finding.map(|f| f.since_s).or(self.own.unmoved.map(|u| u.since_s));
        let since_s = series.finding().map_or(f64::INFINITY, |f| f.since_s);
        // The onsets of slow drifts are known to many rounds only.
        let drifts = |finding: Option<&Finding>| finding.is_some_and(|f| f.kind == Kind::Frequency);
        let together = own_since_s.is_none_or(|own_s| (own_s - since_s).abs() <= TOGETHER * self.period_s)
            || drifts(self.own.finding.as_ref()) && drifts(series.finding());
        is_move && together && series.track.usual.is_some()
    }

    /// Whether the common mode has moved freely by `moved_s`, and this server by as much in the other direction.
    fn moved_against(&self, i: usize, moved_s: f64) -> bool {
        let is_free = self.own.drifted_freely_s().abs() > 0.5 * moved_s.abs();
        is_free
            && moved_s.abs() > 0.6 * self.own.excess_s
            && (self.series[i].lean_s + moved_s).abs() < SAME * moved_s.abs()
    }

    /// Whether a server may have stayed with this host's clock, although the common mode has hardly moved. The wander
    /// of that clock may look like it, so it is only a reason to wait: a majority that drifts moves on with each poll.
    /// Until then, the newest three values lag behind the newest one of a server.
    pub(super) fn may_have_stayed(&self, i: usize) -> bool {
        let moved =
            |moved_s: &f64| moved_s.abs() > MAY_STAY * self.own.track.sigma_s() && self.moved_against(i, *moved_s);
        self.series[i].sighting.is_some() && [self.own.lean_s(), self.own.newest_lean_s()].iter().any(moved)
    }

    /// Whether servers that are proven wrong agree with this host's clock, and have half of the votes together with it.
    /// With fewer than three independent votes, servers that agree with it need not be proven wrong: two votes do not
    /// outvote this host.
    pub(super) fn minority_has_own(&self, now: &Now, suspects: &[usize], voters: &[usize]) -> bool {
        if !self.own.is_in_conflict() {
            return false;
        }
        let few = (1.0 + 1e-9..MIN_SERVERS as f64 - 1e-9).contains(&self.votes);
        let agrees = |i: &&usize| {
            let series = &self.series[**i];
            let range = series.range_at(now.t_s, now.moved_s, self.own.drift(now));
            (few || series.is_proven()) && range.is_some_and(|r| r.contains(0.0))
        };
        let votes: f64 = if few { voters } else { suspects }.iter().filter(agrees).map(|i| self.series[*i].vote).sum();
        votes > 0.0 && (votes + 1.0) * 2.0 >= self.votes + 1.0
    }
}
