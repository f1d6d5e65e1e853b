//! The history of verdicts. When the verdict changes, the one before ends where the new one begins.

use std::collections::VecDeque;

use super::verdict::{FleetState, FleetVerdict};

/// Onsets of several parties that are at most so many times the tolerance apart count as one.
const ONE_ONSET: i64 = 4;

#[derive(Debug, Clone)]
pub(super) struct History {
    entries: VecDeque<FleetVerdict>,
    capacity: usize,
}

impl History {
    pub fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity: capacity.max(1) }
    }

    /// Records the verdict of a round; the same verdict with newer numbers updates the last entry. Its onset may be
    /// corrected to any earlier instant, but not to one that is more than `latest_ns` later.
    pub fn record(&mut self, verdict: FleetVerdict, latest_ns: i64) {
        let Some(since) = verdict.since else { return };
        let mut newest = match self.entries.pop_back_if(|last| is_same(last, &verdict)) {
            Some(last) => {
                let before = last.since.filter(|before| since.0 > before.0.saturating_add(latest_ns));
                FleetVerdict { since: before.or(Some(since)), ..updated(last, verdict) }
            }
            None => verdict,
        };
        // A backdated onset replaces entries from its time that name no party, or only parties that are named again and
        // were not found long after it.
        while self.entries.back().is_some_and(|last| is_superseded(last, &newest, ONE_ONSET * latest_ns)) {
            self.entries.pop_back();
        }
        if let Some(before) = self.entries.back_mut() {
            newest.since = newest.since.max(before.since);
            before.until = newest.since;
        }
        self.entries.push_back(newest);
        if self.entries.len() > self.capacity {
            self.entries.pop_front();
        }
    }

    pub fn last(&self) -> Option<&FleetVerdict> {
        self.entries.back()
    }

    pub fn entries(&self) -> impl ExactSizeIterator<Item = &FleetVerdict> {
        self.entries.iter()
    }
}

/// Servers and vantages, each with whether its readings contradict each other, and paths.
type Names<'a> = (Vec<(&'a str, bool)>, Vec<(&'a str, bool)>, Vec<(&'a str, &'a str)>);

fn names(verdict: &FleetVerdict) -> Names<'_> {
    (
        verdict.servers.iter().map(|it| (it.server.as_str(), it.kind.is_false())).collect(),
        verdict.vantages.iter().map(|it| (it.vantage.as_str(), it.kind.is_false())).collect(),
        verdict.paths.iter().map(|it| (it.vantage.as_str(), it.server.as_str())).collect(),
    )
}

fn is_same(last: &FleetVerdict, verdict: &FleetVerdict) -> bool {
    last.state == verdict.state && names(last) == names(verdict)
}

/// Gaps only grow, so that a recovery does not shrink the proven error.
fn updated(last: FleetVerdict, mut verdict: FleetVerdict) -> FleetVerdict {
    let larger = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    };
    for (now, before) in verdict.servers.iter_mut().zip(&last.servers) {
        now.gap_s = larger(now.gap_s, before.gap_s);
        now.proven |= before.proven;
        (now.wrong_from, now.seen_from) = (now.wrong_from, now.seen_from).max((before.wrong_from, before.seen_from));
    }
    for (now, before) in verdict.vantages.iter_mut().zip(&last.vantages) {
        now.gap_s = larger(now.gap_s, before.gap_s);
        now.proven |= before.proven;
    }
    verdict.confidence = verdict.confidence.max(last.confidence);
    verdict
}

fn is_superseded(last: &FleetVerdict, newest: &FleetVerdict, within_ns: i64) -> bool {
    let is_silent = !last.accuses() && matches!(last.state, FleetState::Consistent | FleetState::Undecidable);
    let (before, now) = (names(last), names(newest));
    let is_part = before.0.iter().all(|it| now.0.contains(it))
        && before.1.iter().all(|it| now.1.contains(it))
        && before.2.iter().all(|it| now.2.contains(it));
    let since_ns = |verdict: &FleetVerdict| verdict.since.map_or(i64::MIN, |since| since.0);
    let later_ns = since_ns(last).saturating_sub(since_ns(newest));
    later_ns >= 0 && (is_silent || (is_part && later_ns <= within_ns))
}

#[cfg(test)]
mod tests {
    use super::super::verdict::{BlamedServer, FleetKind};
    use super::*;
    use crate::stats::verdict::When;

    fn verdict(since: i64, servers: &[(&str, f64)]) -> FleetVerdict {
        let state = if servers.is_empty() { FleetState::Consistent } else { FleetState::ServerWrong };
        let blamed = |(server, gap_s): &(&str, f64)| BlamedServer {
            server: (*server).to_owned(),
            kind: FleetKind::Step,
            gap_s: Some(*gap_s),
            proven: true,
            size_s: None,
            bound_s: None,
            wrong_from: 1,
            seen_from: 1,
        };
        let servers = servers.iter().map(blamed).collect();
        FleetVerdict { since: Some(When(since)), state, servers, ..FleetVerdict::nothing_yet() }
    }

    #[test]
    fn new_verdict_ends_the_one_before_at_its_onset() {
        let mut history = History::new(10);
        history.record(verdict(0, &[]), 20);
        for (since, gap_s) in [(100, 0.1), (90, 0.3), (90, 0.2), (300, 0.2)] {
            history.record(verdict(since, &[("a", gap_s)]), 20);
        }
        history.record(verdict(500, &[]), 20);
        let entries: Vec<_> = history.entries().collect();
        let spans: Vec<_> = entries.iter().map(|it| (it.since.unwrap().0, it.until.map(|until| until.0))).collect();
        assert_eq!(spans, [(0, Some(90)), (90, Some(500)), (500, None)]);
        assert_eq!(entries[1].servers[0].gap_s, Some(0.3));
    }

    #[test]
    fn json_has_the_documented_keys() {
        let json = serde_json::to_value(verdict(0, &[("a", 0.1)])).unwrap();
        for key in [
            "since",
            "until",
            "state",
            "servers",
            "vantages",
            "paths",
            "alternatives",
            "assumption",
            "sentence",
            "confidence",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!((json["state"].as_str(), json["servers"][0]["kind"].as_str()), (Some("server_wrong"), Some("step")));
    }

    #[test]
    fn onset_long_before_another_party_does_not_move_that_party() {
        let mut history = History::new(10);
        history.record(verdict(0, &[]), 20);
        history.record(verdict(1000, &[("a", 0.1)]), 20);
        history.record(verdict(200, &[("a", 0.1), ("b", 0.1)]), 20);
        let since: Vec<_> = history.entries().map(|it| (it.since.unwrap().0, it.servers.len())).collect();
        assert_eq!(since, [(0, 0), (1000, 1), (1000, 2)]);
    }
}
