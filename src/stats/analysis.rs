//! Everything that is computed from samples, in one place: windows of each series, and the verdict over all. Fed by the
//! stats actor live and by `replay` from files, it is the same code for both.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::attribution::Attribution;
use super::events::Event;
use super::intake::TimeAxis;
use super::local::LocalState;
use super::snapshot::{SeriesSnapshot, Snapshot};
use super::summary::WindowSummary;
use super::verdict::{History, Verdict};
use super::window::{ServerWindows, Window};
use crate::clock::Stamp;
use crate::sample::{Sample, SeriesKey};

/// Verdicts that are remembered.
const HISTORY: usize = 256;
/// An hour of fewer polls than this is summed up for each picture.
const FEW_POLLS: u64 = 16;
/// An hour of more is not summed up again within this time …
const SOON: Duration = Duration::from_secs(5);
/// … nor before so large a part of its polls is new …
const NEW_PART: u64 = 32;
/// … unless so much time has passed.
const LATE: Duration = Duration::from_secs(60);

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
    /// When the hour of the snapshot was summed up, and how many polls had ended by then.
    summed: (Stamp, u64),
    last: Arc<Sample>,
    last_measured: Option<Arc<Sample>>,
    recent_s: VecDeque<f32>,
    polls: u64,
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
            summed: (sample.at, 0),
            last: Arc::clone(sample),
            last_measured: None,
            recent_s: VecDeque::with_capacity(SeriesSnapshot::RECENT),
            polls: 0,
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
        self.last = Arc::clone(sample);
        if sample.measure.is_some() {
            self.last_measured = Some(Arc::clone(sample));
        }
        if self.recent_s.len() == SeriesSnapshot::RECENT {
            self.recent_s.pop_front();
        }
        self.recent_s.push_back(sample.offset_s().map_or(f32::NAN, |offset_s| offset_s as f32));
    }

    fn picture(&mut self, now: Stamp) -> Arc<SeriesSnapshot> {
        if let Some(made) = self.snapshot.as_ref().filter(|made| made.polls == self.polls) {
            return Arc::clone(made);
        }
        let hour = self.hour(now);
        let made = Arc::new(SeriesSnapshot {
            last: Arc::clone(&self.last),
            last_measured: self.last_measured.clone(),
            recent_s: self.recent_s.iter().copied().collect(),
            polls: self.polls,
            hour,
            totals: self.windows.state().totals.clone(),
        });
        self.snapshot = Some(Arc::clone(&made));
        made
    }

    /// The last hour. To sum it up costs more than all else that is done with a poll, so a long one waits for more polls.
    fn hour(&mut self, now: Stamp) -> WindowSummary {
        let (at, polls) = self.summed;
        let (age, new_polls) = (now.since(at), self.polls - polls);
        let is_good_enough = |hour: &WindowSummary| {
            hour.polls >= FEW_POLLS && (age < SOON || (new_polls <= hour.polls / NEW_PART && age < LATE))
        };
        match self.snapshot.as_ref().map(|made| &made.hour).filter(|hour| is_good_enough(hour)) {
            Some(hour) => self.windows.brought_up_to_date(hour, now),
            None => {
                self.summed = (now, self.polls);
                self.windows.summary(Window::Hour, now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lost, sample};
    use super::*;

    #[test]
    fn a_long_hour_is_summed_up_now_and_then_and_what_each_poll_changes_always() {
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        let mut polls_summed = |at_s: f64, poll: Sample| {
            analysis.observe(&Arc::new(poll));
            let snapshot = analysis.snapshot(super::super::testing::stamp(at_s));
            let series = snapshot.series.values().next().unwrap();
            (series.hour.polls, series.polls, series.hour.reach.bits() & 1)
        };
        for n in 1..=16_u64 {
            assert_eq!(polls_summed(n as f64, sample(n as f64, 0.0, 0.01)), (n, n, 1));
        }
        assert_eq!(polls_summed(17.0, lost(17.0)), (16, 17, 0), "five seconds are not over");
        assert_eq!(polls_summed(22.0, sample(22.0, 0.0, 0.01)), (18, 18, 1));
        let lag = |(summed, polls, _)| polls - summed;
        let lags: Vec<u64> =
            (19..=64).map(|n| lag(polls_summed(n as f64 * 10.0, sample(n as f64 * 10.0, 0.0, 0.01)))).collect();
        assert_eq!(
            (lags[..13].iter().max(), lags.iter().max()),
            (Some(&0), Some(&1)),
            "one poll of 32 is a small part"
        );
        assert_eq!(polls_summed(720.0, sample(720.0, 0.0, 0.01)), (65, 65, 1), "a minute is over");
    }
}
