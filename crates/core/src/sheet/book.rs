//! The sheets of all servers that are polled from here.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Agenda, Change, Question, Reaction, Seen, Sheet, Trait, Value, Watch};
use crate::clock::Stamp;
use crate::sample::{Sample, SeriesKey};

/// The sheets of all servers that are polled from here, and when each was asked.
#[derive(Debug, Default)]
pub struct Book {
    /// Boxed, because entries are large and the table is up to half empty.
    entries: HashMap<SeriesKey, Box<Entry>>,
    changed: Vec<SeriesKey>,
}

#[derive(Debug, Default)]
struct Entry {
    watch: Watch,
    /// On the monotonic clock.
    agenda: Agenda,
    /// On the wall clock, for the next process.
    asked_ns: [Option<i64>; Question::ALL.len()],
    /// Whether it is in the list of changed entries.
    is_listed: bool,
    is_polled: bool,
}

/// The state that is kept for the next process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The sheet.
    pub sheet: Sheet,
    /// When each question was last asked, on the wall clock in nanoseconds.
    pub asked_ns: BTreeMap<Question, i64>,
}

impl Kept {
    /// When the last question was asked, on the wall clock in nanoseconds.
    #[must_use]
    pub fn last_asked_ns(&self) -> Option<i64> {
        self.asked_ns.values().max().copied()
    }
}

impl Book {
    /// Continues from the state that an earlier process kept. If the wall clock was set back since, the age of a
    /// question is unknown, and its day begins now.
    #[must_use]
    pub fn continuing(kept: impl IntoIterator<Item = (SeriesKey, Kept)>, now: Stamp) -> Self {
        let entry = |(key, kept): (SeriesKey, Kept)| {
            let asked_ns = Question::ALL.map(|question| kept.asked_ns.get(&question).copied());
            let age_ns = |wall_ns: i64| now.wall_ns.saturating_sub(wall_ns).max(0);
            let agenda = Agenda::with(asked_ns.map(|asked| Some(now.mono_ns.saturating_sub(age_ns(asked?)))));
            let watch = Watch::continuing(&kept.sheet);
            (key, Box::new(Entry { watch, agenda, asked_ns, ..Entry::default() }))
        };
        Self { entries: kept.into_iter().map(entry).collect(), changed: Vec::new() }
    }

    /// Adds a poll. Returns the changes, usually none.
    pub fn observe(&mut self, sample: &Sample) -> Vec<Change> {
        // Other vantages keep sheets of their own; a poll without an address has none.
        if sample.address.is_none() || !sample.server.vantage.is_empty() {
            return Vec::new();
        }
        self.change(sample.key(), |entry| {
            entry.is_polled = true;
            entry.watch.observe(&Seen::from(sample))
        })
    }

    /// The question to ask this server now, if there is one.
    #[must_use]
    pub fn due(&self, key: &SeriesKey, now: Stamp) -> Option<Question> {
        self.entries.get(key).filter(|entry| entry.is_polled)?.agenda.due(now.mono_ns)
    }

    /// Records that a question is being asked, before it is sent.
    pub fn asked(&mut self, key: &SeriesKey, question: Question, now: Stamp) {
        self.change(key.clone(), |entry| {
            entry.agenda.asked(question, now.mono_ns);
            entry.asked_ns[question as usize] = Some(now.wall_ns);
            entry.watch.touch();
        });
    }

    /// Adds the answer to a question. Returns the changes.
    pub fn answered(
        &mut self,
        key: &SeriesKey,
        question: Question,
        reaction: Reaction,
        at: Stamp,
        poll_s: f64,
    ) -> Vec<Change> {
        self.change(key.clone(), |entry| entry.watch.answered(question, reaction, at, poll_s))
    }

    /// Adds a value of a trait from elsewhere. Returns the changes.
    pub fn learned(&mut self, key: &SeriesKey, of: Trait, value: Value) -> Vec<Change> {
        self.change(key.clone(), |entry| entry.watch.learned(of, value))
    }

    fn change<T>(&mut self, key: SeriesKey, change: impl FnOnce(&mut Entry) -> T) -> T {
        let entry = self.entries.entry(key.clone()).or_default();
        let result = change(entry);
        if entry.watch.take_changed() && !std::mem::replace(&mut entry.is_listed, true) {
            self.changed.push(key);
        }
        result
    }

    /// The sheet of one series.
    #[must_use]
    pub fn sheet(&self, key: &SeriesKey) -> Option<Sheet> {
        self.entries.get(key).map(|entry| entry.watch.sheet())
    }

    /// The state to store of the series that changed since the last call.
    pub fn take_changed(&mut self) -> Vec<(SeriesKey, Kept)> {
        let Self { entries, changed } = self;
        let kept = changed.drain(..).filter_map(|key| {
            let entry = entries.get_mut(&key)?;
            entry.is_listed = false;
            let asked = Question::ALL.into_iter().filter_map(|it| Some((it, entry.asked_ns[it as usize]?)));
            Some((key, Kept { sheet: entry.watch.sheet(), asked_ns: asked.collect() }))
        });
        kept.collect()
    }

    /// Removes a series that is no longer polled. The time of its last question is kept for a day, so that a server
    /// that is added again is not asked twice a day.
    pub fn forget(&mut self, key: &SeriesKey, now: Stamp) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.is_polled = false;
        if !entry.agenda.is_resting(now.mono_ns) {
            self.entries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ntp::KissCode;
    use crate::sample::Outcome;
    use crate::sheet::BETWEEN_QUESTIONS_NS as DAY_NS;

    fn at(ns: i64) -> Stamp {
        Stamp::new(1_800_000_000_000_000_000 + ns, 5 + ns, 0)
    }

    fn kissed(ns: i64) -> Sample {
        let server = crate::sample::ServerIdent::named("a");
        let address = "192.0.2.1:123".parse().ok();
        Sample { address, ..Sample::unasked(at(ns), server, Outcome::Kiss(KissCode::RATE), 64.0) }
    }

    #[test]
    fn restart_continues_the_sheet_and_the_day_of_the_last_question() {
        let (mut book, key) = (Book::default(), kissed(0).key());
        assert_eq!(book.due(&key, at(0)), None, "it was never polled");
        book.observe(&kissed(0));
        assert_eq!(book.due(&key, at(0)), Some(Question::Version3));
        book.asked(&key, Question::Version3, at(0));
        book.answered(&key, Question::Version3, Reaction::Version(3), at(0), 64.0);
        let kept = book.take_changed();
        assert_eq!((kept.len(), book.take_changed().len()), (1, 0));
        assert_eq!(kept[0].1.last_asked_ns(), Some(at(0).wall_ns));

        let now = Stamp { mono_ns: 7, ..at(DAY_NS / 2) };
        let mut next = Book::continuing(kept, now);
        assert_eq!(next.sheet(&key), book.sheet(&key));
        assert_eq!(next.observe(&kissed(DAY_NS / 2)), [], "nothing is new");
        assert_eq!(next.due(&key, now), None);
        let tomorrow = Stamp { mono_ns: now.mono_ns + DAY_NS / 2, ..at(DAY_NS) };
        assert_eq!(next.due(&key, tomorrow), Some(Question::Version5));
    }

    #[test]
    fn server_that_comes_back_is_not_asked_twice_a_day() {
        let (mut book, key) = (Book::default(), kissed(0).key());
        book.observe(&kissed(0));
        book.asked(&key, Question::Version3, at(0));
        book.take_changed();
        book.forget(&key, at(1));
        assert_eq!(book.due(&key, at(1)), None);
        book.observe(&kissed(2));
        assert_eq!(book.due(&key, at(2)), None);
        book.forget(&key, at(DAY_NS));
        book.take_changed();
        book.forget(&key, at(DAY_NS));
        assert_eq!(book.sheet(&key), None);
    }

    #[test]
    fn polls_of_other_vantages_have_no_sheet_here() {
        let mut book = Book::default();
        let there = Sample { server: crate::sample::ServerIdent::seen_from("ams", "a"), ..kissed(0) };
        book.observe(&there);
        assert_eq!(book.sheet(&there.key()), None);
    }
}
