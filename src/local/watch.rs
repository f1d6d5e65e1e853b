//! Reads the state of this host's clock periodically.

use std::time::Duration;

use slog::{Logger, debug, info};
use tokio::sync::watch::Sender;
use tokio::time::MissedTickBehavior;

use super::{daemon, read_kernel};
use ntp_monitor_core::stats::local::LocalState;

/// Interval of kernel readings.
const EVERY: Duration = Duration::from_secs(10);
/// A daemon is queried once in this many kernel readings, because a query starts a process.
const DAEMON_EVERY: u32 = 6;

/// Publishes the kernel's state every ten seconds and that of a daemon once a minute. Never ends.
pub async fn watch(publish: &Sender<LocalState>, log: &Logger) {
    let mut ticks = tokio::time::interval(EVERY);
    // After a suspend, one reading is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0_u32;
    loop {
        ticks.tick().await;
        let mut state = publish.borrow().clone();
        state.kernel =
            read_kernel().inspect_err(|why| debug!(log, "cannot read the kernel clock state"; "reason" => %why)).ok();
        if round.is_multiple_of(DAEMON_EVERY) {
            let daemon = daemon::ask().await;
            let (before, now) = (state.daemon.as_ref().map(|d| &d.name), daemon.as_ref().map(|d| &d.name));
            if before != now {
                info!(log, "time daemon on this machine"; "daemon" => now.map_or("none", String::as_str));
            }
            state.daemon = daemon;
        }
        round = round.wrapping_add(1);
        publish.send_replace(state);
    }
}
