//! Lasting findings of the verdict as events: one event for each, refined when the verdict is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Event, EventKind};
use crate::stats::verdict::When;

/// A size is reported again when it has changed by this part.
const CHANGED_BY: f64 = 0.05;
/// An error that has grown by this factor is reported again.
const GROWN_BY: f64 = 2.0;
/// The share of wrong replies is reported again when it has changed by this much.
const SHARE_CHANGED_BY: f64 = 0.1;
/// A finding whose error has shrunk below this part of the largest one is ending. What was reported before describes it.
pub(in crate::stats) const ENDING_BELOW: f64 = 0.5;

/// A finding that holds now, as an event without an end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::stats) struct Finding {
    pub event: Event,
    /// Its size, in the unit of its kind.
    pub size: Option<f64>,
    /// How far the clock is off, in seconds, without sign; 0 where that is not known.
    pub error_s: f64,
    /// The part of the replies that are wrong, where only some are.
    pub share: Option<f64>,
    /// Whether the error is proven.
    pub is_proven: bool,
}

/// The time of a verdict, and the end of the findings that it no longer has.
#[derive(Debug, Clone, Copy)]
pub(in crate::stats) struct Times {
    pub now: When,
    pub ended: When,
}

/// No finding is dated back by more than this, in nanoseconds. Findings that ended earlier are forgotten.
const REOPENED_WITHIN_NS: i64 = 4 * 86_400_000_000_000;

/// The findings that have begun and not ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::stats) struct Tracker {
    open: Vec<Open>,
    /// The last one that ended, of each subject, and its end. A finding that begins before it may be the same.
    closed: Vec<(Open, When)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Open {
    /// The last report.
    reported: Finding,
    latest: Finding,
    /// The time of the first report.
    seen: When,
    /// The largest error.
    peak_s: f64,
}

impl Tracker {
    /// Compares the findings that hold now with those before, and appends the events.
    pub fn follow(&mut self, current: Vec<Finding>, times: Times, events: &mut Vec<Event>) {
        let mut before: BTreeMap<Matter, Vec<Open>> = BTreeMap::new();
        for open in std::mem::take(&mut self.open) {
            before.entry(matter(&open.latest.event)).or_default().push(open);
        }
        for finding in current {
            let known = before.get_mut(&matter(&finding.event)).and_then(Vec::pop);
            let open = match known {
                // An onset before the first report refines the known finding.
                Some(mut open) if finding.event.start <= open.seen => {
                    open.refine(finding, events);
                    open
                }
                known => {
                    // A later onset is another finding.
                    events.extend(known.map(|open| open.end(finding.event.start)));
                    self.reopen(&finding, events).unwrap_or_else(|| {
                        events.push(finding.event.clone());
                        Open::new(finding, times.now)
                    })
                }
            };
            self.open.push(open);
        }
        for open in before.into_values().flatten() {
            self.close(open, times, events);
        }
    }

    fn close(&mut self, open: Open, times: Times, events: &mut Vec<Event>) {
        let subject = matter(&open.latest.event);
        let is_recent = |end: When| times.now.0.saturating_sub(end.0) < REOPENED_WITHIN_NS;
        self.closed.retain(|(other, end)| is_recent(*end) && matter(&other.latest.event) != subject);
        let event = open.end(times.ended);
        let reported = open.latest.clone();
        self.closed.push((Open { reported, ..open }, event.end.unwrap_or(times.ended)));
        events.push(event);
    }

    /// The finding that has ended and that `finding` continues: its onset is before the first report of that one. A
    /// later onset before its end shows that it ended then.
    fn reopen(&mut self, finding: &Finding, events: &mut Vec<Event>) -> Option<Open> {
        let (subject, start) = (matter(&finding.event), finding.event.start);
        let is_it = |(open, end): &(Open, When)| matter(&open.latest.event) == subject && *end > start;
        let i = self.closed.iter().position(is_it)?;
        let (mut open, _) = self.closed.swap_remove(i);
        if start > open.seen {
            events.push(open.end(start));
            return None;
        }
        open.latest = finding.clone();
        events.push(Event { replaces: open.replaced(), ..finding.event.clone() });
        open.reported = open.latest.clone();
        open.peak_s = open.peak_s.max(finding.error_s);
        Some(open)
    }
}

impl Open {
    fn new(finding: Finding, now: When) -> Self {
        // A clock that is behind has not reached the onset yet.
        let seen = now.max(finding.event.start);
        let peak_s = finding.error_s;
        Self { reported: finding.clone(), latest: finding, seen, peak_s }
    }

    fn refine(&mut self, finding: Finding, events: &mut Vec<Event>) {
        // A proof ends when the error does, so what was proven describes it.
        let loses_proof = self.latest.is_proven && !finding.is_proven;
        if loses_proof || finding.error_s < ENDING_BELOW * self.peak_s {
            return;
        }
        self.peak_s = self.peak_s.max(finding.error_s);
        self.latest = finding;
        let (reported, latest) = (&self.reported, &self.latest);
        let is_news = match (reported.size, latest.size) {
            (Some(reported), Some(latest)) => (latest - reported).abs() > CHANGED_BY * reported.abs(),
            (reported, latest) => reported.is_some() != latest.is_some(),
        };
        let share = |finding: &Finding| finding.share.unwrap_or(1.0);
        let is_news = is_news
            || latest.is_proven != reported.is_proven
            || (share(reported) - share(latest)).abs() > SHARE_CHANGED_BY
            || latest.error_s > GROWN_BY * reported.error_s;
        if is_news || self.replaced().is_some() {
            events.push(Event { replaces: self.replaced(), ..latest.event.clone() });
            self.reported = self.latest.clone();
        }
    }

    /// Kind and start of the last report, if they were refined since.
    fn replaced(&self) -> Option<(EventKind, When)> {
        let key = |finding: &Finding| (finding.event.kind, finding.event.start);
        Some(key(&self.reported)).filter(|reported| *reported != key(&self.latest))
    }

    fn end(&self, at: When) -> Event {
        let end = Some(at.max(self.latest.event.start));
        Event { end, replaces: self.replaced(), ..self.latest.event.clone() }
    }
}

/// The subject of an event: server, address and family of kinds. One of two events with the same subject may be a
/// refined report of the other.
type Matter = (Option<String>, Option<String>, &'static str);

fn matter(event: &Event) -> Matter {
    (event.server.clone(), event.address.clone(), family(event.kind).label())
}

/// Maps the kinds that a finding may take in turn while it is refined to one of them.
fn family(kind: EventKind) -> EventKind {
    match kind {
        EventKind::ServerDrift => EventKind::ServerStep,
        EventKind::ClockDrift => EventKind::ClockStep,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(kind: EventKind, start: i64, size: Option<f64>) -> Finding {
        let detail = size.map_or_else(String::new, |size| format!("{size}"));
        let event = Event {
            kind,
            server: Some("a".to_owned()),
            address: None,
            start: When(start),
            end: None,
            detail,
            sentence: String::new(),
            replaces: None,
        };
        Finding { event, size, error_s: size.map_or(0.0, f64::abs), share: None, is_proven: false }
    }

    /// The number of reports, and the events that remain, after findings at these times.
    fn followed(steps: &[(i64, Option<Finding>)]) -> (usize, Vec<Event>) {
        let (mut tracker, mut events, mut kept) = (Tracker::default(), Vec::new(), Vec::new());
        steps.iter().for_each(|(now, found)| {
            let times = Times { now: When(*now), ended: When(*now - 1) };
            tracker.follow(found.clone().into_iter().collect(), times, &mut events);
        });
        let reports = events.len();
        events.into_iter().for_each(|event| event.upsert(&mut kept));
        (reports, kept)
    }

    #[test]
    fn record_of_a_proof_does_not_deny_it_when_the_fault_ends() {
        let said = |text: &str, is_proven| {
            let mut finding = Finding { is_proven, ..finding(EventKind::ServerStep, 95, Some(0.05)) };
            finding.event.sentence = text.to_owned();
            Some(finding)
        };
        let (reports, kept) = followed(&[
            (100, said("probably", false)),
            (110, said("at least", true)),
            (120, said("not proven", false)),
            (130, None),
        ]);
        assert_eq!((reports, kept.len(), kept[0].sentence.as_str()), (3, 1, "at least"));
        assert_eq!(kept[0].end, Some(When(129)));
    }

    #[test]
    fn record_gets_its_size_start_and_kind_when_they_are_known() {
        let (reports, kept) = followed(&[
            (100, Some(finding(EventKind::ServerStep, 95, None))),
            (110, Some(finding(EventKind::ServerStep, 80, Some(0.1)))),
            (120, Some(finding(EventKind::ServerStep, 80, Some(0.102)))),
            (130, Some(finding(EventKind::ServerDrift, 70, Some(5.0)))),
            (140, None),
        ]);
        assert_eq!((reports, kept.len()), (4, 1), "{kept:?}");
        assert_eq!((kept[0].kind, kept[0].start, kept[0].end), (EventKind::ServerDrift, When(70), Some(When(139))));
        assert_eq!(kept[0].detail, "5");
    }

    #[test]
    fn later_start_ends_the_earlier_event() {
        let (_, kept) = followed(&[
            (100, Some(finding(EventKind::ServerStep, 95, Some(0.1)))),
            (500, Some(finding(EventKind::ServerStep, 480, Some(0.3)))),
        ]);
        let spans: Vec<_> = kept.iter().map(|event| (event.start, event.end)).collect();
        assert_eq!(spans, [(When(95), Some(When(480))), (When(480), None)]);
    }

    #[test]
    fn finding_that_begins_before_the_end_of_the_last_one_continues_it() {
        let step = |start, size| Some(finding(EventKind::ServerStep, start, Some(size)));
        let drift = |start| Some(finding(EventKind::ServerDrift, start, Some(2.0)));
        let spans = |steps: &[_]| followed(steps).1.iter().map(|it| (it.start, it.end)).collect::<Vec<_>>();
        let same = spans(&[(100, step(95, 0.1)), (200, None), (300, drift(80)), (400, None)]);
        assert_eq!(same, [(When(80), Some(When(399)))], "dated back, as a drift");
        let other = spans(&[(100, step(95, 0.1)), (200, None), (210, step(190, 0.3))]);
        assert_eq!(other, [(When(95), Some(When(190))), (When(190), None)], "began after the first was reported");
        let later = spans(&[(100, step(95, 0.1)), (200, None), (300, step(250, 0.1))]);
        assert_eq!(later, [(When(95), Some(When(199))), (When(250), None)]);
    }

    #[test]
    fn end_reports_the_last_known_values() {
        let (reports, kept) = followed(&[
            (100, Some(finding(EventKind::ServerStep, 95, Some(0.1)))),
            (110, Some(finding(EventKind::ServerStep, 95, Some(0.104)))),
            (120, None),
        ]);
        assert_eq!((reports, kept[0].detail.as_str()), (2, "0.104"));
    }

    #[test]
    fn finding_that_is_ending_keeps_its_size() {
        let step = |size| Some(finding(EventKind::ServerStep, 95, Some(size)));
        let (_, kept) =
            followed(&[(100, step(0.10)), (110, step(0.07)), (120, step(0.04)), (130, step(-0.001)), (140, None)]);
        assert_eq!((kept.len(), kept[0].detail.as_str(), kept[0].end), (1, "0.07", Some(When(139))));
    }

    #[test]
    fn growing_error_of_a_drift_is_reported() {
        let drift = |error_s| Some(Finding { error_s, ..finding(EventKind::ServerDrift, 95, Some(2.0)) });
        assert_eq!(
            followed(&[(100, drift(0.001)), (110, drift(0.0015)), (120, drift(0.003)), (130, drift(0.005))]).0,
            2
        );
    }

    #[test]
    fn changed_share_of_wrong_replies_is_reported() {
        let with = |share| Finding { share: Some(share), ..finding(EventKind::ServerStep, 95, Some(0.1)) };
        let (reports, _) = followed(&[(100, Some(with(0.29))), (110, Some(with(0.35))), (120, Some(with(0.5)))]);
        assert_eq!(reports, 2);
    }

    #[test]
    fn route_change_and_step_are_different_matters() {
        let (_, kept) = followed(&[
            (100, Some(finding(EventKind::RouteChange, 95, Some(0.1)))),
            (110, Some(finding(EventKind::ServerStep, 95, Some(0.1)))),
        ]);
        assert_eq!(kept.len(), 2);
    }
}
