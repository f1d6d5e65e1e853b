//! Builds the verdict from what the engine decided. `reasons` writes its reason and assumption.

use std::sync::Arc;

use super::decide::SURE;
use super::finding::Finding;
use super::series::Series;
use super::{Attribution, robust};
use crate::stats::consensus::MIN_SERVERS;
use crate::stats::events::Times;
use crate::stats::leap::looks_like_smear;
use crate::stats::local::ClockMove;
use crate::stats::verdict::{
    Beside, Class, Kind, LocalVerdict, MajorityVerdict, ServerVerdict, Sign, State, Verdict, When, last_seen_sentence,
    local_sentence, moved_sentence, seconds, server_sentence, silence_sentence, stray_sentence, unseen_sentence,
    verdict_sentence,
};

/// The raw clock and the servers agree on the size of a step to within this, in seconds.
const SAME_STEP_S: f64 = 0.005;
/// The raw clock and the servers may place the same event up to this many rounds apart …
pub(super) const NEAR: f64 = 6.0;
/// … and if the sizes match, the servers may show a step so many rounds later, because polls can be lost.
const FOUND_WITHIN: f64 = 32.0;
/// Free drift that the numbers of a verdict allow for until they are refreshed, in s/s.
const AGEING: f64 = 15e-6;
/// A step that the raw clock does not show needs so many sightings: before, it may be the start of a drift.
const SETTLED: u32 = 5;

/// What is known of this host's clock.
#[derive(Debug, Default)]
pub(super) struct Local {
    wrong: bool,
    pub proven: bool,
    /// By how much at least, in seconds, positive when it is slow.
    at_least_s: f64,
    /// The raw clock shows the same step.
    pub witnessed: bool,
    /// The raw clock shows the same step, and the servers still show the error.
    pub proven_by_raw: bool,
    kind: Option<Kind>,
    since: Option<When>,
    /// It began with a restart of the machine, and `since` is true time, which a clock that is behind has not reached.
    pub after_restart: bool,
    rate_ppm: Option<(f64, f64)>,
    /// Why there is no decision although something moved.
    pub undecided: Option<String>,
    pub undecided_since: Option<When>,
}

/// What is known of one server.
#[derive(Debug, Default, Clone)]
pub(super) struct Server {
    heard: bool,
    /// It was compared with the others in the newest round.
    compared: bool,
    pub accused: bool,
    pub proven: bool,
    path: bool,
    pub kind: Option<Kind>,
    since: Option<When>,
    size_s: Option<f64>,
    rate_ppm: Option<(f64, f64)>,
    bad_share: Option<f64>,
    period_s: Option<f64>,
    confidence: f64,
}

/// The data of a verdict, before the sentences.
pub(super) struct Case {
    pub heard: usize,
    pub local: Local,
    pub servers: Vec<Server>,
    pub majority: Option<MajorityVerdict>,
}

impl Attribution {
    pub(super) fn judge(&mut self) {
        self.date_findings();
        self.date_restart();
        let case = self.case();
        let state = self.state(&case);
        let local = self.local_verdict(&case, state);
        let unreliable = state == State::LocalWrong;
        let servers: Vec<_> =
            case.servers.iter().enumerate().map(|(i, f)| self.server_verdict(i, f, &case, state, unreliable)).collect();
        let reason = self.reason(&case, state, &servers, &local);
        let local_text = local_sentence(&local, case.majority.as_ref());
        let sentence = verdict_sentence(state, &local_text, &servers, &reason);
        self.engine.ended_s = self.engine.ended_s.or(self.fell_silent_s(state, &servers));
        let since = self.since(&case, state, &local, &servers);
        let verdict = Verdict {
            state,
            since: Some(since),
            confidence: confidence(state, &case),
            assumption: self.assumption(state, &case),
            independence: self.independence.sentence(),
            local,
            servers: Arc::new(servers),
            majority: case.majority,
            reason,
            sentence,
            differs: self.differs(&case, state),
            suspended: state != State::LocalWrong && self.engine.own.is_suspect(),
        };
        let now = When(self.timeline.wall_ns(self.last_s));
        let ended = self.engine.ended_s.take().map_or(now, |t_s| self.when(t_s).min(now));
        self.journal.note(&verdict, case.local.witnessed, Times { now, ended }, &mut self.events);
        self.verdict = Arc::new(verdict);
    }

    /// Converts onsets to wall clock times, once for each onset, because the clock may be set later.
    fn date_findings(&mut self) {
        let timeline = &self.timeline;
        let of_series = self.engine.series.iter_mut().filter_map(|s| s.finding.as_deref_mut());
        for finding in of_series.chain(self.engine.own.finding.as_mut()) {
            if finding.since.is_none_or(|(since_s, _)| since_s != finding.since_s) {
                finding.since = Some((finding.since_s, When(timeline.wall_ns(finding.since_s))));
            }
        }
    }

    pub(super) fn onset(&self, finding: &Finding) -> When {
        finding.since.map_or_else(|| self.when(finding.since_s), |(_, when)| when)
    }

    pub(super) fn when(&self, t_s: f64) -> When {
        When(self.timeline.wall_ns(t_s))
    }

    fn case(&self) -> Case {
        let engine = &self.engine;
        let heard = (0..engine.series.len()).filter(|i| self.is_heard(*i)).count();
        let servers: Vec<_> = (0..engine.series.len()).map(|i| self.server(i)).collect();
        let agrees = |s: &Server, series: &Series| s.compared && !s.accused && !series.conflicts.last();
        let members = servers.iter().zip(&engine.series).filter(|(s, series)| agrees(s, series)).count();
        let majority = engine.majority.filter(|_| heard >= MIN_SERVERS).map(|m| MajorityVerdict {
            low_s: m.low_s,
            high_s: m.high_s,
            members,
            of: servers.iter().filter(|s| s.compared).count(),
            independent: self.independence.count,
        });
        Case { heard, local: self.local(heard), servers, majority }
    }

    fn state(&self, case: &Case) -> State {
        let engine = &self.engine;
        let accused = case.servers.iter().any(|s| s.accused);
        match () {
            () if case.heard == 0 => State::Undecidable,
            () if case.local.undecided.is_some() || engine.smear.is_split() => State::Undecidable,
            () if case.local.wrong => State::LocalWrong,
            () if accused => State::ServerWrong,
            () if case.heard < MIN_SERVERS || engine.split.open => State::Undecidable,
            () if engine.torn.open || engine.camps.open || engine.is_too_early() => State::Undecidable,
            () if case.servers.iter().any(|s| s.path) => State::Path,
            () => State::Consistent,
        }
    }

    fn local(&self, heard: usize) -> Local {
        let own = &self.engine.own;
        let mut it = Local::default();
        if self.engine.smear.is_split() {
            return it;
        }
        if let Some(unmoved) = own.unmoved.filter(|_| self.is_of_all()) {
            it.undecided = Some(unmoved_text(unmoved.size_s, heard));
            it.undecided_since = Some(self.when(unmoved.since_s));
            return it;
        }
        let Some(finding) = own.finding.filter(|_| own.unmoved.is_none()) else { return it };
        let estimate_s = self.estimate().filter(|_| heard >= MIN_SERVERS);
        it.at_least_s = estimate_s.map_or(0.0, |now_s| own.at_least_s(&self.now(), now_s));
        it.proven = it.at_least_s != 0.0;
        let after_restart = self.onset_of_restart(&finding);
        it.after_restart = after_restart.is_some();
        it.since = after_restart.or_else(|| Some(self.onset(&finding)));
        it.kind = Some(finding.kind);
        it.rate_ppm = finding.rate.map(|(rate, half)| (rate * 1e6, half * 1e6));
        // The onset by the wall clock as it is set now.
        let onset = Some(self.when(finding.since_s));
        let smears = self.engine.smear.is_of_all(&finding, self.engine.period_s);
        if finding.kind == Kind::Frequency || smears {
            if smears || self.is_smear(it.rate_ppm, it.since) {
                it.kind = Some(Kind::Smear);
            }
        } else if let Some(step) = finding.size_s.and_then(|size_s| self.matching_step(size_s, onset)) {
            it.witnessed = finding.kind == Kind::Step;
            it.proven_by_raw = it.witnessed && finding.misses == 0;
            // By the clock as it was before the step, when it was right.
            let since = Some(When(step.until_ns.saturating_sub((step.size_s * 1e9) as i64)));
            it.since = since.filter(|_| it.witnessed).or(it.since);
        }
        if it.kind == Some(Kind::Smear) {
            it.undecided = Some(
                "all servers drift at the rate of a smeared leap second: this host's clock is wrong, or all servers \
                 smear"
                    .into(),
            );
        } else if !it.witnessed && self.is_of_all() && self.is_unmoved(&finding, onset) {
            it.undecided = Some(unmoved_text(finding.size_s.unwrap_or(0.0), heard));
        }
        it.undecided_since = it.since.filter(|_| it.undecided.is_some());
        it.wrong = it.undecided.is_none() && finding.named && (heard >= MIN_SERVERS || it.witnessed);
        it
    }

    /// Whether a movement of the common mode is one of all servers.
    fn is_of_all(&self) -> bool {
        !self.engine.camps.open && !self.engine.torn.open && self.engine.hears_most()
    }

    /// Whether the raw clock would have shown a step of this size at this time, but shows no step of any size.
    fn is_unmoved(&self, finding: &Finding, since: Option<When>) -> bool {
        let is_settled = finding.kind == Kind::Step && finding.sightings >= SETTLED;
        let doubt_s = self.witness.doubt_s().filter(|_| is_settled && self.engine.own.missed_leap_s.is_none());
        let is_seen = finding.size_s.zip(doubt_s).is_some_and(|(size, doubt)| size.abs() > 2.0 * doubt);
        // A slow slew appears on the raw clock as steering, not as a step.
        let is_free = |size_s: f64| self.engine.own.moved_freely_s() * size_s.signum() > 0.3 * size_s.abs();
        is_seen && finding.size_s.is_some_and(is_free) && self.steps_near(since, NEAR).next().is_none()
    }

    /// The step of this host's clock that explains a common movement of `size_s`. A step forward makes all offsets
    /// fall. A time daemon may have undone part of the step since.
    fn matching_step(&self, size_s: f64, since: Option<When>) -> Option<&ClockMove> {
        let tolerance_s = SAME_STEP_S.min(0.5 * size_s.abs()).max(0.15 * size_s.abs());
        self.steps_near(since, FOUND_WITHIN).find(|step| {
            let is_partly_undone = (-1.0..=-0.5).contains(&(size_s / step.size_s));
            (step.size_s + size_s).abs() <= tolerance_s || is_partly_undone
        })
    }

    /// The movements on the raw clock near this time or up to `rounds` before it, newest first.
    fn steps_near(&self, since: Option<When>, rounds: f64) -> impl Iterator<Item = &ClockMove> {
        let round_ns = 1e9 * self.engine.period_s;
        let (near_ns, before_ns) = ((NEAR * round_ns) as i64, (rounds * round_ns) as i64);
        // Convert stamps from before a step to the current wall clock, which `since` uses.
        let mut moved_since_ns = 0_i64;
        self.witness.moves().filter(move |step| {
            let until_ns = step.until_ns.saturating_add(moved_since_ns);
            moved_since_ns = moved_since_ns.saturating_add((step.size_s * 1e9) as i64);
            let from_ns = step.from_ns.saturating_add(moved_since_ns);
            let at = since.map_or(until_ns, |w| w.0);
            at >= from_ns.saturating_sub(near_ns) && at <= until_ns.saturating_add(before_ns)
        })
    }

    fn is_smear(&self, rate_ppm: Option<(f64, f64)>, since: Option<When>) -> bool {
        let (Some((rate, half)), Some(since)) = (rate_ppm, since) else { return false };
        looks_like_smear(rate, rate - half, rate + half, since.0.div_euclid(1_000_000_000))
    }

    fn server(&self, i: usize) -> Server {
        let series = &self.engine.series[i];
        let heard = self.is_heard(i);
        let mut it = Server { heard, compared: heard && series.has_voice, confidence: 0.5, ..Server::default() };
        let is_known = series.is_named_lately(self.last_s);
        if series.reach.is_lost() && !is_known {
            (it.kind, it.path, it.confidence) = (Some(Kind::Unreachable), true, 1.0);
            it.since = Some(self.when(series.reach.since_s));
            return it;
        }
        if !it.heard && !is_known {
            return it;
        }
        if let Some(finding) = series.finding().filter(|f| f.named && (it.compared || is_known)) {
            (it.accused, it.proven) = (true, it.compared && series.is_proven_now());
            (it.kind, it.since) = (Some(finding.kind), Some(self.onset(finding)));
            it.confidence = if it.proven { finding.confidence } else { finding.confidence.min(SURE.1) };
            // The numbers of a server that is not compared are those of the past.
            if it.compared {
                (it.size_s, it.bad_share, it.period_s) = (finding.size_s, finding.bad_share, finding.period_s);
                it.rate_ppm = finding.rate.map(|(rate, half)| (rate * 1e6, half * 1e6));
            }
            if self.is_smear(it.rate_ppm, it.since) {
                it.kind = Some(Kind::Smear);
            }
        } else if self.engine.congested.open {
            (it.path, it.confidence, it.kind) = (true, 0.9, Some(Kind::Congestion));
            it.since = Some(self.when(self.engine.congested_since_s));
        } else if series.route.watch.open {
            (it.path, it.confidence, it.size_s) = (true, 0.9, Some(series.route.size_s));
            it.kind = Some(if series.route.steady { Kind::Asymmetry } else { Kind::Congestion });
            it.since = Some(self.when(series.route.since_s));
        } else {
            it.confidence = 0.9;
        }
        it
    }

    fn local_verdict(&self, case: &Case, state: State) -> LocalVerdict {
        let estimate_s = self.estimate();
        let own = &self.engine.own;
        // The numbers are shown until the next verdict, so they include what the clock can do in that time.
        let ageing_s = super::REFRESH_ROUNDS as f64 * self.engine.period_s * (AGEING + own.rate.abs());
        let bound_s = match (estimate_s, case.majority) {
            (Some(estimate), Some(m)) => Some((m.high_s - estimate).max(estimate - m.low_s).max(0.0) + ageing_s),
            _ => None,
        };
        let wrong = state == State::LocalWrong;
        let at_least_s = if wrong { case.local.at_least_s.abs() } else { 0.0 };
        let sign = match estimate_s.filter(|_| wrong) {
            Some(estimate) if estimate > 0.0 => Sign::Slow,
            Some(_) => Sign::Fast,
            None => Sign::None,
        };
        LocalVerdict {
            estimate_s,
            bound_s,
            at_least_s,
            sign,
            kind: case.local.kind.filter(|_| wrong),
            rate_ppm: case.local.rate_ppm.filter(|_| wrong),
            since: case.local.since.filter(|_| wrong),
            distrust: None,
        }
    }

    /// The median offset of the half with the smallest root distances (at least three), without named servers.
    fn estimate(&self) -> Option<f64> {
        let (series, moved_s) = (&self.engine.series, self.witness.moved_s());
        let is_trusted = |i: &usize| self.is_heard(*i) && series[*i].finding().is_none_or(|f| !f.named);
        let offset = |i: usize| {
            Some((series[i].latest?.lambda_s, series[i].offset_at(self.last_s, moved_s, self.engine.own.rate)?))
        };
        let mut now: Vec<_> = (0..series.len()).filter(is_trusted).filter_map(offset).collect();
        now.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        now.truncate((now.len() / 2 + 1).max(3));
        let mut offsets: Vec<f64> = now.into_iter().map(|(_, theta)| theta).collect();
        (!offsets.is_empty()).then(|| robust::median(&mut offsets))
    }

    fn server_verdict(&self, i: usize, it: &Server, case: &Case, state: State, unreliable: bool) -> ServerVerdict {
        let series = &self.engine.series[i];
        let agrees = it.compared && !series.conflicts.last();
        let class = match (it.heard && case.majority.is_some() && state != State::Undecidable, it.proven, it.accused) {
            (true, true, _) => Class::Falseticker,
            (true, false, false) if agrees => Class::Truechimer,
            _ => Class::Unknown,
        };
        let blamed = match state {
            State::LocalWrong | State::ServerWrong => it.accused,
            State::Path => it.path,
            State::Undecidable => it.kind == Some(Kind::Unreachable),
            State::Consistent => false,
        };
        let mut verdict = ServerVerdict {
            server: Arc::clone(&series.ident.name),
            address: series.address,
            class,
            gap_s: it.proven.then(|| series.proven_gap_s().abs()),
            size_s: it.size_s,
            rate_ppm: it.rate_ppm,
            since: it.since,
            kind: it.kind,
            blamed,
            proven: it.proven,
            confidence: it.confidence,
            bad_share: it.bad_share,
            period_s: it.period_s,
            authentication: series.authentication,
            sentence: String::new(),
        };
        let beside = Beside { is_unreliable: unreliable, overlaps: !series.conflicts.last() };
        verdict.sentence = server_sentence(&verdict, case.majority.as_ref(), beside);
        if it.heard && verdict.kind.is_none() && !it.accused && case.majority.is_some() {
            if series.conflicts.last() {
                verdict.sentence = stray_sentence(&verdict.server, series.gap_s);
            } else if !it.compared {
                verdict.sentence = format!("{} has not been compared with the other servers yet.", verdict.server);
            }
        }
        if let Some(size_s) = series.moved_unblamed().filter(|_| verdict.kind.is_none()) {
            verdict.sentence = moved_sentence(&verdict.server, size_s);
        }
        if !it.compared {
            self.describe_unseen(series, &mut verdict);
        }
        if series.unsynchronised && !series.reach.is_lost() {
            verdict.sentence = format!("{} reports that it is not synchronised.", verdict.server);
        }
        // A text that was formatted has room for twice as much.
        verdict.sentence.shrink_to_fit();
        verdict
    }

    /// Says of a server that is not compared with the others why not, and what was wrong with it before.
    fn describe_unseen(&self, series: &Series, verdict: &mut ServerVerdict) {
        let is_lost = series.reach.is_lost();
        if let Some(last) = series.silence().filter(|_| is_lost) {
            verdict.sentence = silence_sentence(&verdict.server, Some(self.when(series.reach.since_s)), &last);
        }
        let Some((seen, finding)) = series.last_seen().zip(series.finding()) else { return };
        let at = self.when(seen.at_s);
        if !is_lost {
            verdict.sentence = unseen_sentence(&verdict.server, at);
        }
        let before = last_seen_sentence(seen.ahead_s, seen.is_least, at, self.onset(finding));
        verdict.sentence = format!("{} {before}", verdict.sentence);
    }
}

fn unmoved_text(size_s: f64, heard: usize) -> String {
    let (who, cause) = match heard {
        1 => ("the only server that answers moved", "it stepped"),
        _ => ("all servers moved together", "they share a source that stepped"),
    };
    let either = match size_s > 0.0 {
        true if heard == 1 => format!("this machine stood still for {}, or the server stepped", seconds(size_s)),
        true => format!("this machine stood still for {}, or the servers share a source that stepped", seconds(size_s)),
        false => cause.into(),
    };
    format!("{who} although this host's clock was provably not set: {either}")
}

fn confidence(state: State, case: &Case) -> f64 {
    match state {
        State::LocalWrong if case.local.proven_by_raw => 0.999,
        State::LocalWrong if case.local.proven => 0.99,
        State::LocalWrong => 0.9,
        State::ServerWrong => case.servers.iter().filter(|s| s.accused).map(|s| s.confidence).fold(1.0, f64::min),
        State::Path | State::Consistent => 0.9,
        State::Undecidable => 0.0,
    }
}
