//! Rollups summed by the database into wider buckets, for charts and for the bars of many servers. Unlike
//! [`Reader::rollups`] no distribution is read, which is what takes the time over months.

use std::net::SocketAddr;

use rusqlite::{Connection, Row, params};

use super::Reader;
use crate::store::StoreError;
use crate::store::codes;
use crate::store::rollup::{Counts, Grain};
use crate::store::rollup_table;
use ntp_monitor_core::sample::Timestamping;

/// Mean and extremes of a measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// What was measured in a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BucketMeasure {
    pub n: u64,
    /// Offsets in seconds, positive when the server is ahead.
    pub offset_s: Spread,
    pub delay_s: Spread,
    /// The mean root distance in seconds.
    pub distance_s: f64,
}

/// The polls of one series and one kind of timestamping within a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Start of the bucket in seconds since 1970: a multiple of its width.
    pub start_s: i64,
    pub timestamping: Option<Timestamping>,
    pub counts: Counts,
    /// `None` if no poll gave a sample.
    pub measure: Option<BucketMeasure>,
}

/// The rollups of a span, summed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Buckets {
    /// By time.
    pub buckets: Vec<Bucket>,
    /// Rollups contain nothing that is newer, in nanoseconds since 1970; `None` without any rollup in the span.
    pub complete_to_ns: Option<i64>,
}

impl Reader {
    /// The rollups of a server, summed into buckets of `width_s`, a multiple of 300 (of 3600 for hourly rollups). The
    /// latest five minutes may be missing; they start at `complete_to_ns`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn buckets(
        &self,
        server: &str,
        address: Option<SocketAddr>,
        from_ns: i64,
        to_ns: i64,
        width_s: i64,
    ) -> Result<Buckets, StoreError> {
        let grain = if width_s % Grain::Hour.width_s() == 0 { Grain::Hour } else { Grain::FiveMinutes };
        self.run("sum rollups", |conn| {
            let mut all = Buckets::default();
            for series in self.find_series(conn, server, address)? {
                read_sums(conn, series.id, grain, (from_ns, to_ns), width_s, &mut all.buckets)?;
                let end_ns = rolled_to(conn, series.id, from_ns, to_ns)?;
                all.complete_to_ns = all.complete_to_ns.max(end_ns);
            }
            all.buckets.sort_by_key(|bucket| bucket.start_s);
            Ok(all)
        })
    }
}

/// The end of the last five minutes within a span that have a rollup.
fn rolled_to(conn: &Connection, series_id: i64, from_ns: i64, to_ns: i64) -> rusqlite::Result<Option<i64>> {
    let bounds = params![series_id, Grain::FiveMinutes.bucket_s(from_ns), to_ns.div_euclid(1_000_000_000)];
    let last_s: Option<i64> = conn
        .prepare_cached(
            "SELECT max(bucket_s) FROM rollup_5m WHERE series_id = ?1 AND bucket_s >= ?2 AND bucket_s < ?3",
        )?
        .query_row(bounds, |row| row.get(0))?;
    Ok(last_s.map(|last_s| last_s.saturating_add(Grain::FiveMinutes.width_s()).saturating_mul(1_000_000_000)))
}

fn read_sums(
    conn: &Connection,
    series_id: i64,
    grain: Grain,
    (from_ns, to_ns): (i64, i64),
    width_s: i64,
    into: &mut Vec<Bucket>,
) -> rusqlite::Result<()> {
    let counts: Vec<_> = rollup_table::COUNTS.split(", ").map(|column| format!("sum({column})")).collect();
    let mean = |column: &str| format!("sum(n * {column}) / sum(n)");
    let measures = [
        mean("offset_mean_s"),
        "min(offset_min_s), max(offset_max_s)".to_owned(),
        mean("delay_mean_s"),
        "min(delay_min_s), max(delay_max_s)".to_owned(),
        mean("root_distance_mean_s"),
    ];
    let sql = format!(
        "SELECT {}, sum(n), {}, bucket_s - bucket_s % ?4, timestamping FROM {} \
         WHERE series_id = ?1 AND bucket_s >= ?2 AND bucket_s < ?3 GROUP BY bucket_s - bucket_s % ?4, timestamping",
        counts.join(", "),
        measures.join(", "),
        grain.table()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let bounds = params![series_id, grain.bucket_s(from_ns), to_ns.div_euclid(1_000_000_000), width_s];
    let mut rows = statement.query(bounds)?;
    while let Some(row) = rows.next()? {
        into.push(decode(row)?);
    }
    Ok(())
}

fn decode(row: &Row<'_>) -> rusqlite::Result<Bucket> {
    let n = row.get::<_, i64>(10)?.cast_unsigned();
    let spread = |at: usize| -> rusqlite::Result<Spread> {
        Ok(Spread { mean: row.get(at)?, low: row.get(at + 1)?, high: row.get(at + 2)? })
    };
    let measure = match n {
        0 => None,
        _ => Some(BucketMeasure { n, offset_s: spread(11)?, delay_s: spread(14)?, distance_s: row.get(17)? }),
    };
    let counts = rollup_table::decode_counts(row)?;
    Ok(Bucket { start_s: row.get(18)?, timestamping: codes::way(row.get(19)?), counts, measure })
}
