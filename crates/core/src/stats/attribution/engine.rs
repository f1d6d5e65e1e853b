//! Rounds: about once per poll interval, all servers are compared and each new reply is judged once.

use serde::{Deserialize, Serialize};

use super::common::{Word, freed, lazy_median};
use super::grain::Grain;
use super::noise::Sigmas;
use super::own::{Now, Own, Shown};
use super::proof::{self, Claim};
use super::robust;
use super::series::Series;
use super::series::route::{Newest, unseen_shift_s};
use super::smear::Smear;
use super::track::{Peers, Scratch, weight};
use super::watch::Watch;
use crate::stats::consensus::{Interval, MIN_SERVERS};

/// The first rounds, in which servers may still be polled more often than their schedules say.
const FIRST_ROUNDS: u64 = 16;
/// In so many rounds a first reply that disagrees with the others leaves the verdict open.
const EARLY_ROUNDS: u64 = 4;
/// With more polls of each server than this in one round, the rounds are too long.
const MANY_POLLS: usize = 4;
/// Rounds without a judgement after a restart or a suspension of the machine, and rounds after a pause of the monitor
/// in which too few answers do not change the verdict.
const SILENT_ROUNDS: u64 = 2;
/// The peers' noise is compared again after so many rounds.
const COMPARE_ROUNDS: u64 = 16;
/// The common mode contains each server's own noise, so that a server looks quieter than it is; the fewer servers, the
/// more. Its noise is taken to be at least this, divided by the number of servers and kept within `FLOORS`, times the
/// noise of its peers.
const COMMON_PART: f64 = 3.5;
const FLOORS: (f64, f64) = (0.35, 0.8);
/// A change of delay is a new route from a fifth of the root distance on, within these limits in seconds.
const MATERIAL_S: (f64, f64) = (0.0005, 0.005);

/// Everything that a verdict is derived from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Engine {
    #[expect(clippy::vec_box, reason = "a series is large, and a list that grows is up to half empty")]
    pub series: Vec<Box<Series>>,
    pub own: Own,
    pub grain: Grain,
    pub round: u64,
    pub round_s: f64,
    /// Seconds between rounds, and when the next one is due.
    pub period_s: f64,
    next_s: f64,
    /// Series that are being polled, and those of them with a reply or a failure since the last round.
    live: usize,
    heard_from: usize,
    /// Polls since the last round.
    #[serde(skip)]
    polls: usize,
    /// The shortest interval of the series that are being polled, by their schedules.
    #[serde(skip)]
    scheduled_s: f64,
    /// Whether the period comes from observed intervals.
    pub tuned: bool,
    asked_twice: bool,
    pub silent_until: u64,
    /// The round until which too few servers do not change the verdict after a pause of the monitor.
    resumes_until: u64,
    /// Rounds in a row with fewer servers than a judgement needs.
    pub(super) few_rounds: u16,
    /// The sum of the votes of the servers that are heard, and their number.
    pub votes: f64,
    pub voters: usize,
    pub majority: Option<Interval>,
    /// No majority among the error ranges.
    pub split: Watch,
    /// The error ranges of the only two servers do not overlap, and since when, if they did before.
    pub apart: Watch,
    pub apart_since_s: Option<f64>,
    /// When they last differed.
    pub(super) apart_seen_s: f64,
    /// There were only two servers in the last round, and they agreed.
    pub(super) two_agreed: bool,
    /// Half of the servers moved away from the others.
    pub torn: Watch,
    /// Some servers stayed with this host's clock when the others moved, and when that was seen last.
    pub camps: Watch,
    pub camps_s: f64,
    /// Some servers smear a leap second that others insert.
    pub smear: Smear,
    /// Most delays have increased.
    pub congested: Watch,
    pub congested_since_s: f64,
    /// When something that was named ended last.
    pub ended_s: Option<f64>,
    sigmas: Sigmas,
    /// Rounds in which a new route became the usual one.
    cuts: Vec<u64>,
    pub dirty: bool,
    #[serde(skip)]
    pub scratch: Scratch,
}

impl Engine {
    pub fn new() -> Self {
        Self {
            series: Vec::new(),
            own: Own::default(),
            grain: Grain::default(),
            round: 0,
            round_s: 0.0,
            period_s: 0.0,
            next_s: 0.0,
            live: 0,
            heard_from: 0,
            polls: 0,
            scheduled_s: 0.0,
            tuned: false,
            asked_twice: false,
            silent_until: 0,
            resumes_until: 0,
            few_rounds: 0,
            votes: 0.0,
            voters: 0,
            majority: None,
            split: Watch::default(),
            apart: Watch::default(),
            apart_since_s: None,
            apart_seen_s: 0.0,
            two_agreed: false,
            torn: Watch::default(),
            camps: Watch::default(),
            camps_s: f64::NEG_INFINITY,
            smear: Smear::default(),
            congested: Watch::default(),
            congested_since_s: 0.0,
            ended_s: None,
            sigmas: [f64::NAN; 5],
            cuts: Vec::new(),
            dirty: true,
            scratch: Scratch::default(),
        }
    }

    pub fn add(&mut self, series: Series) {
        self.series.push(Box::new(series));
        self.live += 1;
        self.dirty = true;
    }

    /// A silence of all servers longer than this is a pause of the monitor. While the first polls of servers come
    /// early, the schedule says when the next one is due.
    pub fn pause_s(&self) -> f64 {
        4.0 * if self.round <= FIRST_ROUNDS { self.period_s.max(self.scheduled_s) } else { self.period_s }
    }

    /// Closes the round before a sample at `t_s` is taken, if it is due.
    pub fn advance(&mut self, t_s: f64, now: &Now) {
        if !self.tuned {
            // Every poll runs this until the period is known; `tune` is O(n), so it waits until it can succeed.
            self.next_s = t_s;
            if self.asked_twice {
                self.tune();
            }
        }
        if self.tuned && self.polls > MANY_POLLS * self.live.max(1) {
            self.shorten_rounds(t_s);
        }
        let is_early = self.heard_from >= self.live && t_s > self.round_s + 0.5 * self.period_s;
        if self.tuned && (t_s >= self.next_s || is_early) {
            self.close(now);
            // Rounds that were missed are not made up for: two that follow each other at once show nothing of a rate.
            let late_s = t_s - self.next_s;
            self.next_s = if late_s > 0.5 * self.period_s || is_early { t_s } else { self.next_s } + self.period_s;
            self.count_live(t_s);
            if self.round <= FIRST_ROUNDS || self.round.is_multiple_of(16) {
                self.tune();
            }
        }
    }

    /// Closes the round now if servers are polled much more often than before.
    fn shorten_rounds(&mut self, t_s: f64) {
        self.polls = 0;
        let before_s = self.period_s;
        self.tune();
        if self.period_s < 0.5 * before_s {
            self.next_s = self.next_s.min(t_s);
        } else {
            self.period_s = before_s;
        }
    }

    /// Takes note of a poll of the series `i`.
    pub fn polled(&mut self, i: usize, t_s: f64, poll_s: f64) {
        self.heard_from += usize::from(self.series[i].last_poll_s <= self.round_s);
        self.polls += 1;
        self.series[i].polled(t_s, poll_s);
        self.asked_twice |= self.series[i].interval_s().is_some();
    }

    pub fn count_live(&mut self, t_s: f64) {
        let period_s = self.period_s;
        let is_live = |s: &Series| t_s - s.last_poll_s <= 10.0 * s.interval_s().unwrap_or(0.0).max(period_s);
        let live = || self.series.iter().filter(|s| is_live(s));
        let (count, scheduled) = (live().count(), live().map(|s| s.poll_s).filter(|poll_s| *poll_s > 0.0));
        let scheduled_s = scheduled.reduce(f64::min).unwrap_or(0.0);
        (self.live, self.scheduled_s) = (count, scheduled_s);
        self.heard_from = self.series.iter().filter(|s| s.last_poll_s > self.round_s).count();
    }

    fn tune(&mut self) {
        let mut gaps: Vec<f64> = self.series.iter().filter_map(|s| s.interval_s()).collect();
        if !gaps.is_empty() {
            self.period_s = robust::median(&mut gaps).max(0.01);
            self.tuned = true;
        }
    }

    fn close(&mut self, now: &Now) {
        self.round += 1;
        self.polls = 0;
        self.round_s = now.t_s;
        self.own.proof = None;
        let voters: Vec<usize> =
            (0..self.series.len()).filter(|i| self.series[*i].votes(now.t_s, self.period_s)).collect();
        self.series.iter_mut().for_each(|s| s.has_voice = false);
        voters.iter().for_each(|i| self.series[*i].has_voice = true);
        self.dirty |= std::mem::replace(&mut self.voters, voters.len()) != voters.len();
        self.votes = voters.iter().map(|i| self.series[*i].vote).sum();
        if voters.is_empty() || !voters.iter().any(|i| self.series[*i].fresh) || self.is_resuming() {
            return;
        }
        if self.round.is_multiple_of(COMPARE_ROUNDS) || self.round == 12 {
            self.compare_noise(&voters);
        }
        let Some(jump_s) = self.find_common_mode(now, &voters) else { return };
        self.prove(now, &voters, jump_s);
        let is_silent = self.round < self.silent_until;
        for i in &voters {
            if self.series[*i].fresh && !is_silent {
                self.judge_reply(*i, now);
            }
            self.series[*i].fresh = false;
        }
        self.look_at_smear(now, &voters);
        self.look_at_access(now, &voters);
        self.decide(now, &voters, is_silent);
        self.learn(&voters);
    }

    /// Computes the common mode of this round; returns the size of a jump that was not predicted, zero if there is
    /// none. `None` if no server has a level yet.
    fn find_common_mode(&mut self, now: &Now, voters: &[usize]) -> Option<f64> {
        let predicted_s = self.own.predict(now);
        let mut only_named = true;
        let (mut words, mut excesses) = (Vec::with_capacity(voters.len()), Vec::with_capacity(voters.len()));
        for i in voters {
            let series = &self.series[*i];
            let (Some(offset_s), Some(reply)) = (series.offset_at(now.t_s, now.moved_s, self.own.rate), series.latest)
            else {
                continue;
            };
            let Some(level_s) = series.track.level_s().or(predicted_s.is_none().then_some(0.0)) else { continue };
            let x_s = series.excess_s();
            let (room_s, excess_s) =
                series.track.usual.map_or((f64::INFINITY, f64::INFINITY), |u| (u.room_s(x_s), u.excess_s));
            let y_s = offset_s - level_s;
            let y_s = freed(y_s, x_s, room_s, series.track.sigma_s(), predicted_s.unwrap_or(f64::NAN));
            let age = ((now.t_s - reply.t_s) / self.period_s).max(0.0);
            // A named server has next to no weight in the common mode.
            let is_named = series.finding().is_some_and(|f| f.named);
            only_named &= is_named;
            let say = if is_named { 1e-6 } else { series.vote };
            let trust = if excess_s.is_finite() { weight(x_s, excess_s) } else { 1.0 };
            words.push(Word { y_s, weight: say * trust.max(0.7) / (1.0 + 0.1 * age) });
            excesses.push(x_s / 2.0);
        }
        // If only named servers are heard, or servers whose paths have just changed, the prediction replaces what they show.
        if let Some(predicted_s) = predicted_s.filter(|_| only_named) {
            self.own.assume(now, predicted_s);
            return Some(0.0);
        }
        let common_s = lazy_median(&mut words, predicted_s.unwrap_or(0.0));
        if !common_s.is_finite() {
            return None;
        }
        let values: Vec<f64> = words.iter().map(|w| w.y_s - common_s).collect();
        let mut sizes: Vec<f64> = values.iter().map(|y| y.abs()).collect();
        let spread_s = 1.4826 * robust::median(&mut sizes);
        let excess_s = robust::median(&mut excesses).abs();
        let (by_most, period_s) = (self.hears_most(), self.period_s);
        let shown = Shown { common_s, spread_s, excess_s, by_most, period_s };
        Some(self.own.follow(now, shown, self.round < self.silent_until))
    }

    /// Finds what the error ranges prove. `jump_s` is the unpredicted jump of the common mode in this round.
    fn prove(&mut self, now: &Now, voters: &[usize], jump_s: f64) {
        let drift = self.own.drift(now);
        let claim = |i: &usize| {
            let series = &self.series[*i];
            Some(Claim { range: series.range_at(now.t_s, now.moved_s, drift)?, vote: series.vote })
        };
        let claims: Vec<Claim> = voters.iter().filter_map(claim).collect();
        let enough = voters.len() >= MIN_SERVERS;
        let majority = proof::majority(&claims, 0.0).filter(|_| enough);
        let is_split = enough && majority.is_none() && proof::depth(&claims) * 2.0 <= self.votes + 1e-9;
        let look = if is_split { super::watch::Look::Hit(1) } else { super::watch::Look::Calm };
        self.dirty |= self.split.look(self.round, look, super::watch::OPEN_AFTER).is_some();
        if majority.is_some() {
            self.majority = majority;
        } else if !enough || self.split.open {
            self.majority = None;
        }
        self.compare_two(now, &claims);
        let silent = self.round < self.silent_until || self.smear.is_split();
        // A gap that the unpredicted movement of this round may have caused proves nothing.
        let least_s = 1.5 * jump_s.abs().max(self.own.early_s.abs());
        for (i, claim) in voters.iter().zip(&claims) {
            let series = &mut self.series[*i];
            let was_proven = series.is_proven_now();
            let gap_s = majority.filter(|_| !silent).map_or(0.0, |m| claim.range.gap_s(&m));
            if least_s > 0.0 && gap_s.max(series.gap_s.abs()) < least_s {
                series.conflicts.take_back(2);
            }
            if series.fresh {
                let gap_s = if gap_s < least_s { 0.0 } else { gap_s };
                series.conflicts.push(gap_s > 0.0);
                if gap_s > 0.0 {
                    let is_ahead = majority.is_some_and(|m| claim.range.low_s > m.high_s);
                    series.gap_s = if is_ahead { gap_s } else { -gap_s };
                }
            }
            self.dirty |= was_proven != series.is_proven_now();
        }
        self.own.prove(majority.filter(|_| !silent), jump_s);
    }

    /// Whether most of the servers that are polled were heard in this round. Fewer do not show a movement of all.
    pub(super) fn hears_most(&self) -> bool {
        self.voters * 2 > self.live
    }

    /// Whether the first replies disagree, and it is too early to say who is wrong.
    pub(super) fn is_too_early(&self) -> bool {
        let disagrees = |s: &Series| s.has_voice && s.conflicts.last();
        self.round <= EARLY_ROUNDS && (self.own.is_in_conflict() || self.series.iter().any(|s| disagrees(s)))
    }

    fn peers_of(&self, i: usize) -> Peers {
        let lambda_s = self.series[i].latest.map_or(0.0, |l| l.lambda_s);
        let floor = (COMMON_PART / self.voters.max(1) as f64).clamp(FLOORS.0, FLOORS.1);
        let grain_s = self.grain.threshold_s().max(self.series[i].grain.threshold_s());
        Peers { sigmas: self.sigmas, claim_s: lambda_s, grain_s, floor }
    }

    /// Adds one new reply to the series of its server, and looks for a change of the server or its path.
    fn judge_reply(&mut self, i: usize, now: &Now) {
        let peers = self.peers_of(i);
        let (common_s, rate, loose, round) =
            (self.own.common_s.unwrap_or(0.0), self.own.rate, self.own.loose, self.round);
        let teaches = self.may_teach();
        let series = &mut self.series[i];
        let (Some(reply), Some(offset_s)) = (series.latest, series.offset_at(now.t_s, now.moved_s, rate)) else {
            return;
        };
        let value_s = offset_s - common_s;
        // The common mode may have moved between the reply and now; twice that counts as if it were delay.
        let moved_s = 2.0 * loose * (now.t_s - reply.t_s).max(0.0);
        let delay_s = reply.delay_s + moved_s;
        let unseen_s = series.track.usual.map(|usual| unseen_shift_s(usual.excess_s));
        let clean = series.is_clean() && !series.route.is_away() && unseen_s.is_none_or(|s| moved_s <= s);
        series.track.push(reply.t_s, value_s, delay_s, teaches && clean);
        series.sighting = series.track.look(&peers);
        series.note(reply.t_s, value_s, peers.grain_s + self.own.excess_s + self.own.unrest_s);
        let material_s = (0.2 * reply.lambda_s).clamp(MATERIAL_S.0, MATERIAL_S.1);
        let (moved_s, more_s) = (series.lean_s, series.excess_s());
        let newest = Newest { moved_s, more_s, disturbed: unseen_s.is_some_and(|s| 2.0 * self.own.unrest_s > s) };
        self.dirty |= series.route.look(reply.t_s, round, newest, material_s, &series.track);
        let was_proven = series.finding().is_some_and(|f| f.proven);
        if let Some((_, end_s)) = series.follow(reply.t_s) {
            self.ended_s = Some(end_s);
            self.dirty = true;
        }
        // A proven error is stated with a bound, which must be that of this round.
        self.dirty |= was_proven != series.finding().is_some_and(|f| f.proven) || series.is_proven_now();
    }

    /// Whether values of this round may be used to learn what is usual.
    fn may_teach(&self) -> bool {
        self.round >= self.silent_until
            && !self.split.open
            && !self.torn.open
            && !self.camps.open
            && self.own.unmoved.is_none()
            && self.smear.is_calm()
    }

    fn learn(&mut self, voters: &[usize]) {
        for i in voters {
            let peers = self.peers_of(*i);
            let series = &mut self.series[*i];
            if series.track.is_due() && series.finding().is_none_or(|f| !f.named) {
                series.track.learn(&peers, &mut self.scratch);
            }
        }
        self.own.learn(self.peers_of(voters[0]), &mut self.scratch);
    }

    fn compare_noise(&mut self, voters: &[usize]) {
        for k in 0..self.sigmas.len() {
            let sigma = |i: &usize| self.series[*i].track.usual.map(|u| u.sigmas[k]).filter(|s| s.is_finite());
            let mut known: Vec<f64> = voters.iter().filter_map(sigma).collect();
            self.sigmas[k] = if known.len() >= 3 { robust::median(&mut known) } else { f64::NAN };
        }
    }

    /// Looks for an increase of most delays, and starts series again whose new route has become the usual one.
    fn look_at_access(&mut self, now: &Now, voters: &[usize]) {
        let is_up = |i: &&usize| {
            let series = &self.series[**i];
            let Some(usual) = series.track.usual else { return false };
            let lambda_s = series.latest.map_or(0.0, |l| l.lambda_s);
            let limit_s = (0.2 * lambda_s).clamp(MATERIAL_S.0, MATERIAL_S.1).max(6.0 * usual.delay_noise_s);
            series.excess_s() > limit_s.max(1.5 * usual.excess_s)
        };
        let (up, known) = (
            voters.iter().filter(is_up).count(),
            voters.iter().filter(|i| self.series[**i].track.usual.is_some()).count(),
        );
        let most = known >= 2 && up * 2 > known;
        if most && self.congested.is_quiet() {
            self.congested_since_s = now.t_s - 0.5 * self.period_s;
        }
        let look = if most { super::watch::Look::Hit(1) } else { super::watch::Look::Calm };
        self.dirty |= self.congested.look(self.round, look, super::watch::OPEN_AFTER).is_some();
        let away = voters.iter().filter(|i| self.series[**i].route.is_away()).count();
        if away * 2 < known {
            voters.iter().for_each(|i| {
                let series = &mut self.series[*i];
                series.route.count_change(&series.track);
                series.follow_route();
            });
        }
        if self.congested.open {
            self.series.iter_mut().for_each(|s| s.route.watch.reset());
        }
        let teaches = self.may_teach();
        if teaches && self.own.stands_elsewhere() {
            self.own.start_again();
            self.dirty = true;
        }
        let is_new = |i: &usize| self.series[*i].is_on_new_route() || teaches && self.series[*i].stands_elsewhere();
        let settled: Vec<usize> = voters.iter().copied().filter(is_new).collect();
        for i in &settled {
            self.series[*i].start_again();
            self.cuts.push(self.round);
            self.dirty = true;
        }
        self.cuts.retain(|round| self.round - round < 32);
        if !settled.is_empty() && self.cuts.len() * 2 >= voters.len() {
            self.cuts.clear();
            self.own.track.cut();
            self.congested.reset();
        }
    }

    /// Continues after a pause of the monitor: for some rounds, too few servers do not change the verdict.
    pub fn resume(&mut self) {
        self.resumes_until = self.round + SILENT_ROUNDS;
    }

    pub fn is_resuming(&self) -> bool {
        self.round < self.resumes_until && self.voters < MIN_SERVERS
    }

    /// Drops the newest replies, which are older than they look: the machine was restarted or suspended, or a leap
    /// second was inserted.
    pub fn forget_replies(&mut self) {
        self.series.iter_mut().for_each(|s| s.forget_reply());
        self.own.proof = None;
        self.silent_until = self.round + SILENT_ROUNDS;
    }
}
