//! One server address: its newest reply, its series against the common mode, its path, and what was found wrong.

use serde::{Deserialize, Serialize};

mod reach;
mod renewed;
pub(super) mod route;

use std::net::SocketAddr;
use std::sync::Arc;

use self::reach::Reach;
use self::route::Route;
use super::bits::Bits;
use super::course::Course;
use super::finding::{Finding, Seen};
use super::grain::Grain;
use super::track::{Sighting, Track};
use crate::sample::{Authentication, Outcome, ServerIdent};
use crate::stats::consensus::Interval;
use crate::stats::events::ServerWatch;
use crate::stats::independence::Witness;
use crate::stats::verdict::Kind;

/// Replies over which odd ones are counted: two proofs, or four that stand out, are a finding.
const OF_REPLIES: u32 = 14;
const PROOFS: u32 = 2;
const ODD_REPLIES: u32 = 4;
/// A steady fault stays proven while at least one of so many newest replies proves it.
const NEWEST_REPLIES: u32 = 5;
/// A single value so many standard deviations from the level, beyond what server and path may err, stands out.
const ODD_SIGMAS: f64 = 8.0;
/// A change of an offset or a delay that lasts for so many replies is for good.
const NEW_AFTER: usize = 64;
/// A level of fewer values is hardly known; after a cut, more are needed.
const FEW: usize = 16;
const FEW_AFTER_CUT: usize = 64;
/// A poll that comes after less than this part of its interval came early.
const EARLY: f64 = 0.75;
/// A named server stays named for so many poll intervals without a reply.
const KEPT_INTERVALS: f64 = 40.0;
/// The frequency tolerance of a clock that is not measured, in s/s (PHI of RFC 5905).
pub(super) const PHI: f64 = 15e-6;

/// An accepted measurement.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Reply {
    pub t_s: f64,
    pub theta_s: f64,
    pub delay_s: f64,
    pub lambda_s: f64,
    /// How far the wall clock had been set and steered by then, in seconds.
    pub moved_s: f64,
}

/// What was wrong with a server when it was last compared with the others, at `at_s`.
pub(super) struct LastSeen {
    /// How far it was ahead of them, in seconds; absent if that is not known.
    pub ahead_s: Option<f64>,
    /// It was ahead or behind by at least that.
    pub is_least: bool,
    pub at_s: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Series {
    pub ident: Arc<ServerIdent>,
    pub address: Option<SocketAddr>,
    pub watch: ServerWatch,
    pub reach: Reach,
    /// The label and the reason of the last failed poll; absent after an answer.
    silence: Option<Box<(String, String)>>,
    /// The server answers, but calls itself unsynchronised.
    pub unsynchronised: bool,
    /// It announced a leap second that it inserts.
    pub inserts: bool,
    /// How its last offset was authenticated.
    pub authentication: Option<Authentication>,
    pub first_s: f64,
    /// The time of the last poll, answered or not; minus infinity before the first.
    pub last_poll_s: f64,
    /// The wall clock and the monotonic clock at that poll, in nanoseconds.
    pub last_ns: (i64, i64),
    gaps_s: [f64; 4],
    /// The interval at which it is polled, by the schedule.
    #[serde(skip)]
    pub poll_s: f64,
    pub latest: Option<Reply>,
    /// The offset of a reply that was dropped, until the next one; then NaN.
    forgotten_s: f32,
    /// The newest reply is not judged yet.
    pub fresh: bool,
    /// It took part in the newest round.
    pub has_voice: bool,
    /// It answers again after an outage, and no reply since has been judged.
    returns: bool,
    pub track: Track,
    pub route: Route,
    pub grain: Grain,
    /// Slow average of the error that the server claims: its root distance without half of the delay to it, in seconds.
    pub claim_s: f64,
    /// Its part of a vote: servers that depend on each other share one.
    pub vote: f64,
    /// Whether the reply's error range missed the majority's.
    pub conflicts: Bits,
    /// By how much the last of these missed it, in seconds, positive when the server is ahead, and the value of the series
    /// then.
    pub gap_s: f64,
    gap_value_s: f32,
    sights: Bits,
    odd: Bits,
    /// Whether the reply was where the server used to be.
    good: Bits,
    first_odd_s: f64,
    pub sighting: Option<Sighting>,
    /// The newest value of the series, and its deviation from the level.
    value_s: f64,
    pub lean_s: f64,
    /// The mean of the newest deviations and its noise; see [`Track::recent`].
    pub recent: Option<(f64, f64)>,
    /// Boxed, because most servers have none.
    pub finding: Option<Box<Finding>>,
    /// Its values since it was first named.
    course: Option<Box<Course>>,
}

impl Series {
    pub fn new(ident: &Arc<ServerIdent>, address: Option<SocketAddr>, t_s: f64) -> Self {
        Self {
            ident: Arc::clone(ident),
            address,
            watch: ServerWatch::default(),
            reach: Reach::new(t_s),
            silence: None,
            unsynchronised: false,
            inserts: false,
            authentication: None,
            first_s: t_s,
            last_poll_s: f64::NEG_INFINITY,
            last_ns: (0, 0),
            gaps_s: [f64::INFINITY; 4],
            poll_s: 0.0,
            latest: None,
            forgotten_s: f32::NAN,
            fresh: false,
            has_voice: false,
            returns: false,
            track: Track::new(t_s),
            grain: Grain::of_one(),
            route: Route::new(t_s),
            claim_s: 0.0,
            vote: 1.0,
            conflicts: Bits::default(),
            gap_s: 0.0,
            gap_value_s: 0.0,
            sights: Bits::default(),
            odd: Bits::default(),
            good: Bits::default(),
            first_odd_s: t_s,
            sighting: None,
            value_s: 0.0,
            lean_s: 0.0,
            recent: None,
            finding: None,
            course: None,
        }
    }

    /// Notes that a poll ended at `t_s`, answered or not. Polls that come earlier than the schedule, as the first ones
    /// of a server do, count until one keeps the interval `poll_s`.
    pub fn polled(&mut self, t_s: f64, poll_s: f64) {
        self.poll_s = poll_s;
        if self.last_poll_s.is_finite() {
            let gap_s = t_s - self.last_poll_s;
            let is_early = |gap_s: f64| gap_s < EARLY * poll_s;
            if !is_early(gap_s) && self.gaps_s.iter().any(|gap_s| is_early(*gap_s)) {
                self.gaps_s = [f64::INFINITY; 4];
            }
            self.gaps_s.rotate_left(1);
            self.gaps_s[3] = gap_s;
        }
        self.last_poll_s = t_s;
    }

    /// A poll got a usable reply, or one that says that the server is not synchronised.
    pub fn answered(&mut self) {
        self.returns |= self.reach.is_lost();
        self.reach.answered();
        self.silence = None;
    }

    /// The poll that ended at `t_s` got no such reply.
    pub fn failed(&mut self, t_s: f64, outcome: &Outcome) {
        self.reach.failed(t_s);
        let reason = outcome.reason();
        if self.silence.as_ref().is_none_or(|last| last.0 != outcome.label() || last.1 != reason) {
            self.silence = Some(Box::new((outcome.label().to_owned(), reason.into_owned())));
        }
    }

    /// How the last poll failed.
    pub fn silence(&self) -> Option<Outcome> {
        let (label, reason) = &**self.silence.as_ref()?;
        Outcome::parse(label, reason)
    }

    /// The poll interval as observed: the shortest of the last four, so that losses and pauses do not count.
    pub fn interval_s(&self) -> Option<f64> {
        let shortest = self.gaps_s.iter().copied().fold(f64::INFINITY, f64::min);
        shortest.is_finite().then_some(shortest)
    }

    /// Keeps an accepted measurement. Of several in one round of `period_s`, the one with the least delay is judged.
    pub fn accept(&mut self, reply: Reply, period_s: f64) {
        let weight = if self.latest.is_none() { 1.0 } else { 0.1 };
        if self.latest.is_none() {
            self.track.begin(reply.t_s);
        }
        self.claim_s += weight * ((reply.lambda_s - reply.delay_s / 2.0).max(0.0) - self.claim_s);
        let is_worse = |l: Reply| reply.delay_s > l.delay_s && reply.t_s - l.t_s < period_s;
        let is_worse = self.fresh && self.latest.is_some_and(is_worse);
        if !is_worse {
            self.latest = Some(reply);
        }
        (self.fresh, self.forgotten_s) = (true, f32::NAN);
    }

    /// Drops the newest reply, but keeps its offset until the next one.
    pub fn forget_reply(&mut self) {
        self.forgotten_s = self.latest.map_or(self.forgotten_s, |reply| reply.theta_s as f32);
        (self.latest, self.fresh) = (None, false);
    }

    /// The offset that was measured last, in seconds.
    pub fn last_offset_s(&self) -> Option<f64> {
        let forgotten_s = Some(f64::from(self.forgotten_s)).filter(|theta_s| theta_s.is_finite());
        self.latest.map(|reply| reply.theta_s).or(forgotten_s)
    }

    /// What is wrong with it, or was found and may be its path.
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_deref()
    }

    /// What shows whether it depends on another server.
    pub fn source(&self) -> Witness {
        Witness {
            address: self.address.map(|a| a.ip()),
            stratum: self.watch.said().map(|said| said.stratum),
            refid: self.watch.said().and_then(|said| Some(said.upstream?.0)),
            host: None,
        }
    }

    /// The offset as it is now, in seconds: the last one corrected by how far this host's clock was set and steered
    /// since, and by `rate` s/s of free drift.
    pub fn offset_at(&self, t_s: f64, moved_s: f64, rate: f64) -> Option<f64> {
        self.latest.map(|l| l.theta_s - (moved_s - l.moved_s) + rate * (t_s - l.t_s))
    }

    /// The error range now. This host's clock drifts freely by `rate` and moved unpredictedly by `loose`, both in s/s.
    pub fn range_at(&self, t_s: f64, moved_s: f64, (rate, loose): (f64, f64)) -> Option<Interval> {
        let reply = self.latest?;
        let age_s = (t_s - reply.t_s).max(0.0);
        Interval::around(self.offset_at(t_s, moved_s, rate)?, reply.lambda_s + (PHI + loose) * age_s)
    }

    /// The delay of the newest reply above the usual one, in seconds; zero while no level is known.
    pub fn excess_s(&self) -> f64 {
        self.track.usual.zip(self.latest).map_or(0.0, |(usual, l)| l.delay_s - usual.delay_s)
    }

    /// Notes what the newest reply shows apart from its error range: whether it is a sighting, and whether it alone is
    /// odd. The stamps and the common mode may be off by `doubt_s`.
    pub fn note(&mut self, t_s: f64, value_s: f64, doubt_s: f64) {
        self.sights.push(self.sighting.is_some());
        let level_s = self.track.level_s().unwrap_or(value_s);
        (self.value_s, self.lean_s) = (value_s, value_s - level_s);
        if self.conflicts.last() {
            self.gap_value_s = value_s as f32;
        }
        self.recent = self.track.recent();
        let size_s = self.finding().and_then(|f| f.size_s).filter(|_| self.track.usual.is_some());
        let is_odd = match size_s {
            Some(size_s) => {
                let least_s = (0.5 * size_s.abs()).max(5.0 * self.track.sigma_s()).max(doubt_s);
                self.lean_s * size_s.signum() > least_s
            }
            None => {
                let slack_s = self.claim_s + self.excess_s().abs() / 2.0;
                self.conflicts.last()
                    || (self.track.usual.is_some()
                        && self.lean_s.abs() > ODD_SIGMAS * self.track.sigma_s() + slack_s + doubt_s)
            }
        };
        if std::mem::take(&mut self.returns) && !is_odd && !self.conflicts.last() {
            self.returns_right();
        }
        if is_odd && self.odd.count(16) == 0 {
            self.first_odd_s = (t_s - 0.5 * self.interval_s().unwrap_or(0.0)).max(self.first_s);
        }
        self.odd.push(is_odd);
        self.good.push(!is_odd && self.lean_s.abs() < 0.3 * size_s.unwrap_or(self.gap_s).abs());
    }

    /// The first reply after an outage shows nothing wrong. What was found before is not said of the server now: nobody knows
    /// when it ended. Bad replies that come and go may go on.
    fn returns_right(&mut self) {
        if self.finding().is_some_and(|f| f.named && f.comes_back()) {
            return;
        }
        (self.odd, self.sights, self.conflicts) = (Bits::default(), Bits::default(), Bits::default());
        (self.good, self.sighting) = (Bits::default(), None);
        if let Some(finding) = &mut self.finding {
            finding.is_in_question();
        }
    }

    /// Whether there are enough proofs, sightings or odd replies for a finding.
    pub fn is_suspect(&self) -> bool {
        self.is_proven() || self.sights.count(3) >= 2 || self.odd.count(OF_REPLIES) >= ODD_REPLIES
    }

    pub fn is_proven(&self) -> bool {
        self.conflicts.count(OF_REPLIES) >= PROOFS
    }

    /// Whether a proof still holds: a steady fault must show it in the newest replies and not have gone away since, an
    /// intermittent one among the last [`OF_REPLIES`].
    pub fn is_proven_now(&self) -> bool {
        let lasts = |f: &Finding| f.proven && (f.bad_share.is_some() || self.conflicts.count(NEWEST_REPLIES) > 0);
        self.is_proven() && self.finding().is_some_and(lasts) && self.proven_gap_s() != 0.0
    }

    /// By how much the server is proven wrong now, in seconds, positive when it is ahead: what the last proof showed less
    /// what the newest reply has come back since, in which a queue can hide half of itself. Bad replies that come and go
    /// are off by what they proved.
    pub fn proven_gap_s(&self) -> f64 {
        if self.finding().is_some_and(|f| f.kind == Kind::Intermittent) || self.conflicts.last() {
            return self.gap_s;
        }
        let hidden_s = self.excess_s().max(0.0) / 2.0;
        let back_s = ((f64::from(self.gap_value_s) - self.value_s) * self.gap_s.signum() + hidden_s).max(0.0);
        self.gap_s.signum() * (self.gap_s.abs() - back_s).max(0.0)
    }

    /// Whether the newest reply shows nothing wrong: only such replies teach.
    pub fn is_clean(&self) -> bool {
        self.sighting.is_none() && !self.odd.last() && !self.conflicts.last() && self.finding().is_none_or(|f| !f.named)
    }

    /// The share of bad replies, where they come and go.
    fn bad_share(&self) -> Option<f64> {
        let (bad, of) = (self.odd.count(OF_REPLIES), self.odd.known(OF_REPLIES));
        let comes_and_goes = self.odd.returns() >= 1 && bad >= 2 && !self.is_steady();
        // After a repair, the share is still that of the fault.
        let of_fault = || (of - self.odd.calm().min(of)).max(bad);
        comes_and_goes.then(|| f64::from(bad) / f64::from(of_fault()))
    }

    /// Whether less than a fifth of the last replies was right.
    fn is_steady(&self) -> bool {
        self.good.count(OF_REPLIES) * 5 < self.odd.known(OF_REPLIES)
    }

    /// Follows what was found with the newest reply; returns the finding when it is over, with its end.
    pub fn follow(&mut self, t_s: f64) -> Option<(Finding, f64)> {
        if self.finding.is_none() && self.is_suspect() {
            let since_s = if self.odd.count(16) > 0 { self.first_odd_s.min(t_s) } else { t_s };
            let mut finding = Finding::new(since_s);
            let size_s = self.sighting.map_or(self.lean_s, |s| s.size_s);
            if let Some(since_s) = self.course.as_ref().and_then(|course| course.turned(size_s)) {
                finding.turns_back(since_s);
            }
            self.finding = Some(Box::new(finding));
        }
        let (bad_share, is_steady) = (self.bad_share(), self.is_steady());
        let is_seen = self.sighting.is_some() || self.odd.last() || self.conflicts.last();
        let Some(finding) = self.finding.as_deref_mut() else {
            self.rest(t_s);
            return None;
        };
        let before_s = finding.seen_s;
        let proven = self.conflicts.count(OF_REPLIES) >= PROOFS;
        let rerouted = finding.named && self.track.has_left_delay();
        let seen = Seen { t_s, is_seen, proven, bad_share, is_steady, rerouted };
        let over = finding.take(seen, &self.track);
        if bad_share.is_none() {
            follow_course(&mut self.course, finding, t_s, &self.track);
        }
        if bad_share.is_some() {
            finding.comes_and_goes(self.first_odd_s, self.track.size_of(self.odd), self.gap_s.abs());
        }
        if !over {
            return None;
        }
        let finding = *self.finding.take()?;
        let size_s = finding.size_s.filter(|_| self.track.usual.is_some());
        let end_s = size_s.and_then(|size_s| self.track.end_of(size_s, before_s));
        let end_s = end_s.unwrap_or(before_s + 0.5 * self.interval_s().unwrap_or(0.0));
        self.track.ended_s = end_s;
        (self.odd, self.sights, self.conflicts) = (Bits::default(), Bits::default(), Bits::default());
        self.good = Bits::default();
        if self.track.usual.is_none() {
            self.track.cut();
        } else if finding.is_lasting() && !finding.proven && finding.bad_share.is_none() && finding.is_jump() {
            // A jump that ends by itself is more often of a path than of a clock.
            self.route.came_and_went();
        }
        finding.named.then_some((finding, end_s))
    }

    /// Nothing is wrong at the moment. The course is forgotten once the server was right for half of it.
    fn rest(&mut self, t_s: f64) {
        if let Some(course) = &mut self.course {
            course.push(t_s, self.value_s);
            if course.is_over() {
                self.course = None;
            }
        }
    }

    /// Whether it is named, and was compared with the others recently enough to stay named.
    pub fn is_named_lately(&self, t_s: f64) -> bool {
        let patience_s = KEPT_INTERVALS * self.interval_s().unwrap_or(0.0);
        let is_recent = |at_s: f64| self.latest.is_some() && t_s - at_s <= patience_s;
        self.finding().is_some_and(|f| f.named) && self.track.newest_at_s().is_some_and(is_recent)
    }

    /// What was wrong with it when it was last compared with the others.
    pub fn last_seen(&self) -> Option<LastSeen> {
        let finding = self.finding().filter(|f| f.was_named())?;
        let (size_s, is_least) =
            if self.is_proven_now() { (Some(self.proven_gap_s()), true) } else { (finding.size_s, false) };
        let ahead_s = size_s.filter(|_| !finding.comes_back());
        Some(LastSeen { ahead_s, is_least, at_s: self.track.newest_at_s()? })
    }

    /// Whether it shows nothing about this host's clock: its delay or its offset is not at its usual value, or that
    /// value is hardly known. A level that was learned on a new route is as wrong as the common mode was then.
    pub fn is_unsettled(&self) -> bool {
        self.is_elsewhere() || self.finding().is_some_and(|f| !f.named)
    }

    /// The same without regard to the offset.
    pub fn is_elsewhere(&self) -> bool {
        let few = if self.track.was_cut() { FEW_AFTER_CUT } else { FEW };
        let is_new = self.track.usual.is_none_or(|usual| usual.values < few);
        is_new || self.route.is_away()
    }

    /// Whether the level was learned before `t_s`, or was never learned again after a cut.
    pub fn knows_since(&self, t_s: f64) -> bool {
        let few_s = FEW_AFTER_CUT as f64 * self.interval_s().unwrap_or(0.0);
        !self.track.was_cut() || self.track.begins_s() + few_s <= t_s
    }

    /// How far the offset has moved, in seconds, if neither the clock nor the path is blamed for it.
    pub fn moved_unblamed(&self) -> Option<f64> {
        self.finding().filter(|f| !f.named && f.is_lasting())?;
        self.sighting.map(|s| s.size_s)
    }
}

/// Adds the newest value to the course of a named server, and notes in the finding when it goes to and fro.
fn follow_course(course: &mut Option<Box<Course>>, finding: &mut Finding, t_s: f64, track: &Track) {
    let Some(usual) = track.usual else { return };
    if !finding.named && course.is_none() {
        return;
    }
    let course = course.get_or_insert_with(|| Box::new(Course::new(t_s)));
    let Some(value_s) = track.newest_s() else { return };
    if finding.misses == 0 {
        course.found(value_s - usual.level_s, finding.since_s);
    }
    if course.push(t_s, value_s)
        && finding.misses == 0
        && let Some(manner) = course.manner(|replies| usual.sigma_of(replies))
    {
        finding.swings(manner, course.replies());
    }
}

#[cfg(test)]
mod memory_tests;
