//! Replies that claim to come from a server and answer none of our requests.

use serde::{Deserialize, Serialize};

use super::recurring::{RateChange, Recurring, Rule};
use super::{Event, EventKind};
use crate::ntp::Check;
use crate::sample::{Evidence, Sample};
use crate::stats::verdict::When;

/// Such replies at three of the last 64 polls are one lasting event.
const RECURS: Rule = Rule { hits: 3, runs: 1, ends_at: 0 };

/// Whether replies in the name of a server keep failing the checks that they answer our requests.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ForgedWatch {
    recurring: Recurring,
    /// Requests of the last poll that were not answered: their replies may arrive late.
    owed: u32,
    first: Option<When>,
    replies: u64,
}

impl ForgedWatch {
    /// Takes a poll and appends the events.
    pub fn observe(&mut self, sample: &Sample, events: &mut Vec<Event>) {
        let at = When(sample.at.wall_ns);
        let late = std::mem::replace(&mut self.owed, u32::from(sample.lost));
        let forged = forged_replies(sample).saturating_sub(late);
        if forged > 0 {
            self.replies += u64::from(forged);
            self.first.get_or_insert(at);
        }
        let turn = self.recurring.poll(forged > 0, at, self.first.unwrap_or(at), RECURS);
        events.extend(turn.map(|turn| self.event(sample, turn)));
        // A lone reply more than 64 polls ago is not the start of a later event.
        if !self.recurring.is_open() && self.recurring.is_quiet() {
            (self.first, self.replies) = (None, 0);
        }
    }

    fn event(&self, sample: &Sample, turn: RateChange) -> Event {
        let (name, replies) = (&sample.server.name, self.replies);
        let (rate, end, sentence) = match turn {
            RateChange::Lasts(rate) => {
                let sentence = format!(
                    "Replies that answer none of our requests arrive in the name of {name}, at {rate}; they are \
                     rejected."
                );
                (rate, None, sentence)
            }
            RateChange::Ends(rate, last) => {
                let sentence = format!(
                    "Replies that answered none of our requests arrived in the name of {name}, at {rate}; they were \
                     rejected."
                );
                (rate, Some(last), sentence)
            }
        };
        let detail = format!("{replies} replies, {rate}");
        Event::of(sample, EventKind::SpoofedReplies, rate.start, end, detail, sentence)
    }
}

/// The rejected replies of a poll that were not answers to its request. If all replies with evidence are such, those
/// without evidence count too.
fn forged_replies(sample: &Sample) -> u32 {
    let foreign = sample.rejected.iter().filter(|evidence| is_foreign(evidence)).count();
    if foreign == sample.rejected.len() { sample.rejected_count } else { foreign as u32 }
}

/// Whether the datagram is no answer to our request. An answer that only states a wrong time is still an answer.
fn is_foreign(evidence: &Evidence) -> bool {
    use Check::{Duplicate, Length, Mode, Origin, Sender, UniqueIdentifier, Version};
    matches!(
        evidence.checks.first_failure(),
        Some(Sender | Length | Version | Mode | Origin | Duplicate | UniqueIdentifier)
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ntp::{CheckRow, NtpTimestamp};
    use crate::stats::testing;

    fn evidence(failed: Check) -> Arc<Evidence> {
        let mut checks = CheckRow::default();
        checks.record(failed, false);
        let zero = NtpTimestamp(0);
        let at = testing::stamp(0.0);
        Arc::new(Evidence {
            at,
            checks,
            t1: zero,
            t2: zero,
            t3: zero,
            t4: zero,
            sender: None,
            hop_limit: None,
            datagram: Box::default(),
        })
    }

    /// Poll `k` with so many rejected replies.
    fn poll(k: usize, replies: u32, failed: Check) -> Sample {
        let rejected = (0..replies.min(4)).map(|_| evidence(failed)).collect();
        Sample { rejected, rejected_count: replies, ..testing::sample(k as f64 * 64.0, 0.0, 0.01) }
    }

    fn kept(polls: impl Iterator<Item = Sample>) -> Vec<Event> {
        let (mut watch, mut events, mut kept) = (ForgedWatch::default(), Vec::new(), Vec::new());
        polls.for_each(|poll| watch.observe(&poll, &mut events));
        events.into_iter().for_each(|event| event.upsert(&mut kept));
        kept
    }

    fn at(k: usize) -> When {
        When(testing::stamp(k as f64 * 64.0).wall_ns)
    }

    #[test]
    fn forged_replies_are_one_event_with_their_number() {
        let events = kept((0..300).map(|k| poll(k, if (20..60).contains(&k) { 10 } else { 0 }, Check::Origin)));
        assert_eq!((events.len(), events[0].kind), (1, EventKind::SpoofedReplies), "{events:?}");
        assert_eq!((events[0].start, events[0].end), (at(20), Some(at(59))));
        assert!(events[0].detail.starts_with("400 replies, "), "{}", events[0].detail);
    }

    #[test]
    fn late_replies_of_a_slow_server_are_not_forged() {
        let polls = (0..300).map(|k| match k % 2 {
            0 => Sample { lost: 1, ..testing::lost(k as f64 * 64.0) },
            _ => poll(k, 1, Check::Origin),
        });
        assert_eq!(kept(polls), []);
    }

    #[test]
    fn replies_that_only_state_a_wrong_time_are_not_forged() {
        assert_eq!(kept((0..300).map(|k| poll(k, 1, Check::RootDistance))), []);
    }

    #[test]
    fn two_stray_datagrams_are_no_event() {
        assert_eq!(kept((0..300).map(|k| poll(k, u32::from(k == 7 || k == 9), Check::Sender))), []);
    }
}
