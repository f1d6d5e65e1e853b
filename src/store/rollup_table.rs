//! Rollups on disk: read, updated in memory, and written back within the current transaction.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codes;
use super::rollup::{Counts, Grain, Rollup};
use ntp_monitor_core::sample::{Sample, Timestamping};
use ntp_monitor_core::stats::moments::Moments;
use ntp_monitor_core::stats::sketch::Sketch;

/// The key value for "no exchange"; NULL is not allowed in the key.
const NO_WAY: i64 = -1;

/// The columns of counts, in the order of [`decode_counts`].
pub(super) const COUNTS: &str = "samples, timeouts, refused, kisses, rejected, unsynchronised, dns, faults, sent, lost";

const SUMS: &str = "n, offset_mean_s, offset_m2, offset_min_s, offset_max_s, delay_mean_s, delay_m2, delay_min_s, \
     delay_max_s, root_distance_mean_s, root_distance_max_s";

/// The rollups of one width to which a batch adds individual samples.
#[derive(Debug)]
pub(super) struct OpenRollups {
    grain: Grain,
    open: HashMap<(i64, i64, i64), Rollup>,
}

impl OpenRollups {
    pub(super) fn new(grain: Grain) -> Self {
        Self { grain, open: HashMap::new() }
    }

    /// Adds a sample whose raw row is new.
    pub(super) fn add(&mut self, conn: &Connection, series_id: i64, sample: &Sample) -> rusqlite::Result<()> {
        let bucket_s = self.grain.bucket_s(sample.at.wall_ns);
        let key = (series_id, bucket_s, way_key(sample.timestamping));
        if let Some(rollup) = self.open.get_mut(&key) {
            rollup.add(sample);
            return Ok(());
        }
        let stored = load(conn, self.grain, series_id, bucket_s, sample.timestamping)?;
        let mut rollup = stored.unwrap_or_else(|| Rollup::empty(self.grain, bucket_s, sample.timestamping));
        rollup.add(sample);
        self.open.insert(key, rollup);
        Ok(())
    }

    /// Writes all rollups back.
    pub(super) fn save(self, conn: &Connection) -> rusqlite::Result<()> {
        self.open.iter().try_for_each(|((series_id, ..), rollup)| save(conn, self.grain, *series_id, rollup))
    }
}

/// Adds sums over a part of a bucket, with sketches, to the rollup on disk.
pub(super) fn merge(
    conn: &Connection,
    grain: Grain,
    series_id: i64,
    bucket_s: i64,
    sums: &Rollup,
) -> rusqlite::Result<()> {
    let stored = load(conn, grain, series_id, bucket_s, sums.timestamping)?;
    let mut rollup = stored.unwrap_or_else(|| Rollup::empty(grain, bucket_s, sums.timestamping));
    rollup.merge(sums);
    save(conn, grain, series_id, &rollup)
}

/// The key value of a kind of timestamping.
pub(super) fn way_key(way: Option<Timestamping>) -> i64 {
    way.map_or(NO_WAY, codes::of_way)
}

/// The columns that [`decode`] reads, in its order. Five-minute rollups have no sketches and select NULL instead.
pub(super) fn columns(grain: Grain) -> String {
    let sketches = match grain {
        Grain::FiveMinutes => "NULL, NULL",
        Grain::Hour => "offset_sketch, delay_sketch",
    };
    format!("{COUNTS}, {SUMS}, {sketches}, bucket_s, timestamping")
}

fn load(
    conn: &Connection,
    grain: Grain,
    series_id: i64,
    bucket_s: i64,
    way: Option<Timestamping>,
) -> rusqlite::Result<Option<Rollup>> {
    let sql = format!(
        "SELECT {} FROM {} WHERE series_id = ?1 AND bucket_s = ?2 AND timestamping = ?3",
        columns(grain),
        grain.table()
    );
    conn.prepare_cached(&sql)?
        .query_row(params![series_id, bucket_s, way_key(way)], |row| decode(row, grain))
        .optional()
}

fn save(conn: &Connection, grain: Grain, series_id: i64, rollup: &Rollup) -> rusqlite::Result<()> {
    let (sketches, places) = match grain {
        Grain::FiveMinutes => ("", ""),
        Grain::Hour => (", offset_sketch, delay_sketch", ", ?25, ?26"),
    };
    let sql = format!(
        "INSERT OR REPLACE INTO {} ({COUNTS}, {SUMS}, series_id, bucket_s, timestamping{sketches}) VALUES \
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, \
         ?24{places})",
        grain.table()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    bind(&mut statement, series_id, rollup)?;
    if grain == Grain::Hour {
        statement.raw_bind_parameter(25, rollup.offset_sketch.as_ref().map(Sketch::to_bytes))?;
        statement.raw_bind_parameter(26, rollup.delay_sketch.as_ref().map(Sketch::to_bytes))?;
    }
    statement.raw_execute().map(drop)
}

fn bind(statement: &mut rusqlite::Statement<'_>, series_id: i64, rollup: &Rollup) -> rusqlite::Result<()> {
    let (counts, n) = (&rollup.counts, rollup.offset_s.n());
    let integers = counts.outcomes.iter().chain([&counts.sent, &counts.lost, &n]);
    for (place, value) in integers.enumerate() {
        statement.raw_bind_parameter(place + 1, value.cast_signed())?;
    }
    // Without a measurement the mean is NULL, also for other programs that read the file.
    let distances = [rollup.root_distance_mean_s, rollup.root_distance_max_s].map(|value| (n > 0).then_some(value));
    let moments = [&rollup.offset_s, &rollup.delay_s].into_iter();
    let reals = moments.flat_map(|of| [of.mean(), of.squares(), of.min(), of.max()]).chain(distances);
    for (place, value) in reals.enumerate() {
        statement.raw_bind_parameter(place + 12, value)?;
    }
    statement.raw_bind_parameter(22, series_id)?;
    statement.raw_bind_parameter(23, rollup.bucket_s)?;
    statement.raw_bind_parameter(24, way_key(rollup.timestamping))
}

/// Decodes a row of [`columns`].
pub(super) fn decode(row: &Row<'_>, grain: Grain) -> rusqlite::Result<Rollup> {
    let n = row.get::<_, i64>(10)?.cast_unsigned();
    let mut rollup = Rollup::empty(grain, row.get(23)?, codes::way(row.get(24)?));
    rollup.counts = decode_counts(row)?;
    if n == 0 {
        return Ok(rollup);
    }
    rollup.offset_s = decode_moments(row, n, 11)?;
    rollup.delay_s = decode_moments(row, n, 15)?;
    rollup.root_distance_mean_s = row.get(19)?;
    rollup.root_distance_max_s = row.get(20)?;
    rollup.offset_sketch = decode_sketch(row, 21)?;
    rollup.delay_sketch = decode_sketch(row, 22)?;
    Ok(rollup)
}

fn decode_moments(row: &Row<'_>, n: u64, at: usize) -> rusqlite::Result<Moments> {
    Ok(Moments::from_parts(n, row.get(at)?, row.get(at + 1)?, row.get(at + 2)?, row.get(at + 3)?))
}

/// Decodes a sketch. One of an unknown version counts as absent: the sums remain valid, the quantiles are missing.
fn decode_sketch(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Sketch>> {
    Ok(row.get_ref(at)?.as_blob_or_null()?.and_then(|bytes| Sketch::from_bytes(bytes).ok()))
}

/// Decodes a row that starts with [`COUNTS`].
pub(super) fn decode_counts(row: &Row<'_>) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    for (column, outcome) in counts.outcomes.iter_mut().enumerate() {
        *outcome = row.get::<_, i64>(column)?.cast_unsigned();
    }
    counts.sent = row.get::<_, i64>(8)?.cast_unsigned();
    counts.lost = row.get::<_, i64>(9)?.cast_unsigned();
    Ok(counts)
}
