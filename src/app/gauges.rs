//! The health of each output, combined from its queue, its thread or sender, and the store.

use std::sync::Arc;

use crate::actors::health::SinkGauge;
use crate::sinks::influx::{SenderLabel, SenderState};
use crate::sinks::queue::SinkQueue;
use crate::sinks::worker::WriterHandle;
use crate::store::StoreHandle;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::report::SinkHealth;
use ntp_monitor_core::sample::Sample;

/// The gauge of an output with its own thread.
pub(super) fn of_writer<C: Send + 'static>(queue: SinkQueue<Arc<Sample>>, handle: WriterHandle<C>) -> SinkGauge {
    Arc::new(move |now: Stamp| {
        let (queue, writer) = (queue.gauge(), handle.gauge());
        let age_ns = writer.oldest_mono_ns.map_or(0, |oldest| (now.mono_ns - oldest).max(0));
        SinkHealth {
            failing: writer.failing,
            queue_depth: queue.depth,
            queue_capacity: Some(queue.capacity),
            in_hand: writer.in_hand,
            dropped: queue.dropped + writer.abandoned,
            written: writer.written,
            failures: writer.failures,
            lag_s: age_ns as f64 / 1e9,
            last_error: writer.last_error,
            incident: writer.incident,
        }
    })
}

/// The gauge of InfluxDB.
pub(super) fn of_influx(store: StoreHandle, state: Arc<SenderState>) -> SinkGauge {
    // The store counts across restarts; health reports the drops of this process only.
    let dropped_before = store.outbox_gauge().dropped_lines;
    Arc::new(move |now: Stamp| {
        let (outbox, sender) = (store.outbox_gauge(), state.gauge());
        let failing = matches!(sender.state, SenderLabel::Retrying | SenderLabel::Paused);
        SinkHealth {
            failing,
            queue_depth: usize::try_from(outbox.lines).unwrap_or(usize::MAX),
            queue_capacity: None,
            in_hand: 0,
            dropped: outbox.dropped_lines.saturating_sub(dropped_before)
                + sender.quarantined_lines
                + sender.too_old_lines,
            written: sender.sent_lines,
            failures: sender.failures,
            lag_s: outbox.oldest_ns.map_or(0.0, |oldest| (now.wall_ns - oldest).max(0) as f64 / 1e9),
            last_error: sender.last_error,
            incident: None,
        }
    })
}
