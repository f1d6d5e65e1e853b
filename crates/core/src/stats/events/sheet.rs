//! Changes of a server's protocol sheet as events.

use super::{Event, EventKind};
use crate::clock::Stamp;
use crate::sample::SeriesKey;
use crate::sheet::{Change, changes_text};
use crate::stats::verdict::When;

/// The event for the changes that one poll, or the answer to one question, made to the sheet of a series.
#[must_use]
pub fn sheet_changed(key: &SeriesKey, at: Stamp, changes: &[Change]) -> Event {
    let (detail, words) = changes_text(changes);
    Event {
        kind: EventKind::ProtocolSheet,
        server: Some(key.server.to_string()),
        address: key.address.map(|address| address.to_string()),
        start: When(at.wall_ns),
        end: Some(When(at.wall_ns)),
        detail,
        sentence: format!("{} behaves differently: {words}.", key.server),
        replaces: None,
    }
}
