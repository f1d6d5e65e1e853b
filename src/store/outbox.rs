//! The outbox on disk: lines for InfluxDB, written in the transaction of their samples and kept until they are
//! acknowledged.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use super::meta;
use crate::sinks::influx::outbox::{OutboxGauge, OutboxRow};

/// Number of rejected lines kept for inspection.
pub const QUARANTINE_LINES: i64 = 1000;
/// Maximum number of rows that one pass drops, so that no pass takes long.
const DROP_CHUNK: usize = 256;

/// The fill level of the outbox, as of the last commit. It is counted again when another connection wrote.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals(Arc<Mutex<OutboxGauge>>);

impl Totals {
    pub(super) fn get(&self) -> OutboxGauge {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Must be called after the transaction that changed the outbox is committed.
    pub(super) fn set(&self, gauge: OutboxGauge) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = gauge;
    }
}

/// Counts all rows: when the store is opened, and when another connection wrote.
pub(super) fn count(conn: &Connection) -> rusqlite::Result<OutboxGauge> {
    let dropped_lines = meta::number(conn, meta::DROPPED_LINES)?.unwrap_or(0).cast_unsigned();
    let quarantined: i64 = conn.query_row("SELECT count(*) FROM outbox_quarantine", [], |row| row.get(0))?;
    conn.query_row("SELECT count(*), total(lines), total(bytes), min(created_ns) FROM outbox", [], |row| {
        Ok(OutboxGauge {
            rows: row.get::<_, i64>(0)?.cast_unsigned(),
            lines: row.get::<_, f64>(1)? as u64,
            bytes: row.get::<_, f64>(2)? as u64,
            oldest_ns: row.get(3)?,
            dropped_lines,
            quarantined_lines: quarantined.cast_unsigned(),
        })
    })
}

/// Appends lines and updates `gauge`.
pub(super) fn push(
    conn: &Connection,
    gauge: &mut OutboxGauge,
    now_ns: i64,
    lines: u32,
    body: &[u8],
) -> rusqlite::Result<()> {
    if lines == 0 {
        return Ok(());
    }
    conn.prepare_cached("INSERT INTO outbox (created_ns, lines, bytes, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![now_ns, lines, body.len() as i64, body])?;
    gauge.rows += 1;
    gauge.lines += u64::from(lines);
    gauge.bytes += body.len() as u64;
    gauge.oldest_ns.get_or_insert(now_ns);
    Ok(())
}

/// Deletes rows; ignores those that do not exist.
pub(super) fn remove(conn: &Connection, gauge: &mut OutboxGauge, ids: &[i64]) -> rusqlite::Result<u64> {
    let mut lines = 0;
    let mut delete = conn.prepare_cached("DELETE FROM outbox WHERE id = ?1 RETURNING lines, bytes")?;
    for id in ids {
        let mut rows = delete.query([id])?;
        while let Some(row) = rows.next()? {
            let (row_lines, row_bytes) = (row.get::<_, u32>(0)?, row.get::<_, i64>(1)?);
            lines += u64::from(row_lines);
            gauge.rows = gauge.rows.saturating_sub(1);
            gauge.bytes = gauge.bytes.saturating_sub(row_bytes.cast_unsigned());
        }
    }
    gauge.lines = gauge.lines.saturating_sub(lines);
    gauge.oldest_ns = conn
        .prepare_cached("SELECT created_ns FROM outbox ORDER BY id LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(lines)
}

/// Moves rejected lines to quarantine, each with its reason; only the newest ones are kept.
pub(super) fn quarantine(
    conn: &Connection,
    gauge: &mut OutboxGauge,
    now_ns: i64,
    lines: &[(Vec<u8>, String)],
) -> rusqlite::Result<()> {
    let kept = &lines[lines.len().saturating_sub(QUARANTINE_LINES as usize)..];
    let mut insert =
        conn.prepare_cached("INSERT INTO outbox_quarantine (created_ns, reason, line) VALUES (?1, ?2, ?3)")?;
    for (line, reason) in kept {
        insert.execute(params![now_ns, reason, line])?;
    }
    let dropped = conn
        .prepare_cached("DELETE FROM outbox_quarantine WHERE id <= (SELECT max(id) FROM outbox_quarantine) - ?1")?
        .execute([QUARANTINE_LINES])?;
    gauge.quarantined_lines = (gauge.quarantined_lines + kept.len() as u64).saturating_sub(dropped as u64);
    Ok(())
}

/// Drops the oldest rows that were written before `before_ns` or exceed `max_bytes`. Dropped lines are counted in the
/// store and in `gauge`. Returns the number of lines dropped; a pass drops a bounded number.
pub(super) fn enforce_bounds(
    conn: &Connection,
    gauge: &mut OutboxGauge,
    before_ns: i64,
    max_bytes: u64,
) -> rusqlite::Result<u64> {
    let too_old = gauge.oldest_ns.is_some_and(|oldest_ns| oldest_ns < before_ns);
    if !too_old && gauge.bytes <= max_bytes {
        return Ok(0);
    }
    let ids = surplus(conn, gauge.bytes, before_ns, max_bytes)?;
    let lines = remove(conn, gauge, &ids)?;
    meta::add(conn, meta::DROPPED_LINES, lines.cast_signed())?;
    gauge.dropped_lines += lines;
    Ok(lines)
}

fn surplus(conn: &Connection, mut bytes: u64, before_ns: i64, max_bytes: u64) -> rusqlite::Result<Vec<i64>> {
    let mut oldest = conn.prepare_cached("SELECT id, created_ns, bytes FROM outbox ORDER BY id LIMIT ?1")?;
    let mut rows = oldest.query([DROP_CHUNK as i64])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= before_ns && bytes <= max_bytes {
            break;
        }
        bytes = bytes.saturating_sub(row.get::<_, i64>(2)?.cast_unsigned());
        ids.push(row.get(0)?);
    }
    Ok(ids)
}

/// The oldest rows, as many as fit both limits together, at least one if there is any.
pub(super) fn oldest(conn: &Connection, max_lines: usize, max_bytes: usize) -> rusqlite::Result<Vec<OutboxRow>> {
    let mut statement = conn.prepare_cached("SELECT id, created_ns, lines, body FROM outbox ORDER BY id")?;
    let mut rows = statement.query([])?;
    let (mut taken, mut lines, mut bytes) = (Vec::new(), 0, 0);
    while let Some(row) = rows.next()? {
        let row = OutboxRow { id: row.get(0)?, created_ns: row.get(1)?, lines: row.get(2)?, body: row.get(3)? };
        lines += row.lines as usize;
        bytes += row.body.len();
        if !taken.is_empty() && (lines > max_lines || bytes > max_bytes) {
            break;
        }
        taken.push(row);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    #[test]
    fn gauge_that_is_too_low_does_not_wrap() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        push(&conn, &mut OutboxGauge::default(), 1, 3, b"abc").unwrap();
        let mut gauge = OutboxGauge::default();
        assert_eq!(remove(&conn, &mut gauge, &[1]).unwrap(), 3);
        assert_eq!(gauge, OutboxGauge::default());
    }
}
