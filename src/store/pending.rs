//! The five-minute bucket that the rollups on disk do not contain yet.
//!
//! Reading, decoding, encoding and writing two rollups for each sample costs more than the sample itself. So one bucket
//! of five minutes, the *pending* one, is excluded from the rollups on disk: a rollup is the sum of the samples of its
//! bucket except those of the pending bucket. Readers add these in the transaction in which they read the rest
//! ([`sums_of_series`]), so their result is always exact. When a sample of a later bucket arrives, the pending bucket
//! is summed once and added to the rollups on disk.
//!
//! The pending bucket is recorded in `meta` and changes in the transaction of the samples. Nothing is kept in memory,
//! so a crash leaves nothing to repair.
//!
//! A bucket can become pending only while it has no samples, because existing ones would be counted twice. Therefore
//! late samples of the previous bucket, and all samples after the clock was stepped back, are added to the rollups one
//! by one, at the higher cost.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rusqlite::Connection;

use super::meta;
use super::record::Record;
use super::rollup::{Grain, Rollup};
use super::rollup_table::{self, way_key};
use super::samples::Samples;

const GRAIN: Grain = Grain::FiveMinutes;
/// Number of series that are summed at a time.
const SERIES_AT_ONCE: i64 = 1024;

/// The writer's cache of the pending bucket. Must be reset after a transaction that did not commit, and after another
/// connection wrote.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The bucket that is recorded in the store; the outer `None` means that it was not read yet.
    known: Option<Option<i64>>,
    /// A bucket that cannot become pending.
    written_s: Option<i64>,
}

impl Pending {
    /// Makes the bucket of `newest_ns` the pending one, if possible. Must be called before samples are added, with the
    /// time of the newest. Returns the span of the pending bucket, whose samples must not be added to rollups.
    pub(super) fn follow(&mut self, samples: Samples<'_>, newest_ns: i64) -> rusqlite::Result<Option<Span>> {
        let conn = samples.conn;
        let wanted_s = GRAIN.bucket_s(newest_ns);
        let known = self.known(conn)?;
        let is_straggler = |pending_s: i64| (pending_s - GRAIN.width_s()..=pending_s).contains(&wanted_s);
        if !known.is_some_and(is_straggler) && self.written_s != Some(wanted_s) {
            self.settle(samples)?;
            if samples.may_be_any(Span::of(wanted_s).bounds())? {
                self.written_s = Some(wanted_s);
            } else {
                meta::set(conn, meta::PENDING_BUCKET_S, wanted_s)?;
                self.known = Some(Some(wanted_s));
            }
        }
        Ok(self.known.flatten().map(Span::of))
    }

    /// Adds the pending bucket to the rollups before its samples, those older than `before_ns`, are deleted.
    pub(super) fn settle_before(&mut self, samples: Samples<'_>, before_ns: i64) -> rusqlite::Result<()> {
        match self.known(samples.conn)? {
            Some(bucket_s) if Span::of(bucket_s).from_ns < before_ns => self.settle(samples),
            _ => Ok(()),
        }
    }

    /// Adds the pending bucket to the rollups on disk; afterwards no bucket is pending.
    fn settle(&mut self, samples: Samples<'_>) -> rusqlite::Result<()> {
        let Some(bucket_s) = self.known(samples.conn)? else { return Ok(()) };
        let span = Span::of(bucket_s);
        let mut after = i64::MIN;
        while let Some(ids) = next_series(samples.conn, after)? {
            after = *ids.end();
            // Computed with sketches; the finer rollup ignores them.
            for ((id, _), sum) in sums_of_all(samples, ids, span, Grain::Hour)? {
                for grain in Grain::ALL {
                    rollup_table::merge(samples.conn, grain, id, grain.bucket_s(span.from_ns), &sum)?;
                }
            }
        }
        meta::remove(samples.conn, meta::PENDING_BUCKET_S)?;
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

    fn bounds(self) -> (i64, i64) {
        (self.from_ns, self.to_ns)
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

/// The sums of the samples of one series within the span, as rollups of `grain`: one for each kind of timestamping.
pub(super) fn sums_of_series(samples: Samples<'_>, id: i64, span: Span, grain: Grain) -> rusqlite::Result<Vec<Rollup>> {
    let mut sums = Sums::new();
    for record in samples.of_series(id, span.bounds(), usize::MAX)? {
        add(&mut sums, record, span, grain);
    }
    Ok(sums.into_values().collect())
}

/// Rollups by series and kind of timestamping.
type Sums = BTreeMap<(i64, i64), Rollup>;

fn sums_of_all(samples: Samples<'_>, ids: RangeInclusive<i64>, span: Span, grain: Grain) -> rusqlite::Result<Sums> {
    let mut sums = Sums::new();
    samples.of_all(ids, span.bounds(), |record| add(&mut sums, record, span, grain))?;
    Ok(sums)
}

fn add(sums: &mut Sums, record: Record, span: Span, grain: Grain) {
    let way = record.timestamping;
    let sum = sums.entry((record.series_id, way_key(way)));
    sum.or_insert_with(|| Rollup::empty(grain, grain.bucket_s(span.from_ns), way)).add_record(&record);
}

/// The next [`SERIES_AT_ONCE`] series.
fn next_series(conn: &Connection, after: i64) -> rusqlite::Result<Option<RangeInclusive<i64>>> {
    let sql = "SELECT min(id), max(id) FROM (SELECT id FROM series WHERE id > ?1 ORDER BY id LIMIT ?2)";
    let (first, last) = conn
        .prepare_cached(sql)?
        .query_row([after, SERIES_AT_ONCE], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    Ok(first.zip(last).map(|(first, last)| first..=last))
}
