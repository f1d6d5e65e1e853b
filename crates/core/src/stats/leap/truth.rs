//! The current state of leap seconds, and problems with them as events with start and end.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LeapFinding, LeapList, judge_announcements};
use crate::ntp::Leap;
use crate::stats::events::{Event, EventKind};
use crate::stats::verdict::When;

/// Servers must disagree, or agree again, for this long, in seconds, before it counts, because they learn of an
/// announcement at different times and are polled at different times.
const SETTLED_S: f64 = 900.0;
/// How far ahead the next leap second is shown; they are published half a year ahead.
const AHEAD_S: i64 = 200 * super::DAY_S;

/// The leap second list in use, or why there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeapSource {
    /// The path of the list file.
    pub path: Option<String>,
    /// The parsed list.
    pub list: Option<Arc<LeapList>>,
    /// Why the list cannot be used.
    pub fault: Option<String>,
}

/// The current state of leap seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct LeapTruth {
    /// The leap second list; absent if there is none.
    pub list: Option<ListFacts>,
    /// The path of the list file.
    pub path: Option<String>,
    /// Why the list cannot be used.
    pub fault: Option<String>,
    /// The confirmed problems.
    pub findings: Vec<Finding>,
}

/// A problem with leap seconds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Finding {
    /// The kind of the corresponding event.
    pub kind: EventKind,
    /// When the problem began.
    pub since: When,
    /// The problem as a sentence.
    pub sentence: String,
}

/// The content of the leap second list at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListFacts {
    /// When the list expires.
    pub expires: When,
    /// Whole days until the list expires, negative afterwards.
    pub days_left: i64,
    /// TAI − UTC in seconds; absent if the list has expired.
    pub tai_minus_utc_s: Option<i32>,
    /// The first second after the next leap second; absent if there is none within 200 days.
    pub next: Option<When>,
    /// +1 if the next leap second is inserted, −1 if it is deleted.
    pub next_sign: Option<i8>,
}

impl ListFacts {
    fn at(list: &LeapList, unix_s: i64) -> Self {
        let next = list.next_leap(unix_s, AHEAD_S);
        let when = |unix_s: i64| When(unix_s.saturating_mul(1_000_000_000));
        Self {
            expires: when(list.expires_unix_s),
            days_left: list.days_left(unix_s),
            tai_minus_utc_s: list.tai_offset_s(unix_s),
            next: next.map(|leap| when(leap.at_unix_s)),
            next_sign: next.map(|leap| leap.sign),
        }
    }
}

/// Follows the leap seconds that servers announce.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LeapKeeper {
    #[serde(skip)]
    source: LeapSource,
    seen: Vec<Seen>,
    #[serde(skip)]
    truth: Arc<LeapTruth>,
}

/// A finding, which is open once it is settled.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    finding: LeapFinding,
    since: When,
    /// When it was first and last seen, in seconds on the samples' axis.
    from_s: f64,
    last_s: f64,
    open: bool,
}

impl LeapKeeper {
    /// Sets another list, or none.
    pub fn use_list(&mut self, source: LeapSource) {
        self.source = source;
    }

    /// The list in use.
    #[must_use]
    pub fn source(&self) -> &LeapSource {
        &self.source
    }

    /// The state as of the last look.
    #[must_use]
    pub fn truth(&self) -> &Arc<LeapTruth> {
        &self.truth
    }

    /// Compares what servers announce at `now`, which is `at_s` seconds on an axis without steps. Adds the events that
    /// began or ended.
    pub fn look(&mut self, servers: &[(&str, Leap)], now: When, at_s: f64, events: &mut Vec<Event>) {
        let unix_s = now.0.div_euclid(1_000_000_000);
        for finding in judge_announcements(servers, self.source.list.as_deref(), unix_s) {
            self.see(finding, now, at_s);
        }
        for seen in &mut self.seen {
            if !seen.open && seen.is_settled() {
                seen.open = true;
                events.push(seen.event(None));
            }
        }
        self.seen.retain(|seen| {
            let lasts = seen.last_s >= at_s || (seen.open && at_s - seen.last_s < SETTLED_S);
            if !lasts && seen.open {
                events.push(seen.event(Some(now)));
            }
            lasts
        });
        self.publish(unix_s);
    }

    fn see(&mut self, finding: LeapFinding, now: When, at_s: f64) {
        match self.seen.iter_mut().find(|seen| seen.finding.kind() == finding.kind()) {
            Some(seen) => (seen.finding, seen.last_s) = (finding, at_s),
            None => self.seen.push(Seen { finding, since: now, from_s: at_s, last_s: at_s, open: false }),
        }
    }

    fn publish(&mut self, unix_s: i64) {
        let open = self.seen.iter().filter(|seen| seen.open);
        let finding =
            |seen: &Seen| Finding { kind: seen.finding.kind(), since: seen.since, sentence: seen.finding.sentence() };
        let truth = LeapTruth {
            list: self.source.list.as_deref().map(|list| ListFacts::at(list, unix_s)),
            path: self.source.path.clone(),
            fault: self.source.fault.clone(),
            findings: open.map(finding).collect(),
        };
        if *self.truth != truth {
            self.truth = Arc::new(truth);
        }
    }
}

impl Seen {
    /// The expiry of the list needs no confirmation.
    fn is_settled(&self) -> bool {
        matches!(self.finding, LeapFinding::ListExpiry { .. }) || self.last_s - self.from_s >= SETTLED_S
    }

    fn event(&self, end: Option<When>) -> Event {
        let sentence = self.finding.sentence();
        let (kind, start) = (self.finding.kind(), self.since);
        Event { kind, server: None, address: None, start, end, detail: String::new(), sentence, replaces: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT_2017_S: i64 = 1_483_228_800;

    fn keeper() -> LeapKeeper {
        let list = LeapList::parse(include_str!("testdata/leap-seconds.list")).unwrap();
        let mut keeper = LeapKeeper::default();
        keeper.use_list(LeapSource { list: Some(Arc::new(list)), ..LeapSource::default() });
        keeper
    }

    /// Looks every minute from `from_s` on, for `minutes`.
    fn look(keeper: &mut LeapKeeper, servers: &[(&str, Leap)], from_s: i64, minutes: i64) -> Vec<Event> {
        let mut events = Vec::new();
        for unix_s in (0..minutes).map(|minute| from_s + 60 * minute) {
            keeper.look(servers, When(unix_s * 1_000_000_000), unix_s as f64, &mut events);
        }
        events
    }

    #[test]
    fn staggered_leap_announcements_are_no_disagreement() {
        let mut keeper = keeper();
        let from_s = MIDNIGHT_2017_S - 20 * 86_400;
        let torn = [("a", Leap::Insert), ("b", Leap::None)];
        assert_eq!(look(&mut keeper, &torn, from_s, 10), []);
        assert_eq!(look(&mut keeper, &[("a", Leap::Insert), ("b", Leap::Insert)], from_s + 600, 60), []);
        assert_eq!(keeper.truth().findings, []);
    }

    #[test]
    fn a_lasting_disagreement_is_one_event_with_beginning_and_end() {
        let mut keeper = keeper();
        let from_s = MIDNIGHT_2017_S - 20 * 86_400;
        let begun = look(&mut keeper, &[("a", Leap::Insert), ("b", Leap::None)], from_s, 60);
        assert_eq!(begun.len(), 1, "{begun:?}");
        assert_eq!((begun[0].kind, begun[0].end), (EventKind::LeapDisagreement, None));
        assert_eq!(begun[0].start, When(from_s * 1_000_000_000));
        assert_eq!(keeper.truth().findings.len(), 1);
        let ended = look(&mut keeper, &[("a", Leap::Insert), ("b", Leap::Insert)], from_s + 3600, 60);
        assert_eq!(ended.len(), 1, "{ended:?}");
        assert_eq!((ended[0].start, ended[0].end.is_some()), (begun[0].start, true));
        assert_eq!(keeper.truth().findings, []);
    }

    #[test]
    fn an_announcement_that_the_list_lacks_is_an_event() {
        let march_s = 1_488_800_000;
        let kinds: Vec<_> =
            look(&mut keeper(), &[("a", Leap::Insert)], march_s, 30).into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::LeapOutOfSeason, EventKind::LeapNotListed]);
    }

    #[test]
    fn expiry_of_the_list_is_reported_at_once_and_only_once() {
        let mut keeper = keeper();
        let expires_s = keeper.source.list.as_ref().unwrap().expires_unix_s;
        let events = look(&mut keeper, &[], expires_s - 10 * 86_400, 100);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].kind, EventKind::LeapListExpiry);
        assert_eq!(keeper.truth().list.unwrap().days_left, 9);
    }

    #[test]
    fn the_next_leap_second_is_announced() {
        let mut keeper = keeper();
        look(&mut keeper, &[], MIDNIGHT_2017_S - 86_400, 1);
        let facts = keeper.truth().list.unwrap();
        assert_eq!((facts.next, facts.next_sign), (Some(When(MIDNIGHT_2017_S * 1_000_000_000)), Some(1)));
        assert_eq!(facts.tai_minus_utc_s, Some(36));
    }
}
