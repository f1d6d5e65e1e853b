//! An event of the store as it is shown.

use schemars::JsonSchema;
use serde::Serialize;

use crate::store::StoredEvent;
use ntp_monitor_core::stats::verdict::When;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Happening {
    /// What kind of thing it was; one that an earlier or later release knew is shown all the same.
    pub kind: String,
    /// Absent for the own clock and the monitor.
    pub server: Option<String>,
    /// Absent likewise.
    pub address: Option<String>,
    /// When it began.
    pub start: When,
    /// Equal to the start for a change; absent while it lasts.
    pub end: Option<When>,
    /// The numbers, short.
    pub detail: String,
    /// One sentence for a person.
    pub sentence: String,
}

impl From<StoredEvent> for Happening {
    fn from(StoredEvent { event, .. }: StoredEvent) -> Self {
        // What the program keeps is an object of these two texts.
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
