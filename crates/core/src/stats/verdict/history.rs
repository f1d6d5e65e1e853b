//! The history of verdicts over a span, as printed by `replay --json` and kept in the store.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::sentence::{Beside, MOST_NAMED, server_sentence};
use super::{Kind, ServerVerdict, State, Verdict, When, list_names};
use crate::sample::Authentication;
use crate::stats::events::ENDING_BELOW;

/// One verdict of the history, as `replay --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// When the verdict began to apply, backdated to the onset.
    pub since: When,
    /// When the next verdict replaced it; absent for the current verdict.
    pub until: Option<When>,
    /// The verdict in one word.
    pub state: State,
    /// This host's clock.
    pub local: EntryLocal,
    /// The servers that are wrong; in state `path`, the servers whose path is affected.
    pub blamed: Vec<Blame>,
    /// The confidence, 0 to 1.
    pub confidence: f64,
    /// The assumptions behind the verdict.
    pub assumption: String,
    /// The verdict as a sentence.
    pub sentence: String,
    /// See [`Verdict::differs`].
    #[serde(skip)]
    pub differs: bool,
}

/// This host's clock within an [`Entry`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryLocal {
    /// See [`super::LocalVerdict::estimate_s`].
    pub estimate_s: Option<f64>,
    /// See [`super::LocalVerdict::bound_s`].
    pub bound_s: Option<f64>,
    /// How this host's clock is wrong; absent if it is not.
    pub kind: Option<Kind>,
}

/// A blamed server within an [`Entry`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Blame {
    /// The configured name.
    pub server: String,
    /// How the server, or its path, is wrong.
    pub kind: Option<Kind>,
    /// The largest proven minimum error in seconds during this verdict; absent if the error is only inferred.
    pub gap_s: Option<f64>,
    /// Whether the error ranges alone prove the server wrong.
    pub proven: bool,
    /// When the error began.
    pub since: Option<When>,
    /// See [`ServerVerdict::authentication`].
    pub authentication: Option<Authentication>,
}

impl Entry {
    fn open(verdict: &Verdict, since: When, peak_s: &mut f64) -> Self {
        let mut entry = Self {
            since,
            until: None,
            state: verdict.state,
            local: EntryLocal { estimate_s: None, bound_s: None, kind: None },
            blamed: Vec::new(),
            confidence: 0.0,
            assumption: String::new(),
            sentence: String::new(),
            differs: verdict.differs,
        };
        entry.update(verdict, peak_s);
        entry
    }

    /// Updates the entry from the same verdict with newer numbers. A gap only grows, so that a recovery does not shrink
    /// the proven error. `peak_s` is the largest size of the fault that the sentence named, in seconds, without sign.
    fn update(&mut self, verdict: &Verdict, peak_s: &mut f64) {
        let size_s = size_s(verdict);
        // The earlier numbers describe a fault that is ending while the verdict has not changed yet.
        let is_ending = size_s < ENDING_BELOW * *peak_s;
        let numbers_hold = !verdict.suspended && !is_ending;
        if numbers_hold {
            *peak_s = peak_s.max(size_s);
        }
        if numbers_hold || (self.state != State::LocalWrong && !verdict.suspended) {
            let local = &verdict.local;
            let (estimate_s, bound_s) = match verdict.is_clock_estimated() {
                true => (local.estimate_s, local.bound_s),
                false => (None, None),
            };
            self.local = EntryLocal { estimate_s, bound_s, kind: local.kind };
        }
        // What was proven stays proven, so the sentence of the proof stays too.
        let loses_proof = self.blamed.iter().any(|b| b.proven) && !verdict.blamed().any(|s| s.proven);
        let before = std::mem::take(&mut self.blamed);
        // In reverse, so that the first of a name counts.
        let known: HashMap<&str, &Blame> = before.iter().rev().map(|b| (b.server.as_str(), b)).collect();
        self.blamed = verdict.blamed().map(|s| Blame::of(s, known.get(&*s.server).copied())).collect();
        // A shared problem affects servers in turn: keep all servers that were affected.
        let named: HashSet<&str> = verdict.blamed().map(|s| &*s.server).collect();
        let gone = before.into_iter().filter(|b| is_shared(b.kind) && !named.contains(b.server.as_str()));
        self.blamed.extend(gone);
        self.confidence = self.confidence.max(verdict.confidence);
        if !loses_proof {
            self.assumption.clone_from(&verdict.assumption);
        }
        if numbers_hold && !loses_proof || self.sentence.is_empty() {
            self.sentence = self.said_of(verdict);
        }
    }

    /// The sentence of a verdict, with the largest proven errors of this entry instead of the newest ones.
    fn said_of(&self, verdict: &Verdict) -> String {
        let majority = verdict.majority.as_ref();
        let mut text = verdict.sentence.clone();
        for it in verdict.blamed().filter(|it| it.proven).take(MOST_NAMED) {
            let known = self.blamed.iter().find(|blame| *blame.server == *it.server);
            let Some(gap_s) = known.and_then(|blame| blame.gap_s).filter(|gap_s| Some(*gap_s) > it.gap_s) else {
                continue;
            };
            let [newest, largest] = [it.gap_s, Some(gap_s)]
                .map(|gap_s| server_sentence(&ServerVerdict { gap_s, ..it.clone() }, majority, Beside::default()));
            text = text.replacen(&newest, &largest, 1);
        }
        text
    }

    /// The sentence, and for an accusation also how the replies of the accused servers were authenticated.
    /// Authentication proves that they sent the replies that they are blamed for.
    #[must_use]
    pub fn sentence_with_authentication(&self) -> String {
        let mut text = self.sentence.clone();
        if !matches!(self.state, State::ServerWrong | State::LocalWrong) {
            return text;
        }
        for (what, wanted) in [
            ("Authenticated by NTS", Authentication::Nts),
            ("Plain NTP, which can be forged on the way", Authentication::None),
        ] {
            let of_kind = || self.blamed.iter().filter(move |blame| blame.authentication == Some(wanted));
            if of_kind().next().is_some() {
                let names = list_names(of_kind().count(), of_kind().map(|blame| blame.server.as_str()));
                text.push_str(&format!(" {what}: {names}."));
            }
        }
        text
    }

    fn is_like(&self, other: &Self) -> bool {
        let names = |e: &Self| e.blamed.iter().map(|b| b.server.clone()).collect::<Vec<_>>();
        self.state == other.state && self.differs == other.differs && names(self) == names(other)
    }

    /// Whether `newer` starts no later and blames at least the same servers. Then this entry is dropped.
    fn is_superseded_by(&self, newer: &Self) -> bool {
        let named: HashSet<&str> = newer.blamed.iter().map(|b| b.server.as_str()).collect();
        let named_again = |b: &Blame| named.contains(b.server.as_str());
        let adds = self.state != State::LocalWrong && !self.blamed.is_empty() && self.blamed.iter().all(named_again);
        self.since >= newer.since && (self.accuses_nobody() || adds)
    }

    /// Whether nothing could be decided because servers did not answer.
    fn is_outage(&self) -> bool {
        self.state == State::Undecidable && self.blamed.iter().any(|b| b.kind == Some(Kind::Unreachable))
    }

    fn accuses_nobody(&self) -> bool {
        self.blamed.is_empty() && matches!(self.state, State::Consistent | State::Undecidable)
    }

    /// Whether `verdict` is the same verdict as this entry, possibly with newer numbers.
    fn continues(&self, verdict: &Verdict) -> bool {
        if self.state != verdict.state || self.differs != verdict.differs {
            return false;
        }
        let was_shared = self.blamed.iter().any(|b| is_shared(b.kind));
        if was_shared && verdict.blamed().any(|s| is_shared(s.kind)) {
            let kind = |k: Option<Kind>| k.filter(|_| is_shared(k));
            let kinds: HashSet<_> = self.blamed.iter().map(|b| kind(b.kind)).collect();
            return verdict.blamed().any(|s| kinds.contains(&kind(s.kind)));
        }
        self.blamed.iter().map(|b| b.server.as_str()).eq(verdict.blamed().map(|s| &*s.server))
    }
}

impl Blame {
    fn of(now: &ServerVerdict, before: Option<&Self>) -> Self {
        let gap_s = match (before.and_then(|b| b.gap_s), now.gap_s.filter(|_| now.proven)) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        let proven = now.proven || before.is_some_and(|b| b.proven);
        let authentication = now.authentication;
        Self { server: now.server.to_string(), kind: now.kind, gap_s, proven, since: now.since, authentication }
    }
}

/// The size of the fault that a verdict names, in seconds, without sign; 0 where it names none.
fn size_s(verdict: &Verdict) -> f64 {
    match verdict.state {
        State::LocalWrong => verdict.local.estimate_s.map_or(0.0, f64::abs),
        State::ServerWrong => verdict.blamed().map(ServerVerdict::error_s).fold(0.0, f64::max),
        _ => 0.0,
    }
}

/// Whether the kind is a shared problem, which is one finding although the affected servers change from poll to poll.
fn is_shared(kind: Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Congestion | Kind::Unreachable))
}

/// The last verdicts. When a verdict changes, the previous entry ends where the new one begins.
#[derive(Debug, Clone)]
pub struct History {
    entries: std::collections::VecDeque<Entry>,
    capacity: usize,
    /// See [`Entry::update`], for the newest entry.
    peak_s: f64,
    /// The last numbers of the newest entry, if it accuses nobody, and when they were found. What follows it begins before
    /// it is noticed, and the entry must not describe that.
    numbers: std::collections::VecDeque<Numbers>,
    /// The newest entry does not begin before this: too few servers answered until then.
    answered: Option<When>,
}

/// What an entry says at a moment.
#[derive(Debug, Clone)]
struct Numbers {
    at: When,
    local: EntryLocal,
    sentence: String,
}

/// This many numbers are remembered.
const NUMBERS: usize = 16;

impl History {
    /// Creates a history of at most `capacity` verdicts (at least one); beyond that the oldest is dropped.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: std::collections::VecDeque::new(),
            capacity: capacity.max(1),
            peak_s: 0.0,
            numbers: std::collections::VecDeque::new(),
            answered: None,
        }
    }

    /// Records the verdict of `now`. Call it whenever the verdict may have changed; an unchanged verdict updates the last
    /// entry.
    pub fn record(&mut self, verdict: &Verdict, now: When) {
        let Some(mut since) = verdict.since else { return };
        let mut newest = match self.entries.pop_back_if(|last| last.continues(verdict)) {
            Some(mut last) => {
                // Errors that come and go are dated by the bad replies that are still remembered.
                if verdict.blamed().any(|s| s.bad_share.is_some()) {
                    since = since.min(last.since);
                }
                last.update(verdict, &mut self.peak_s);
                last
            }
            None => {
                self.answered = self.entries.back().filter(|last| last.is_outage()).map(|_| now);
                self.peak_s = 0.0;
                self.recall(since);
                Entry::open(verdict, since, &mut self.peak_s)
            }
        };
        // A shared problem keeps the start of the first affected server.
        if !newest.blamed.iter().any(|b| is_shared(b.kind)) {
            newest.since = self.answered.map_or(since, |answered| since.max(answered));
        }
        if newest.accuses_nobody() {
            self.numbers.truncate(NUMBERS - 1);
            self.numbers.push_front(Numbers {
                at: now,
                local: newest.local.clone(),
                sentence: newest.sentence.clone(),
            });
        }
        self.append(newest);
    }

    /// Lets the newest entry say what it said before `since`, when the next one begins.
    fn recall(&mut self, since: When) {
        let before = self.numbers.drain(..).find(|numbers| numbers.at < since);
        if let Some((entry, numbers)) = self.entries.back_mut().zip(before)
            && entry.accuses_nobody()
        {
            (entry.local, entry.sentence) = (numbers.local, numbers.sentence);
        }
    }

    /// Appends an entry and ends the previous one where it begins. A refined onset can move this boundary in both
    /// directions, but not before the start of an earlier entry that is kept.
    fn append(&mut self, mut newest: Entry) {
        // Entries that the backdated onset contradicts are not part of the history.
        while self.entries.back().is_some_and(|last| last.is_superseded_by(&newest)) {
            self.entries.pop_back();
        }
        // If the entry between was dropped, the verdict before it continues.
        if let Some(same) = self.entries.pop_back_if(|last| last.is_like(&newest)) {
            newest.since = newest.since.min(same.since);
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
    use std::sync::Arc;

    use super::*;
    use crate::stats::verdict::Class;

    fn verdict(state: State, since: i64, blamed: &[(&str, f64)]) -> Verdict {
        let servers: Vec<_> = blamed
            .iter()
            .map(|(name, gap)| ServerVerdict {
                server: (*name).into(),
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
                bad_share: None,
                period_s: None,
                authentication: Some(Authentication::Nts),
                sentence: String::new(),
            })
            .collect();
        Verdict { state, since: Some(When(since)), servers: Arc::new(servers), ..Verdict::nothing_yet() }
    }

    #[test]
    fn new_verdict_ends_the_previous_one_at_its_onset() {
        let mut history = History::new(10);
        history.record(&verdict(State::Consistent, 0, &[]), When(0));
        history.record(&verdict(State::ServerWrong, 100, &[("a", 0.1)]), When(100));
        history.record(&verdict(State::ServerWrong, 90, &[("a", 0.3)]), When(90));
        history.record(&verdict(State::ServerWrong, 90, &[("a", 0.2)]), When(90));
        history.record(&verdict(State::Consistent, 500, &[]), When(500));
        let entries: Vec<_> = history.entries().collect();
        assert_eq!(entries.len(), 3);
        // The onset was refined from 100 to 90, and the boundary moved with it.
        assert_eq!((entries[0].since, entries[0].until), (When(0), Some(When(90))));
        assert_eq!((entries[1].since, entries[1].until), (When(90), Some(When(500))));
        assert_eq!(entries[1].blamed[0].gap_s, Some(0.3));
        assert_eq!(entries[2].until, None);
    }

    #[test]
    fn difference_of_two_servers_has_its_own_entry() {
        let mut history = History::new(10);
        for (since, differs) in [(0, false), (100, true), (500, false)] {
            history.record(&Verdict { differs, ..verdict(State::Undecidable, since, &[]) }, When(since));
        }
        let spans: Vec<_> = history.entries().map(|it| (it.since, it.until, it.differs)).collect();
        let until = |ns| Some(When(ns));
        assert_eq!(spans, [(When(0), until(100), false), (When(100), until(500), true), (When(500), None, false)]);
    }

    #[test]
    fn accusation_says_which_servers_are_authenticated() {
        let mut history = History::new(1);
        let mut wrong = verdict(State::ServerWrong, 0, &[("a", 0.1), ("b", 0.1), ("c", 0.1)]);
        Arc::make_mut(&mut wrong.servers)[1].authentication = Some(Authentication::None);
        wrong.sentence = "They are wrong.".to_owned();
        history.record(&wrong, When(0));
        let said = history.entries().next().unwrap().sentence_with_authentication();
        assert_eq!(said, "They are wrong. Authenticated by NTS: a, c. Plain NTP, which can be forged on the way: b.");
        wrong.state = State::Path;
        history.record(&wrong, When(0));
        assert_eq!(history.entries().next().unwrap().sentence_with_authentication(), "They are wrong.");
    }

    #[test]
    fn json_has_the_documented_keys() {
        let mut history = History::new(10);
        history.record(&verdict(State::ServerWrong, 0, &[("a", 0.1)]), When(0));
        let json = serde_json::to_value(history.entries().next().unwrap()).unwrap();
        for key in ["since", "until", "state", "local", "blamed", "assumption", "sentence"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["state"], "server_wrong");
        assert_eq!((&json["blamed"][0]["kind"], &json["blamed"][0]["authentication"]), (&"step".into(), &"nts".into()));
        assert_eq!(json["since"], "1970-01-01T00:00:00Z");
        assert!(json["local"].get("bound_s").is_some());
    }

    #[test]
    fn fault_that_is_being_corrected_keeps_its_numbers() {
        let mut history = History::new(10);
        for (size_s, sentence) in [(0.1, "100 ms"), (0.07, "70 ms"), (0.04, "40 ms"), (-0.001, "1 ms")] {
            let mut wrong = verdict(State::LocalWrong, 100, &[]);
            (wrong.local.estimate_s, wrong.sentence) = (Some(size_s), sentence.to_owned());
            history.record(&wrong, When(0));
        }
        let entry = history.entries().next().unwrap();
        assert_eq!((entry.local.estimate_s, entry.sentence.as_str()), (Some(0.07), "70 ms"));
    }

    #[test]
    fn entry_that_was_proven_keeps_the_sentence_of_its_proof() {
        let mut history = History::new(10);
        for (proven, sentence) in [(true, "wrong by at least 2 ms"), (true, "at least 3 ms"), (false, "not proven")] {
            let mut wrong = verdict(State::ServerWrong, 100, &[("a", 0.1)]);
            Arc::make_mut(&mut wrong.servers)[0].proven = proven;
            wrong.sentence = sentence.to_owned();
            history.record(&wrong, When(200));
        }
        let entry = history.entries().next().unwrap();
        assert_eq!((entry.blamed[0].proven, entry.sentence.as_str()), (true, "at least 3 ms"));
    }

    #[test]
    fn sentence_of_an_entry_states_its_largest_proven_error() {
        let mut history = History::new(10);
        for gap_s in [0.01, 0.0984, 0.0184] {
            let mut wrong = verdict(State::ServerWrong, 100, &[("a", gap_s)]);
            Arc::make_mut(&mut wrong.servers)[0].sentence =
                server_sentence(&wrong.servers[0], wrong.majority.as_ref(), Beside::default());
            wrong.sentence = wrong.servers[0].sentence.clone();
            history.record(&wrong, When(200));
        }
        let entry = history.entries().next().unwrap();
        assert_eq!(entry.blamed[0].gap_s, Some(0.0984));
        assert!(entry.sentence.contains("at least 98.4 ms"), "{}", entry.sentence);
    }

    #[test]
    fn entry_of_an_error_that_comes_and_goes_keeps_its_onset() {
        let mut history = History::new(10);
        history.record(&verdict(State::Consistent, 0, &[]), When(0));
        for since in [100, 500, 90] {
            let mut wrong = verdict(State::ServerWrong, since, &[("a", 0.1)]);
            Arc::make_mut(&mut wrong.servers)[0].bad_share = Some(0.2);
            history.record(&wrong, When(600));
            assert_eq!(history.entries().last().unwrap().since, When(since.min(100)));
        }
    }

    #[test]
    fn entry_does_not_describe_what_follows_it() {
        let mut history = History::new(10);
        for (now, sentence) in [(100, "within 20 ms"), (110, "within 21 ms"), (120, "within 1 s")] {
            let verdict = Verdict { sentence: sentence.to_owned(), ..verdict(State::Consistent, 0, &[]) };
            history.record(&verdict, When(now));
        }
        history.record(&verdict(State::LocalWrong, 115, &[]), When(130));
        assert_eq!(history.entries().next().unwrap().sentence, "within 21 ms");
    }

    #[test]
    fn oldest_verdict_is_dropped_when_full() {
        let mut history = History::new(2);
        for k in 0..5 {
            let state = if k % 2 == 0 { State::Consistent } else { State::Undecidable };
            history.record(&verdict(state, k, &[]), When(k));
        }
        assert_eq!(history.entries().len(), 2);
    }
}
