//! When a verdict began to be true.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::Attribution;
use super::judge::Case;
use super::series::Series;
use crate::stats::verdict::{Kind, LocalVerdict, ServerVerdict, State, When};

impl Attribution {
    /// When the verdict began to be true: the latest onset among what it did not name before. If it names nothing new,
    /// the time at which something ended. If it names the same as before, the time of the last verdict, refined if its
    /// onset was.
    pub(super) fn since(&self, case: &Case, state: State, local: &LocalVerdict, servers: &[ServerVerdict]) -> When {
        // A clock that was set back has not reached the time of the onset again.
        let set_at = local.since.filter(|_| case.local.witnessed || case.local.after_restart);
        let now = self.when(self.last_s).max(set_at.unwrap_or(When(i64::MIN)));
        let before = &self.verdict;
        let (was, is) = (accusations(before.state, &before.servers), accusations(state, servers));
        let was_local = before.state == State::LocalWrong;
        let differs = self.differs(case, state);
        let same_subjects = was.iter().map(Accusation::subject).eq(is.iter().map(Accusation::subject));
        if before.state == state && before.differs == differs && same_subjects {
            let kept = before.since.unwrap_or(now);
            let refined =
                latest_onset(local, servers).filter(|_| latest_onset(&before.local, &before.servers) == Some(kept));
            return refined.unwrap_or(kept).min(now);
        }
        let named: HashSet<_> = was.iter().map(Accusation::subject).collect();
        let new = is.iter().filter(|it| !named.contains(&it.subject())).filter_map(|it| it.since);
        let new = new.chain(local.since.filter(|_| !was_local)).max();
        let apart_since = || self.engine.apart_since_s.filter(|_| differs).map(|since_s| self.when(since_s));
        // What was said of servers that parted from the others stays said.
        let parted = || self.parted_since().filter(|_| !was.iter().any(|it| !it.of_path));
        let undecided = || case.local.undecided_since.or_else(parted).or_else(|| self.split_since());
        let undecided = || undecided().or_else(apart_since);
        let began = new.or_else(|| if state == State::Undecidable { undecided() } else { None });
        let ended =
            self.engine.ended_s.filter(|_| state != State::Undecidable || before.differs).map(|t_s| self.when(t_s));
        let fallback = if before.since.is_none() { self.first_when() } else { now };
        began.or(ended.filter(|e| before.since.is_some_and(|since| *e > since))).unwrap_or(fallback).min(now)
    }

    /// When a server fell silent that is no longer named because of that.
    pub(super) fn fell_silent_s(&self, state: State, servers: &[ServerVerdict]) -> Option<f64> {
        let is: Vec<_> = accusations(state, servers).iter().filter(|a| !a.of_path).map(Accusation::subject).collect();
        let was = accusations(self.verdict.state, &self.verdict.servers);
        let gone = was.iter().filter(|a| !a.of_path && !is.contains(&a.subject()));
        let gone: Vec<_> = gone.map(|a| (a.server, a.address)).collect();
        if gone.is_empty() {
            return None;
        }
        let is_gone = |s: &&Series| s.reach.is_lost() && gone.contains(&(&*s.ident.name, s.address));
        let series = self.engine.series.iter().map(|series| &**series);
        series.filter(is_gone).map(|s| s.reach.since_s).reduce(f64::min)
    }

    /// When the first server of an undecided group moved away.
    fn parted_since(&self) -> Option<When> {
        let is_parted = self.engine.torn.open || self.engine.camps.open;
        let findings = self.engine.series.iter().filter_map(|s| s.finding());
        findings.map(|f| self.onset(f)).min().filter(|_| is_parted)
    }

    fn split_since(&self) -> Option<When> {
        let smear = &self.engine.smear;
        smear.is_split().then(|| self.when(smear.noon_s))
    }

    fn first_when(&self) -> When {
        let first_s = self.engine.series.iter().map(|s| s.first_s).fold(f64::INFINITY, f64::min);
        self.when(if first_s.is_finite() { first_s } else { self.last_s })
    }
}

/// What a verdict blames on one server: its clock is wrong, or only its path is.
struct Accusation<'a> {
    server: &'a str,
    address: Option<SocketAddr>,
    of_path: bool,
    since: Option<When>,
}

impl<'a> Accusation<'a> {
    /// What is accused, without the onset, which may change.
    fn subject(&self) -> (&'a str, Option<SocketAddr>, bool) {
        (self.server, self.address, self.of_path)
    }
}

fn accusations(state: State, servers: &[ServerVerdict]) -> Vec<Accusation<'_>> {
    let blamed = servers.iter().filter(|s| s.blamed);
    let of_path = |s: &ServerVerdict| state == State::Path || s.kind == Some(Kind::Unreachable);
    blamed.map(|s| Accusation { server: &s.server, address: s.address, of_path: of_path(s), since: s.since }).collect()
}

fn latest_onset(local: &LocalVerdict, servers: &[ServerVerdict]) -> Option<When> {
    servers.iter().filter(|s| s.blamed).filter_map(|s| s.since).chain(local.since).max()
}
