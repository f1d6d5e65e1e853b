//! The book that is kept on each address of each server: what health, metrics and the page show of its polls. Pure.

use std::collections::BTreeMap;

use super::availability::{Availability, Tally};
use super::report::ServerHealth;
use crate::clock::Stamp;
use crate::sample::{Outcome, Sample, SeriesKey};

/// All servers. Bounded by what is configured: a series that is no longer polled is forgotten.
#[derive(Debug, Default)]
pub struct Book {
    /// Boxed: the nodes of a tree are half empty, and a page is large.
    pages: BTreeMap<SeriesKey, Box<Page>>,
}

#[derive(Debug)]
struct Page {
    availability: Availability,
    last: Outcome,
    last_at: Stamp,
    last_sample: Option<Stamp>,
    up_since: Option<Stamp>,
    consecutive_failures: u64,
    /// The last eight polls, newest in the lowest bit (RFC 5905 §13, p.reach).
    reach: u8,
    poll_s: f64,
    outcomes: [u64; Outcome::LABELS.len()],
    rejected_replies: u64,
}

impl Page {
    fn new(at: Stamp) -> Self {
        Self {
            availability: Availability::default(),
            last: Outcome::Timeout,
            last_at: at,
            last_sample: None,
            up_since: None,
            consecutive_failures: 0,
            reach: 0,
            poll_s: 0.0,
            outcomes: [0; Outcome::LABELS.len()],
            rejected_replies: 0,
        }
    }

    fn record(&mut self, sample: &Sample) -> Option<Turn> {
        let failures_before = self.consecutive_failures;
        let ok = sample.outcome.is_success();
        self.availability.record(seconds(sample.at), ok);
        self.reach = self.reach << 1 | u8::from(ok);
        if ok {
            self.consecutive_failures = 0;
            self.last_sample = Some(sample.at);
            self.up_since.get_or_insert(sample.at);
        } else {
            self.consecutive_failures += 1;
            self.up_since = None;
        }
        let label = sample.outcome.label();
        let kind = Outcome::LABELS.iter().position(|known| *known == label);
        self.outcomes[kind.expect("every label is in LABELS")] += 1;
        self.rejected_replies += u64::from(sample.rejected_count);
        self.last = sample.outcome.clone();
        self.last_at = sample.at;
        self.poll_s = sample.poll_s;
        match sample.outcome {
            Outcome::Kiss(_) => Some(Turn::Kissed),
            _ if self.consecutive_failures == FAILURES => Some(Turn::Failed),
            _ if ok && failures_before >= FAILURES => Some(Turn::Recovered { failures: failures_before }),
            _ => None,
        }
    }
}

/// A server is said to fail from this many failed polls in a row on: one lost datagram is life.
pub const FAILURES: u64 = 3;

/// What a poll changed that a person wants to read in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The server fails, from now on.
    Failed,
    /// It gives samples again, after so many polls that did not.
    Recovered {
        /// How many.
        failures: u64,
    },
    /// It asked to be left alone.
    Kissed,
}

impl Book {
    /// A poll has ended. Returns what is worth a line in the log.
    pub fn record(&mut self, sample: &Sample) -> Option<Turn> {
        let key = sample.key();
        if key.address.is_some() {
            // The name resolves again.
            self.pages.remove(&SeriesKey { address: None, ..key.clone() });
        }
        self.pages.entry(key).or_insert_with(|| Box::new(Page::new(sample.at))).record(sample)
    }

    /// Takes up what an earlier process counted in the hour that began `age_s` seconds before `now`.
    pub fn recall(&mut self, key: SeriesKey, now: Stamp, age_s: i64, tally: Tally) {
        let page = self.pages.entry(key).or_insert_with(|| Box::new(Page::new(now)));
        page.availability.recall(seconds(now) - age_s, tally);
    }

    /// A series is no longer polled.
    pub fn forget(&mut self, key: &SeriesKey) {
        self.pages.remove(key);
    }

    /// Every page as of `now`. A series that this process has not polled yet is left out.
    pub fn report(&mut self, now: Stamp) -> Vec<ServerHealth> {
        let mut reports = Vec::with_capacity(self.pages.len());
        let polled = self.pages.iter_mut().filter(|(_, page)| page.outcomes.iter().any(|n| *n > 0));
        reports.extend(polled.map(|(key, page)| page_report(key, page, now)));
        reports
    }
}

fn page_report(key: &SeriesKey, page: &mut Page, now: Stamp) -> ServerHealth {
    let counted = Outcome::LABELS.into_iter().zip(page.outcomes);
    ServerHealth {
        server: key.server.to_string(),
        address: key.address,
        outcome: page.last.label(),
        reason: page.last.reason().into_owned(),
        consecutive_failures: page.consecutive_failures,
        reach: format!("{:o}", page.reach),
        success: page.availability.rates(seconds(now)),
        up_for_s: page.up_since.map(|since| now.since(since).as_secs_f64()),
        last_poll_ago_s: now.since(page.last_at).as_secs_f64(),
        last_sample_ago_s: page.last_sample.map(|at| now.since(at).as_secs_f64()),
        poll_s: page.poll_s,
        outcomes: counted.filter(|(_, n)| *n > 0).collect::<BTreeMap<_, _>>(),
        rejected_replies: page.rejected_replies,
    }
}

/// Windows are kept by the monotonic clock: a step of the clock under suspicion must not empty them.
fn seconds(at: Stamp) -> i64 {
    at.mono_ns.div_euclid(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::ServerIdent;

    fn at(second: i64) -> Stamp {
        Stamp::new(0, second * 1_000_000_000, 0)
    }

    fn sample(second: i64, address: Option<&str>, outcome: Outcome) -> Sample {
        let sample = Sample::unasked(at(second), ServerIdent::named("a"), outcome, 64.0);
        Sample { address: address.map(|text| text.parse().unwrap()), sent: 1, ..sample }
    }

    const ADDRESS: Option<&str> = Some("192.0.2.1:123");

    #[test]
    fn failures_in_a_row_end_with_a_sample_and_uptime_begins_with_it() {
        let mut book = Book::default();
        book.record(&sample(0, ADDRESS, Outcome::Timeout));
        book.record(&sample(64, ADDRESS, Outcome::Refused));
        let failing = book.report(at(70)).remove(0);
        assert_eq!((failing.consecutive_failures, failing.up_for_s, failing.reach.as_str()), (2, None, "0"));
        book.record(&sample(128, ADDRESS, Outcome::Sample));
        book.record(&sample(192, ADDRESS, Outcome::Sample));
        let working = book.report(at(200)).remove(0);
        assert_eq!((working.consecutive_failures, working.up_for_s, working.reach.as_str()), (0, Some(72.0), "3"));
        assert_eq!(working.outcomes.get("timeout"), Some(&1));
    }

    #[test]
    fn a_server_that_fails_and_recovers_is_said_once_each() {
        let mut book = Book::default();
        let lost = |n| sample(n, ADDRESS, Outcome::Timeout);
        let turns: Vec<_> = (0..5).map(|n| book.record(&lost(n))).collect();
        assert_eq!(turns, [None, None, Some(Turn::Failed), None, None]);
        let good = |n| sample(n, ADDRESS, Outcome::Sample);
        assert_eq!(book.record(&good(5)), Some(Turn::Recovered { failures: 5 }));
        assert_eq!(book.record(&good(6)), None);
        assert_eq!(book.record(&lost(7)).or(book.record(&good(8))), None);
    }

    #[test]
    fn a_name_that_resolves_again_leaves_no_ghost() {
        let mut book = Book::default();
        book.record(&sample(0, None, Outcome::Dns("no such name".into())));
        assert_eq!(book.report(at(1))[0].reason, "no such name");
        book.record(&sample(60, ADDRESS, Outcome::Sample));
        let report = book.report(at(61));
        assert_eq!(report.len(), 1);
        assert!(report[0].address.is_some());
    }

    #[test]
    fn rates_of_an_earlier_process_count_once_the_series_is_polled() {
        let mut book = Book::default();
        let key = sample(0, ADDRESS, Outcome::Sample).key();
        book.recall(key.clone(), at(100_000), 7200, Tally { ok: 50, polls: 56 });
        assert!(book.report(at(100_000)).is_empty());
        book.record(&sample(100_001, ADDRESS, Outcome::Sample));
        let report = book.report(at(100_002)).remove(0);
        assert_eq!((report.success.hour.polls, report.success.day), (1, Tally { ok: 51, polls: 57 }));
        book.forget(&key);
        assert!(book.report(at(100_003)).is_empty());
    }
}
