//! The numeric IDs of series.

use std::collections::HashMap;
use std::net::SocketAddr;

use rusqlite::{Connection, params};

use ntp_monitor_core::sample::{Sample, SeriesKey};

/// `last_seen_ns` is updated when it is behind by this much; updating it for each sample would cost too much.
const SEEN_STEP_NS: i64 = 300 * 1_000_000_000;

/// A cache of the `series` table. Must be cleared after a transaction that did not commit.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    known: HashMap<SeriesKey, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    id: i64,
    last_seen_ns: i64,
}

impl SeriesCache {
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// The ID of the series of `sample`; creates the series if it is new.
    pub(super) fn id_of(&mut self, conn: &Connection, sample: &Sample) -> rusqlite::Result<i64> {
        let key = sample.key();
        let seen_ns = sample.at.wall_ns;
        match self.known.get(&key) {
            Some(known) if seen_ns < known.last_seen_ns.saturating_add(SEEN_STEP_NS) => Ok(known.id),
            _ => {
                let known = upsert(conn, &key, seen_ns)?;
                self.known.insert(key, known);
                Ok(known.id)
            }
        }
    }
}

/// The ID of a series that may be new, seen at `seen_ns`.
pub(super) fn id_of_key(conn: &Connection, key: &SeriesKey, seen_ns: i64) -> rusqlite::Result<i64> {
    upsert(conn, key, seen_ns).map(|known| known.id)
}

fn upsert(conn: &Connection, key: &SeriesKey, seen_ns: i64) -> rusqlite::Result<Known> {
    conn.prepare_cached(
        "INSERT INTO series (vantage, server, address, first_seen_ns, last_seen_ns) VALUES (?1, ?2, ?3, ?4, ?4) \
         ON CONFLICT (vantage, server, address) DO UPDATE SET first_seen_ns = min(first_seen_ns, excluded.first_seen_ns), \
         last_seen_ns = max(last_seen_ns, excluded.last_seen_ns) RETURNING id, last_seen_ns",
    )?
    .query_row(params![&*key.vantage, &*key.server, address_text(key.address), seen_ns], |row| {
        Ok(Known { id: row.get(0)?, last_seen_ns: row.get(1)? })
    })
}

/// The stored form of an address; empty if there is none.
pub(super) fn address_text(address: Option<SocketAddr>) -> String {
    address.map(|address| address.to_string()).unwrap_or_default()
}
