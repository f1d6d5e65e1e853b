//! Everything that is computed from samples, in one place: windows of each series, and the verdict over all. Fed by the
//! stats actor live and by `replay` from files, it is the same code for both.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::attribution::Attribution;
use super::events::Event;
use super::intake::TimeAxis;
use super::local::LocalState;
use super::snapshot::{SeriesSnapshot, Snapshot};
use super::verdict::{History, Verdict};
use super::window::{ServerWindows, Window};
use crate::clock::Stamp;
use crate::sample::{Sample, SeriesKey};

/// Verdicts that are remembered.
const HISTORY: usize = 256;

/// The analysis of all samples.
#[derive(Debug)]
pub struct Analysis {
    series: BTreeMap<SeriesKey, Series>,
    attribution: Attribution,
    history: History,
    local: LocalState,
    longest: Window,
    axis: TimeAxis,
}

#[derive(Debug)]
struct Series {
    windows: ServerWindows,
    /// What was last made of it; made anew when a poll has ended since.
    snapshot: Option<Arc<SeriesSnapshot>>,
    last: Arc<Sample>,
    last_measured: Option<Arc<Sample>>,
    recent_s: VecDeque<f32>,
    polls: u64,
    consecutive_failures: u64,
}

impl Analysis {
    /// An analysis that knows nothing yet, with windows up to `longest` over samples in the order of `axis`.
    #[must_use]
    pub fn new(longest: Window, axis: TimeAxis) -> Self {
        Self {
            series: BTreeMap::new(),
            attribution: Attribution::new(),
            history: History::new(HISTORY),
            local: LocalState::default(),
            longest,
            axis,
        }
    }

    /// The same, remembering this many verdicts.
    #[must_use]
    pub fn remembering(mut self, verdicts: usize) -> Self {
        self.history = History::new(verdicts);
        self
    }

    /// Takes one poll. What is out of order or double counts nowhere.
    pub fn observe(&mut self, sample: &Arc<Sample>) {
        let (longest, axis) = (self.longest, self.axis);
        let series = self.series.entry(sample.key()).or_insert_with(|| Series {
            windows: ServerWindows::up_to(longest, axis),
            snapshot: None,
            last: Arc::clone(sample),
            last_measured: None,
            recent_s: VecDeque::with_capacity(SeriesSnapshot::RECENT),
            polls: 0,
            consecutive_failures: 0,
        });
        if series.windows.observe(sample).is_ok() {
            series.take(sample);
        }
        if self.attribution.observe(sample) == Ok(true) {
            self.history.record(self.attribution.verdict());
        }
    }

    /// Takes what the kernel and a time daemon say of the own clock.
    pub fn observe_local(&mut self, local: LocalState) {
        self.local = local.clone();
        self.attribution.observe_local(local);
    }

    /// A series is no longer polled.
    pub fn forget(&mut self, key: &SeriesKey) {
        self.series.remove(key);
        let names: Vec<&str> = self.series.keys().map(|key| &*key.server).collect();
        if !names.contains(&&*key.server) {
            self.attribution.servers_changed(&names);
        }
    }

    /// Events that began or ended since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.attribution.take_events()
    }

    /// The verdict as it stands.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        self.attribution.verdict()
    }

    /// The verdicts so far.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The windows of one series.
    #[must_use]
    pub fn windows(&self, key: &SeriesKey) -> Option<&ServerWindows> {
        self.series.get(key).map(|series| &series.windows)
    }

    /// An immutable picture of all, as of `now`. Only what has changed is worked out again.
    pub fn snapshot(&mut self, now: Stamp) -> Snapshot {
        let series = self.series.iter_mut().map(|(key, series)| (key.clone(), series.picture(now))).collect();
        Snapshot { at: now, series, verdict: Arc::new(self.attribution.verdict().clone()), local: self.local.clone() }
    }
}

impl Series {
    fn take(&mut self, sample: &Arc<Sample>) {
        self.polls += 1;
        self.consecutive_failures = if sample.outcome.is_success() { 0 } else { self.consecutive_failures + 1 };
        self.last = Arc::clone(sample);
        if sample.measure.is_some() {
            self.last_measured = Some(Arc::clone(sample));
        }
        if self.recent_s.len() == SeriesSnapshot::RECENT {
            self.recent_s.pop_front();
        }
        self.recent_s.push_back(sample.offset_s().map_or(f32::NAN, |offset_s| offset_s as f32));
        self.snapshot = None;
    }

    fn picture(&mut self, now: Stamp) -> Arc<SeriesSnapshot> {
        let Self { windows, last, last_measured, recent_s, polls, consecutive_failures, .. } = self;
        let made = self.snapshot.get_or_insert_with(|| {
            let state = windows.state();
            Arc::new(SeriesSnapshot {
                last: Arc::clone(last),
                last_measured: last_measured.clone(),
                recent_s: recent_s.iter().copied().collect(),
                polls: *polls,
                consecutive_failures: *consecutive_failures,
                hour: windows.summary(Window::Hour, now),
                totals: state.totals.clone(),
            })
        });
        Arc::clone(made)
    }
}
