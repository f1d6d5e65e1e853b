//! One poll: a query, or a burst of them, of which the lowest delay wins. Every lost request is counted.

use std::sync::Arc;
use std::time::Duration;

use super::{ProbeEngine, ProbeReport, Query};
use crate::clock::{Clock, Stamp};
use crate::sample::Outcome;

/// Requests of a burst are this far apart (RFC 5905 BTIME; servers rate-limit below 2 s).
pub const BURST_SPACING: Duration = Duration::from_secs(2);
/// An engine gets this long beyond its query's time-out before it is taken for hung.
pub const GRACE: Duration = Duration::from_secs(1);

/// What came of one poll.
#[derive(Debug, Clone, PartialEq)]
pub struct PollReport {
    /// The report of the request that won.
    pub best: ProbeReport,
    /// Requests made.
    pub sent: u16,
    /// Requests that no accepted reply answered.
    pub lost: u16,
}

/// Makes `requests` queries, [`BURST_SPACING`] apart, and keeps the best. A refusal or a kiss-o'-death ends the burst.
pub async fn poll(engine: Arc<dyn ProbeEngine>, query: Query, requests: u16, clock: Arc<dyn Clock>) -> PollReport {
    let mut report = single(&*engine, query, &*clock).await;
    let mut poll = PollReport { lost: lost(&report), best: report, sent: 1 };
    while poll.sent < requests && goes_on(&poll.best.outcome) {
        tokio::time::sleep(BURST_SPACING).await;
        report = single(&*engine, query, &*clock).await;
        poll.sent += 1;
        poll.lost += lost(&report);
        poll.merge(report);
    }
    poll
}

async fn single(engine: &dyn ProbeEngine, query: Query, clock: &dyn Clock) -> ProbeReport {
    match tokio::time::timeout(query.timeout + GRACE, engine.probe(query)).await {
        Ok(report) => report,
        Err(_) => hung(clock.now()),
    }
}

fn hung(at: Stamp) -> ProbeReport {
    ProbeReport::failed(at, Outcome::Fault("the engine did not end by its deadline".into()))
}

fn lost(report: &ProbeReport) -> u16 {
    u16::from(!matches!(report.outcome, Outcome::Sample | Outcome::Unsynchronised | Outcome::Kiss(_)))
}

fn goes_on(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Kiss(_) | Outcome::Refused)
}

impl PollReport {
    fn merge(&mut self, other: ProbeReport) {
        let wins = match (&self.best.measure, &other.measure) {
            // A kiss must be heeded even when an earlier request of the burst was answered.
            _ if matches!(other.outcome, Outcome::Kiss(_)) => true,
            (Some(best), Some(new)) => new.delay_s < best.delay_s,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let (mut kept, dropped) = if wins { (other, &self.best) } else { (self.best.clone(), &other) };
        kept.rejected_count += dropped.rejected_count;
        let room = ProbeReport::MAX_REJECTED.saturating_sub(kept.rejected.len());
        kept.rejected.extend(dropped.rejected.iter().take(room).cloned());
        self.best = kept;
    }
}
