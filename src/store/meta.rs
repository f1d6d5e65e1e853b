//! Single values: counters that survive a restart, and what the store is.

use rusqlite::{Connection, OptionalExtension, params};

/// Lines for InfluxDB that were dropped because of age or size.
pub(super) const DROPPED_LINES: &str = "outbox_dropped_lines";
/// Up to when retention has come; see `retention`.
pub(super) const RETENTION_CLOCK_NS: &str = "retention_clock_ns";
/// When the store was made.
pub(super) const CREATED_NS: &str = "created_ns";
/// Where the monitor that writes looks from.
pub(super) const VANTAGE: &str = "vantage";

/// A number; `None` when it was never written.
pub(super) fn number(conn: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// A text; `None` when it was never written.
pub(super) fn text(conn: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// Sets a value.
pub(super) fn set(conn: &Connection, key: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?.execute(params![key, value])?;
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
