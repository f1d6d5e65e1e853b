//! Computes everything that is derived from samples: the windows of each series, and the verdict over all of them. The
//! stats actor runs this code on live samples, and `replay` runs it on recorded ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet, VecDeque};
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

/// Polls that wait until the verdict's state is restored. It never takes so long that there are more.
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
    /// Boxed, because a series is large and the nodes of a tree are half empty.
    series: BTreeMap<SeriesKey, Box<Series>>,
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

/// What happened while the verdict's state is being restored.
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
    recent_s: VecDeque<f32>,
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

    /// The same, with a verdict that waits until [`Analysis::restored`]. Until then it says so.
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

    /// The verdict continues from the state of an earlier process.
    pub fn restored(&mut self, judgement: Judgement) {
        let Some(waiting) = self.waiting.take() else { return };
        let list = self.judgement.leap.source().clone();
        self.judgement = judgement;
        // At its start, the store has ended what was open.
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

    /// The same, with windows that go on from what an earlier process measured, each from the first poll of its series
    /// on: what is no longer polled does not come back.
    #[must_use]
    pub fn recalling(mut self, recalled: Recalled) -> Self {
        self.recalled = recalled;
        self
    }

    /// Processes one poll. Duplicates and polls out of order are ignored.
    pub fn observe(&mut self, sample: &Arc<Sample>) {
        let (longest, axis, recalled, inherited) = (self.longest, self.axis, &mut self.recalled, &mut self.inherited);
        let series = self.series.entry(sample.key()).or_insert_with_key(|key| {
            let windows = ServerWindows::up_to(longest, axis);
            let mut series = Series::new(sample, windows, &recalled.remove(key).unwrap_or_default());
            if let Some((failures, reach)) = inherited.remove(key) {
                series.consecutive_failures = failures;
                series.windows.continue_reach(reach);
            }
            Box::new(series)
        });
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

    /// Removes series that are no longer polled. O(n) however many they are, n being the number of series that stay.
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
        // The series of a server are neighbours.
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

    /// Events that began or ended, or of which more is known, since the last call, as far as the limit of events allows.
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

    /// The verdict for a snapshot, shared where nothing has to be changed in it.
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
        let series = self.series.iter_mut().map(|(key, series)| (key.clone(), series.picture(now))).collect();
        let verdict = self.shared_verdict();
        if self.judgement.recorder.take_changed() {
            self.ongoing = self.judgement.lasting().collect();
        }
        let leap = Arc::clone(self.judgement.leap.truth());
        let (local, ongoing) = (self.local.clone(), Arc::clone(&self.ongoing));
        Snapshot { at: now, series, verdict, local, leap, ongoing }
    }
}

/// How the last poll of the server of a verdict ended.
fn last_outcome(series: &BTreeMap<SeriesKey, Box<Series>>, it: &ServerVerdict) -> Option<Outcome> {
    let first = SeriesKey::here(&it.server.as_str().into(), None);
    let mut of_server = series.range(first..).take_while(|(key, _)| *key.server == *it.server);
    let found = of_server.find(|(key, _)| key.address.map(|address| address.to_string()) == it.address);
    found.map(|(_, series)| series.last.outcome.clone())
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
        Self {
            windows,
            snapshot: None,
            summed: (first.at, 0),
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
            consecutive_failures: self.consecutive_failures,
            hour,
        });
        self.snapshot = Some(Arc::clone(&made));
        made
    }

    /// The summary of the last hour. It costs more than everything else that a poll causes, so an hour with many polls is
    /// not summarised after each of them.
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

/// Appends an offset to the most recent ones.
fn note(recent_s: &mut VecDeque<f32>, sample: &Sample) {
    if recent_s.len() == SeriesSnapshot::RECENT {
        recent_s.pop_front();
    }
    recent_s.push_back(sample.offset_s().map_or(f32::NAN, |offset_s| offset_s as f32));
}

#[cfg(test)]
mod tests {
    use super::super::events::EventKind;
    use super::super::testing::{lost, sample, stamp};
    use super::*;
    use crate::ntp::{Leap, RefId};
    use crate::sample::{Outcome, ServerIdent};
    use crate::stats::verdict::{Kind, State};
    use crate::world::{Fault, World};

    #[test]
    fn windows_survive_a_restart_and_counters_start_at_zero() {
        let earlier: Vec<_> = (0..20).map(|k| sample(f64::from(k) * 64.0, 0.001, 0.01)).collect();
        let gone = SeriesKey::here(&"gone".into(), None);
        let recalled = Recalled::from([(earlier[0].key(), earlier.clone()), (gone, earlier)]);
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic).recalling(recalled);
        analysis.observe(&Arc::new(sample(1300.0, 0.001, 0.01)));
        let snapshot = analysis.snapshot(stamp(1300.0));
        assert_eq!(snapshot.series.len(), 1, "what is no longer polled does not come back");
        let series = snapshot.series.values().next().unwrap();
        assert_eq!((series.hour.n, series.recent_s.len(), series.polls), (21, 21, 1));
    }

    /// One poll of a server that changes stratum, upstream, leap indicator and reference time at each poll.
    fn lies(k: u64) -> Sample {
        let mut poll = sample(k as f64 * 16.0, 0.001, 0.01);
        let reply = poll.reply.as_mut().unwrap();
        reply.stratum = 2 + (k % 9) as u8;
        reply.refid = RefId([10, 0, (k >> 8) as u8, k as u8]);
        reply.leap = if k.is_multiple_of(2) { Leap::None } else { Leap::Insert };
        reply.reference_age_s = Some(if k.is_multiple_of(2) { 1.0 } else { 400.0 * 86_400.0 });
        poll
    }

    #[test]
    fn events_found_elsewhere_pass_the_same_limit() {
        let key = SeriesKey::here(&"test".into(), None);
        let change = crate::sheet::Change {
            of: crate::sheet::Trait::HopLimit,
            before: crate::sheet::Value::HopLimit(60),
            now: None,
        };
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic).restoring();
        let note = |analysis: &mut Analysis, k: i32| {
            let at = stamp(f64::from(k));
            analysis.note(super::super::events::sheet_changed(&key, at, &[change]), at);
        };
        (0..10).for_each(|k| note(&mut analysis, k));
        assert_eq!(analysis.take_events(), [], "the verdict is being restored");
        analysis.restored(Judgement::default());
        assert_eq!(analysis.take_events().len(), 10);
        (10..1000).for_each(|k| note(&mut analysis, k));
        let mut kept = Vec::new();
        analysis.take_events().into_iter().for_each(|event| event.upsert(&mut kept));
        assert_eq!(kept.len(), 15, "24 an hour and their summary");
        assert_eq!(kept.last().map(|event| event.kind), Some(EventKind::ManyEvents));
    }

    #[test]
    fn server_that_lies_for_a_day_leaves_few_events() {
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        let (mut kept, mut reports) = (Vec::new(), 0);
        for k in 0..5400 {
            analysis.observe(&Arc::new(lies(k)));
            let events = analysis.take_events();
            reports += events.len();
            events.into_iter().for_each(|event| event.upsert(&mut kept));
        }
        assert!(kept.len() <= 16 && reports <= 24, "{} events in {reports} reports", kept.len());
        let ongoing = analysis.snapshot(stamp(86_400.0)).ongoing;
        let mut kinds: Vec<_> = ongoing.iter().map(|event| event.kind.label()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["leap", "refid", "stale_reference", "stratum"]);
        let refid = ongoing.iter().find(|event| event.kind == EventKind::Refid).unwrap();
        assert_eq!(refid.sentence, "test changes its upstream at most polls (100 %).");
    }

    fn named(server: &str, poll: Sample) -> Arc<Sample> {
        Arc::new(Sample { server: ServerIdent::named(server), ..poll })
    }

    #[test]
    fn one_server_gives_no_estimate_of_this_hosts_clock() {
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        (0..60).for_each(|k| analysis.observe(&named("a", sample(f64::from(k) * 16.0, 2e-6, 1e-5))));
        let verdict = analysis.snapshot(stamp(960.0)).verdict;
        assert_eq!((verdict.state, verdict.majority), (State::Undecidable, None));
        assert_eq!((verdict.local.estimate_s, verdict.local.bound_s), (None, None));
        assert!(!verdict.sentence.contains("right"), "{}", verdict.sentence);
    }

    /// A statement is shown until the next one, so it must hold at the end of that time too.
    #[test]
    fn drifting_clock_stays_within_the_stated_bound() {
        const BEGINS_S: f64 = 600.0;
        let (mut stated, mut broken) = (0, 0);
        for seed in 0..10 {
            let ppm = 4.0 * f64::from(seed as u32 + 1) * if seed % 2 == 0 { 1.0 } else { -1.0 };
            let mut world = World::lan(seed, 5, 16.0, 3600.0);
            (world.wander_s, world.faults) = (0.0, vec![Fault::LocalDrift { at_s: BEGINS_S, ppm }]);
            let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
            let mut within_s = None;
            for sample in world.samples() {
                let passed_s = (sample.at.wall_ns - world.start_unix_s * 1_000_000_000) as f64 / 1e9;
                let error_s = ppm * 1e-6 * (passed_s - BEGINS_S).max(0.0);
                if let Some(within_s) = within_s {
                    stated += 1;
                    broken += u32::from(error_s.abs() > within_s);
                }
                analysis.observe(&Arc::new(sample));
                let verdict = analysis.verdict();
                let local = verdict.local.estimate_s.zip(verdict.local.bound_s);
                within_s = local.filter(|_| verdict.state == State::Consistent).map(|(s, bound)| s.abs() + bound);
            }
        }
        assert!(stated > 1000 && broken == 0, "{broken} of {stated} statements were broken");
    }

    #[test]
    fn refused_polls_are_not_called_unanswered() {
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        for k in 0..80 {
            for name in ["a", "b", "c", "d"] {
                let at_s = f64::from(k) * 16.0;
                let poll = match name {
                    "d" if k > 20 => Sample { outcome: Outcome::Refused, ..lost(at_s) },
                    _ => sample(at_s, 1e-4, 0.002),
                };
                analysis.observe(&named(name, poll));
            }
        }
        let verdict = analysis.snapshot(stamp(1280.0)).verdict;
        let refused = verdict.servers.iter().find(|it| it.server == "d").unwrap();
        assert_eq!(refused.kind, Some(Kind::Unreachable));
        assert!(refused.sentence.contains("nothing listens on its port"), "{}", refused.sentence);
        let told = [&verdict.sentence, &verdict.reason];
        assert!(
            told.iter().all(|text| !text.contains("has given no time") && !text.contains("not answered")),
            "{told:?}"
        );
    }

    #[test]
    fn lossy_server_is_one_open_event() {
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        let mut kept = Vec::new();
        for k in 0..1800 {
            let at_s = f64::from(k);
            let poll = if k % 10 < 3 { lost(at_s) } else { sample(at_s, 0.001, 0.01) };
            analysis.observe(&Arc::new(poll));
            analysis.take_events().into_iter().for_each(|event| event.upsert(&mut kept));
        }
        let lossy: Vec<_> = kept.iter().filter(|event| event.kind == EventKind::Lossy).collect();
        assert_eq!((lossy.len(), lossy[0].end, lossy[0].detail.as_str()), (1, None, "30 % of polls"));
        assert!(kept.len() <= 4, "{kept:?}");
        let forgotten = SeriesKey::here(&"test".into(), None);
        analysis.forget(&[forgotten]);
        assert!(analysis.take_events().iter().all(|event| event.end.is_some()));
    }

    #[test]
    fn successor_of_a_series_continues_its_failures_in_a_row() {
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        let at = |address: &str, poll: Sample| Arc::new(Sample { address: Some(address.parse().unwrap()), ..poll });
        let (old, new) = (at("192.0.2.1:123", lost(64.0)), at("192.0.2.2:123", lost(192.0)));
        analysis.observe(&at("192.0.2.1:123", sample(0.0, 0.0, 0.01)));
        analysis.observe(&old);
        analysis.observe(&at("192.0.2.1:123", lost(128.0)));
        analysis.replace(&[old.key()], &new.key());
        analysis.observe(&new);
        let snapshot = analysis.snapshot(stamp(192.0));
        assert_eq!(snapshot.series.len(), 1);
        let series = &snapshot.series[&new.key()];
        assert_eq!((series.consecutive_failures, series.hour.reach.bits(), series.polls), (3, 0b1000, 1));
    }

    #[test]
    fn long_hour_is_summarised_rarely_but_poll_values_always() {
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        let mut polls_summed = |at_s: f64, poll: Sample| {
            analysis.observe(&Arc::new(poll));
            let snapshot = analysis.snapshot(stamp(at_s));
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
