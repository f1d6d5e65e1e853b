//! The poll history of each server address, as shown by health, metrics and the page.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::availability::{Availability, Tally};
use super::report::{Denial, OutcomeCounts, ServerHealth};
use crate::clock::Stamp;
use crate::sample::{Outcome, Sample, SeriesKey};

/// The poll history of all servers, one entry for each series. Remove a series with [`ServerHealthLog::forget`] when it
/// is no longer polled, so that memory stays bounded.
#[derive(Debug, Default)]
pub struct ServerHealthLog {
    /// Entries are boxed because they are large and the nodes of a B-tree are often half empty.
    servers: BTreeMap<SeriesKey, Box<PollHistory>>,
}

#[derive(Debug)]
struct PollHistory {
    availability: Availability,
    last: Outcome,
    /// Times of the monotonic clock in nanoseconds: a whole stamp takes four times the memory.
    last_ns: i64,
    last_sample_ns: Option<i64>,
    up_since_ns: Option<i64>,
    consecutive_failures: u64,
    /// The last eight polls, newest in the lowest bit (RFC 5905 §13, p.reach).
    reach: u8,
    poll_s: f64,
    outcomes: OutcomeCounts,
    rejected_replies: u64,
}

impl PollHistory {
    fn new(at_ns: i64) -> Self {
        Self {
            availability: Availability::default(),
            last: Outcome::Timeout,
            last_ns: at_ns,
            last_sample_ns: None,
            up_since_ns: None,
            consecutive_failures: 0,
            reach: 0,
            poll_s: 0.0,
            outcomes: OutcomeCounts::default(),
            rejected_replies: 0,
        }
    }

    fn record(&mut self, sample: &Sample) -> Option<HealthChange> {
        let failures_before = self.consecutive_failures;
        let ok = sample.outcome.is_success();
        self.availability.record(seconds(sample.at), ok);
        self.reach = self.reach << 1 | u8::from(ok);
        if ok {
            self.consecutive_failures = 0;
            self.last_sample_ns = Some(sample.at.mono_ns);
            self.up_since_ns.get_or_insert(sample.at.mono_ns);
        } else {
            self.consecutive_failures += 1;
            self.up_since_ns = None;
        }
        self.outcomes.count(&sample.outcome);
        self.rejected_replies += u64::from(sample.rejected_count);
        self.last = sample.outcome.clone();
        self.last_ns = sample.at.mono_ns;
        self.poll_s = sample.poll_s;
        match sample.outcome {
            Outcome::Kiss(_) => Some(HealthChange::Kissed),
            _ if self.consecutive_failures == FAILURES => Some(HealthChange::Failed),
            _ if ok && failures_before >= FAILURES => Some(HealthChange::Recovered { failures: failures_before }),
            _ => None,
        }
    }
}

/// A server counts as failing after this many failed polls in a row. A single lost datagram is normal.
pub const FAILURES: u64 = 3;

/// A change in the state of a server that is worth a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthChange {
    /// The server has started to fail: [`FAILURES`] polls in a row gave no sample.
    Failed,
    /// A failing server has given a sample again.
    Recovered {
        /// The number of failed polls in a row before this sample.
        failures: u64,
    },
    /// The server sent a kiss-o'-death.
    Kissed,
}

impl ServerHealthLog {
    /// Records a poll. Returns a change that is worth a log record, if there is one.
    pub fn record(&mut self, sample: &Sample) -> Option<HealthChange> {
        let key = sample.key();
        if key.address.is_some() {
            // The name resolves again: drop the entry without an address.
            self.servers.remove(&SeriesKey { address: None, ..key.clone() });
        }
        self.servers.entry(key).or_insert_with(|| Box::new(PollHistory::new(sample.at.mono_ns))).record(sample)
    }

    /// Adds the counts of an earlier process for the hour that began `age_s` seconds before `now`.
    pub fn recall(&mut self, key: SeriesKey, now: Stamp, age_s: i64, tally: Tally) {
        let history = self.servers.entry(key).or_insert_with(|| Box::new(PollHistory::new(now.mono_ns)));
        history.availability.recall(seconds(now) - age_s, tally);
    }

    /// Removes a series that `successor` replaces. The failures in a row are those of the server and continue.
    pub fn replace(&mut self, key: &SeriesKey, successor: &SeriesKey) {
        let Some(old) = self.servers.remove(key) else { return };
        let fresh = || Box::new(PollHistory::new(old.last_ns));
        let history = self.servers.entry(successor.clone()).or_insert_with(fresh);
        (history.consecutive_failures, history.reach) = (old.consecutive_failures, old.reach);
    }

    /// Removes a series that is no longer polled.
    pub fn forget(&mut self, key: &SeriesKey) {
        self.servers.remove(key);
    }

    /// The health of every series at `now`. Series that this process has not polled yet are left out, except those with
    /// a denial, which an earlier process received.
    pub fn report(&mut self, now: Stamp, denials: &HashMap<SeriesKey, Denial>) -> Vec<ServerHealth> {
        let mut reports = Vec::with_capacity(self.servers.len());
        for (key, history) in &mut self.servers {
            let denial = if denials.is_empty() { None } else { denials.get(key) };
            if denial.is_some() || !history.outcomes.is_empty() {
                let report = server_report(key, history, now);
                reports.push(match denial {
                    Some(denial) => denied(report, *denial),
                    None => report,
                });
            }
        }
        // Not kept: such a server is forgotten when its denial ends.
        for (key, denial) in denials.iter().filter(|(key, _)| !self.servers.contains_key(key)) {
            let report = server_report(key, &mut PollHistory::new(now.mono_ns), now);
            reports.push(denied(report, *denial));
        }
        reports
    }
}

/// The health of a server while it refuses to serve this host.
fn denied(report: ServerHealth, denial: Denial) -> ServerHealth {
    let paused = ServerHealth { poll_s: denial.ago_s + denial.asked_again_in_s, denial: Some(denial), ..report };
    if !paused.outcomes.is_empty() {
        return paused;
    }
    ServerHealth {
        outcome: "kiss",
        reason: denial.code.to_owned(),
        consecutive_failures: paused.consecutive_failures.max(1),
        last_poll_ago_s: denial.ago_s,
        ..paused
    }
}

fn server_report(key: &SeriesKey, history: &mut PollHistory, now: Stamp) -> ServerHealth {
    let ago_s = |at_ns: i64| now.mono_ns.saturating_sub(at_ns).max(0) as f64 / 1e9;
    ServerHealth {
        server: Arc::clone(&key.server),
        address: key.address,
        outcome: history.last.label(),
        reason: history.last.reason().into_owned(),
        consecutive_failures: history.consecutive_failures,
        reach: format!("{:o}", history.reach),
        success: history.availability.rates(seconds(now)),
        up_for_s: history.up_since_ns.map(ago_s),
        last_poll_ago_s: ago_s(history.last_ns),
        last_sample_ago_s: history.last_sample_ns.map(ago_s),
        poll_s: history.poll_s,
        denial: None,
        outcomes: history.outcomes,
        rejected_replies: history.rejected_replies,
    }
}

/// Windows use the monotonic clock, so that a step of the wall clock cannot empty them.
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
    fn sample_ends_a_failure_streak_and_starts_uptime() {
        let mut log = ServerHealthLog::default();
        log.record(&sample(0, ADDRESS, Outcome::Timeout));
        log.record(&sample(64, ADDRESS, Outcome::Refused));
        let failing = log.report(at(70), &HashMap::new()).remove(0);
        assert_eq!((failing.consecutive_failures, failing.up_for_s, failing.reach.as_str()), (2, None, "0"));
        log.record(&sample(128, ADDRESS, Outcome::Sample));
        log.record(&sample(192, ADDRESS, Outcome::Sample));
        let working = log.report(at(200), &HashMap::new()).remove(0);
        assert_eq!((working.consecutive_failures, working.up_for_s, working.reach.as_str()), (0, Some(72.0), "3"));
        assert_eq!(working.outcomes.of("timeout"), 1);
    }

    #[test]
    fn failure_and_recovery_are_reported_once_each() {
        let mut log = ServerHealthLog::default();
        let lost = |n| sample(n, ADDRESS, Outcome::Timeout);
        let changes: Vec<_> = (0..5).map(|n| log.record(&lost(n))).collect();
        assert_eq!(changes, [None, None, Some(HealthChange::Failed), None, None]);
        let good = |n| sample(n, ADDRESS, Outcome::Sample);
        assert_eq!(log.record(&good(5)), Some(HealthChange::Recovered { failures: 5 }));
        assert_eq!(log.record(&good(6)), None);
        assert_eq!(log.record(&lost(7)).or(log.record(&good(8))), None);
    }

    #[test]
    fn resolved_name_replaces_the_entry_without_address() {
        let mut log = ServerHealthLog::default();
        log.record(&sample(0, None, Outcome::Dns("no such name".into())));
        assert_eq!(log.report(at(1), &HashMap::new())[0].reason, "no such name");
        log.record(&sample(60, ADDRESS, Outcome::Sample));
        let report = log.report(at(61), &HashMap::new());
        assert_eq!(report.len(), 1);
        assert!(report[0].address.is_some());
    }

    #[test]
    fn successor_of_an_address_continues_its_failures_in_a_row() {
        let mut log = ServerHealthLog::default();
        let old = sample(0, ADDRESS, Outcome::Timeout);
        let new = sample(128, Some("192.0.2.77:123"), Outcome::Timeout);
        log.record(&old);
        log.record(&sample(64, ADDRESS, Outcome::Timeout));
        log.replace(&old.key(), &new.key());
        assert_eq!(log.record(&new), Some(HealthChange::Failed));
        let report = log.report(at(129), &HashMap::new());
        assert!(matches!(&report[..], [one] if one.consecutive_failures == 3 && one.address == new.address));
    }

    #[test]
    fn denial_is_reported_with_its_pause_also_before_the_first_poll() {
        let mut log = ServerHealthLog::default();
        let key = sample(0, ADDRESS, Outcome::Timeout).key();
        let denial = Denial { code: "DENY", asked_again_in_s: 3000.0, ago_s: 600.0 };
        let denials = HashMap::from([(key.clone(), denial)]);
        let report = log.report(at(600), &denials).remove(0);
        assert_eq!((report.outcome, report.reason.as_str(), report.last_poll_ago_s), ("kiss", "DENY", 600.0));
        assert_eq!((report.poll_s, report.denial), (3600.0, Some(denial)));
        assert!(log.report(at(601), &HashMap::new()).is_empty(), "this process has not polled it");
        log.record(&sample(602, ADDRESS, Outcome::Refused));
        let polled = log.report(at(603), &denials).remove(0);
        assert_eq!((polled.poll_s, polled.last_poll_ago_s, polled.outcomes.of("refused")), (3600.0, 1.0, 1));
    }

    #[test]
    fn recalled_rates_show_after_the_first_poll() {
        let mut log = ServerHealthLog::default();
        let key = sample(0, ADDRESS, Outcome::Sample).key();
        log.recall(key.clone(), at(100_000), 7200, Tally { ok: 50, polls: 56 });
        assert!(log.report(at(100_000), &HashMap::new()).is_empty());
        log.record(&sample(100_001, ADDRESS, Outcome::Sample));
        let report = log.report(at(100_002), &HashMap::new()).remove(0);
        assert_eq!((report.success.hour.polls, report.success.day), (1, Tally { ok: 51, polls: 57 }));
        log.forget(&key);
        assert!(log.report(at(100_003), &HashMap::new()).is_empty());
    }
}
