//! Stops the service in the order of the data flow, so that no data is lost.

use std::time::{Duration, Instant};

use slog::info;

use super::{Service, children, fleet};
use crate::actors::adoption::Release;
use crate::messages::lifecycle::Ping;
use crate::messages::sample::KeepState;
use crate::messages::targets::SetServers;
use ntp_monitor_core::health::child::Role;

/// Time for polls in progress to end when the service stops; most servers answer at once or not at all.
const POLLS_END_WITHIN: Duration = Duration::from_secs(4);
/// Part of the time that is reserved for the outputs while notifiers end their attempts.
const OUTPUTS_TAKE: Duration = Duration::from_millis(2500);

impl Service {
    /// Stops the service by `until` at the latest: first the probers, then the queues are flushed, HTTP last.
    pub async fn stop(self, until: Instant) {
        info!(self.log, "stopping");
        self.supervisor.do_send(Release { name: fleet::PACE.into() });
        let deadline = until.min(Instant::now() + POLLS_END_WITHIN);
        let is_settled = by(deadline, self.end_polls()).await.is_some() && self.ledger.is_idle();
        self.supervisor.do_send(Release { name: children::TARGETS.into() });
        self.supervisor.do_send(Release { name: children::ALERTER.into() });
        self.supervisor.do_send(Release { name: children::POINTS.into() });
        self.supervisor.do_send(Release { name: children::REPORTER.into() });
        self.supervisor.do_send(Release { name: children::LOCAL_ROWS.into() });
        self.supervisor.do_send(Release { name: children::LOCAL.into() });
        self.supervisor.do_send(Release { name: children::LEAP.into() });
        self.outlet.deliver();
        self.end_statistics(deadline).await;
        self.notifiers.stop(until.checked_sub(OUTPUTS_TAKE).unwrap_or(until)).await;
        self.outputs.stop(until, is_settled).await;
        self.supervisor.do_send(Release { name: children::HEALTH.into() });
        self.web.stop(false).await;
        info!(self.log, "stopped");
    }

    /// Stops the analysis once it has saved its state, so that the outputs end after that.
    async fn end_statistics(&self, until: Instant) {
        if let Some(statistician) = self.statistician.get() {
            // A dead actor has no state to save.
            let _ = by(until, statistician.send(KeepState)).await;
        }
        self.supervisor.do_send(Release { name: children::STATS.into() });
    }

    /// Stops every prober and waits until the last poll in progress has ended.
    async fn end_polls(&self) {
        self.ledger.set_servers(Vec::new());
        if let Some(targets) = self.targets.get() {
            // If this actor is dead it starts no prober, and its next incarnation finds an empty list.
            let _ = targets.send(SetServers(Vec::new())).await;
        }
        let probers = self.census.all().into_iter().filter(|(_, child)| child.role == Role::Prober);
        probers.for_each(|(name, _)| self.supervisor.do_send(Release { name }));
        // The reply comes after the releases above; without a supervisor there are no probers.
        let _ = self.supervisor.send(Ping).await;
        self.census.without_probers().await;
    }
}

/// The result of `event`, or `None` if it is not ready by `until`.
pub(super) async fn by<T>(until: Instant, event: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(until.into(), event).await.ok()
}
