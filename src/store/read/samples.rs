//! Raw samples: the latest of every series, a span of one server, and everything since an instant.

use std::net::SocketAddr;

use rusqlite::{Connection, params};

use super::{Reader, Series, find_series, select_series};
use crate::store::StoreError;
use crate::store::codec::{self, COLUMNS, StoredSample};

/// A slice of [`Since`] begins this wide …
const FIRST_SLICE_NS: i64 = 60 * 1_000_000_000;
/// … and is fitted so that about this many samples are in memory at once.
const SLICE_SAMPLES: usize = 8192;

impl Reader {
    /// The latest sample of every series that has any, by server and address.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn latest(&self) -> Result<Vec<StoredSample>, StoreError> {
        self.run("read the latest samples", |conn| {
            let mut latest = Vec::new();
            for series in select_series(conn, "ORDER BY server, address", [])? {
                read_into(conn, &series, "ORDER BY wall_ns DESC LIMIT 1", [series.id], &mut latest)?;
            }
            Ok(latest)
        })
    }

    /// The samples of a server within a span, by time, the first `limit` of them. The next page begins one nanosecond
    /// after the last sample: samples of the same instant are never parted, so a page may be longer than `limit` by
    /// as many.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn samples(
        &self,
        server: &str,
        address: Option<SocketAddr>,
        from_ns: i64,
        to_ns: i64,
        limit: usize,
    ) -> Result<Vec<StoredSample>, StoreError> {
        self.run("read samples", |conn| {
            let series = find_series(conn, server, address)?;
            read_span(conn, &series, from_ns, to_ns, limit)
        })
    }

    /// Every sample of every series since `from_ns`, by time; for outputs that catch up. Memory stays bounded however
    /// long the span is: about 8,000 samples, more only when one slice of time has suddenly more than the one before.
    #[must_use]
    pub fn since(&self, from_ns: i64) -> Since<'_> {
        Since { reader: self, next_ns: from_ns, width_ns: FIRST_SLICE_NS, slice: Vec::new().into_iter(), ended: false }
    }

    /// The slice of `width_ns` that begins with the first sample at or after `from_ns`, and its end; `None` when there
    /// is no such sample.
    fn slice(&self, from_ns: i64, width_ns: i64) -> Result<Option<(Vec<StoredSample>, i64)>, StoreError> {
        self.run("read samples", |conn| {
            let Some(first_ns) = first_from(conn, from_ns)? else { return Ok(None) };
            let to_ns = first_ns.saturating_add(width_ns);
            let series = select_series(conn, "ORDER BY id", [])?;
            Ok(Some((read_span(conn, &series, first_ns, to_ns, usize::MAX)?, to_ns)))
        })
    }
}

fn first_from(conn: &Connection, from_ns: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(
        "SELECT min((SELECT wall_ns FROM sample WHERE series_id = series.id AND wall_ns >= ?1 ORDER BY wall_ns LIMIT 1)) \
         FROM series",
    )?
    .query_row([from_ns], |row| row.get(0))
}

/// The samples of several series within a span, by time, the first `limit` and what is of the same instant.
pub(super) fn read_span(
    conn: &Connection,
    series: &[Series],
    from_ns: i64,
    to_ns: i64,
    limit: usize,
) -> rusqlite::Result<Vec<StoredSample>> {
    const SPAN: &str = "AND wall_ns >= ?2 AND wall_ns < ?3 ORDER BY wall_ns LIMIT ?4";
    let mut samples = Vec::new();
    for one in series {
        let bounds = params![one.id, from_ns, to_ns, i64::try_from(limit).unwrap_or(i64::MAX)];
        read_into(conn, one, SPAN, bounds, &mut samples)?;
    }
    if series.len() > 1 {
        samples.sort_by_key(wall_ns);
        cut(&mut samples, limit);
    }
    Ok(samples)
}

/// Cuts sorted samples to `limit`, but not between two of the same instant.
fn cut(samples: &mut Vec<StoredSample>, limit: usize) {
    let Some(last_ns) = limit.checked_sub(1).and_then(|last| samples.get(last)).map(wall_ns) else { return };
    let keep = samples.partition_point(|stored| wall_ns(stored) <= last_ns);
    samples.truncate(keep);
}

fn wall_ns(stored: &StoredSample) -> i64 {
    stored.sample.at.wall_ns
}

fn read_into(
    conn: &Connection,
    series: &Series,
    rest: &str,
    params: impl rusqlite::Params,
    samples: &mut Vec<StoredSample>,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT {COLUMNS} FROM sample WHERE series_id = ?1 {rest}");
    let ident = series.ident();
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        samples.push(codec::decode(row, &ident, series.key.address)?);
    }
    Ok(())
}

/// What [`Reader::since`] gives; ends after the first error.
#[derive(Debug)]
pub struct Since<'a> {
    reader: &'a Reader,
    next_ns: i64,
    width_ns: i64,
    slice: std::vec::IntoIter<StoredSample>,
    ended: bool,
}

impl Since<'_> {
    fn refill(&mut self) -> Result<(), StoreError> {
        let Some((slice, end_ns)) = self.reader.slice(self.next_ns, self.width_ns)? else {
            self.ended = true;
            return Ok(());
        };
        self.next_ns = end_ns;
        self.width_ns = fitted(self.width_ns, slice.len());
        self.slice = slice.into_iter();
        Ok(())
    }
}

/// The width of the next slice, after one of `width_ns` that had `samples`.
fn fitted(width_ns: i64, samples: usize) -> i64 {
    if samples > SLICE_SAMPLES {
        (width_ns / 2).max(1)
    } else if samples < SLICE_SAMPLES / 4 {
        width_ns.saturating_mul(2)
    } else {
        width_ns
    }
}

impl Iterator for Since<'_> {
    type Item = Result<StoredSample, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.slice.len() == 0
            && !self.ended
            && let Err(why) = self.refill()
        {
            self.ended = true;
            return Some(Err(why));
        }
        self.slice.next().map(Ok)
    }
}
