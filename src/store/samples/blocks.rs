//! The table of blocks: each row holds samples of one series, packed. The blocks of a series never overlap in time, so
//! the one that may hold an instant is the last one that begins no later.

use std::ops::{ControlFlow, RangeInclusive};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::block::{self, Damaged};
use crate::store::damage::Damage;
use crate::store::record::Record;

/// A block is complete with this many samples; one with fewer is extended.
pub(super) const FULL: usize = 32;

/// A row, without its samples.
#[derive(Debug, Clone, Copy)]
struct Header {
    id: i64,
    series_id: i64,
    first_ns: i64,
    last_ns: i64,
    samples: i64,
}

const HEADER: &str = "block.id, block.series_id, first_ns, last_ns, samples";

impl Header {
    fn decode(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            series_id: row.get(1)?,
            first_ns: row.get(2)?,
            last_ns: row.get(3)?,
            samples: row.get(4)?,
        })
    }
}

/// Reports a block that cannot be decoded.
fn fault(conn: &Connection, header: Header, why: Damaged) -> String {
    let name = "SELECT server || CASE address WHEN '' THEN '' ELSE ' at ' || address END FROM series WHERE id = ?1";
    let name = conn.query_row(name, [header.series_id], |row| row.get::<_, String>(0));
    let name = name.unwrap_or_else(|_| format!("series {}", header.series_id));
    let (from, to) = (super::time(header.first_ns), super::time(header.last_ns));
    let Header { id, samples, .. } = header;
    format!("block {id} is damaged and was skipped: {samples} samples of {name} from {from} to {to}: {why}")
}

fn unpack(bytes: &[u8], series_id: i64) -> Result<Vec<Record>, Damaged> {
    let mut records = block::decode(bytes)?;
    // The row contains the series of the block.
    records.iter_mut().for_each(|record| record.series_id = series_id);
    Ok(records)
}

/// The samples of a row of [`HEADER`] and `data`; none if they are damaged, which is recorded.
fn read(conn: &Connection, damage: &Damage, row: &Row<'_>) -> rusqlite::Result<Vec<Record>> {
    let header = Header::decode(row)?;
    Ok(unpack(row.get_ref(5)?.as_blob()?, header.series_id).unwrap_or_else(|why| {
        damage.note(fault(conn, header, why));
        Vec::new()
    }))
}

/// The samples of one series within a span, by time: at least the first `limit`.
pub(super) fn of_series(
    conn: &Connection,
    damage: &Damage,
    id: i64,
    (from_ns, to_ns): (i64, i64),
    limit: usize,
    found: &mut Vec<Record>,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT {HEADER}, data FROM block WHERE series_id = ?1 AND first_ns >= coalesce((SELECT max(first_ns) \
         FROM block WHERE series_id = ?1 AND first_ns <= ?2), ?2) AND first_ns < ?3 ORDER BY first_ns"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id, from_ns, to_ns])?;
    let before = found.len();
    while found.len() - before < limit
        && let Some(row) = rows.next()?
    {
        let records = read(conn, damage, row)?.into_iter();
        found.extend(records.filter(|record| (from_ns..to_ns).contains(&record.at.wall_ns)));
    }
    Ok(())
}

/// The samples of several series within a span.
pub(super) fn of_all(
    conn: &Connection,
    damage: &Damage,
    ids: &RangeInclusive<i64>,
    (from_ns, to_ns): (i64, i64),
    each: &mut impl FnMut(Record) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    // The cross join fixes the join order: one short key range per series.
    let sql = format!(
        "SELECT {HEADER}, data FROM series CROSS JOIN block ON block.series_id = series.id AND first_ns < ?2 \
         AND first_ns >= coalesce((SELECT max(first_ns) FROM block AS before WHERE before.series_id = series.id \
         AND before.first_ns <= ?1), ?1) WHERE series.id BETWEEN ?3 AND ?4"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![from_ns, to_ns, ids.start(), ids.end()])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(3)? < from_ns {
            continue;
        }
        for record in read(conn, damage, row)? {
            if (from_ns..to_ns).contains(&record.at.wall_ns) && each(record).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The latest sample in the last block of every series, if `is_wanted` returns true for its series and time.
pub(super) fn latest(
    conn: &Connection,
    damage: &Damage,
    is_wanted: impl Fn(i64, i64) -> bool,
) -> rusqlite::Result<Vec<Record>> {
    let sql = format!(
        "SELECT {HEADER} FROM series CROSS JOIN block ON block.id = \
         (SELECT id FROM block AS b WHERE b.series_id = series.id ORDER BY b.first_ns DESC LIMIT 1)"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let header = Header::decode(row)?;
        if is_wanted(header.series_id, header.last_ns) {
            found.extend(load(conn, damage, header)?.unwrap_or_default().pop());
        }
    }
    Ok(found)
}

/// The samples of a block; `None` if they are damaged, which is recorded.
fn load(conn: &Connection, damage: &Damage, header: Header) -> rusqlite::Result<Option<Vec<Record>>> {
    let mut statement = conn.prepare_cached("SELECT data FROM block WHERE id = ?1")?;
    let records = statement
        .query_row([header.id], |row| Ok(unpack(row.get_ref(0)?.as_blob()?, header.series_id)))?
        .inspect_err(|why| damage.note(fault(conn, header, *why)));
    Ok(records.ok())
}

/// The last block of a series that begins at `wall_ns` or before.
fn before(conn: &Connection, id: i64, wall_ns: i64) -> rusqlite::Result<Option<Header>> {
    let sql =
        format!("SELECT {HEADER} FROM block WHERE series_id = ?1 AND first_ns <= ?2 ORDER BY first_ns DESC LIMIT 1");
    conn.prepare_cached(&sql)?.query_row([id, wall_ns], Header::decode).optional()
}

/// Whether a sample of this instant exists.
pub(super) fn exists(conn: &Connection, damage: &Damage, id: i64, wall_ns: i64) -> rusqlite::Result<bool> {
    let Some(header) = before(conn, id, wall_ns)?.filter(|header| header.last_ns >= wall_ns) else { return Ok(false) };
    let records = load(conn, damage, header)?.unwrap_or_default();
    Ok(records.iter().any(|record| record.at.wall_ns == wall_ns))
}

/// The time of the oldest and of the newest sample of a series.
pub(super) fn extent(conn: &Connection, id: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    let oldest = conn
        .prepare_cached("SELECT min(first_ns) FROM block WHERE series_id = ?1")?
        .query_row([id], |row| row.get::<_, Option<i64>>(0))?;
    let newest = before(conn, id, i64::MAX)?.map(|header| header.last_ns);
    Ok(oldest.zip(newest))
}

/// A time that is not later than the first sample of any series from `from_ns` on.
pub(super) fn first_from(conn: &Connection, from_ns: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(
        "SELECT min(coalesce((SELECT CASE WHEN last_ns >= ?1 THEN ?1 END FROM block WHERE series_id = series.id \
         AND first_ns <= ?1 ORDER BY first_ns DESC LIMIT 1), (SELECT min(first_ns) FROM block \
         WHERE series_id = series.id AND first_ns > ?1))) FROM series",
    )?
    .query_row([from_ns], |row| row.get(0))
}

/// The time of the newest sample of all series.
pub(super) fn newest_ns(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(
        "SELECT max((SELECT last_ns FROM block WHERE series_id = series.id ORDER BY first_ns DESC LIMIT 1)) FROM series",
    )?
    .query_row([], |row| row.get(0))
}

/// Adds new samples of one series, sorted by time. They are merged into blocks whose time they fall into and appended
/// to incomplete blocks; the others form new blocks.
pub(super) fn add(conn: &Connection, damage: &Damage, id: i64, records: &[Record]) -> rusqlite::Result<()> {
    let mut rest = records;
    while let Some(first) = rest.first() {
        let before = before(conn, id, first.at.wall_ns)?;
        let next_ns = next_ns(conn, id, first.at.wall_ns)?.unwrap_or(i64::MAX);
        // At least one: `next_ns` is not later than a sample at `i64::MAX`.
        let count = rest.partition_point(|record| record.at.wall_ns < next_ns).max(1);
        let (run, later) = rest.split_at(count);
        rest = later;
        let joins = |header: &Header| header.last_ns >= first.at.wall_ns || header.samples < FULL as i64;
        let joined = match before.filter(joins) {
            Some(header) => Some((header, load(conn, damage, header)?)),
            None => None,
        };
        match joined {
            Some((header, Some(mut held))) => {
                held.extend_from_slice(run);
                held.sort_by_key(|record| record.at.wall_ns);
                write(conn, id, Some(header.id), &held)?;
            }
            _ => write(conn, id, None, run)?,
        }
    }
    Ok(())
}

/// The start of the next block after `wall_ns`.
fn next_ns(conn: &Connection, id: i64, wall_ns: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT min(first_ns) FROM block WHERE series_id = ?1 AND first_ns > ?2")?
        .query_row([id, wall_ns], |row| row.get(0))
}

/// Writes samples as blocks of 32 to 63, or one with fewer; the first block replaces `existing`, which begins with the
/// same sample.
fn write(conn: &Connection, id: i64, existing: Option<i64>, records: &[Record]) -> rusqlite::Result<()> {
    let blocks = (records.len() / FULL).max(1);
    for n in 0..blocks {
        let part = &records[records.len() * n / blocks..records.len() * (n + 1) / blocks];
        let own: Vec<Record> = part.iter().map(|record| Record { series_id: 0, ..record.clone() }).collect();
        let (Some(first), Some(last)) = (own.first(), own.last()) else { return Ok(()) };
        let (first_ns, last_ns, data) = (first.at.wall_ns, last.at.wall_ns, block::encode(&own));
        match existing.filter(|_| n == 0) {
            Some(block) => conn
                .prepare_cached("UPDATE block SET last_ns = ?2, samples = ?3, data = ?4 WHERE id = ?1")?
                .execute(params![block, last_ns, own.len() as i64, data])?,
            // Can replace only a damaged block that begins at the same instant.
            None => conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO block (series_id, first_ns, last_ns, samples, data) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![id, first_ns, last_ns, own.len() as i64, data])?,
        };
    }
    Ok(())
}

/// Deletes the oldest blocks of a series whose samples are all older than `before_ns`, at most `limit`. Returns the
/// numbers of blocks and of samples.
pub(super) fn prune(conn: &Connection, id: i64, before_ns: i64, limit: usize) -> rusqlite::Result<(usize, usize)> {
    let mut statement = conn.prepare_cached(
        "DELETE FROM block WHERE id IN (SELECT id FROM block WHERE series_id = ?1 AND first_ns < ?2 AND last_ns < ?2 \
         ORDER BY first_ns LIMIT ?3) RETURNING samples",
    )?;
    let samples = statement.query_map(params![id, before_ns, limit as i64], |row| row.get::<_, u32>(0))?;
    let samples = samples.collect::<Result<Vec<_>, _>>()?;
    Ok((samples.len(), samples.into_iter().map(|samples| samples as usize).sum()))
}

/// Reports the blocks that cannot be decoded, and counts the samples of the others.
pub(super) fn examine(conn: &Connection, damage: &Damage) -> rusqlite::Result<u64> {
    let mut statement = conn.prepare(&format!("SELECT {HEADER}, data FROM block"))?;
    let mut rows = statement.query([])?;
    let mut samples = 0;
    while let Some(row) = rows.next()? {
        samples += read(conn, damage, row)?.len() as u64;
    }
    Ok(samples)
}
