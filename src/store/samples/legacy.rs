//! Samples in the format of earlier releases: one row each. They can be read like all others, and are moved into
//! blocks.

use std::ops::{ControlFlow, RangeInclusive};

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use crate::store::codes;
use crate::store::record::Record;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{CheckRow, Leap, RefId};
use ntp_monitor_core::sample::{Authentication, Measure, Mode, Outcome, Reply};

/// The columns that [`decode`] reads, in its order.
const COLUMNS: &str = "sample.wall_ns, mono_ns, raw_ns, outcome, reason, timestamping, poll_s, sent, lost, offset_s, \
     delay_s, root_distance_s, stratum, leap, refid, precision_log2, root_delay_s, root_dispersion_s, checks_made, \
     checks_failed, boot_ns, authentication, mode, reference_age_s, series_id";

/// The first `limit` samples of a series within a span, by time.
pub(super) fn of_series(
    conn: &Connection,
    id: i64,
    (from_ns, to_ns): (i64, i64),
    limit: usize,
    found: &mut Vec<Record>,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sample WHERE series_id = ?1 AND wall_ns >= ?2 AND wall_ns < ?3 ORDER BY wall_ns LIMIT ?4"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id, from_ns, to_ns, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        found.push(decode(row)?);
    }
    Ok(())
}

/// The samples of several series within a span.
pub(super) fn of_all(
    conn: &Connection,
    ids: &RangeInclusive<i64>,
    (from_ns, to_ns): (i64, i64),
    each: &mut impl FnMut(Record) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    // The cross join fixes the join order: one key range per series.
    let sql = format!(
        "SELECT {COLUMNS} FROM series CROSS JOIN sample ON series_id = series.id AND wall_ns >= ?1 AND wall_ns < ?2 \
         WHERE series.id BETWEEN ?3 AND ?4"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![from_ns, to_ns, ids.start(), ids.end()])?;
    while let Some(row) = rows.next()? {
        if each(decode(row)?).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The latest sample of every series.
pub(super) fn latest(conn: &Connection) -> rusqlite::Result<Vec<Record>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM series CROSS JOIN sample ON series_id = series.id AND wall_ns = \
         (SELECT max(wall_ns) FROM sample WHERE series_id = series.id)"
    );
    conn.prepare_cached(&sql)?.query_map([], decode)?.collect()
}

/// Whether a sample of this instant exists.
pub(super) fn exists(conn: &Connection, id: i64, wall_ns: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM sample WHERE series_id = ?1 AND wall_ns = ?2)")?
        .query_row([id, wall_ns], |row| row.get(0))
}

/// The position of the mover: the series and the time of the last row that it examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    series_id: i64,
    wall_ns: i64,
}

impl Place {
    pub(super) const START: Self = Self { series_id: i64::MIN, wall_ns: i64::MIN };

    pub(super) fn is_of_same_series(self, other: Self) -> bool {
        self.series_id == other.series_id
    }
}

/// Removes the next `limit` rows of at most one series from the table. Rows that cannot be decoded stay. Returns the
/// samples and the position from which to continue; `None` at the end.
pub(super) fn take(conn: &Connection, after: Place, limit: usize) -> rusqlite::Result<Option<(Vec<Record>, Place)>> {
    let Some(series_id) = next_series(conn, after)? else { return Ok(None) };
    let after_ns = if series_id == after.series_id { after.wall_ns } else { i64::MIN };
    let sql =
        format!("SELECT {COLUMNS} FROM sample WHERE series_id = ?1 AND wall_ns > ?2 ORDER BY wall_ns LIMIT {limit}");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([series_id, after_ns])?;
    let (mut taken, mut wall_ns) = (Vec::new(), after_ns);
    while let Some(row) = rows.next()? {
        wall_ns = row.get(0)?;
        taken.extend(decode(row).ok());
    }
    drop(rows);
    let mut delete = conn.prepare_cached("DELETE FROM sample WHERE series_id = ?1 AND wall_ns = ?2")?;
    for record in &taken {
        delete.execute([series_id, record.at.wall_ns])?;
    }
    Ok(Some((taken, Place { series_id, wall_ns })))
}

/// The series of the next row.
fn next_series(conn: &Connection, after: Place) -> rusqlite::Result<Option<i64>> {
    let has_more = "SELECT EXISTS (SELECT 1 FROM sample WHERE series_id = ?1 AND wall_ns > ?2)";
    if conn.prepare_cached(has_more)?.query_row([after.series_id, after.wall_ns], |row| row.get(0))? {
        return Ok(Some(after.series_id));
    }
    let next = "SELECT min(series_id) FROM sample WHERE series_id > ?1";
    conn.prepare_cached(next)?.query_row([after.series_id], |row| row.get(0))
}

/// The number of series that have rows.
pub(super) fn count_series(conn: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM series WHERE EXISTS (SELECT 1 FROM sample WHERE series_id = series.id)";
    conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

fn decode(row: &Row<'_>) -> rusqlite::Result<Record> {
    let checks = match (row.get::<_, Option<u32>>(18)?, row.get::<_, Option<u32>>(19)?) {
        (Some(made), Some(failed)) => Some(CheckRow::from_bits(made, failed)),
        _ => None,
    };
    Ok(Record {
        series_id: row.get(24)?,
        at: Stamp { wall_ns: row.get(0)?, mono_ns: row.get(1)?, raw_ns: row.get(2)?, boot_ns: row.get(20)? },
        outcome: decode_outcome(row)?,
        reply: decode_reply(row)?,
        measure: decode_measure(row)?,
        poll_s: row.get(6)?,
        timestamping: row.get::<_, Option<i64>>(5)?.and_then(codes::way),
        authentication: if row.get::<_, i64>(21)? == 1 { Authentication::Nts } else { Authentication::None },
        mode: if row.get::<_, i64>(22)? == 1 { Mode::Interleaved } else { Mode::Basic },
        sent: row.get(7)?,
        lost: row.get(8)?,
        checks,
    })
}

fn decode_outcome(row: &Row<'_>) -> rusqlite::Result<Outcome> {
    let code: usize = row.get::<_, u8>(3)?.into();
    let reason = row.get_ref(4)?.as_str_or_null()?.unwrap_or_default();
    let label = Outcome::LABELS.get(code).copied().unwrap_or_default();
    Outcome::parse(label, reason).ok_or_else(|| {
        let why = format!("outcome {code} with the reason {reason:?} is unknown");
        rusqlite::Error::FromSqlConversionFailure(3, Type::Integer, why.into())
    })
}

fn decode_measure(row: &Row<'_>) -> rusqlite::Result<Option<Measure>> {
    let parts = (row.get(9)?, row.get(10)?, row.get(11)?);
    Ok(match parts {
        (Some(offset_s), Some(delay_s), Some(root_distance_s)) => Some(Measure { offset_s, delay_s, root_distance_s }),
        _ => None,
    })
}

fn decode_reply(row: &Row<'_>) -> rusqlite::Result<Option<Reply>> {
    let Some(stratum) = row.get(12)? else { return Ok(None) };
    Ok(Some(Reply {
        stratum,
        leap: Leap::from_bits(row.get(13)?),
        refid: RefId(row.get::<_, u32>(14)?.to_be_bytes()),
        precision_log2: row.get(15)?,
        root_delay_s: row.get::<_, Option<f64>>(16)?.unwrap_or(f64::NAN),
        root_dispersion_s: row.get::<_, Option<f64>>(17)?.unwrap_or(f64::NAN),
        reference_age_s: row.get(23)?,
    }))
}

/// The time of the oldest row of a series.
pub(super) fn of_series_first(conn: &Connection, id: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT min(wall_ns) FROM sample WHERE series_id = ?1")?.query_row([id], |row| row.get(0))
}

/// The time of the newest row of a series.
pub(super) fn of_series_last(conn: &Connection, id: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT max(wall_ns) FROM sample WHERE series_id = ?1")?.query_row([id], |row| row.get(0))
}

/// The time of the newest row.
pub(super) fn newest_ns(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT max((SELECT max(wall_ns) FROM sample WHERE series_id = series.id)) FROM series";
    conn.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// The time of the first row from `from_ns` on.
pub(super) fn first_from(conn: &Connection, from_ns: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(
        "SELECT min((SELECT min(wall_ns) FROM sample WHERE series_id = series.id AND wall_ns >= ?1)) FROM series",
    )?
    .query_row([from_ns], |row| row.get(0))
}
