//! Detected events: steps, changes, outages. Each is stored once, with its start and, when it is over, its end.

use std::net::SocketAddr;

use rusqlite::{Connection, Row, params};

use super::codec::address_text;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it began, in nanoseconds since 1970.
    pub start_ns: i64,
    /// When it ended; `None` while it lasts.
    pub end_ns: Option<i64>,
    /// The kind of event (`step`, `route`, …).
    pub kind: String,
    /// The configured name of the server; `None` if the event is about this host or the service.
    pub server: Option<String>,
    /// The address, if the event is about one.
    pub address: Option<SocketAddr>,
    pub detail: String,
}

/// A stored event with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The number with which it can be closed.
    pub id: i64,
    pub event: Event,
}

/// Records an event and returns its number. If it exists (same start, kind, server and address), its end and detail are
/// updated.
pub(super) fn record(conn: &Connection, event: &Event) -> rusqlite::Result<i64> {
    conn.prepare_cached(
        "INSERT INTO event (start_ns, end_ns, kind, server, address, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (start_ns, kind, server, address) DO UPDATE \
         SET end_ns = coalesce(excluded.end_ns, end_ns), detail = excluded.detail RETURNING id",
    )?
    .query_row(
        params![
            event.start_ns,
            event.end_ns,
            event.kind,
            event.server.as_deref().unwrap_or_default(),
            address_text(event.address),
            event.detail
        ],
        |row| row.get(0),
    )
}

/// Sets the end of an event; returns whether it exists.
pub(super) fn close(conn: &Connection, id: i64, end_ns: i64) -> rusqlite::Result<bool> {
    let changed = conn.prepare_cached("UPDATE event SET end_ns = ?2 WHERE id = ?1")?.execute(params![id, end_ns])?;
    Ok(changed > 0)
}

/// The events that overlap `[from_ns, to_ns)`, by start; the latest `limit` of them.
pub(super) fn between(conn: &Connection, from_ns: i64, to_ns: i64, limit: usize) -> rusqlite::Result<Vec<StoredEvent>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, start_ns, end_ns, kind, server, address, detail FROM event \
         WHERE start_ns < ?2 AND (end_ns IS NULL OR end_ns >= ?1) ORDER BY start_ns DESC, id DESC LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut events: Vec<_> = statement.query_map([from_ns, to_ns, limit], decode)?.collect::<Result<_, _>>()?;
    events.reverse();
    Ok(events)
}

fn decode(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    let server: String = row.get(4)?;
    let event = Event {
        start_ns: row.get(1)?,
        end_ns: row.get(2)?,
        kind: row.get(3)?,
        server: (!server.is_empty()).then_some(server),
        address: row.get_ref(5)?.as_str()?.parse().ok(),
        detail: row.get(6)?,
    };
    Ok(StoredEvent { id: row.get(0)?, event })
}
