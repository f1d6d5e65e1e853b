//! Saves statistics: every minute, the state of this host's clock to the store and, if InfluxDB is configured, the
//! statistics to InfluxDB; and the verdict to InfluxDB whenever it changes.

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

/// The inputs of the points and their destination.
#[derive(Clone)]
pub(super) struct Points {
    pub(super) config: Receiver<Arc<Config>>,
    pub(super) snapshot: Receiver<Arc<Snapshot>>,
    pub(super) health: Receiver<Arc<Health>>,
    pub(super) store: StoreHandle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log: Logger,
}

/// The parts of a verdict that are written as soon as they change.
type VerdictKey = (State, Option<When>, Vec<Arc<str>>);

impl Points {
    /// Runs until the snapshot channel closes.
    pub(super) async fn run(mut self) {
        let mut minutes = self.minutes();
        let mut last = verdict_key(&self.snapshot.borrow().verdict);
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
            let before = std::mem::replace(&mut last, verdict_key(&snapshot.verdict));
            let is_news = before != last;
            // The first estimate is saved at once, so that the page has something to show after a start.
            if is_minute || (!is_clock_kept && snapshot.verdict.local.estimate_s.is_some()) {
                is_clock_kept = true;
                self.keep_clock(&snapshot).await;
            }
            let config = Arc::clone(&self.config.borrow());
            if config.influxdb.is_none() || !(is_minute || is_news) {
                continue;
            }
            let health = is_minute.then(|| Arc::clone(&self.health.borrow()));
            let Some(lines) = lines(config, self.clock.now().wall_ns, snapshot, health).await else { continue };
            if let Err(why) = self.store.append_lines(lines.count, lines.body).await {
                warn!(self.log, "cannot queue the statistics of a minute for InfluxDB"; "reason" => %why);
            }
        }
    }

    async fn keep_clock(&self, snapshot: &Snapshot) {
        let point = ClockPoint::of(self.clock.now(), snapshot);
        if let Err(why) = self.store.record_clock(point).await {
            warn!(self.log, "cannot save the clock state of a minute"; "reason" => %why);
        }
    }

    /// The first tick comes after a minute, because nothing has been measured at the start.
    fn minutes(&self) -> Interval {
        let mut minutes = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        minutes
    }
}

/// The lines of a minute, or without `health` those of a verdict. They are written on a blocking thread: with 10,000
/// servers this takes a tenth of a second. `None` if that panics, which has been logged.
async fn lines(
    config: Arc<Config>,
    wall_ns: i64,
    snapshot: Arc<Snapshot>,
    health: Option<Arc<Health>>,
) -> Option<Lines> {
    let work = move || {
        let vantage = config.monitor.vantage.as_str();
        match health {
            Some(health) => Lines::of_all(vantage, wall_ns, &snapshot, &health),
            None => Lines::of_verdict(vantage, wall_ns, &snapshot.verdict),
        }
    };
    tokio::task::spawn_blocking(work).await.ok()
}

fn verdict_key(verdict: &Verdict) -> VerdictKey {
    (verdict.state, verdict.since, verdict.blamed().map(|server| server.server.clone()).collect())
}
