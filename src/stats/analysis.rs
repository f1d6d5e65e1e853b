//! Everything that is computed from samples, in one place: windows of each series, and the verdict over all. Fed by the
//! stats actor live and by `replay` from files, it is the same code for both.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::attribution::Attribution;
use super::events::Event;
use super::intake::TimeAxis;
use super::leap::{LeapKeeper, LeapSource};
use super::local::LocalState;
use super::snapshot::{SeriesSnapshot, Snapshot};
use super::verdict::{History, Verdict, When};
use super::window::{ServerWindows, Window};
use crate::clock::Stamp;
use crate::sample::{Sample, SeriesKey};

/// What an earlier process measured, by series and in the order of time, its stamps already on the axis of this one.
pub type Recalled = BTreeMap<SeriesKey, Vec<Sample>>;

/// Verdicts that are remembered.
const HISTORY: usize = 256;

/// The analysis of all samples.
#[derive(Debug)]
pub struct Analysis {
    series: BTreeMap<SeriesKey, Series>,
    attribution: Attribution,
    history: History,
    local: LocalState,
    leap: LeapKeeper,
    events: Vec<Event>,
    /// Of series that have not been polled yet.
    recalled: Recalled,
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
            leap: LeapKeeper::default(),
            events: Vec::new(),
            recalled: Recalled::new(),
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

    /// The same, with windows that go on from what an earlier process measured, each from the first poll of its series
    /// on: what is no longer polled does not come back. The verdict begins anew.
    #[must_use]
    pub fn recalling(mut self, recalled: Recalled) -> Self {
        self.recalled = recalled;
        self
    }

    /// Takes one poll. What is out of order or double counts nowhere.
    pub fn observe(&mut self, sample: &Arc<Sample>) {
        let (longest, axis, recalled) = (self.longest, self.axis, &mut self.recalled);
        let series = self.series.entry(sample.key()).or_insert_with_key(|key| {
            Series::new(sample, ServerWindows::up_to(longest, axis), &recalled.remove(key).unwrap_or_default())
        });
        if series.windows.observe(sample).is_ok() {
            series.take(sample);
        }
        if self.attribution.observe(sample) == Ok(true) {
            self.history.record(self.attribution.verdict());
            let (now, at_s) = (When(sample.at.wall_ns), self.axis.ns(sample.at) as f64 / 1e9);
            self.leap.look(&self.attribution.announcements(), now, at_s, &mut self.events);
        }
    }

    /// Takes what the kernel and a time daemon say of the own clock.
    pub fn observe_local(&mut self, local: LocalState) {
        self.local = local.clone();
        self.attribution.observe_local(local);
    }

    /// From now on announcements are held against this list of leap seconds.
    pub fn use_leap_list(&mut self, source: LeapSource) {
        self.leap.use_list(source);
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
        let mut events = self.attribution.take_events();
        events.append(&mut self.events);
        events
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
        let verdict = Arc::new(self.attribution.verdict().clone());
        Snapshot { at: now, series, verdict, local: self.local.clone(), leap: Arc::clone(self.leap.truth()) }
    }
}

impl Series {
    fn new(first: &Arc<Sample>, mut windows: ServerWindows, recalled: &[Sample]) -> Self {
        let mut recent_s = VecDeque::with_capacity(SeriesSnapshot::RECENT);
        for sample in recalled {
            // What does not count now did not count then.
            if windows.observe(sample).is_ok() {
                note(&mut recent_s, sample);
            }
        }
        windows.begin_totals();
        Self {
            windows,
            snapshot: None,
            last: Arc::clone(first),
            last_measured: None,
            recent_s,
            polls: 0,
            consecutive_failures: 0,
        }
    }

    fn take(&mut self, sample: &Arc<Sample>) {
        self.polls += 1;
        self.consecutive_failures = if sample.outcome.is_success() { 0 } else { self.consecutive_failures + 1 };
        self.last = Arc::clone(sample);
        if sample.measure.is_some() {
            self.last_measured = Some(Arc::clone(sample));
        }
        note(&mut self.recent_s, sample);
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

/// Appends an offset to the last few.
fn note(recent_s: &mut VecDeque<f32>, sample: &Sample) {
    if recent_s.len() == SeriesSnapshot::RECENT {
        recent_s.pop_front();
    }
    recent_s.push_back(sample.offset_s().map_or(f32::NAN, |offset_s| offset_s as f32));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{sample, stamp};
    use super::*;

    #[test]
    fn windows_go_on_from_what_an_earlier_process_measured_and_counters_begin_anew() {
        let earlier: Vec<_> = (0..20).map(|k| sample(f64::from(k) * 64.0, 0.001, 0.01)).collect();
        let gone = SeriesKey { server: "gone".into(), address: None };
        let recalled = Recalled::from([(earlier[0].key(), earlier.clone()), (gone, earlier)]);
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic).recalling(recalled);
        analysis.observe(&Arc::new(sample(1300.0, 0.001, 0.01)));
        let snapshot = analysis.snapshot(stamp(1300.0));
        assert_eq!(snapshot.series.len(), 1, "what is no longer polled does not come back");
        let series = snapshot.series.values().next().unwrap();
        assert_eq!((series.hour.n, series.recent_s.len(), series.polls), (21, 21, 1));
        assert_eq!(series.totals[0].delay.count(), 1);
    }
}
