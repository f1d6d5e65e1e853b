//! Changes between the replies of a server, and failed polls, as events.

use serde::{Deserialize, Serialize};

use super::forged::ForgedWatch;
use super::loss::LossWatch;
use super::nts::NtsWatch;
use super::recurring::{RateChange, Recurring, Rule};
use super::{Event, EventKind};
use crate::ntp::{Leap, RefId};
use crate::sample::{Outcome, Reply, Sample};
use crate::stats::verdict::When;

/// Changes at so many of the last polls are one lasting event.
const RECURS: Rule = Rule { hits: 4, runs: 1, ends_at: 1 };

/// The last reply of a server, and what recurs in its replies.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::stats) struct ServerWatch {
    said: Option<LastReply>,
    stratum: Recurring,
    upstream: Recurring,
    leap: Recurring,
    loss: LossWatch,
    forged: ForgedWatch,
    nts: NtsWatch,
    /// Changes between a recent and a stale reference.
    staleness: Recurring,
    is_stale: bool,
    /// The start of the event of a stale reference.
    stale_since: Option<When>,
}

/// What a server says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(in crate::stats) struct LastReply {
    pub stratum: u8,
    pub leap: Leap,
    /// The upstream, with the stratum of the reply that named it; kept while the server is not synchronised.
    pub upstream: Option<(RefId, u8)>,
}

/// A property in which a reply may differ from the one before.
struct Property {
    kind: EventKind,
    name: &'static str,
    /// The values before and now, if they differ.
    change: Option<(String, String)>,
}

impl ServerWatch {
    /// The last reply. An upstream that keeps changing is left out.
    pub fn said(&self) -> Option<LastReply> {
        let said = self.said?;
        Some(LastReply { upstream: said.upstream.filter(|_| !self.upstream.is_open()), ..said })
    }

    /// The leap indicator, unless it keeps changing.
    pub fn announced(&self) -> Option<Leap> {
        self.said.filter(|_| !self.leap.is_open()).map(|said| said.leap)
    }

    /// Compares a poll with the previous ones and appends the events.
    pub fn observe(&mut self, sample: &Sample, events: &mut Vec<Event>) {
        self.nts.observe(sample, events);
        if let Some(reply) = &sample.reply {
            self.observe_reply(sample, reply, events);
            self.observe_reference(sample, reply, events);
        }
        // A fault of this host is not a failure of the server.
        if !matches!(sample.outcome, Outcome::Fault(_)) {
            self.loss.observe(sample, events);
        }
        self.forged.observe(sample, events);
    }

    fn observe_reply(&mut self, sample: &Sample, reply: &Reply, events: &mut Vec<Event>) {
        // The identifier of an unsynchronised server is a code, or the upstream that it has lost.
        let named = sample.outcome.is_success().then_some((reply.refid, reply.stratum));
        let upstream = named.or(self.said.and_then(|said| said.upstream));
        let now = LastReply { stratum: reply.stratum, leap: reply.leap, upstream };
        let Some(before) = self.said.replace(now) else { return };
        for (recurring, property) in
            [&mut self.stratum, &mut self.upstream, &mut self.leap].into_iter().zip(changes(before, now))
        {
            observe_property(recurring, sample, &property, events);
        }
    }

    fn observe_reference(&mut self, sample: &Sample, reply: &Reply, events: &mut Vec<Event>) {
        let (Some(age_s), name) = (reply.reference_age_s, &sample.server.name) else { return };
        let (at, is_stale) = (When(sample.at.wall_ns), reply.is_stale());
        let is_change = std::mem::replace(&mut self.is_stale, is_stale) != is_stale;
        let mut push = |start, end, detail, text| {
            events.push(Event::of(sample, EventKind::StaleReference, start, end, detail, text));
        };
        let turn = self.staleness.poll(is_change, at, at, RECURS);
        let is_shown = is_stale && !self.staleness.is_open();
        if let Some(since) = self.stale_since.filter(|_| !is_shown) {
            self.stale_since = None;
            push(since, Some(at), days(age_s), format!("{name} says that its clock has been set again."));
        }
        if let Some(turn) = turn {
            let (rate, end, alternates) = match turn {
                RateChange::Lasts(rate) => (rate, None, "alternates"),
                RateChange::Ends(rate, last) => (rate, Some(last), "alternated"),
            };
            let text = format!("{name} {alternates} between a recent and an old reference time, at {rate}.");
            push(rate.start, end, rate.to_string(), text);
        }
        if is_shown && self.stale_since.is_none() {
            self.stale_since = Some(at);
            let ago = days(age_s);
            push(at, None, ago.clone(), format!("{name} says that its clock was last set {ago} ago."));
        }
    }
}

fn days(age_s: f64) -> String {
    format!("{:.1} days", age_s / 86_400.0)
}

fn changes(before: LastReply, now: LastReply) -> [Property; 3] {
    fn change<T: PartialEq + Copy>(before: T, now: T, text: impl Fn(T) -> String) -> Option<(String, String)> {
        (before != now).then(|| (text(before), text(now)))
    }
    // The same upstream may be named at another stratum.
    let upstream = before.upstream.zip(now.upstream).filter(|(before, now)| before.0 != now.0);
    [
        Property {
            kind: EventKind::Stratum,
            name: "stratum",
            change: change(before.stratum, now.stratum, |stratum| stratum.to_string()),
        },
        Property {
            kind: EventKind::Refid,
            name: "upstream",
            change: upstream.and_then(|(before, now)| change(before, now, |(refid, stratum)| refid.display(stratum))),
        },
        Property {
            kind: EventKind::Leap,
            name: "leap indicator",
            change: change(before.leap, now.leap, |leap| leap.bits().to_string()),
        },
    ]
}

fn observe_property(recurring: &mut Recurring, sample: &Sample, property: &Property, events: &mut Vec<Event>) {
    let Property { kind, name: what, change } = property;
    let (name, at) = (&sample.server.name, When(sample.at.wall_ns));
    let turn = recurring.poll(change.is_some(), at, at, RECURS);
    let (start, end, detail, sentence) = match (turn, change) {
        (Some(RateChange::Lasts(rate)), _) => {
            let percent = rate.percent();
            let polls =
                if percent >= 50 { format!("most polls ({percent} %)") } else { format!("{percent} % of its polls") };
            (rate.start, None, rate.to_string(), format!("{name} changes its {what} at {polls}."))
        }
        (Some(RateChange::Ends(rate, last)), _) => {
            let sentence = format!("{name} changed its {what} at {rate}, and has kept it since.");
            (rate.start, Some(last), rate.to_string(), sentence)
        }
        (None, Some((from, to))) if !recurring.is_open() => {
            (at, Some(at), format!("{from} -> {to}"), format!("{name} changed its {what} from {from} to {to}."))
        }
        (None, _) => return,
    };
    events.push(Event::of(sample, *kind, start, end, detail, sentence));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nts::{Certificate, LastExchange, Status};
    use crate::stats::testing;

    /// A poll at `k` times 64 s, with this stratum.
    fn poll(k: i64, outcome: Outcome, stratum: u8) -> Sample {
        let mut sample = testing::sample(k as f64 * 64.0, 0.0, 0.01);
        sample.outcome = outcome;
        sample.reply.as_mut().unwrap().stratum = stratum;
        sample
    }

    /// A poll at `k` times 64 s, of a server with this upstream and leap indicator.
    fn reply(k: i64, upstream: u8, leap: Leap) -> Sample {
        let mut sample = poll(k, Outcome::Sample, 2);
        let reply = sample.reply.as_mut().unwrap();
        (reply.refid, reply.leap) = (RefId([192, 0, 2, upstream]), leap);
        sample
    }

    fn kept(polls: impl Iterator<Item = Sample>) -> (ServerWatch, Vec<Event>) {
        let (mut watch, mut events, mut kept) = (ServerWatch::default(), Vec::new(), Vec::new());
        polls.for_each(|poll| watch.observe(&poll, &mut events));
        events.into_iter().for_each(|event| event.upsert(&mut kept));
        (watch, kept)
    }

    #[test]
    fn change_of_certificate_and_of_issuer_are_events() {
        let certificate = |issuer: &str, serial: &str| Certificate {
            subject: "CN=ntp".into(),
            issuer: issuer.into(),
            serial: serial.into(),
            not_before: jiff::Timestamp::UNIX_EPOCH,
            not_after: jiff::Timestamp::UNIX_EPOCH,
        };
        let chain = [("A", "1"), ("A", "1"), ("A", "2"), ("B", "3")];
        let (_, events) = kept(chain.into_iter().zip(0..).map(|((issuer, serial), k)| {
            let mut poll = poll(k, Outcome::Sample, 1);
            let at = poll.at;
            let chain = [certificate(issuer, serial)].into();
            let last = LastExchange { at, took: std::time::Duration::ZERO, fault: None, chain };
            poll.nts = Some(std::sync::Arc::new(Status {
                key_server: "ntp:4460".into(),
                asked: ([192, 0, 2, 1], 123).into(),
                aead: None,
                cookies: 8,
                cookie_len: Some(100),
                last: Some(last),
                exchanges: 1,
                failures: 0,
                failures_in_row: 0,
                naks: 0,
                downgrades: 0,
            }));
            poll
        }));
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::NtsCertificate; 2]);
        assert!(events[0].sentence.contains("new certificate") && events[1].sentence.contains("another issuer"));
    }

    #[test]
    fn change_of_stratum_is_one_event() {
        let (_, events) = kept([2, 2, 3, 3, 3].into_iter().zip(0..).map(|(s, k)| poll(k, Outcome::Sample, s)));
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].kind, events[0].detail.as_str()), (EventKind::Stratum, "2 -> 3"));
        assert_eq!(events[0].end, Some(events[0].start));
    }

    #[test]
    fn restart_of_a_server_is_no_change_of_upstream() {
        let mut polls: Vec<_> = [2, 0, 2].into_iter().zip(0..).map(|(s, k)| poll(k, Outcome::Sample, s)).collect();
        polls[1].outcome = Outcome::Unsynchronised(None);
        polls[1].reply.as_mut().unwrap().refid = RefId(*b"INIT");
        let (_, events) = kept(polls.into_iter());
        let details: Vec<_> = events.iter().map(|event| (event.kind, event.detail.as_str())).collect();
        assert_eq!(details, [(EventKind::Stratum, "2 -> 0"), (EventKind::Stratum, "0 -> 2")]);
    }

    #[test]
    fn stale_reference_is_an_event_until_the_clock_is_set() {
        let polls = [0.1, 400.0, 400.001, 0.01].into_iter().zip(0..).map(|(days, k)| {
            let mut poll = poll(k, Outcome::Sample, 1);
            poll.reply.as_mut().unwrap().reference_age_s = Some(days * 86_400.0);
            poll
        });
        let (_, events) = kept(polls);
        assert_eq!((events.len(), events[0].kind), (1, EventKind::StaleReference));
        let at = |k: f64| When(testing::stamp(k * 64.0).wall_ns);
        assert_eq!((events[0].start, events[0].end), (at(1.0), Some(at(3.0))));
    }

    #[test]
    fn upstream_that_changes_at_most_polls_is_one_open_event() {
        let (watch, events) = kept((0..2000).map(|k| reply(k, (k % 251) as u8, Leap::None)));
        assert_eq!(events.len(), 4, "three changes, and what they turned out to be: {events:?}");
        let last = events.last().unwrap();
        assert_eq!((last.kind, last.end, last.detail.as_str()), (EventKind::Refid, None, "100 % of polls"));
        assert_eq!(last.sentence, "test changes its upstream at most polls (100 %).");
        assert_eq!(watch.said().unwrap().upstream, None, "the verdict ignores its upstream");
    }

    #[test]
    fn recurring_changes_end_with_the_last_of_them() {
        let leap = |k: i64| if k < 200 && k % 5 == 0 { Leap::Insert } else { Leap::None };
        let (watch, events) = kept((0..400).map(|k| reply(k, 1, leap(k))));
        let last = events.last().unwrap();
        assert_eq!((events.len(), last.kind), (4, EventKind::Leap));
        assert_eq!(last.end, Some(When(testing::stamp(196.0 * 64.0).wall_ns)));
        assert!(last.sentence.starts_with("test changed its leap indicator at 40 % of polls"), "{}", last.sentence);
        assert_eq!(watch.announced(), Some(Leap::None));
        let (watch, _) = kept((0..100).map(|k| reply(k, 1, leap(k))));
        assert_eq!(watch.announced(), None, "its announcements are ignored");
    }
}
