//! One poll: a single query, or a burst of which the reply with the lowest delay is used. Lost requests are counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{ProbeEngine, ProbeReport, ProbeSession, Query};
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::sample::{Authentication, Outcome};
use ntp_monitor_core::sheet::Question;

/// Interval between the requests of a burst (RFC 5905 BTIME; servers rate-limit below 2 s).
pub const BURST_SPACING: Duration = Duration::from_secs(2);
/// Time beyond the query's time-out after which an engine is considered hung.
pub const GRACE: Duration = Duration::from_secs(1);

/// The result of one poll.
#[derive(Debug, PartialEq)]
pub struct PollReport {
    /// The report of the best request.
    pub best: ProbeReport,
    /// Number of requests made.
    pub sent: u16,
    /// Number of requests without an accepted reply.
    pub lost: u16,
}

/// What a poll may do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long to wait for each reply.
    pub timeout: Duration,
    /// The number of requests at most.
    pub requests: u16,
    /// See [`Query::latest_ns`].
    pub latest_ns: Option<i64>,
}

/// Makes up to `requests` queries of `session`, [`BURST_SPACING`] apart, and keeps the best report. A refusal or a
/// kiss-o'-death ends the burst, and so does the lack of a cookie, or the end of a slot.
pub async fn poll(
    engine: Arc<dyn ProbeEngine>,
    session: Arc<ProbeSession>,
    limits: Limits,
    clock: Arc<dyn Clock>,
) -> PollReport {
    let Limits { timeout, requests, latest_ns } = limits;
    session.prepare().await;
    let mut so_far: Option<PollReport> = None;
    loop {
        let mut report = match session.query(timeout) {
            Ok(query) => single(&*engine, Query { latest_ns, ..query }, &*clock).await,
            Err(outcome) => return so_far.unwrap_or_else(|| PollReport::unready(clock.now(), outcome)),
        };
        session.absorb(&mut report);
        if report.is_late {
            return so_far.unwrap_or(PollReport { best: report, sent: 0, lost: 0 });
        }
        let goes_on = goes_on(&report.outcome);
        let poll = match so_far {
            None => PollReport { sent: 1, lost: lost(&report), best: report },
            Some(poll) => poll.with(report),
        };
        if poll.sent >= requests || !goes_on {
            return poll;
        }
        so_far = Some(poll);
        tokio::time::sleep(BURST_SPACING).await;
    }
}

/// Asks a question about the protocol with one request, which does not count as a poll.
pub async fn ask(
    engine: Arc<dyn ProbeEngine>,
    question: Question,
    address: SocketAddr,
    timeout: Duration,
    clock: Arc<dyn Clock>,
) -> ProbeReport {
    single(&*engine, Query::asking(question, address, timeout), &*clock).await
}

async fn single(engine: &dyn ProbeEngine, query: Query, clock: &dyn Clock) -> ProbeReport {
    let deadline = query.timeout + GRACE;
    match tokio::time::timeout(deadline, engine.probe(query)).await {
        Ok(report) => report,
        Err(_) => hung(clock.now()),
    }
}

fn hung(at: Stamp) -> ProbeReport {
    ProbeReport::failed(at, Outcome::Fault("the probe engine missed its deadline".into()))
}

fn lost(report: &ProbeReport) -> u16 {
    u16::from(!matches!(report.outcome, Outcome::Sample | Outcome::Unsynchronised(_) | Outcome::Kiss(_)))
}

fn goes_on(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Kiss(_) | Outcome::Refused)
}

impl PollReport {
    /// A poll that made no request, because the session had no cookie for one.
    fn unready(at: Stamp, outcome: Outcome) -> Self {
        let best = ProbeReport { authentication: Authentication::Nts, ..ProbeReport::failed(at, outcome) };
        Self { best, sent: 0, lost: 0 }
    }

    fn with(mut self, report: ProbeReport) -> Self {
        self.sent += 1;
        self.lost += lost(&report);
        self.merge(report);
        self
    }

    fn merge(&mut self, mut report: ProbeReport) {
        let count = self.best.rejected_count.saturating_add(report.rejected_count);
        // Oldest first, as in each report; the oldest are dropped beyond the limit.
        let mut rejected = std::mem::take(&mut self.best.rejected);
        rejected.append(&mut report.rejected);
        rejected.drain(..rejected.len().saturating_sub(ProbeReport::MAX_REJECTED));
        if is_better(&report, &self.best) {
            self.best = report;
        }
        (self.best.rejected, self.best.rejected_count) = (rejected, count);
    }
}

/// Whether `later` replaces `earlier` of the same burst. The more informative outcome wins; of two equal ones the
/// later, and of two measurements the one with the lower delay.
fn is_better(later: &ProbeReport, earlier: &ProbeReport) -> bool {
    match (&later.measure, &earlier.measure) {
        (Some(later), Some(earlier)) => later.delay_s < earlier.delay_s,
        _ => weight(&later.outcome) >= weight(&earlier.outcome),
    }
}

fn weight(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Timeout | Outcome::Refused | Outcome::Dns(_) | Outcome::Fault(_) => 0,
        Outcome::Rejected(_) => 1,
        Outcome::Unsynchronised(_) => 2,
        Outcome::Sample => 3,
        // A kiss-o'-death must be obeyed even if an earlier request of the burst gave a sample.
        Outcome::Kiss(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;
    use crate::clock::SystemClock;
    use crate::probe::ProbeFuture;
    use ntp_monitor_core::ntp::{Check, CheckRow, KissCode, NtpTimestamp};
    use ntp_monitor_core::sample::{Evidence, Measure};

    /// Returns these reports, one per query.
    struct Scripted(Mutex<VecDeque<ProbeReport>>);

    impl ProbeEngine for Scripted {
        fn probe(&self, _: Query) -> ProbeFuture {
            let report = self.0.lock().unwrap().pop_front().expect("no more queries than were scripted");
            Box::pin(std::future::ready(report))
        }
    }

    fn ended(outcome: Outcome) -> ProbeReport {
        ProbeReport::failed(crate::clock::now(), outcome)
    }

    fn measured(delay_s: f64) -> ProbeReport {
        let measure = Some(Measure { offset_s: 0.0, delay_s, root_distance_s: 1.0 });
        ProbeReport { measure, ..ended(Outcome::Sample) }
    }

    /// Rejected replies, distinguished by their T3.
    fn rejected(numbers: impl IntoIterator<Item = u64>) -> ProbeReport {
        let mut report = ended(Outcome::Rejected(Check::Origin));
        for number in numbers {
            let (at, nothing) = (crate::clock::now(), NtpTimestamp::ZERO);
            let stamps = (nothing, nothing, NtpTimestamp(number), nothing);
            let (t1, t2, t3, t4) = stamps;
            let checks = CheckRow::default();
            report.refuse(Arc::new(Evidence {
                at,
                checks,
                t1,
                t2,
                t3,
                t4,
                sender: None,
                hop_limit: None,
                datagram: Box::default(),
            }));
        }
        report
    }

    async fn burst(reports: impl IntoIterator<Item = ProbeReport>) -> PollReport {
        let reports: VecDeque<_> = reports.into_iter().collect();
        let requests = u16::try_from(reports.len()).unwrap();
        let (session, timeout) = (ProbeSession::plain(([192, 0, 2, 1], 123).into()), Duration::from_secs(1));
        let engine = Arc::new(Scripted(Mutex::new(reports)));
        let limits = Limits { timeout, requests, latest_ns: None };
        poll(engine, Arc::new(session), limits, Arc::new(SystemClock)).await
    }

    #[tokio::test(start_paused = true)]
    async fn lowest_delay_wins_and_losses_are_counted() {
        let report = burst([measured(0.3), ended(Outcome::Timeout), measured(0.1), measured(0.2)]).await;
        assert_eq!((report.sent, report.lost, report.best.measure.unwrap().delay_s), (4, 1, 0.1));
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_or_kiss_ends_the_burst_and_only_kiss_replaces_sample() {
        let kiss = Outcome::Kiss(KissCode::RATE);
        for (end, outcome) in [(Outcome::Refused, Outcome::Sample), (kiss.clone(), kiss)] {
            let report = burst([measured(0.1), ended(end), measured(0.1)]).await;
            assert_eq!((report.sent, report.best.outcome), (2, outcome));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn burst_ends_with_its_slot_and_counts_what_was_sent() {
        let report = burst([measured(0.1), ProbeReport::late(crate::clock::now()), measured(0.1)]).await;
        assert_eq!((report.sent, report.lost, report.best.outcome), (1, 0, Outcome::Sample));
        let report = burst([ProbeReport::late(crate::clock::now())]).await;
        assert_eq!((report.sent, report.lost, report.best.is_late), (0, 0, true));
    }

    #[tokio::test(start_paused = true)]
    async fn reply_outweighs_a_later_timeout() {
        let said = [Outcome::Unsynchronised(None), Outcome::Rejected(Check::Origin)];
        for outcome in said {
            let report = burst([ended(outcome.clone()), ended(Outcome::Timeout)]).await;
            assert_eq!(
                (report.best.outcome, report.lost),
                (outcome.clone(), 1 + u16::from(outcome != Outcome::Unsynchronised(None)))
            );
        }
        assert_eq!(burst([ended(Outcome::Timeout), ended(Outcome::Refused)]).await.best.outcome, Outcome::Refused);
    }

    #[tokio::test(start_paused = true)]
    async fn burst_keeps_rejected_replies_oldest_first() {
        let report = burst([rejected(1..=3), rejected(4..=6)]).await.best;
        let kept: Vec<u64> = report.rejected.iter().map(|evidence| evidence.t3.0).collect();
        assert_eq!((kept, report.rejected_count), (vec![3, 4, 5, 6], 6));
    }
}
