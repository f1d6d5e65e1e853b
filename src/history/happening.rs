//! A stored event in the form that is shown to users.

use schemars::JsonSchema;
use serde::Serialize;

use crate::store::StoredEvent;
use ntp_monitor_core::stats::events::Event;
use ntp_monitor_core::stats::verdict::When;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Happening {
    /// The kind of event, also a kind from an earlier or later release.
    pub kind: String,
    /// The server; absent for events about this host's clock or the monitor.
    pub server: Option<String>,
    /// The address; absent for events about this host's clock or the monitor.
    pub address: Option<String>,
    /// When the event began.
    pub start: When,
    /// When the event ended: equal to the start for a momentary change; absent while the event continues.
    pub end: Option<When>,
    /// The figures of the event, abbreviated.
    pub detail: String,
    /// One sentence for people.
    pub sentence: String,
}

impl From<Event> for Happening {
    fn from(event: Event) -> Self {
        let Event { kind, server, address, start, end, detail, sentence, .. } = event;
        Self { kind: kind.label().to_owned(), server, address, start, end, detail, sentence }
    }
}

impl From<StoredEvent> for Happening {
    fn from(StoredEvent { event, .. }: StoredEvent) -> Self {
        // The stored detail is a JSON object with these two texts.
        let kept: serde_json::Value = serde_json::from_str(&event.detail).unwrap_or_default();
        let text = |key: &str| kept.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        Self {
            kind: event.kind,
            server: event.server,
            address: event.address.map(|address| address.to_string()),
            start: When(event.start_ns),
            end: event.end_ns.map(When),
            detail: text("detail"),
            sentence: text("sentence"),
        }
    }
}
