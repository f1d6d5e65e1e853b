//! Rollups summed into wider buckets, for charts and for the bars of many servers. Unlike [`Reader::rollups`] it reads
//! no distributions, because over months reading them takes most of the time.

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

/// The measurements of a bucket.
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
    /// Rollups contain no newer samples than this time, in nanoseconds since 1970; `None` without any rollup in the
    /// span.
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

/// The end of the last five-minute rollup within a span, in nanoseconds since 1970.
fn rolled_to(conn: &Connection, series_id: i64, from_ns: i64, to_ns: i64) -> rusqlite::Result<Option<i64>> {
    let bounds = params![series_id, Grain::FiveMinutes.bucket_s(from_ns), to_ns.div_euclid(1_000_000_000)];
    let last_s: Option<i64> = conn
        .prepare_cached(
            "SELECT max(bucket_s) FROM rollup_5m WHERE series_id = ?1 AND bucket_s >= ?2 AND bucket_s < ?3",
        )?
        .query_row(bounds, |row| row.get(0))?;
    Ok(last_s.map(|last_s| last_s.saturating_add(Grain::FiveMinutes.width_s()).saturating_mul(1_000_000_000)))
}

/// Sums rows in order of time. The database would sort them before grouping.
fn read_sums(
    conn: &Connection,
    series_id: i64,
    grain: Grain,
    (from_ns, to_ns): (i64, i64),
    width_s: i64,
    into: &mut Vec<Bucket>,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT {}, n, offset_mean_s, offset_min_s, offset_max_s, delay_mean_s, delay_min_s, delay_max_s, \
         root_distance_mean_s, bucket_s, timestamping FROM {} \
         WHERE series_id = ?1 AND bucket_s >= ?2 AND bucket_s < ?3 ORDER BY bucket_s",
        rollup_table::COUNTS,
        grain.table()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![series_id, grain.bucket_s(from_ns), to_ns.div_euclid(1_000_000_000)])?;
    let before = into.len();
    while let Some(row) = rows.next()? {
        let one = decode(row, width_s)?;
        let same_time = into[before..].iter_mut().rev().take_while(|held| held.start_s == one.start_s);
        match same_time.into_iter().find(|held| held.timestamping == one.timestamping) {
            Some(held) => held.merge(&one),
            None => into.push(one),
        }
    }
    Ok(())
}

impl Bucket {
    fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.measure = match (self.measure, other.measure) {
            (Some(one), Some(two)) => Some(one.merged(two)),
            (one, two) => one.or(two),
        };
    }
}

impl BucketMeasure {
    fn merged(self, other: Self) -> Self {
        let n = self.n + other.n;
        let mean = |one: f64, two: f64| one + (two - one) * (other.n as f64 / n as f64);
        let spread = |one: Spread, two: Spread| Spread {
            mean: mean(one.mean, two.mean),
            low: one.low.min(two.low),
            high: one.high.max(two.high),
        };
        Self {
            n,
            offset_s: spread(self.offset_s, other.offset_s),
            delay_s: spread(self.delay_s, other.delay_s),
            distance_s: mean(self.distance_s, other.distance_s),
        }
    }
}

fn decode(row: &Row<'_>, width_s: i64) -> rusqlite::Result<Bucket> {
    let n = row.get::<_, i64>(10)?.cast_unsigned();
    let spread = |at: usize| -> rusqlite::Result<Spread> {
        Ok(Spread { mean: row.get(at)?, low: row.get(at + 1)?, high: row.get(at + 2)? })
    };
    let measure = match n {
        0 => None,
        _ => Some(BucketMeasure { n, offset_s: spread(11)?, delay_s: spread(14)?, distance_s: row.get(17)? }),
    };
    let counts = rollup_table::decode_counts(row)?;
    let bucket_s: i64 = row.get(18)?;
    Ok(Bucket {
        start_s: bucket_s - bucket_s.rem_euclid(width_s),
        timestamping: codes::way(row.get(19)?),
        counts,
        measure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Rollup;
    use crate::store::schema;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Measure, Outcome, Sample, ServerIdent};

    #[test]
    fn hours_are_summed_into_wider_buckets_by_timestamping() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        conn.execute_batch("INSERT INTO series VALUES (1, '', 'a', '', 0, 0)").unwrap();
        let (kernel, userland) = (Timestamping::Kernel, Timestamping::Userland);
        for (hour, way, offset_s) in [(0, kernel, 0.25), (1, kernel, 0.75), (1, userland, 9.0), (2, kernel, 5.0)] {
            let at = Stamp::new(hour * 3_600_000_000_000 + 1, 0, 0);
            let sample = Sample {
                measure: Some(Measure { offset_s, delay_s: 0.5, root_distance_s: 2.0 * offset_s }),
                timestamping: Some(way),
                ..Sample::unasked(at, ServerIdent::named("a"), Outcome::Sample, 64.0)
            };
            let mut rollup = Rollup::empty(Grain::Hour, hour * 3600, Some(way));
            rollup.add(&sample);
            rollup_table::merge(&conn, Grain::Hour, 1, hour * 3600, &rollup).unwrap();
        }
        let mut found = Vec::new();
        read_sums(&conn, 1, Grain::Hour, (0, i64::MAX / 2), 7200, &mut found).unwrap();
        found.sort_by_key(|bucket| (bucket.start_s, bucket.timestamping));
        let told: Vec<_> = found.iter().map(|it| (it.start_s, it.timestamping.unwrap(), it.counts.polls())).collect();
        assert_eq!(told, [(0, kernel, 2), (0, userland, 1), (7200, kernel, 1)]);
        let both = found[0].measure.unwrap();
        assert_eq!(both.offset_s, Spread { mean: 0.5, low: 0.25, high: 0.75 });
        assert_eq!((both.n, both.distance_s, both.delay_s.mean), (2, 1.0, 0.5));
    }
}
