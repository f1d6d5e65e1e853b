//! The five minutes that are not in the rollups on disk yet.
//!
//! To read, decode, encode and write two rollups for each sample costs more than the sample itself. So one bucket of
//! five minutes, the *pending* one, has no part in the rollups on disk: there a rollup is the sum of the raw rows of its
//! bucket, less those of the pending bucket. Readers add these in the transaction in which they read the rest
//! ([`sums_of_series`]), so what they see is exact at any time. When a sample of a later bucket comes, the pending one is
//! summed up once, and added to the rollups on disk.
//!
//! Which bucket is pending is said in `meta` and changes in the transaction of the raw rows; nothing is kept in memory.
//! A process that is killed leaves nothing to repair.
//!
//! A bucket can become the pending one only while it has no raw rows: those that it had would be in the rollups twice.
//! So stragglers of the bucket before, and all samples after a step of the clock to a time that was written before, go
//! to the rollups one by one, as dearly as that is.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::rollup::{Grain, Rollup};
use super::rollup_table::{self, way_key};
use super::{codec, meta};
use ntp_monitor_core::sample::ServerIdent;

const GRAIN: Grain = Grain::FiveMinutes;

/// Which bucket is pending, as far as the writer knows. To be forgotten after a transaction that did not commit.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// As the store says; `None` when it was not asked yet.
    known: Option<Option<i64>>,
    /// A bucket that cannot become the pending one.
    written_s: Option<i64>,
}

impl Pending {
    /// Forgets everything; the store is asked again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Makes the bucket of `newest_ns` the pending one, if that may be; to be called before raw rows are added, with the
    /// newest of them. Returns the span of the pending bucket, of which no sample may be added to a rollup.
    pub(super) fn follow(&mut self, conn: &Connection, newest_ns: i64) -> rusqlite::Result<Option<Span>> {
        let wanted_s = GRAIN.bucket_s(newest_ns);
        let known = self.known(conn)?;
        let is_straggler = |pending_s: i64| (pending_s - GRAIN.width_s()..=pending_s).contains(&wanted_s);
        if !known.is_some_and(is_straggler) && self.written_s != Some(wanted_s) {
            self.settle(conn)?;
            if has_rows(conn, Span::of(wanted_s))? {
                self.written_s = Some(wanted_s);
            } else {
                meta::set(conn, meta::PENDING_BUCKET_S, wanted_s)?;
                self.known = Some(Some(wanted_s));
            }
        }
        Ok(self.known.flatten().map(Span::of))
    }

    /// Brings the pending bucket into the rollups before raw rows of it, those older than `before_ns`, are deleted.
    pub(super) fn settle_before(&mut self, conn: &Connection, before_ns: i64) -> rusqlite::Result<()> {
        match self.known(conn)? {
            Some(bucket_s) if Span::of(bucket_s).from_ns < before_ns => self.settle(conn),
            _ => Ok(()),
        }
    }

    /// Adds the pending bucket to the rollups on disk; after that none is pending.
    fn settle(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let Some(bucket_s) = self.known(conn)? else { return Ok(()) };
        let span = Span::of(bucket_s);
        let mut ids = conn.prepare_cached("SELECT id FROM series ORDER BY id")?;
        for id in ids.query_map([], |row| row.get(0))? {
            let id = id?;
            // With sketches, which the finer rollup has no use for.
            for sum in sums_of_series(conn, id, span, Grain::Hour)? {
                for grain in Grain::ALL {
                    rollup_table::merge(conn, grain, id, grain.bucket_s(span.from_ns), &sum)?;
                }
            }
        }
        meta::remove(conn, meta::PENDING_BUCKET_S)?;
        self.known = Some(None);
        Ok(())
    }

    fn known(&mut self, conn: &Connection) -> rusqlite::Result<Option<i64>> {
        match self.known {
            Some(known) => Ok(known),
            None => {
                let bucket_s = meta::number(conn, meta::PENDING_BUCKET_S)?;
                Ok(*self.known.insert(bucket_s))
            }
        }
    }
}

/// The raw rows of a bucket: wall-clock nanoseconds since 1970, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
}

impl Span {
    fn of(bucket_s: i64) -> Self {
        let from_ns = bucket_s.saturating_mul(1_000_000_000);
        Self { from_ns, to_ns: from_ns.saturating_add(GRAIN.width_ns()) }
    }

    /// Whether a sample of `wall_ns` is in it.
    pub(super) fn contains(self, wall_ns: i64) -> bool {
        (self.from_ns..self.to_ns).contains(&wall_ns)
    }
}

/// The raw rows that the rollups on disk lack.
pub(super) fn span(conn: &Connection) -> rusqlite::Result<Option<Span>> {
    Ok(meta::number(conn, meta::PENDING_BUCKET_S)?.map(Span::of))
}

/// The sums of the raw rows of one series within the span, as a part of its rollups of `grain`: one for each way of
/// timestamping.
pub(super) fn sums_of_series(
    conn: &Connection,
    series_id: i64,
    span: Span,
    grain: Grain,
) -> rusqlite::Result<Vec<Rollup>> {
    let sql = format!(
        "SELECT {} FROM sample WHERE series_id = ?1 AND wall_ns >= ?2 AND wall_ns < ?3 ORDER BY wall_ns",
        codec::COLUMNS
    );
    let nobody = ServerIdent::named("");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![series_id, span.from_ns, span.to_ns])?;
    let mut sums = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let sample = codec::decode(row, &nobody, None)?.sample;
        let way = sample.timestamping;
        let sum = sums.entry(way_key(way));
        sum.or_insert_with(|| Rollup::empty(grain, grain.bucket_s(span.from_ns), way)).add(&sample);
    }
    Ok(sums.into_values().collect())
}

fn has_rows(conn: &Connection, span: Span) -> rusqlite::Result<bool> {
    // The cross join fixes the order: one look into the key for each series.
    conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM series CROSS JOIN sample ON series_id = series.id AND wall_ns >= ?1 \
         AND wall_ns < ?2)",
    )?
    .query_row([span.from_ns, span.to_ns], |row| row.get(0))
}
