//! Detected events: steps, changes, outages. Each is stored once, with its start and, when it is over, its end.

use std::net::SocketAddr;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::series::address_text;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it began, in nanoseconds since 1970.
    pub start_ns: i64,
    /// When it ended, in nanoseconds since 1970; `None` while it lasts.
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

/// Kind and start under which an event was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAs {
    pub kind: String,
    /// In nanoseconds since 1970.
    pub start_ns: i64,
}

/// Records an event and returns its number. If it exists (same start, kind, server and address), its end and detail are
/// updated; if it exists as `replaces`, kind and start too.
pub(super) fn record(conn: &Connection, event: &Event, replaces: Option<&KnownAs>) -> rusqlite::Result<i64> {
    let known = replaces.map(|known_as| refine(conn, event, known_as)).transpose()?;
    match known.flatten() {
        Some(id) => Ok(id),
        None => insert(conn, event),
    }
}

fn refine(conn: &Connection, event: &Event, known_as: &KnownAs) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(
        "UPDATE OR REPLACE event SET start_ns = ?1, end_ns = ?2, kind = ?3, detail = ?4 \
         WHERE start_ns = ?5 AND kind = ?6 AND server = ?7 AND address = ?8 RETURNING id",
    )?
    .query_row(
        params![
            event.start_ns,
            event.end_ns,
            event.kind,
            event.detail,
            known_as.start_ns,
            known_as.kind,
            event.server.as_deref().unwrap_or_default(),
            address_text(event.address)
        ],
        |row| row.get(0),
    )
    .optional()
}

fn insert(conn: &Connection, event: &Event) -> rusqlite::Result<i64> {
    conn.prepare_cached(
        "INSERT INTO event (start_ns, end_ns, kind, server, address, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (start_ns, kind, server, address) DO UPDATE \
         SET end_ns = excluded.end_ns, detail = excluded.detail RETURNING id",
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

/// Ends the events in progress at the time of the newest sample, because nothing has observed them since. An event that
/// continues is recorded again.
pub(super) fn end_all(conn: &Connection, newest_ns: Option<i64>) -> rusqlite::Result<usize> {
    conn.execute("UPDATE event SET end_ns = max(start_ns, coalesce(?1, start_ns)) WHERE end_ns IS NULL", [newest_ns])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    fn store() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        conn
    }

    fn event(kind: &str, start_ns: i64, end_ns: Option<i64>) -> Event {
        let (kind, server) = (kind.to_owned(), Some("a".to_owned()));
        Event { start_ns, end_ns, kind, server, address: None, detail: String::new() }
    }

    fn kept(conn: &Connection) -> Vec<Event> {
        between(conn, 0, i64::MAX, 9).unwrap().into_iter().map(|stored| stored.event).collect()
    }

    #[test]
    fn refined_event_stays_one_row() {
        let conn = store();
        let id = record(&conn, &event("server_step", 50, None), None).unwrap();
        record(&conn, &event("server_drift", 40, Some(45)), None).unwrap();
        let known_as = KnownAs { kind: "server_step".to_owned(), start_ns: 50 };
        let refined = event("server_drift", 40, None);
        assert_eq!(record(&conn, &refined, Some(&known_as)).unwrap(), id);
        assert_eq!(kept(&conn), [refined]);
        let unknown = event("server_drift", 99, None);
        record(&conn, &unknown, Some(&known_as)).unwrap();
        assert_eq!(kept(&conn).len(), 2, "what replaces nothing is recorded");
    }

    #[test]
    fn open_events_end_at_the_newest_sample_and_can_go_on() {
        let conn = store();
        for event in [event("lossy", 50, None), event("refid", 80, None), event("stratum", 10, Some(20))] {
            record(&conn, &event, None).unwrap();
        }
        assert_eq!(end_all(&conn, Some(70)).unwrap(), 2);
        let ends: Vec<_> = kept(&conn).iter().map(|event| event.end_ns).collect();
        assert_eq!(ends, [Some(20), Some(70), Some(80)]);
        record(&conn, &event("lossy", 50, None), None).unwrap();
        assert_eq!(kept(&conn)[1].end_ns, None);
    }
}
