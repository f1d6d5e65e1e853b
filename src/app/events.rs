//! Writes events of the analysis to the store. The analysis never waits: events wait in a bounded queue while the store
//! cannot be written, and those that do not fit are counted as dropped by the output `events`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use slog::{Logger, error, info};
use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};

use crate::actors::health::SinkGauge;
use crate::actors::stats::EventSink;
use crate::store::{Event as Kept, KnownAs, StoreError, StoreHandle};
use ntp_monitor_core::health::report::SinkHealth;
use ntp_monitor_core::stats::events::Event;

/// The analysis limits the events of each server. When a network comes back, there can be one per server.
const QUEUE: usize = 4096;
/// Time between two attempts to save an event.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A sink that writes events to `store`, as long as it or a clone of it exists, and what health reports of it.
pub(super) fn keeper(store: StoreHandle, log: &Logger) -> (EventSink, SinkGauge) {
    let (queue, waiting) = mpsc::channel::<Event>(QUEUE);
    actix_rt::spawn(save_all(waiting, log.clone(), move |event: &Event| {
        let replaces = event.replaces.map(|(kind, start)| KnownAs { kind: kind.label().to_owned(), start_ns: start.0 });
        let (store, kept) = (store.clone(), to_kept(event));
        async move { store.record_event(kept, replaces).await.map(drop) }
    }));
    bounded(queue)
}

/// A sink that never waits for space in `queue`, and its gauge. The gauge does not keep the queue open.
fn bounded(queue: Sender<Event>) -> (EventSink, SinkGauge) {
    let (dropped, weak) = (Arc::new(AtomicU64::new(0)), queue.downgrade());
    let counter = Arc::clone(&dropped);
    let sink = move |event| {
        if let Err(TrySendError::Full(_)) = queue.try_send(event) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    };
    let gauge = move |_| SinkHealth {
        queue_depth: weak.upgrade().map_or(0, |queue| QUEUE - queue.capacity()),
        queue_capacity: Some(QUEUE),
        dropped: dropped.load(Ordering::Relaxed),
        ..SinkHealth::default()
    };
    (Arc::new(sink), Arc::new(gauge))
}

/// Saves events in their order and retries each until it is saved, or until the analysis has ended.
async fn save_all<F>(mut waiting: Receiver<Event>, log: Logger, save: impl Fn(&Event) -> F)
where
    F: Future<Output = Result<(), StoreError>>,
{
    while let Some(event) = waiting.recv().await {
        let mut attempts = 0_u64;
        while let Err(why) = save(&event).await {
            attempts += 1;
            if waiting.is_closed() {
                return error!(log, "events are lost: the service stops and the store cannot be written";
                    "events" => waiting.len() + 1, "first" => event.sentence, "reason" => %why);
            }
            if attempts == 1 {
                error!(log, "cannot save an event, it is retried"; "event" => &event.sentence, "reason" => %why);
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
        if attempts > 0 {
            info!(log, "events are saved again"; "event" => event.sentence, "waiting" => waiting.len());
        }
    }
}

fn to_kept(event: &Event) -> Kept {
    let detail = serde_json::json!({ "detail": event.detail, "sentence": event.sentence });
    Kept {
        start_ns: event.start.0,
        end_ns: event.end.map(|end| end.0),
        kind: event.kind.label().to_owned(),
        server: event.server.clone(),
        address: event.address.as_deref().and_then(|address| address.parse().ok()),
        detail: detail.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use ntp_monitor_core::stats::events::EventKind;
    use ntp_monitor_core::stats::verdict::When;

    fn event(start: i64) -> Event {
        Event {
            kind: EventKind::Stratum,
            server: None,
            address: None,
            start: When(start),
            end: None,
            detail: String::new(),
            sentence: String::new(),
            replaces: None,
        }
    }

    fn refused() -> StoreError {
        StoreError::NoAnswer("the disk is full")
    }

    #[tokio::test(start_paused = true)]
    async fn events_are_retried_until_the_store_takes_them() {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (1..=3).for_each(|n| queue.try_send(event(n)).unwrap());
        let (saved, refusals, queue) = (RefCell::new(Vec::new()), Cell::new(5), RefCell::new(Some(queue)));
        let save = |event: &Event| {
            let is_refused = refusals.replace(refusals.get().max(1) - 1) > 0;
            if !is_refused {
                saved.borrow_mut().push(event.start.0);
            }
            if saved.borrow().len() == 3 {
                queue.take();
            }
            async move { if is_refused { Err(refused()) } else { Ok(()) } }
        };
        save_all(waiting, crate::log::discard(), save).await;
        assert_eq!(saved.into_inner(), [1, 2, 3]);
    }

    #[test]
    fn events_beyond_the_queue_are_counted_in_health() {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (sink, gauge) = bounded(queue);
        (0..QUEUE as i64 + 3).for_each(|n| sink(event(n)));
        let health = gauge(crate::clock::now());
        assert_eq!((health.dropped, health.queue_depth), (3, QUEUE));
        drop((sink, waiting));
        assert_eq!(gauge(crate::clock::now()).queue_depth, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_end_with_the_analysis() {
        let (queue, waiting) = mpsc::channel(QUEUE);
        queue.try_send(event(1)).unwrap();
        drop(queue);
        save_all(waiting, crate::log::discard(), |_| async { Err(refused()) }).await;
    }
}
