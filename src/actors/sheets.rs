//! The protocol sheets of all servers. They are shared by the probers, which ask the questions, the statistician, which
//! receives every poll, and the web server, and outlive the actors.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::interleaved::Support;
use ntp_monitor_core::sample::{Sample, SeriesKey};
use ntp_monitor_core::sheet::{Book, Change, Kept, Question, Reaction, Sheet, Trait, Value};
use ntp_monitor_core::stats::events::{Event, sheet_changed};

/// Largest number of events that wait for the statistician; while it is down, further ones are dropped.
const WAITING: usize = 4096;

/// Keeps sheets for the next process. Must not block.
pub type SheetSink = Arc<dyn Fn(Vec<(SeriesKey, Kept)>) + Send + Sync>;

/// The sheets of all servers that are polled from here. Cheap to clone; clones share the sheets.
#[derive(Clone, Default)]
pub struct Sheets(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    book: Book,
    /// Changes that the statistician has not recorded yet.
    events: Vec<(Event, Stamp)>,
}

impl State {
    fn report(&mut self, key: &SeriesKey, at: Stamp, changes: &[Change]) {
        if !changes.is_empty() && self.events.len() < WAITING {
            self.events.push((sheet_changed(key, at, changes), at));
        }
    }
}

/// Changes of the sheets: events with the time they were noticed, and the state to store.
pub struct News {
    pub events: Vec<(Event, Stamp)>,
    pub kept: Vec<(SeriesKey, Kept)>,
}

impl Sheets {
    /// Sheets that continue from what an earlier process has kept.
    #[must_use]
    pub fn continuing(kept: Vec<(SeriesKey, Kept)>, now: Stamp) -> Self {
        let state = State { book: Book::continuing(kept, now), events: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // If an observation is lost, the sheet is still valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates the sheets from polls, in order.
    pub fn observe(&self, polls: &[Arc<Sample>]) {
        let mut state = self.state();
        for sample in polls {
            let changes = state.book.observe(sample);
            if !changes.is_empty() {
                state.report(&sample.key(), sample.at, &changes);
            }
        }
    }

    /// The question to ask this server now, if there is one.
    #[must_use]
    pub fn due(&self, key: &SeriesKey, now: Stamp) -> Option<Question> {
        self.state().book.due(key, now)
    }

    /// Records that a question is being asked, before it leaves.
    pub fn asked(&self, key: &SeriesKey, question: Question, now: Stamp) {
        self.state().book.asked(key, question, now);
    }

    /// Records the answer to a question.
    pub fn answered(&self, key: &SeriesKey, question: Question, reaction: Reaction, now: Stamp, poll_s: f64) {
        let mut state = self.state();
        let changes = state.book.answered(key, question, reaction, now, poll_s);
        state.report(key, now, &changes);
    }

    /// Records whether a server offers interleaved mode, as far as its session knows.
    pub fn interleaved(&self, key: &SeriesKey, support: Support, now: Stamp) {
        let is_offered = match support {
            Support::Unknown => return,
            Support::Offered => true,
            Support::NotOffered => false,
        };
        let mut state = self.state();
        let changes = state.book.learned(key, Trait::Interleaved, Value::Is(is_offered));
        state.report(key, now, &changes);
    }

    /// Forgets series that are no longer polled. Probers do not wait until all are forgotten.
    pub fn forget(&self, keys: &[SeriesKey], now: Stamp) {
        keys.iter().for_each(|key| self.state().book.forget(key, now));
    }

    /// The sheet of a series.
    #[must_use]
    pub fn sheet(&self, key: &SeriesKey) -> Option<Sheet> {
        self.state().book.sheet(key)
    }

    /// The changes since the last call.
    #[must_use]
    pub fn take(&self) -> News {
        let mut state = self.state();
        News { events: std::mem::take(&mut state.events), kept: state.book.take_changed() }
    }
}
