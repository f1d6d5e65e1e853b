//! One server address: its newest reply, its series against the common mode, its path, and what was found wrong.

use serde::{Deserialize, Serialize};

mod reach;
pub(super) mod route;

use std::net::SocketAddr;
use std::sync::Arc;

use self::reach::Reach;
use self::route::Route;
use super::bits::Bits;
use super::finding::{Finding, Seen};
use super::track::{Sighting, Track};
use crate::clock::Stamp;
use crate::sample::ServerIdent;
use crate::stats::consensus::Interval;
use crate::stats::events::ServerWatch;

/// Replies over which odd ones are counted: two proofs, or four that stand out, are a finding.
const OF_REPLIES: u32 = 14;
const PROOFS: u32 = 2;
const ODD_REPLIES: u32 = 4;
/// A single value so many standard deviations from the level, beyond what server and path may err, stands out.
const ODD_SIGMAS: f64 = 8.0;
/// The wander of a clock that nobody measures, in s/s (RFC 5905, PHI).
const PHI: f64 = 15e-6;

/// An accepted measurement.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Reply {
    pub t_s: f64,
    pub theta_s: f64,
    pub delay_s: f64,
    pub lambda_s: f64,
    /// How far the wall clock had been set and steered by then.
    pub moved_s: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Series {
    pub ident: Arc<ServerIdent>,
    pub address: Option<SocketAddr>,
    pub watch: ServerWatch,
    pub reach: Reach,
    /// The server answers, but calls itself unsynchronised.
    pub unsynchronised: bool,
    pub first_s: f64,
    /// The time of the last poll, answered or not; minus infinity before the first.
    pub last_poll_s: f64,
    /// The stamp of that poll.
    pub last_at: Stamp,
    gaps_s: [f64; 4],
    pub latest: Option<Reply>,
    /// The newest reply is not judged yet.
    pub fresh: bool,
    /// It took part in the newest round.
    pub has_voice: bool,
    pub track: Track,
    pub route: Route,
    /// Slow average of what the server claims of itself: its root distance without the path to it.
    pub claim_s: f64,
    /// Its part of a vote: servers that depend on each other share one.
    pub vote: f64,
    /// Whether the reply's error range missed the majority's.
    pub conflicts: Bits,
    pub gap_s: f64,
    sights: Bits,
    odd: Bits,
    /// Whether the reply was where the server used to be.
    good: Bits,
    first_odd_s: f64,
    pub sighting: Option<Sighting>,
    /// The newest deviation from the level.
    pub lean_s: f64,
    /// The mean of the newest deviations and its noise; see [`Track::recent`].
    pub recent: Option<(f64, f64)>,
    pub finding: Option<Finding>,
}

impl Series {
    pub fn new(ident: &Arc<ServerIdent>, address: Option<SocketAddr>, t_s: f64) -> Self {
        Self {
            ident: Arc::clone(ident),
            address,
            watch: ServerWatch::default(),
            reach: Reach::new(t_s),
            unsynchronised: false,
            first_s: t_s,
            last_poll_s: f64::NEG_INFINITY,
            last_at: Stamp::default(),
            gaps_s: [f64::INFINITY; 4],
            latest: None,
            fresh: false,
            has_voice: false,
            track: Track::new(t_s),
            route: Route::new(t_s),
            claim_s: 0.0,
            vote: 1.0,
            conflicts: Bits::default(),
            gap_s: 0.0,
            sights: Bits::default(),
            odd: Bits::default(),
            good: Bits::default(),
            first_odd_s: t_s,
            sighting: None,
            lean_s: 0.0,
            recent: None,
            finding: None,
        }
    }

    /// Notes that a poll ended at `t_s`, answered or not.
    pub fn polled(&mut self, t_s: f64) {
        if self.last_poll_s.is_finite() {
            self.gaps_s.rotate_left(1);
            self.gaps_s[3] = t_s - self.last_poll_s;
        }
        self.last_poll_s = t_s;
    }

    /// The poll interval as observed: the shortest of the last four, so that losses and pauses do not count.
    pub fn interval_s(&self) -> Option<f64> {
        let shortest = self.gaps_s.iter().copied().fold(f64::INFINITY, f64::min);
        shortest.is_finite().then_some(shortest)
    }

    /// Keeps an accepted measurement. Of two in one round the one with less delay is judged.
    pub fn accept(&mut self, reply: Reply) {
        let weight = if self.latest.is_none() { 1.0 } else { 0.1 };
        self.claim_s += weight * ((reply.lambda_s - reply.delay_s / 2.0).max(0.0) - self.claim_s);
        let is_worse = self.fresh && self.latest.is_some_and(|l| reply.delay_s > l.delay_s);
        if !is_worse {
            self.latest = Some(reply);
        }
        self.fresh = true;
    }

    /// Whether it was measured lately enough to have a voice.
    pub fn votes(&self, t_s: f64, period_s: f64) -> bool {
        let patience_s = 6.0 * self.interval_s().unwrap_or(4.0 * period_s).max(period_s);
        !self.reach.is_lost() && !self.unsynchronised && self.latest.is_some_and(|l| t_s - l.t_s <= patience_s)
    }

    /// The offset as it is now, with what this host's clock was set and steered since, and `rate` s/s of free drift.
    pub fn offset_at(&self, t_s: f64, moved_s: f64, rate: f64) -> Option<f64> {
        self.latest.map(|l| l.theta_s - (moved_s - l.moved_s) + rate * (t_s - l.t_s))
    }

    /// The error range now; `loose` is how fast the common mode moved without notice, in s/s.
    pub fn range_at(&self, t_s: f64, moved_s: f64, loose: f64) -> Option<Interval> {
        let reply = self.latest?;
        let age_s = (t_s - reply.t_s).max(0.0);
        Interval::around(self.offset_at(t_s, moved_s, 0.0)?, reply.lambda_s + (PHI + loose) * age_s)
    }

    /// The delay of the newest reply above the usual one, in seconds; zero while nothing is usual.
    pub fn excess_s(&self) -> f64 {
        self.track.usual.zip(self.latest).map_or(0.0, |(usual, l)| l.delay_s - usual.delay_s)
    }

    /// Notes what the newest reply shows beside its error range: whether it is a sighting, whether it stands out alone.
    pub fn note(&mut self, t_s: f64, value_s: f64, grain_s: f64) {
        self.sights.push(self.sighting.is_some());
        let level_s = self.track.level_s().unwrap_or(value_s);
        self.lean_s = value_s - level_s;
        self.recent = self.track.recent();
        let size_s = self.finding.and_then(|f| f.size_s).filter(|_| self.track.usual.is_some());
        let is_odd = match size_s {
            Some(size_s) => self.lean_s * size_s.signum() > (0.5 * size_s.abs()).max(5.0 * self.track.sigma_s()),
            None => {
                let slack_s = self.claim_s + self.excess_s().abs() / 2.0;
                self.conflicts.last()
                    || (self.track.usual.is_some()
                        && self.lean_s.abs() > ODD_SIGMAS * self.track.sigma_s() + slack_s + grain_s)
            }
        };
        if is_odd && self.odd.count(16) == 0 {
            self.first_odd_s = (t_s - 0.5 * self.interval_s().unwrap_or(0.0)).max(self.first_s);
        }
        self.odd.push(is_odd);
        self.good.push(!is_odd && self.lean_s.abs() < 0.3 * size_s.unwrap_or(self.gap_s).abs());
    }

    /// Whether there is something to be decided: proofs, sightings, or replies that stand out.
    pub fn is_suspect(&self) -> bool {
        self.is_proven() || self.sights.count(3) >= 2 || self.odd.count(OF_REPLIES) >= ODD_REPLIES
    }

    pub fn is_proven(&self) -> bool {
        self.conflicts.count(OF_REPLIES) >= PROOFS
    }

    /// Whether the newest reply gives no reason for doubt: only such replies teach.
    pub fn is_clean(&self) -> bool {
        self.sighting.is_none() && !self.odd.last() && !self.conflicts.last() && self.finding.is_none_or(|f| !f.named)
    }

    /// The share of bad replies, where they come and go.
    fn bad_share(&self) -> Option<f64> {
        let (bad, of) = (self.odd.count(OF_REPLIES), self.odd.known(OF_REPLIES));
        let comes_and_goes = self.odd.returns() >= 1 && bad >= 2 && self.good.count(OF_REPLIES) * 5 >= of;
        comes_and_goes.then(|| f64::from(bad) / f64::from(of))
    }

    /// Follows what was found with the newest reply; returns the finding when it is over, with its end.
    pub fn follow(&mut self, t_s: f64) -> Option<(Finding, f64)> {
        if self.finding.is_none() && self.is_suspect() {
            self.finding = Some(Finding::new(self.first_odd_s.min(t_s)));
        }
        let bad_share = self.bad_share();
        let is_seen = self.sighting.is_some() || self.odd.last() || self.conflicts.last();
        let finding = self.finding.as_mut()?;
        let before_s = finding.seen_s;
        let seen = Seen { t_s, is_seen, proven: self.conflicts.count(OF_REPLIES) >= PROOFS, bad_share };
        let over = finding.take(seen, &self.track);
        if bad_share.is_some() {
            finding.comes_and_goes(self.first_odd_s, if self.odd.last() { Some(self.lean_s) } else { None });
        }
        if !over {
            return None;
        }
        let finding = self.finding.take()?;
        let end_s = finding.size_s.filter(|_| self.track.usual.is_some()).and_then(|size_s| self.track.end_of(size_s));
        let end_s = end_s.unwrap_or(before_s + 0.5 * self.interval_s().unwrap_or(0.0));
        (self.odd, self.sights, self.conflicts) = (Bits::default(), Bits::default(), Bits::default());
        self.good = Bits::default();
        if self.track.usual.is_none() {
            self.track.cut();
        } else if finding.told && !finding.proven && finding.bad_share.is_none() {
            // What comes and goes by itself is more often a path than a clock.
            self.route.came_and_went();
        }
        finding.named.then_some((finding, end_s))
    }

    /// From now on this is another server: it was repaired, or is on a new route.
    pub fn start_again(&mut self) {
        self.track.cut();
        self.route.settle();
        (self.odd, self.sights, self.sighting) = (Bits::default(), Bits::default(), None);
        if self.finding.is_some_and(|f| !f.proven) {
            self.finding = None;
        }
    }
}
