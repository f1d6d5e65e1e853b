//! The verdicts of a span, one after the other: what `replay --json` prints and the store keeps.

use serde::Serialize;

use super::{Kind, ServerVerdict, State, Verdict, When};

/// One verdict of the history, as `replay --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// When it began to be true (backdated to the onset).
    pub since: When,
    /// When another one took its place; absent while it stands.
    pub until: Option<When>,
    /// The answer in one word.
    pub state: State,
    /// The own clock.
    pub local: EntryLocal,
    /// Whom it accuses; in state `path`, whose path.
    pub blamed: Vec<Blame>,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// What had to be assumed.
    pub assumption: String,
    /// One sentence for a person.
    pub sentence: String,
}

/// The own clock within an [`Entry`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryLocal {
    /// See [`super::LocalVerdict::estimate_s`].
    pub estimate_s: Option<f64>,
    /// See [`super::LocalVerdict::bound_s`].
    pub bound_s: Option<f64>,
    /// How it is wrong, when it is.
    pub kind: Option<Kind>,
}

/// One accused within an [`Entry`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Blame {
    /// The configured name.
    pub server: String,
    /// What is wrong.
    pub kind: Option<Kind>,
    /// The largest proven gap in seconds while this verdict stood; absent when only inferred.
    pub gap_s: Option<f64>,
    /// Whether the intervals alone prove it.
    pub proven: bool,
    /// Since when.
    pub since: Option<When>,
}

impl Entry {
    fn open(verdict: &Verdict, since: When) -> Self {
        let mut entry = Self {
            since,
            until: None,
            state: verdict.state,
            local: EntryLocal { estimate_s: None, bound_s: None, kind: None },
            blamed: Vec::new(),
            confidence: 0.0,
            assumption: String::new(),
            sentence: String::new(),
        };
        entry.update(verdict);
        entry
    }

    /// The newest numbers of the same verdict; a gap only grows, so that a recovery does not shrink what was proven.
    fn update(&mut self, verdict: &Verdict) {
        let numbers_hold = !verdict.suspended && !self.recovers(verdict);
        if numbers_hold {
            let local = &verdict.local;
            self.local = EntryLocal { estimate_s: local.estimate_s, bound_s: local.bound_s, kind: local.kind };
        }
        let before = std::mem::take(&mut self.blamed);
        self.blamed = verdict.blamed().map(|s| Blame::of(s, before.iter().find(|b| b.server == s.server))).collect();
        // Of what comes and goes server by server, everybody who had a part stays named.
        let gone = before.into_iter().filter(|b| is_shared(b.kind));
        let gone: Vec<_> = gone.filter(|b| self.blamed.iter().all(|now| now.server != b.server)).collect();
        self.blamed.extend(gone);
        self.confidence = self.confidence.max(verdict.confidence);
        self.assumption.clone_from(&verdict.assumption);
        if numbers_hold || self.sentence.is_empty() {
            self.sentence.clone_from(&verdict.sentence);
        }
    }

    /// The own clock is on its way back, which the verdict does not say yet: what was wrong is told by the numbers before.
    fn recovers(&self, verdict: &Verdict) -> bool {
        let error = |estimate_s: Option<f64>| estimate_s.map_or(0.0, f64::abs);
        self.state == State::LocalWrong && error(verdict.local.estimate_s) < 0.5 * error(self.local.estimate_s)
    }

    /// Whether `newer` says more than this, of a time that begins no later: then this never held.
    fn is_superseded_by(&self, newer: &Self) -> bool {
        let named_again = |b: &Blame| newer.blamed.iter().any(|now| now.server == b.server);
        let adds = self.state != State::LocalWrong && !self.blamed.is_empty() && self.blamed.iter().all(named_again);
        self.since >= newer.since && (self.accuses_nobody() || adds)
    }

    fn accuses_nobody(&self) -> bool {
        self.blamed.is_empty() && matches!(self.state, State::Consistent | State::Undecidable)
    }

    /// Whether `verdict` says the same thing, perhaps with better numbers.
    fn continues(&self, verdict: &Verdict) -> bool {
        if self.state != verdict.state {
            return false;
        }
        let was_shared = self.blamed.iter().any(|b| is_shared(b.kind));
        if was_shared && verdict.blamed().any(|s| is_shared(s.kind)) {
            let kind = |k: Option<Kind>| k.filter(|_| is_shared(k));
            return verdict.blamed().any(|s| self.blamed.iter().any(|b| kind(b.kind) == kind(s.kind)));
        }
        self.blamed.iter().map(|b| b.server.as_str()).eq(verdict.blamed().map(|s| s.server.as_str()))
    }
}

impl Blame {
    fn of(now: &ServerVerdict, before: Option<&Self>) -> Self {
        let gap_s = match (before.and_then(|b| b.gap_s), now.gap_s.filter(|_| now.proven)) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        let proven = now.proven || before.is_some_and(|b| b.proven);
        Self { server: now.server.clone(), kind: now.kind, gap_s, proven, since: now.since }
    }
}

/// What is one finding although the servers that show it change from poll to poll.
fn is_shared(kind: Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Congestion | Kind::Unreachable))
}

/// Keeps the last verdicts. When another one takes over, the one before it ends where the new one began.
#[derive(Debug, Clone)]
pub struct History {
    entries: std::collections::VecDeque<Entry>,
    capacity: usize,
}

impl History {
    /// A history of at most `capacity` verdicts (at least one); the oldest is dropped.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { entries: std::collections::VecDeque::new(), capacity: capacity.max(1) }
    }

    /// Takes note of the verdict as it stands. Call it whenever it may have changed; the same verdict costs an update.
    pub fn record(&mut self, verdict: &Verdict) {
        let Some(since) = verdict.since else { return };
        let mut newest = match self.entries.pop_back_if(|last| last.continues(verdict)) {
            Some(mut last) => {
                last.update(verdict);
                last
            }
            None => Entry::open(verdict, since),
        };
        // Of what comes and goes server by server the first one was the beginning.
        if !newest.blamed.iter().any(|b| is_shared(b.kind)) {
            newest.since = since;
        }
        self.append(newest);
    }

    /// Appends an entry, and lets the one before it end where it begins. A refined onset moves the seam in either
    /// direction, but never behind the beginning of an entry before that still says something.
    fn append(&mut self, mut newest: Entry) {
        // What was said before the onset was known never held: it is not part of the history.
        while self.entries.back().is_some_and(|last| last.is_superseded_by(&newest)) {
            self.entries.pop_back();
        }
        if let Some(before) = self.entries.back_mut() {
            newest.since = newest.since.max(before.since);
            before.until = Some(newest.since);
        }
        self.entries.push_back(newest);
        if self.entries.len() > self.capacity {
            self.entries.pop_front();
        }
    }

    /// The verdicts, oldest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::verdict::Class;

    fn verdict(state: State, since: i64, blamed: &[(&str, f64)]) -> Verdict {
        let servers = blamed
            .iter()
            .map(|(name, gap)| ServerVerdict {
                server: (*name).to_owned(),
                address: None,
                class: Class::Falseticker,
                gap_s: Some(*gap),
                size_s: None,
                rate_ppm: None,
                since: Some(When(since)),
                kind: Some(Kind::Step),
                blamed: true,
                proven: true,
                confidence: 0.9,
                sentence: String::new(),
            })
            .collect();
        Verdict { state, since: Some(When(since)), servers, ..Verdict::nothing_yet() }
    }

    #[test]
    fn a_different_verdict_closes_the_one_before_it_at_its_own_onset() {
        let mut history = History::new(10);
        history.record(&verdict(State::Consistent, 0, &[]));
        history.record(&verdict(State::ServerWrong, 100, &[("a", 0.1)]));
        history.record(&verdict(State::ServerWrong, 90, &[("a", 0.3)]));
        history.record(&verdict(State::ServerWrong, 90, &[("a", 0.2)]));
        history.record(&verdict(State::Consistent, 500, &[]));
        let entries: Vec<_> = history.entries().collect();
        assert_eq!(entries.len(), 3);
        // The onset was refined from 100 to 90, and the seam with it.
        assert_eq!((entries[0].since, entries[0].until), (When(0), Some(When(90))));
        assert_eq!((entries[1].since, entries[1].until), (When(90), Some(When(500))));
        assert_eq!(entries[1].blamed[0].gap_s, Some(0.3));
        assert_eq!(entries[2].until, None);
    }

    #[test]
    fn the_json_has_the_documented_keys() {
        let mut history = History::new(10);
        history.record(&verdict(State::ServerWrong, 0, &[("a", 0.1)]));
        let json = serde_json::to_value(history.entries().next().unwrap()).unwrap();
        for key in ["since", "until", "state", "local", "blamed", "assumption", "sentence"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["state"], "server_wrong");
        assert_eq!(json["blamed"][0]["kind"], "step");
        assert_eq!(json["since"], "1970-01-01T00:00:00Z");
        assert!(json["local"].get("bound_s").is_some());
    }

    #[test]
    fn the_oldest_verdict_makes_room() {
        let mut history = History::new(2);
        for k in 0..5 {
            let state = if k % 2 == 0 { State::Consistent } else { State::Undecidable };
            history.record(&verdict(state, k, &[]));
        }
        assert_eq!(history.entries().len(), 2);
    }
}
