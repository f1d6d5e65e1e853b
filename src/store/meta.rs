//! Single values: counters that survive a restart, and properties of the store.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::config::Server;

/// Number of InfluxDB lines dropped because of age or size.
pub(super) const DROPPED_LINES: &str = "outbox_dropped_lines";
/// The time of the retention clock; see `retention`.
pub(super) const RETENTION_CLOCK_NS: &str = "retention_clock_ns";
/// The start of the bucket that is missing in the rollups on disk, in seconds since 1970; see `pending`.
pub(super) const PENDING_BUCKET_S: &str = "pending_bucket_s";
/// While the journal is packed in steps: the last page to pack, and the last series whose samples are in blocks
/// already.
pub(super) const PACKED_PAGE: &str = "packed_page";
pub(super) const PACKED_SERIES: &str = "packed_series";
/// The latest plan of the fleet, as it was received.
pub(super) const FLEET_PLAN: &str = "fleet_plan";
/// The groups of the vantages, as JSON.
pub(super) const FLEET_GROUPS: &str = "fleet_groups";
/// When the store was created.
const CREATED_NS: &str = "created_ns";
/// 0 or absent after a clean shutdown; [`NO_DOUBT`] while a service runs that started after one. Otherwise the last
/// service did not shut down cleanly, and requests sent before this wall time may be missing.
const IN_DOUBT_NS: &str = "in_doubt_ns";
const NO_DOUBT: i64 = 1;
/// The monitoring location of the service that writes.
pub(super) const VANTAGE: &str = "vantage";

/// Records when the store was created, unless that is recorded already, and the monitoring location.
pub(super) fn introduce(conn: &Connection, now_ns: i64, vantage: &str) -> rusqlite::Result<()> {
    if number(conn, CREATED_NS)?.is_none() {
        set(conn, CREATED_NS, now_ns)?;
    }
    set(conn, VANTAGE, vantage)
}

/// Records a start. Returns the time before which requests may be missing, after an unclean shutdown.
pub(super) fn begin(conn: &Connection, now_ns: i64) -> rusqlite::Result<Option<i64>> {
    let left = number(conn, IN_DOUBT_NS)?.filter(|left| *left > 0);
    // The previous service may have crashed while it was still waiting because of an earlier crash.
    let floor_ns = i64::try_from(Server::FLOOR.as_nanos()).unwrap_or(i64::MAX);
    let before = left.map(|left| if (0..floor_ns).contains(&(now_ns - left)) { left } else { now_ns });
    set(conn, IN_DOUBT_NS, before.unwrap_or(NO_DOUBT))?;
    Ok(before)
}

/// For a store that was created while the service runs: records that a service runs.
pub(super) fn resume(conn: &Connection) -> rusqlite::Result<()> {
    match number(conn, IN_DOUBT_NS)? {
        None => set(conn, IN_DOUBT_NS, NO_DOUBT),
        Some(_) => Ok(()),
    }
}

/// Records a clean shutdown.
pub(super) fn settle(conn: &Transaction<'_>) -> rusqlite::Result<()> {
    set(conn, IN_DOUBT_NS, 0)
}

/// Reads a number; `None` if it was never written.
pub(super) fn number(conn: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// Reads a text; `None` if it was never written.
pub(super) fn text(conn: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// Reads bytes; `None` if they were never written.
pub(super) fn bytes(conn: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn set(conn: &Connection, key: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?.execute(params![key, value])?;
    Ok(())
}

pub(super) fn remove(conn: &Connection, key: &str) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key])?;
    Ok(())
}

/// Adds to a counter.
pub(super) fn add(conn: &Connection, key: &str, amount: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = value + excluded.value",
    )?
    .execute(params![key, amount])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn unclean_shutdown_is_remembered_across_a_crash_loop() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY)").unwrap();
        assert_eq!(begin(&conn, 1000 * S).unwrap(), None);
        let tx = conn.transaction().unwrap();
        settle(&tx).unwrap();
        tx.commit().unwrap();
        assert_eq!(begin(&conn, 2000 * S).unwrap(), None);
        for (at, before) in [(2001, 2001), (2005, 2001), (2016, 2001), (2017, 2017), (2030, 2017), (9000, 9000)] {
            assert_eq!(begin(&conn, at * S).unwrap(), Some(before * S), "at {at}");
        }
    }
}
