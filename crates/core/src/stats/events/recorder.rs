//! All events pass here to the store and the page. The number of events per server and hour is limited: events beyond
//! the limit are summed up in one lasting event, so that no server can fill the store.

use serde::{Deserialize, Serialize};

use std::collections::{BTreeMap, HashMap};

use super::{Event, EventKind};
use crate::stats::verdict::When;

/// The most events of a server that are recorded one by one in an hour.
const PER_HOUR: u32 = 24;
/// The summary ends when there were no more events than this in an hour.
const CALM: u32 = 6;
/// A lasting event beyond the limit is recorded once it has lasted for so long, in seconds.
const RECORDED_AFTER_S: f64 = 600.0;
/// A summary is updated after so long, in seconds.
const UPDATED_EACH_S: f64 = 900.0;
/// How often waiting events and summaries are checked, in seconds.
const LOOKED_AT_EACH_S: f64 = 60.0;
/// The most lasting events beyond the limit that wait, for each server.
const WAITING: usize = 64;
const BINS: usize = 12;
const BIN_S: f64 = 300.0;

/// The present time, on the axis of the analysis and on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Seconds on an axis that only goes forward.
    pub at_s: f64,
    /// The wall clock.
    pub when: When,
}

/// Passes events on, as far as the limit allows. Events about no server are limited together.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recorder {
    subjects: HashMap<Option<String>, Subject>,
    passed: Vec<Event>,
    /// The time of the last poll.
    now: Option<Moment>,
    looked_at_s: f64,
    is_changed: bool,
}

/// The events of one server.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Subject {
    hour: Hour,
    /// Lasting events that were passed on.
    open: Vec<Event>,
    /// Lasting events beyond the limit, with the time at which they began to wait.
    waiting: Vec<(f64, Event)>,
    summary: Option<Summary>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Summary {
    server: Option<String>,
    start: When,
    last: When,
    counts: BTreeMap<String, u64>,
    updated_s: f64,
}

/// The number of events in the last hour, in bins of five minutes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Hour {
    bins: [u32; BINS],
    newest: i64,
}

impl Recorder {
    /// Takes a new event, or a later report of one.
    pub fn record(&mut self, event: Event, now: Moment) {
        self.is_changed = true;
        let subject = self.subjects.entry(event.server.clone()).or_default();
        subject.record(event, now, &mut self.passed);
    }

    /// Checks waiting events and summaries once a minute. Call it at each poll.
    pub fn tick(&mut self, now: Moment) {
        self.now = Some(now);
        // The absolute value, because the time may go back.
        if (now.at_s - self.looked_at_s).abs() < LOOKED_AT_EACH_S || self.subjects.is_empty() {
            return;
        }
        self.looked_at_s = now.at_s;
        for subject in self.subjects.values_mut() {
            self.is_changed |= subject.look(now, &mut self.passed);
        }
        self.subjects.retain(|_, subject| !subject.is_idle(now.at_s));
    }

    /// Ends the events of a server that is no longer polled, or only those of one address.
    pub fn forget(&mut self, server: &str, address: Option<&str>) {
        let (Some(subject), Some(now)) = (self.subjects.get_mut(&Some(server.to_owned())), self.now) else { return };
        let is_gone = |event: &Event| address.is_none() || event.address.as_deref() == address;
        subject.waiting.retain(|(_, event)| !is_gone(event));
        let ended = subject.open.extract_if(.., |event| is_gone(event));
        self.passed.extend(ended.map(|event| Event { end: Some(now.when.max(event.start)), ..event }));
        if address.is_none() {
            let summary = subject.summary.take();
            self.passed.extend(summary.map(|summary| summary.event(Some(summary.last))));
            self.subjects.remove(&Some(server.to_owned()));
        }
        self.is_changed = true;
    }

    /// The events that were passed on since the last call.
    pub fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.passed)
    }

    /// Passes on all open events again, because a restart may have ended them in the store.
    pub fn repeat(&mut self) {
        let open: Vec<_> = self.open().collect();
        self.passed.extend(open);
        self.is_changed = true;
    }

    /// Whether [`Recorder::open`] may have changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// The open events, in no order.
    pub fn open(&self) -> impl Iterator<Item = Event> {
        self.subjects.values().flat_map(|subject| {
            subject.open.iter().cloned().chain(subject.summary.as_ref().map(|summary| summary.event(None)))
        })
    }
}

impl Subject {
    fn record(&mut self, event: Event, now: Moment, passed: &mut Vec<Event>) {
        if let Some(i) = self.open.iter().position(|open| event.is_report_of(open)) {
            return self.update_open(i, event, passed);
        }
        if let Some(i) = self.waiting.iter().position(|(_, waiting)| event.is_report_of(waiting)) {
            match event.end {
                None => self.waiting[i].1 = event,
                Some(_) => drop(self.waiting.swap_remove(i)),
            }
            return;
        }
        if self.hour.count(now.at_s) < PER_HOUR && self.summary.is_none() {
            self.hour.add(now.at_s);
            return self.pass(event, passed);
        }
        self.hour.add(now.at_s);
        self.sum_up(&event, now, passed);
        if event.end.is_none() && self.waiting.len() < WAITING {
            self.waiting.push((now.at_s, event));
        }
    }

    fn pass(&mut self, event: Event, passed: &mut Vec<Event>) {
        if event.end.is_none() {
            self.open.push(event.clone());
        }
        passed.push(event);
    }

    fn update_open(&mut self, i: usize, event: Event, passed: &mut Vec<Event>) {
        match event.end {
            None => self.open[i] = Event { replaces: None, ..event.clone() },
            Some(_) => drop(self.open.swap_remove(i)),
        }
        passed.push(event);
    }

    fn sum_up(&mut self, event: &Event, now: Moment, passed: &mut Vec<Event>) {
        let is_new = self.summary.is_none();
        let summary = self.summary.get_or_insert_with(|| Summary {
            server: event.server.clone(),
            start: now.when,
            last: now.when,
            counts: BTreeMap::new(),
            updated_s: now.at_s,
        });
        *summary.counts.entry(event.kind.label().to_owned()).or_default() += 1;
        summary.last = now.when;
        if is_new {
            passed.push(summary.event(None));
        }
    }

    /// Passes on events that have waited long enough, and the summary if it is due. Returns whether there was anything.
    fn look(&mut self, now: Moment, passed: &mut Vec<Event>) -> bool {
        let before = passed.len();
        let is_due = |(since_s, _): &mut (f64, Event)| (now.at_s - *since_s).abs() >= RECORDED_AFTER_S;
        let due: Vec<_> = self.waiting.extract_if(.., is_due).collect();
        due.into_iter().for_each(|(_, event)| self.pass(Event { replaces: None, ..event }, passed));
        let count = self.hour.count(now.at_s);
        if let Some(summary) = &mut self.summary {
            if count <= CALM {
                passed.push(summary.event(Some(summary.last)));
                self.summary = None;
            } else if (now.at_s - summary.updated_s).abs() >= UPDATED_EACH_S {
                summary.updated_s = now.at_s;
                passed.push(summary.event(None));
            }
        }
        passed.len() > before
    }

    fn is_idle(&mut self, at_s: f64) -> bool {
        self.open.is_empty() && self.waiting.is_empty() && self.summary.is_none() && self.hour.count(at_s) == 0
    }
}

impl Summary {
    fn event(&self, end: Option<When>) -> Event {
        let count: u64 = self.counts.values().sum();
        let kinds: Vec<String> = self.counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let name = self.server.as_deref().unwrap_or("This host");
        let has_had = if end.is_some() { "had" } else { "has had" };
        Event {
            kind: EventKind::ManyEvents,
            server: self.server.clone(),
            address: None,
            start: self.start,
            end,
            detail: format!("{count} events"),
            sentence: format!("{name} {has_had} more events than are recorded one by one: {}.", kinds.join(", ")),
            replaces: None,
        }
    }
}

impl Hour {
    fn add(&mut self, at_s: f64) {
        self.advance(at_s);
        self.bins[self.newest.rem_euclid(BINS as i64) as usize] += 1;
    }

    fn count(&mut self, at_s: f64) -> u32 {
        self.advance(at_s);
        self.bins.iter().sum()
    }

    fn advance(&mut self, at_s: f64) {
        let bin = (at_s / BIN_S).floor() as i64;
        if bin < self.newest - 1 {
            *self = Self { newest: bin, ..Self::default() };
        }
        let passed = bin.saturating_sub(self.newest).clamp(0, BINS as i64);
        (0..passed).for_each(|k| self.bins[(bin - k).rem_euclid(BINS as i64) as usize] = 0);
        self.newest = self.newest.max(bin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_s: f64) -> Moment {
        Moment { at_s, when: When((at_s * 1e9) as i64) }
    }

    fn event(kind: EventKind, start_s: f64, end_s: Option<f64>) -> Event {
        Event {
            kind,
            server: Some("liar".to_owned()),
            address: None,
            start: at(start_s).when,
            end: end_s.map(|end_s| at(end_s).when),
            detail: String::new(),
            sentence: String::new(),
            replaces: None,
        }
    }

    /// The events that were passed on, without reports that were replaced.
    fn kept(recorder: &mut Recorder) -> Vec<Event> {
        let mut kept = Vec::new();
        recorder.take().into_iter().for_each(|event| event.upsert(&mut kept));
        kept
    }

    #[test]
    fn day_of_lies_at_each_second_is_a_few_events() {
        let mut recorder = Recorder::default();
        let mut passed = 0;
        let mut all = Vec::new();
        for k in 0..86_400 {
            let at_s = f64::from(k);
            for kind in [EventKind::Stratum, EventKind::Refid, EventKind::StaleReference] {
                recorder.record(event(kind, at_s, Some(at_s)), at(at_s));
            }
            recorder.tick(at(at_s));
            let new = recorder.take();
            passed += new.len();
            new.into_iter().for_each(|event| event.upsert(&mut all));
        }
        assert_eq!((all.len(), passed), (25, 25 + 95), "24 events and their summary, which is updated each 15 minutes");
        let summary = all.last().unwrap();
        assert_eq!((summary.kind, summary.end), (EventKind::ManyEvents, None));
        let said = summary.sentence.strip_prefix("liar has had more events than are recorded one by one: 8");
        assert!(said.is_some_and(|said| said.contains(" refid, 8")), "{}", summary.sentence);
        assert_eq!(recorder.open().count(), 1);
    }

    #[test]
    fn summary_ends_when_it_is_calm_and_events_are_recorded_again() {
        let mut recorder = Recorder::default();
        (0..40)
            .for_each(|k| recorder.record(event(EventKind::Refid, f64::from(k), Some(f64::from(k))), at(f64::from(k))));
        for minute in 1..70 {
            recorder.tick(at(f64::from(minute) * 60.0));
        }
        let summary = kept(&mut recorder).pop().unwrap();
        assert_eq!((summary.kind, summary.end), (EventKind::ManyEvents, Some(at(39.0).when)));
        assert_eq!(summary.sentence, "liar had more events than are recorded one by one: 16 refid.");
        recorder.record(event(EventKind::Refid, 5000.0, Some(5000.0)), at(5000.0));
        assert_eq!(kept(&mut recorder)[0].kind, EventKind::Refid);
    }

    #[test]
    fn lasting_event_beyond_the_limit_is_recorded_after_ten_minutes() {
        let mut recorder = Recorder::default();
        (0..40)
            .for_each(|k| recorder.record(event(EventKind::Refid, f64::from(k), Some(f64::from(k))), at(f64::from(k))));
        recorder.record(event(EventKind::ServerStep, 50.0, None), at(50.0));
        recorder.record(event(EventKind::LossBurst, 51.0, None), at(51.0));
        recorder.record(event(EventKind::LossBurst, 51.0, Some(55.0)), at(55.0));
        recorder.take();
        recorder.tick(at(100.0));
        assert!(kept(&mut recorder).is_empty());
        recorder.tick(at(700.0));
        let late = kept(&mut recorder);
        assert_eq!((late.len(), late[0].kind, late[0].start), (1, EventKind::ServerStep, at(50.0).when));
        recorder.record(event(EventKind::ServerStep, 50.0, Some(800.0)), at(800.0));
        assert_eq!(kept(&mut recorder)[0].end, Some(at(800.0).when));
    }

    #[test]
    fn server_that_is_no_longer_polled_has_no_open_events() {
        let mut recorder = Recorder::default();
        (0..40).for_each(|k| recorder.record(event(EventKind::Lossy, f64::from(k), None), at(f64::from(k))));
        recorder.tick(at(60.0));
        recorder.take();
        recorder.forget("liar", None);
        let ended = recorder.take();
        assert_eq!(ended.len(), 25, "24 events and the summary");
        assert!(ended.iter().all(|event| event.end.is_some()));
        assert_eq!(recorder.open().count(), 0);
    }

    #[test]
    fn refined_event_passes_although_the_limit_is_reached() {
        let mut recorder = Recorder::default();
        recorder.record(event(EventKind::ServerStep, 0.0, None), at(1.0));
        (2..40)
            .for_each(|k| recorder.record(event(EventKind::Refid, f64::from(k), Some(f64::from(k))), at(f64::from(k))));
        recorder.take();
        let known_as = (EventKind::ServerStep, at(0.0).when);
        let refined = Event { replaces: Some(known_as), ..event(EventKind::ServerDrift, -9.0, None) };
        recorder.record(refined.clone(), at(50.0));
        recorder.record(event(EventKind::ServerDrift, -9.0, Some(60.0)), at(60.0));
        let passed = recorder.take();
        assert_eq!((passed.len(), &passed[0]), (2, &refined));
        assert_eq!(recorder.open().count(), 1, "the summary alone");
    }
}
