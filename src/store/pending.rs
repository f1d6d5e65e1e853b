//! The bucket of five minutes that the rollups on disk do not contain yet.
//!
//! Reading, decoding, encoding and writing two rollups for each sample costs more than the sample itself. So one bucket
//! of five minutes, the *pending* one, is excluded from the rollups on disk: a rollup is the sum of the raw rows of its
//! bucket except those of the pending bucket. Readers add these in the transaction in which they read the rest
//! ([`sums_of_series`]), so their result is always exact. When a sample of a later bucket arrives, the pending bucket
//! is summed once and added to the rollups on disk.
//!
//! The pending bucket is recorded in `meta` and changes in the transaction of the raw rows. Nothing is kept in memory,
//! so a crash leaves nothing to repair.
//!
//! A bucket can become pending only while it has no raw rows, because existing ones would be counted twice. Therefore
//! late samples of the previous bucket, and all samples after the clock was stepped back, are added to the rollups one
//! by one, at the higher cost.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::rollup::{Grain, Rollup};
use super::rollup_table::{self, way_key};
use super::{codec, meta};
use ntp_monitor_core::sample::ServerIdent;

const GRAIN: Grain = Grain::FiveMinutes;

/// The pending bucket, as far as the writer knows it. Must be reset after a transaction that did not
/// commit, and after another connection wrote.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// As recorded in the store; `None` if it was not read yet.
    known: Option<Option<i64>>,
    /// A bucket that cannot become pending.
    written_s: Option<i64>,
}

impl Pending {
    /// Makes the bucket of `newest_ns` the pending one, if possible. Must be called before raw rows are added, with the
    /// time of the newest. Returns the span of the pending bucket, whose samples must not be added to rollups.
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

    /// Adds the pending bucket to the rollups before its raw rows, those older than `before_ns`, are deleted.
    pub(super) fn settle_before(&mut self, conn: &Connection, before_ns: i64) -> rusqlite::Result<()> {
        match self.known(conn)? {
            Some(bucket_s) if Span::of(bucket_s).from_ns < before_ns => self.settle(conn),
            _ => Ok(()),
        }
    }

    /// Adds the pending bucket to the rollups on disk; afterwards no bucket is pending.
    fn settle(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let Some(bucket_s) = self.known(conn)? else { return Ok(()) };
        let span = Span::of(bucket_s);
        let mut ids = conn.prepare_cached("SELECT id FROM series ORDER BY id")?;
        for id in ids.query_map([], |row| row.get(0))? {
            let id = id?;
            // Computed with sketches; the finer rollup ignores them.
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

/// The period of a bucket: wall-clock nanoseconds since 1970, end excluded.
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

    /// Whether a sample at `wall_ns` belongs to it.
    pub(super) fn contains(self, wall_ns: i64) -> bool {
        (self.from_ns..self.to_ns).contains(&wall_ns)
    }
}

/// The span of the pending bucket.
pub(super) fn span(conn: &Connection) -> rusqlite::Result<Option<Span>> {
    Ok(meta::number(conn, meta::PENDING_BUCKET_S)?.map(Span::of))
}

/// The sums of the raw rows of one series within the span, as rollups of `grain`: one for each kind of timestamping.
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
    let placeholder = ServerIdent::named("");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![series_id, span.from_ns, span.to_ns])?;
    let mut sums = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let sample = codec::decode(row, &placeholder, None)?.sample;
        let way = sample.timestamping;
        let sum = sums.entry(way_key(way));
        sum.or_insert_with(|| Rollup::empty(grain, grain.bucket_s(span.from_ns), way)).add(&sample);
    }
    Ok(sums.into_values().collect())
}

fn has_rows(conn: &Connection, span: Span) -> rusqlite::Result<bool> {
    // The cross join fixes the join order: one key look-up per series.
    conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM series CROSS JOIN sample ON series_id = series.id AND wall_ns >= ?1 \
         AND wall_ns < ?2)",
    )?
    .query_row([span.from_ns, span.to_ns], |row| row.get(0))
}
