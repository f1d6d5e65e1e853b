//! Computes everything that is derived from samples: the windows of each series, and the verdict over all of them. The
//! stats actor runs this code on live samples, and `replay` runs it on recorded ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::events::{Event, Moment};
use super::intake::TimeAxis;
use super::judgement::Judgement;
use super::leap::LeapSource;
use super::local::LocalState;
use super::reach::Reach;
use super::snapshot::{SeriesSnapshot, Snapshot};
use super::summary::WindowSummary;
use super::verdict::{History, ServerVerdict, Verdict, When};
use super::window::{ServerWindows, Window};
use crate::clock::Stamp;
use crate::sample::{Outcome, Sample, SeriesKey};

/// The samples of an earlier process, by series and in order of time. Their stamps are converted to the time axis of
/// this process.
pub type Recalled = BTreeMap<SeriesKey, Vec<Sample>>;

/// The most polls that wait until the verdict's state is restored; further ones are not judged.
const WAITING: usize = 200_000;
/// If the last hour has fewer polls than this, it is summarised again for each snapshot.
const FEW_POLLS: u64 = 16;
/// Otherwise it is not summarised again within this time,
const SOON: Duration = Duration::from_secs(5);
/// nor before one in this many of its polls is new,
const NEW_PART: u64 = 32;
/// unless this much time has passed.
const LATE: Duration = Duration::from_secs(60);

/// The analysis of all samples.
#[derive(Debug)]
pub struct Analysis {
    /// Boxed, because a series is large and the nodes of a tree are half empty. Snapshots share the keys.
    series: BTreeMap<Arc<SeriesKey>, Box<Series>>,
    judgement: Judgement,
    /// The polls since the start, while the verdict's state is being restored.
    waiting: Option<Waiting>,
    local: LocalState,
    /// The ongoing events as of the last snapshot.
    ongoing: Arc<[Event]>,
    /// Recorded samples of series that have not been polled yet.
    recalled: Recalled,
    /// Consecutive failures and reach of replaced series, by the successor, until that is polled.
    inherited: BTreeMap<SeriesKey, (u64, Reach)>,
    longest: Window,
    axis: TimeAxis,
}

/// What is kept until the verdict's state is restored.
#[derive(Debug)]
struct Waiting {
    polls: Vec<Arc<Sample>>,
    forgotten: Vec<SeriesKey>,
    noted: Vec<(Event, Stamp)>,
    verdict: Verdict,
}

#[derive(Debug)]
struct Series {
    windows: ServerWindows,
    /// The cached result; recomputed after each poll.
    snapshot: Option<Arc<SeriesSnapshot>>,
    /// When the last hour was summarised, and the number of polls at that time.
    summed: (Stamp, u64),
    last: Arc<Sample>,
    last_measured: Option<Arc<Sample>>,
    polls: u64,
    consecutive_failures: u64,
}

impl Analysis {
    /// Creates an empty analysis with windows up to `longest`; `axis` defines the order of samples.
    #[must_use]
    pub fn new(longest: Window, axis: TimeAxis) -> Self {
        Self {
            series: BTreeMap::new(),
            judgement: Judgement::default(),
            waiting: None,
            local: LocalState::default(),
            ongoing: Arc::default(),
            recalled: Recalled::new(),
            inherited: BTreeMap::new(),
            longest,
            axis,
        }
    }

    /// Sets the number of verdicts to keep.
    #[must_use]
    pub fn remembering(mut self, verdicts: usize) -> Self {
        self.judgement = self.judgement.remembering(verdicts);
        self
    }

    /// The same, with a verdict that says that it is being restored, until [`Analysis::restored`] is called.
    #[must_use]
    pub fn restoring(mut self) -> Self {
        self.waiting = Some(Waiting {
            polls: Vec::new(),
            forgotten: Vec::new(),
            noted: Vec::new(),
            verdict: Verdict::restoring(),
        });
        self
    }

    /// Continues the verdict from the state of an earlier process.
    pub fn restored(&mut self, judgement: Judgement) {
        let Some(waiting) = self.waiting.take() else { return };
        let list = self.judgement.leap.source().clone();
        self.judgement = judgement;
        // The store ended the open events when it started, so they are reported again.
        self.judgement.recorder.repeat();
        self.judgement.leap.use_list(list);
        for sample in &waiting.polls {
            self.judge(sample);
        }
        for (event, at) in waiting.noted {
            self.note(event, at);
        }
        self.forget_verdicts(&waiting.forgotten);
    }

    /// Records an event that was found elsewhere, within the limit of events of its server.
    pub fn note(&mut self, event: Event, at: Stamp) {
        match &mut self.waiting {
            Some(waiting) if waiting.noted.len() < WAITING => waiting.noted.push((event, at)),
            Some(_) => {}
            None => self.judgement.recorder.record(event, self.moment(at)),
        }
    }

    fn moment(&self, at: Stamp) -> Moment {
        Moment { at_s: self.axis.ns(at) as f64 / 1e9, when: When(at.wall_ns) }
    }

    /// The state of the verdict; see [`Judgement::save`]. `None` while it is being restored.
    #[must_use]
    pub fn save(&self) -> Option<Vec<u8>> {
        self.save_to(Vec::new())
    }

    /// The same, appended to `to`; see [`Judgement::save_to`].
    #[must_use]
    pub fn save_to<W: Extend<u8>>(&self, to: W) -> Option<W> {
        if self.waiting.is_some() { None } else { self.judgement.save_to(to) }
    }

    /// The same, with windows that continue those of an earlier process. The samples of a series are used at its first
    /// poll, so series that are no longer polled do not return.
    #[must_use]
    pub fn recalling(mut self, recalled: Recalled) -> Self {
        self.recalled = recalled;
        self
    }

    /// Processes one poll. Duplicates and polls out of order are ignored.
    pub fn observe(&mut self, sample: &Arc<Sample>) {
        let key = sample.key();
        if !self.series.contains_key(&key) {
            let series = self.new_series(&key, sample);
            self.series.insert(Arc::new(key.clone()), Box::new(series));
        }
        let Some(series) = self.series.get_mut(&key) else { return };
        let is_used = series.windows.observe(sample).is_ok();
        if is_used {
            series.take(sample);
        }
        match &mut self.waiting {
            Some(waiting) if waiting.polls.len() < WAITING => waiting.polls.push(Arc::clone(sample)),
            Some(_) => {}
            None => self.judge(sample),
        }
    }

    fn new_series(&mut self, key: &SeriesKey, first: &Arc<Sample>) -> Series {
        let windows = ServerWindows::up_to(self.longest, self.axis);
        let mut series = Series::new(first, windows, &self.recalled.remove(key).unwrap_or_default());
        if let Some((failures, reach)) = self.inherited.remove(key) {
            series.consecutive_failures = failures;
            series.windows.continue_reach(reach);
        }
        series
    }

    fn judge(&mut self, sample: &Sample) {
        self.judgement.observe(sample, self.moment(sample.at));
    }

    /// Updates the state of this host's clock as reported by the kernel and a time daemon.
    pub fn observe_local(&mut self, local: LocalState) {
        self.local = local;
    }

    /// Sets the list of leap seconds with which announcements are compared.
    pub fn use_leap_list(&mut self, source: LeapSource) {
        self.judgement.leap.use_list(source);
    }

    /// Removes series that are no longer polled. O(n) in the number of series that stay, however many are removed.
    pub fn forget(&mut self, keys: &[SeriesKey]) {
        keys.iter().for_each(|key| drop(self.series.remove(key)));
        match &mut self.waiting {
            Some(waiting) => waiting.forgotten.extend_from_slice(keys),
            None => self.forget_verdicts(keys),
        }
    }

    fn forget_verdicts(&mut self, keys: &[SeriesKey]) {
        let (others, last): (Vec<_>, Vec<_>) = keys.iter().partition(|key| self.has_series_of(&key.server));
        for key in others {
            if let Some(address) = key.address {
                self.judgement.recorder.forget(&key.server, Some(&address.to_string()));
            }
        }
        let gone: HashSet<_> = last.into_iter().map(|key| Arc::clone(&key.server)).collect();
        if !gone.is_empty() {
            self.judgement.forget(&gone);
        }
    }

    fn has_series_of(&self, server: &Arc<str>) -> bool {
        // The series of a server are next to each other in the map.
        let first = SeriesKey { server: Arc::clone(server), vantage: "".into(), address: None };
        self.series.range(first..).next().is_some_and(|(key, _)| key.server == *server)
    }

    /// Replaces series of one server by `successor`, which continues the count of consecutive failures.
    pub fn replace(&mut self, keys: &[SeriesKey], successor: &SeriesKey) {
        for old in keys.iter().filter_map(|key| self.series.get(key)) {
            let left = (old.consecutive_failures, old.windows.state().reach);
            self.inherited.insert(successor.clone(), left);
        }
        self.forget(keys);
    }

    /// Events that began, changed or ended since the last call, as far as the limit of events allows.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.judgement.recorder.take()
    }

    /// The current verdict.
    #[must_use]
    pub fn verdict(&self) -> Cow<'_, Verdict> {
        let verdict =
            self.waiting.as_ref().map_or_else(|| &**self.judgement.attribution.verdict(), |waiting| &waiting.verdict);
        verdict.published(|it| last_outcome(&self.series, it))
    }

    /// The verdict for a snapshot, shared if it needs no change.
    fn shared_verdict(&self) -> Arc<Verdict> {
        match (self.verdict(), self.local.distrust()) {
            (verdict, Some(why)) => Arc::new(verdict.into_owned().distrusting(why)),
            (Cow::Borrowed(_), None) if self.waiting.is_none() => Arc::clone(self.judgement.attribution.verdict()),
            (verdict, None) => Arc::new(verdict.into_owned()),
        }
    }

    /// The history of verdicts.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.judgement.history
    }

    /// An immutable snapshot of all results as of `now`. Only changed results are recomputed.
    pub fn snapshot(&mut self, now: Stamp) -> Snapshot {
        let series = self.series.iter_mut().map(|(key, series)| (Arc::clone(key), series.picture(now))).collect();
        let verdict = self.shared_verdict();
        if self.judgement.recorder.take_changed() {
            self.ongoing = self.judgement.lasting().collect();
        }
        let leap = Arc::clone(self.judgement.leap.truth());
        let (local, ongoing) = (self.local.clone(), Arc::clone(&self.ongoing));
        Snapshot { at: now, series, verdict, local, leap, ongoing }
    }
}

/// The outcome of the last poll of a server in a verdict.
fn last_outcome(series: &BTreeMap<Arc<SeriesKey>, Box<Series>>, it: &ServerVerdict) -> Option<Outcome> {
    let first = SeriesKey::here(&it.server, None);
    let mut of_server = series.range(first..).take_while(|(key, _)| *key.server == *it.server);
    let found = of_server.find(|(key, _)| key.address == it.address);
    found.map(|(_, series)| series.last.outcome.clone())
}

impl Series {
    fn new(first: &Arc<Sample>, mut windows: ServerWindows, recalled: &[Sample]) -> Self {
        for sample in recalled {
            // A sample that is refused now was refused then, too.
            let _ = windows.observe(sample);
        }
        Self {
            windows,
            snapshot: None,
            summed: (first.at, 0),
            last: Arc::clone(first),
            last_measured: None,
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
    }

    fn picture(&mut self, now: Stamp) -> Arc<SeriesSnapshot> {
        if let Some(made) = self.snapshot.as_ref().filter(|made| made.polls == self.polls) {
            return Arc::clone(made);
        }
        let hour = self.hour(now);
        let made = Arc::new(SeriesSnapshot {
            last: Arc::clone(&self.last),
            last_measured: self.last_measured.clone(),
            recent_s: self.recent_s(),
            polls: self.polls,
            consecutive_failures: self.consecutive_failures,
            hour,
        });
        self.snapshot = Some(Arc::clone(&made));
        made
    }

    /// The last offsets. Those that the last snapshot has are not unpacked again.
    fn recent_s(&self) -> Box<[f32]> {
        let (known, new) = match &self.snapshot {
            Some(made) => (&*made.recent_s, usize::try_from(self.polls - made.polls).unwrap_or(usize::MAX)),
            None => (&[][..], SeriesSnapshot::RECENT),
        };
        let kept = SeriesSnapshot::RECENT.saturating_sub(new).min(known.len());
        known[known.len() - kept..].iter().copied().chain(self.windows.recent_s(new)).collect()
    }

    /// The summary of the last hour, which costs the most, so an hour with many polls is not summarised after each.
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
#[path = "analysis_tests.rs"]
mod tests;
