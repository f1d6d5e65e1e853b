//! Packets of rejected replies: the last few of each series.

use rusqlite::{Connection, Row, params};

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{CheckRow, NtpTimestamp};
use ntp_monitor_core::sample::Evidence;

/// Number of rejected replies kept per series.
pub const KEPT_PER_SERIES: usize = 16;

/// Stores a rejected reply, and deletes the oldest beyond the limit.
pub(super) fn insert(conn: &Connection, series_id: i64, evidence: &Evidence) -> rusqlite::Result<()> {
    let (made, failed) = evidence.checks.to_bits();
    let datagram = evidence.datagram.get(..Evidence::MAX_BYTES).unwrap_or(&evidence.datagram);
    conn.prepare_cached(
        "INSERT INTO evidence (series_id, wall_ns, mono_ns, raw_ns, checks_made, checks_failed, t1, t2, t3, t4, \
         datagram, sender) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        series_id,
        evidence.at.wall_ns,
        evidence.at.mono_ns,
        evidence.at.raw_ns,
        made,
        failed,
        evidence.t1.0.cast_signed(),
        evidence.t2.0.cast_signed(),
        evidence.t3.0.cast_signed(),
        evidence.t4.0.cast_signed(),
        datagram,
        evidence.sender.map(|sender| sender.to_string()),
    ])?;
    conn.prepare_cached(
        "DELETE FROM evidence WHERE series_id = ?1 AND wall_ns <= \
         (SELECT wall_ns FROM evidence WHERE series_id = ?1 ORDER BY wall_ns DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![series_id, KEPT_PER_SERIES as i64])?;
    Ok(())
}

/// The stored replies of a series, oldest first.
pub(super) fn of_series(conn: &Connection, series_id: i64) -> rusqlite::Result<Vec<Evidence>> {
    let mut statement = conn.prepare_cached(
        "SELECT wall_ns, mono_ns, raw_ns, checks_made, checks_failed, t1, t2, t3, t4, datagram, sender FROM evidence \
         WHERE series_id = ?1 ORDER BY wall_ns",
    )?;
    statement.query_map([series_id], decode)?.collect()
}

fn decode(row: &Row<'_>) -> rusqlite::Result<Evidence> {
    let stamp = |column| row.get::<_, i64>(column).map(|ticks| NtpTimestamp(ticks.cast_unsigned()));
    Ok(Evidence {
        at: Stamp::new(row.get(0)?, row.get(1)?, row.get(2)?),
        checks: CheckRow::from_bits(row.get(3)?, row.get(4)?),
        t1: stamp(5)?,
        t2: stamp(6)?,
        t3: stamp(7)?,
        t4: stamp(8)?,
        sender: row.get_ref(10)?.as_str_or_null()?.and_then(|text| text.parse().ok()),
        datagram: row.get::<_, Vec<u8>>(9)?.into_boxed_slice(),
    })
}
