//! Takes the service down in the order of the flow, so that nothing is lost on the way.

use std::time::{Duration, Instant};

use slog::info;

use super::{Service, children};
use crate::actors::adoption::Release;
use crate::messages::lifecycle::Ping;
use crate::messages::targets::SetServers;
use ntp_monitor_core::health::child::Role;

/// Polls that are under way when the service stops get this long to end; most servers answer at once or not at all.
const POLLS_END_WITHIN: Duration = Duration::from_secs(5);

impl Service {
    /// Takes everything down, by `until` at the latest: probers stop, queues empty into the outputs, HTTP ends last.
    pub async fn stop(self, until: Instant) {
        info!(self.log, "stopping");
        let deadline = until.min(Instant::now() + POLLS_END_WITHIN);
        let is_settled = by(deadline, self.end_polls()).await.is_some() && self.ledger.is_idle();
        self.supervisor.do_send(Release { name: children::TARGETS.into() });
        self.supervisor.do_send(Release { name: children::ALERTER.into() });
        self.supervisor.do_send(Release { name: children::POINTS.into() });
        self.supervisor.do_send(Release { name: children::REPORTER.into() });
        self.supervisor.do_send(Release { name: children::LOCAL.into() });
        self.supervisor.do_send(Release { name: children::LEAP.into() });
        self.supervisor.do_send(Release { name: children::STATS.into() });
        self.notifiers.stop(until).await;
        self.outputs.stop(until, is_settled).await;
        self.supervisor.do_send(Release { name: children::HEALTH.into() });
        self.web.stop(false).await;
        info!(self.log, "stopped");
    }

    /// Has every prober stop, and returns when the last poll under way has ended.
    async fn end_polls(&self) {
        self.ledger.set_servers(Vec::new());
        if let Some(targets) = self.targets.get() {
            // A scheduler that is down starts no prober, and one that comes back finds nobody to watch.
            let _ = targets.send(SetServers(Vec::new())).await;
        }
        let probers = self.census.all().into_iter().filter(|(_, child)| child.role == Role::Prober);
        probers.for_each(|(name, _)| self.supervisor.do_send(Release { name }));
        // Its answer comes after all of these; without it there are no probers.
        let _ = self.supervisor.send(Ping).await;
        self.census.without_probers().await;
    }
}

/// What `event` comes to by `until`.
pub(super) async fn by<T>(until: Instant, event: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(until.into(), event).await.ok()
}
