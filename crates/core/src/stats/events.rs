//! Events with start and end: changes in the replies of servers, bursts of packet loss, steps, route changes, pauses
//! and restarts of the monitor.
//!
//! A lasting event is reported when it begins (without an end) and again when it ends. The key of an event is (kind,
//! server, address, start); an event with the same key replaces the earlier one.

use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::When;
use crate::ntp::{Leap, RefId};
use crate::sample::{Outcome, Reply, Sample};

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A server's stratum changed.
    Stratum,
    /// A server switched to another upstream (its reference identifier changed).
    Refid,
    /// A server's leap indicator changed.
    Leap,
    /// A server says that its clock was last set more than 36 hours ago.
    StaleReference,
    /// Three or more polls in a row without a usable reply.
    LossBurst,
    /// A server's clock stepped against the others.
    ServerStep,
    /// A server's clock changed its rate against the others.
    ServerDrift,
    /// The delay to a server changed lastingly, and its offset with it.
    RouteChange,
    /// The delays to most servers rose together.
    Congestion,
    /// This host's wall clock was stepped.
    ClockStep,
    /// This host's wall clock was slewed quickly.
    ClockSlew,
    /// This host's clock runs at a wrong rate.
    ClockDrift,
    /// The monitor was not running.
    MonitorPause,
    /// This host was restarted.
    MachineRestart,
    /// Some servers announce a leap second and others do not.
    LeapDisagreement,
    /// A leap second is announced for a month that cannot have one.
    LeapOutOfSeason,
    /// A leap second is announced that is not on the leap second list.
    LeapNotListed,
    /// A leap second is due within a day according to the list, but some servers do not announce it.
    LeapNotAnnounced,
    /// The leap second list has expired or will expire soon.
    LeapListExpiry,
}

impl EventKind {
    /// The name in the store and the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Stratum => "stratum",
            Self::Refid => "refid",
            Self::Leap => "leap",
            Self::StaleReference => "stale_reference",
            Self::LossBurst => "loss_burst",
            Self::ServerStep => "server_step",
            Self::ServerDrift => "server_drift",
            Self::RouteChange => "route_change",
            Self::Congestion => "congestion",
            Self::ClockStep => "clock_step",
            Self::ClockSlew => "clock_slew",
            Self::ClockDrift => "clock_drift",
            Self::MonitorPause => "monitor_pause",
            Self::MachineRestart => "machine_restart",
            Self::LeapDisagreement => "leap_disagreement",
            Self::LeapOutOfSeason => "leap_out_of_season",
            Self::LeapNotListed => "leap_not_listed",
            Self::LeapNotAnnounced => "leap_not_announced",
            Self::LeapListExpiry => "leap_list_expiry",
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The kind of the event.
    pub kind: EventKind,
    /// The name of the server; absent for events of this host's clock and of the monitor.
    pub server: Option<String>,
    /// The address of the server.
    pub address: Option<String>,
    /// When the event began.
    pub start: When,
    /// When the event ended. Equal to the start for a momentary change; absent while the event lasts.
    pub end: Option<When>,
    /// The values in short form: `2 -> 3`, `+0.060 s`.
    pub detail: String,
    /// The event as a sentence.
    pub sentence: String,
}

impl Event {
    /// Replaces the entry with the same key in `events`, or appends.
    pub fn upsert(self, events: &mut Vec<Self>) {
        let same = |e: &&mut Self| {
            e.kind == self.kind && e.server == self.server && e.address == self.address && e.start == self.start
        };
        match events.iter_mut().rev().find(same) {
            Some(old) => *old = self,
            None => events.push(self),
        }
    }
}

/// The minimum number of failures in a row that counts as a burst.
const BURST: u32 = 3;

/// The last reply of a server and its current number of failures in a row.
#[derive(Debug, Default)]
pub(super) struct ServerWatch {
    said: Option<Said>,
    lost: u32,
    lost_since: i64,
    stale_since: Option<i64>,
}

/// What a server says about itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Said {
    pub stratum: u8,
    pub leap: Leap,
    /// The upstream, with the stratum at which it was named; the last one while the server is not synchronised.
    pub upstream: Option<(RefId, u8)>,
}

impl ServerWatch {
    /// What the last reply said.
    pub fn said(&self) -> Option<Said> {
        self.said
    }

    /// Compares a poll with the previous ones and appends the events.
    pub fn observe(&mut self, sample: &Sample, events: &mut Vec<Event>) {
        if let Some(reply) = &sample.reply {
            // The identifier of an unsynchronised server is a code, or the upstream that it has lost.
            let named = sample.outcome.is_success().then_some((reply.refid, reply.stratum));
            let upstream = named.or(self.said.and_then(|said| said.upstream));
            let said = Said { stratum: reply.stratum, leap: reply.leap, upstream };
            if let Some(before) = self.said.replace(said) {
                changes(sample, before, said, events);
            }
            self.observe_reference(sample, reply, events);
        }
        // A fault of this host is not a failure of the server.
        if matches!(sample.outcome, Outcome::Fault(_)) {
            return;
        }
        if matches!(sample.outcome, Outcome::Sample | Outcome::Unsynchronised(_)) {
            if self.lost >= BURST {
                events.push(self.burst(sample, Some(When(sample.at.wall_ns))));
            }
            self.lost = 0;
            return;
        }
        if self.lost == 0 {
            self.lost_since = sample.at.wall_ns;
        }
        self.lost += 1;
        if self.lost == BURST {
            events.push(self.burst(sample, None));
        }
    }

    fn observe_reference(&mut self, sample: &Sample, reply: &Reply, events: &mut Vec<Event>) {
        let (Some(age_s), name) = (reply.reference_age_s, &sample.server.name) else { return };
        let days = format!("{:.1} days", age_s / 86_400.0);
        let at = sample.at.wall_ns;
        match (self.stale_since, reply.is_stale()) {
            (None, true) => {
                self.stale_since = Some(at);
                let text = format!("{name} says that its clock was last set {days} ago.");
                events.push(event(sample, EventKind::StaleReference, When(at), None, days, text));
            }
            (Some(since), false) => {
                self.stale_since = None;
                let text = format!("{name} says that its clock has been set again.");
                events.push(event(sample, EventKind::StaleReference, When(since), Some(When(at)), days, text));
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn burst(&self, sample: &Sample, end: Option<When>) -> Event {
        let name = &sample.server.name;
        let text = match end {
            None => format!("{name} does not answer usably ({}).", sample.outcome.label()),
            Some(_) => format!("{name} answers again after {} polls in a row without a usable reply.", self.lost),
        };
        event(sample, EventKind::LossBurst, When(self.lost_since), end, format!("{} polls", self.lost), text)
    }
}

fn changes(sample: &Sample, before: Said, now: Said, events: &mut Vec<Event>) {
    let name = &sample.server.name;
    let at = When(sample.at.wall_ns);
    let mut changed = |kind, what: &str, from: String, to: String| {
        let sentence = format!("{name} changed its {what} from {from} to {to}.");
        events.push(event(sample, kind, at, Some(at), format!("{from} -> {to}"), sentence));
    };
    if before.stratum != now.stratum {
        changed(EventKind::Stratum, "stratum", before.stratum.to_string(), now.stratum.to_string());
    }
    if let (Some((old, at_old)), Some((new, at_new))) = (before.upstream, now.upstream)
        && old != new
    {
        changed(EventKind::Refid, "upstream", old.display(at_old), new.display(at_new));
    }
    if before.leap != now.leap {
        changed(EventKind::Leap, "leap indicator", before.leap.bits().to_string(), now.leap.bits().to_string());
    }
}

fn event(sample: &Sample, kind: EventKind, start: When, end: Option<When>, detail: String, sentence: String) -> Event {
    let server = Some(sample.server.name.to_string());
    Event { kind, server, address: sample.address.map(|a| a.to_string()), start, end, detail, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::sample::{Authentication, Mode, ServerIdent};

    fn sample(k: i64, outcome: Outcome, stratum: u8) -> Sample {
        let reply = (outcome == Outcome::Sample).then_some(Reply {
            stratum,
            leap: Leap::None,
            refid: RefId([192, 0, 2, 1]),
            precision_log2: -20,
            root_delay_s: 0.0,
            root_dispersion_s: 0.0,
            reference_age_s: None,
        });
        Sample {
            at: Stamp::new(k * 64_000_000_000, 0, 0),
            server: ServerIdent::named("a"),
            address: None,
            outcome,
            reply,
            measure: None,
            poll_s: 64.0,
            timestamping: None,
            authentication: Authentication::None,
            mode: Mode::Basic,
            sent: 1,
            lost: 0,
            evidence: None,
            rejected: Vec::new(),
            rejected_count: 0,
        }
    }

    #[test]
    fn a_change_of_stratum_is_one_event() {
        let (mut watch, mut events) = (ServerWatch::default(), Vec::new());
        for (k, stratum) in [2, 2, 3, 3, 3].into_iter().enumerate() {
            watch.observe(&sample(k as i64, Outcome::Sample, stratum), &mut events);
        }
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].kind, events[0].detail.as_str()), (EventKind::Stratum, "2 -> 3"));
        assert_eq!(events[0].end, Some(events[0].start));
    }

    #[test]
    fn restart_of_a_server_is_no_change_of_upstream() {
        let (mut watch, mut events) = (ServerWatch::default(), Vec::new());
        let mut polls = [2, 0, 2].map(|stratum| sample(0, Outcome::Sample, stratum));
        polls[1].outcome = Outcome::Unsynchronised(None);
        polls[1].reply.as_mut().unwrap().refid = RefId(*b"INIT");
        polls.iter().for_each(|poll| watch.observe(poll, &mut events));
        let details: Vec<_> = events.iter().map(|event| (event.kind, event.detail.as_str())).collect();
        assert_eq!(details, [(EventKind::Stratum, "2 -> 0"), (EventKind::Stratum, "0 -> 2")]);
    }

    #[test]
    fn stale_reference_is_an_event_until_the_clock_is_set() {
        let (mut watch, mut events) = (ServerWatch::default(), Vec::new());
        for (k, days) in [0.1, 400.0, 400.001, 0.01].into_iter().enumerate() {
            let mut poll = sample(k as i64, Outcome::Sample, 1);
            poll.reply.as_mut().unwrap().reference_age_s = Some(days * 86_400.0);
            watch.observe(&poll, &mut events);
        }
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].sentence, "a says that its clock was last set 400.0 days ago.");
        assert_eq!((events[0].kind, events[0].end), (EventKind::StaleReference, None));
        assert_eq!((events[1].start, events[1].end), (events[0].start, Some(When(3 * 64_000_000_000))));
    }

    #[test]
    fn a_burst_of_loss_has_a_beginning_and_an_end_and_one_key() {
        let (mut watch, mut events) = (ServerWatch::default(), Vec::new());
        let polls = [true, false, true, false, false, false, false, true];
        for (k, answered) in polls.into_iter().enumerate() {
            let outcome = if answered { Outcome::Sample } else { Outcome::Timeout };
            watch.observe(&sample(k as i64, outcome, 2), &mut events);
        }
        let mut kept = Vec::new();
        assert_eq!(events.len(), 2);
        events.into_iter().for_each(|e| e.upsert(&mut kept));
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].start, kept[0].end), (When(3 * 64_000_000_000), Some(When(7 * 64_000_000_000))));
        assert_eq!(kept[0].detail, "4 polls");
    }
}
