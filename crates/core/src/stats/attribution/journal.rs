//! Turns what a verdict names into events.

use serde::{Deserialize, Serialize};

use crate::stats::events::{Event, EventKind, Finding, Times, Tracker};
use crate::stats::verdict::{Kind, ServerVerdict, State, Verdict, local_sentence, ppm};

/// What the verdicts have named so far.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Journal {
    named: Tracker,
}

impl Journal {
    /// Takes a new verdict. What it no longer names ended at `times.ended`.
    ///
    /// `witnessed` says that the raw clock saw a step of this host's clock, which is an event of its own already.
    pub fn note(&mut self, verdict: &Verdict, witnessed: bool, times: Times, events: &mut Vec<Event>) {
        let servers = verdict.servers.iter().filter_map(|server| named(server, verdict.state));
        let current = servers.chain(own_clock(verdict).filter(|_| !witnessed)).collect();
        self.named.follow(current, times, events);
    }
}

/// The fault of this host's clock that the servers show, if it is wrong.
fn own_clock(verdict: &Verdict) -> Option<Finding> {
    let local = &verdict.local;
    let kind = match local.kind? {
        Kind::Step | Kind::Constant => EventKind::ClockStep,
        Kind::Frequency => EventKind::ClockDrift,
        _ => return None,
    };
    let (size, detail) = match (local.rate_ppm.filter(|_| kind == EventKind::ClockDrift), local.estimate_s) {
        (Some(rate), _) => (Some(rate.0), ppm(rate)),
        (None, Some(estimate_s)) => (Some(-estimate_s), format!("{:+.6} s", -estimate_s)),
        (None, None) => (None, String::new()),
    };
    let sentence = local_sentence(local, verdict.majority.as_ref());
    let start = local.since?;
    let event = Event { kind, server: None, address: None, start, end: None, detail, sentence, replaces: None };
    let is_proven = local.at_least_s > 0.0;
    Some(Finding { event, size, error_s: local.estimate_s.map_or(0.0, f64::abs), share: None, is_proven })
}

fn named(verdict: &ServerVerdict, state: State) -> Option<Finding> {
    let kind = match verdict.kind.filter(|_| verdict.blamed)? {
        Kind::Step | Kind::Constant | Kind::Intermittent => EventKind::ServerStep,
        Kind::Frequency | Kind::Smear | Kind::Unsteady | Kind::Periodic => EventKind::ServerDrift,
        Kind::Asymmetry => EventKind::RouteChange,
        Kind::Congestion if state == State::Path => EventKind::Congestion,
        Kind::Congestion | Kind::Unreachable => return None,
    };
    let (size, detail) = match (verdict.rate_ppm, verdict.size_s, verdict.gap_s) {
        (Some(rate), _, _) => (Some(rate.0), ppm(rate)),
        (None, Some(size_s), _) => (Some(size_s), format!("{size_s:+.6} s")),
        (None, None, Some(gap_s)) => (Some(gap_s), format!("at least {:.6} s", gap_s.abs())),
        (None, None, None) => (None, String::new()),
    };
    let event = Event {
        kind,
        server: Some(verdict.server.to_string()),
        address: verdict.address.map(|address| address.to_string()),
        start: verdict.since?,
        end: None,
        detail,
        sentence: verdict.sentence.clone(),
        replaces: None,
    };
    Some(Finding { event, size, error_s: verdict.error_s(), share: verdict.bad_share, is_proven: verdict.proven })
}
