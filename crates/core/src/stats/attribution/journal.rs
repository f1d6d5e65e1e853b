//! Turns what a verdict names into events: each once, with its beginning, and again with its end.

use crate::stats::events::{Event, EventKind};
use crate::stats::verdict::{Kind, ServerVerdict, State, Verdict, When, local_sentence};

/// Events that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Journal {
    open: Vec<Event>,
}

impl Journal {
    /// Compares a new verdict with what was open.
    ///
    /// What is no longer named ended at `ended`. `witnessed` says that the raw clock saw a step of the own clock, which is an event of its own already.
    pub fn note(&mut self, verdict: &Verdict, witnessed: bool, ended: When, events: &mut Vec<Event>) {
        let servers = verdict.servers.iter().filter_map(|s| named(s, verdict.state));
        let current: Vec<Event> = servers.chain(own_clock(verdict).filter(|_| !witnessed)).collect();
        let same = |a: &Event, b: &Event| a.kind == b.kind && a.server == b.server && a.address == b.address;
        self.open.retain(|event| {
            let lasts = current.iter().any(|c| same(c, event));
            if !lasts {
                events.push(Event { end: Some(ended.max(event.start)), ..event.clone() });
            }
            lasts
        });
        for event in current {
            if !self.open.iter().any(|o| same(o, &event)) {
                events.push(event.clone());
                self.open.push(event);
            }
        }
    }
}

/// What the servers together show of the own clock. The kind is absent unless it is wrong.
fn own_clock(verdict: &Verdict) -> Option<Event> {
    let local = &verdict.local;
    let kind = match local.kind? {
        Kind::Step => EventKind::ClockStep,
        Kind::Frequency => EventKind::ClockDrift,
        // Wrong from the start is a verdict; nothing happened.
        _ => return None,
    };
    let detail = match (local.rate_ppm.filter(|_| kind == EventKind::ClockDrift), local.estimate_s) {
        (Some(rate), _) => crate::stats::verdict::ppm(rate),
        (None, Some(estimate_s)) => format!("{:+.6} s", -estimate_s),
        (None, None) => String::new(),
    };
    let sentence = local_sentence(local, verdict.majority.as_ref());
    Some(Event { kind, server: None, address: None, start: local.since?, end: None, detail, sentence })
}

fn named(server: &ServerVerdict, state: State) -> Option<Event> {
    let kind = match server.kind.filter(|_| server.blamed)? {
        Kind::Step | Kind::Constant | Kind::Intermittent => EventKind::ServerStep,
        Kind::Frequency | Kind::Smear => EventKind::ServerDrift,
        Kind::Asymmetry => EventKind::RouteChange,
        Kind::Congestion if state == State::Path => EventKind::Congestion,
        Kind::Congestion | Kind::Unreachable => return None,
    };
    let detail = match (server.rate_ppm, server.size_s) {
        (Some(rate), _) => crate::stats::verdict::ppm(rate),
        (None, Some(size_s)) => format!("{size_s:+.6} s"),
        (None, None) => String::new(),
    };
    Some(Event {
        kind,
        server: Some(server.server.clone()),
        address: server.address.clone(),
        start: server.since?,
        end: None,
        detail,
        sentence: server.sentence.clone(),
    })
}
