//! The last kiss RATE of each series, which lengthens poll intervals across restarts.

use rusqlite::{Connection, params};

use super::record::Record;
use ntp_monitor_core::ntp::KissCode;
use ntp_monitor_core::sample::Outcome;

/// Records a sample if it is a kiss RATE.
pub(super) fn note(conn: &Connection, record: &Record) -> rusqlite::Result<()> {
    if record.outcome == Outcome::Kiss(KissCode::RATE) {
        conn.prepare_cached(
            "INSERT INTO rate_kiss (series_id, wall_ns, poll_s) VALUES (?1, ?2, ?3) ON CONFLICT (series_id) DO UPDATE \
             SET wall_ns = excluded.wall_ns, poll_s = excluded.poll_s WHERE excluded.wall_ns > wall_ns",
        )?
        .execute(params![record.series_id, record.at.wall_ns, record.poll_s])?;
    }
    Ok(())
}

/// Deletes the kisses before `before_ns`.
pub(super) fn prune(conn: &Connection, before_ns: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM rate_kiss WHERE wall_ns < ?1")?.execute([before_ns]).map(drop)
}
