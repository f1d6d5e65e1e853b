//! The journal: each batch of samples is one row, until its samples are packed into blocks. While the journal is packed
//! in steps, a row still has samples that are already in blocks; they are not read from here ([`Packed`]).

use std::ops::{ControlFlow, RangeInclusive};

use rusqlite::{Connection, params};

use super::ALL_SERIES;
use crate::store::block::{self, Damaged, MOST_RECORDS};
use crate::store::damage::Damage;
use crate::store::meta;
use crate::store::record::Record;

pub(super) fn append(conn: &Connection, records: &[Record]) -> rusqlite::Result<()> {
    let mut insert =
        conn.prepare_cached("INSERT INTO journal (first_ns, last_ns, samples, data) VALUES (?1, ?2, ?3, ?4)")?;
    for page in records.chunks(MOST_RECORDS) {
        let walls = || page.iter().map(|record| record.at.wall_ns);
        insert.execute(params![walls().min(), walls().max(), page.len() as i64, block::encode(page)])?;
    }
    Ok(())
}

/// How far the journal is packed: in pages up to `page`, the samples of series up to `series` are in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) page: i64,
    pub(super) series: i64,
}

impl Packed {
    /// The recorded progress; `None` unless the journal is being packed.
    pub(super) fn read(conn: &Connection) -> rusqlite::Result<Option<Self>> {
        let Some(page) = meta::number(conn, meta::PACKED_PAGE)? else { return Ok(None) };
        Ok(meta::number(conn, meta::PACKED_SERIES)?.map(|series| Self { page, series }))
    }

    pub(super) fn record(self, conn: &Connection) -> rusqlite::Result<()> {
        meta::set(conn, meta::PACKED_PAGE, self.page)?;
        meta::set(conn, meta::PACKED_SERIES, self.series)
    }

    pub(super) fn end(conn: &Connection) -> rusqlite::Result<()> {
        meta::remove(conn, meta::PACKED_PAGE)?;
        meta::remove(conn, meta::PACKED_SERIES)
    }
}

pub(super) fn last_page(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT ifnull(max(id), 0) FROM journal")?.query_row([], |row| row.get(0))
}

/// A row of the journal.
pub(super) struct Page {
    pub(super) id: i64,
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
    pub(super) samples: i64,
    pub(super) records: Result<Vec<Record>, Damaged>,
}

impl Page {
    /// Reports a page that cannot be decoded.
    pub(super) fn fault(&self, why: Damaged) -> String {
        let (id, samples) = (self.id, self.samples);
        let (from, to) = (super::time(self.first_ns), super::time(self.last_ns));
        format!("journal page {id} is damaged and was skipped: {samples} samples from {from} to {to}: {why}")
    }
}

/// Calls `each` with the pages that may hold samples of the span, oldest first.
pub(super) fn pages(conn: &Connection, span: (i64, i64), mut each: impl FnMut(Page)) -> rusqlite::Result<()> {
    until(conn, &ALL_SERIES, span, |page| {
        each(page);
        ControlFlow::Continue(())
    })
    .map(drop)
}

/// As [`pages`], until `each` breaks. A page without a sample of the series `ids` is passed without records.
fn until(
    conn: &Connection,
    ids: &RangeInclusive<i64>,
    (from_ns, to_ns): (i64, i64),
    mut each: impl FnMut(Page) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    let packed = Packed::read(conn)?;
    let mut statement = conn.prepare_cached(
        "SELECT id, first_ns, last_ns, samples, data FROM journal WHERE last_ns >= ?1 AND first_ns < ?2 ORDER BY id",
    )?;
    let mut rows = statement.query([from_ns, to_ns])?;
    while let Some(row) = rows.next()? {
        let mut page = Page {
            id: row.get(0)?,
            first_ns: row.get(1)?,
            last_ns: row.get(2)?,
            samples: row.get(3)?,
            records: block::decode_if_of(row.get_ref(4)?.as_blob()?, ids),
        };
        if let Some(packed) = packed.filter(|packed| page.id <= packed.page)
            && let Ok(records) = &mut page.records
        {
            records.retain(|record| record.series_id > packed.series);
        }
        if each(page).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Calls `each` with the samples of the series `ids` within the span, in the order of insertion.
pub(super) fn scan(
    conn: &Connection,
    damage: &Damage,
    ids: &RangeInclusive<i64>,
    span: (i64, i64),
    each: &mut impl FnMut(Record) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    until(conn, ids, span, |page| match &page.records {
        Err(why) => {
            damage.note(page.fault(*why));
            ControlFlow::Continue(())
        }
        Ok(_) => {
            let is_wanted = |r: &Record| ids.contains(&r.series_id) && (span.0..span.1).contains(&r.at.wall_ns);
            for record in page.records.into_iter().flatten().filter(is_wanted) {
                each(record)?;
            }
            ControlFlow::Continue(())
        }
    })
}

/// Calls `each` with the samples of the series `ids` in the pages up to `last_page`, in the order of insertion.
pub(super) fn scan_to(
    conn: &Connection,
    damage: &Damage,
    ids: &RangeInclusive<i64>,
    last_page: i64,
    each: &mut impl FnMut(Record),
) -> rusqlite::Result<()> {
    until(conn, ids, super::ALL_TIME, |page| {
        if page.id > last_page {
            return ControlFlow::Break(());
        }
        match &page.records {
            Err(why) => damage.note(page.fault(*why)),
            Ok(_) => {
                page.records
                    .into_iter()
                    .flatten()
                    .filter(|record| ids.contains(&record.series_id))
                    .for_each(&mut *each);
            }
        }
        ControlFlow::Continue(())
    })
    .map(drop)
}

pub(super) fn delete(conn: &Connection, ids: &[i64]) -> rusqlite::Result<()> {
    let mut delete = conn.prepare_cached("DELETE FROM journal WHERE id = ?1")?;
    ids.iter().try_for_each(|id| delete.execute([id]).map(drop))
}

/// The time of the oldest sample.
pub(super) fn first_ns(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT min(first_ns) FROM journal")?.query_row([], |row| row.get(0))
}

/// A time that is not later than the first sample from `from_ns` on.
pub(super) fn first_from(conn: &Connection, from_ns: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT min(max(first_ns, ?1)) FROM journal WHERE last_ns >= ?1")?
        .query_row([from_ns], |row| row.get(0))
}

/// The time of the newest sample.
pub(super) fn newest_ns(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT max(last_ns) FROM journal")?.query_row([], |row| row.get(0))
}

/// Deletes pages whose samples are all older than `before_ns`. Returns the number of samples.
pub(super) fn prune(conn: &Connection, before_ns: i64) -> rusqlite::Result<usize> {
    // The number of a deleted page could be given to a new one.
    if Packed::read(conn)?.is_some() {
        return Ok(0);
    }
    let mut statement = conn.prepare_cached("DELETE FROM journal WHERE last_ns < ?1 RETURNING samples")?;
    let samples = statement.query_map([before_ns], |row| row.get::<_, u32>(0))?;
    samples.map(|samples| samples.map(|samples| samples as usize)).sum()
}
