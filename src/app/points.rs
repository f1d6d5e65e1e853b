//! Keeps what was computed, beside the samples: every minute, the own clock in the store and, while InfluxDB is
//! configured, statistics there; and a verdict when it changes.

use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, warn};
use tokio::sync::watch::Receiver;
use tokio::time::{Interval, MissedTickBehavior};

use crate::config::Config;
use crate::sinks::influx::Lines;
use crate::store::{ClockPoint, StoreHandle};
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::stats::verdict::{State, Verdict, When};

const EVERY: Duration = Duration::from_secs(60);

/// What the points are made of, and where they go.
#[derive(Clone)]
pub(super) struct Points {
    pub(super) config: Receiver<Arc<Config>>,
    pub(super) snapshot: Receiver<Arc<Snapshot>>,
    pub(super) health: Receiver<Arc<Health>>,
    pub(super) store: StoreHandle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log: Logger,
}

/// What makes a verdict another one.
type Said = (State, Option<When>, Vec<String>);

impl Points {
    /// Runs until nobody publishes any more.
    pub(super) async fn run(mut self) {
        let mut minutes = self.minutes();
        let mut last = said(&self.snapshot.borrow().verdict);
        let mut is_clock_kept = false;
        loop {
            let is_minute = tokio::select! {
                _ = minutes.tick() => true,
                changed = self.snapshot.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
            };
            let snapshot = Arc::clone(&self.snapshot.borrow_and_update());
            let before = std::mem::replace(&mut last, said(&snapshot.verdict));
            let is_news = before != last;
            // The first estimate is kept at once: a page that is opened after a start has something to show.
            if is_minute || (!is_clock_kept && snapshot.verdict.local.estimate_s.is_some()) {
                is_clock_kept = true;
                self.keep_clock(&snapshot).await;
            }
            let config = Arc::clone(&self.config.borrow());
            if config.influxdb.is_none() || !(is_minute || is_news) {
                continue;
            }
            let (vantage, wall_ns) = (config.monitor.vantage.as_str(), self.clock.now().wall_ns);
            let lines = if is_minute {
                let health = Arc::clone(&self.health.borrow());
                Lines::of_all(vantage, wall_ns, &snapshot, &health)
            } else {
                Lines::of_verdict(vantage, wall_ns, &snapshot.verdict)
            };
            if let Err(why) = self.store.append_lines(lines.count, lines.body).await {
                warn!(self.log, "a minute of statistics does not reach InfluxDB"; "reason" => %why);
            }
        }
    }

    async fn keep_clock(&self, snapshot: &Snapshot) {
        let point = ClockPoint::of(self.clock.now(), snapshot);
        if let Err(why) = self.store.record_clock(point).await {
            warn!(self.log, "a minute of the own clock is not kept"; "reason" => %why);
        }
    }

    /// The first minute begins now: nothing is known yet that could be sent.
    fn minutes(&self) -> Interval {
        let mut minutes = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        minutes
    }
}

fn said(verdict: &Verdict) -> Said {
    (verdict.state, verdict.since, verdict.blamed().map(|server| server.server.clone()).collect())
}
