//! Writes events of the analysis to the store. The analysis never waits; events that do not fit the queue are logged.

use std::sync::Arc;

use slog::{Logger, error, warn};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::actors::stats::EventSink;
use crate::store::{Event as Kept, KnownAs, StoreHandle};
use ntp_monitor_core::stats::events::Event;

/// The analysis limits the events of each server. When a network comes back, there can be one per server.
const QUEUE: usize = 4096;

/// A sink that writes events to `store`, as long as it or a clone of it exists.
pub(super) fn keeper(store: StoreHandle, log: &Logger) -> EventSink {
    let (queue, mut waiting) = mpsc::channel::<Event>(QUEUE);
    let log = log.clone();
    let refused = log.clone();
    actix_rt::spawn(async move {
        while let Some(event) = waiting.recv().await {
            let replaces =
                event.replaces.map(|(kind, start)| KnownAs { kind: kind.label().to_owned(), start_ns: start.0 });
            if let Err(why) = store.record_event(to_kept(&event), replaces).await {
                error!(log, "cannot save an event"; "event" => event.sentence, "reason" => %why);
            }
        }
    });
    Arc::new(move |event| {
        if let Err(TrySendError::Full(event)) = queue.try_send(event) {
            warn!(refused, "event queue is full, one event was not saved"; "event" => event.sentence);
        }
    })
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
