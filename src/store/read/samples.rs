//! Raw samples: the latest of every series, those of a server within a span, and all since an instant.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::{Reader, Series, select_series};
use crate::store::StoreError;
use crate::store::record::StoredSample;
use crate::store::samples::Samples;
use ntp_monitor_core::sample::ServerIdent;

/// The initial width of a slice of [`Since`].
const FIRST_SLICE_NS: i64 = 60 * 1_000_000_000;
/// Slices are resized so that about this many samples are in memory at a time.
const SLICE_SAMPLES: usize = 8192;
/// A slice with more samples is narrowed: a quiet month may be followed by a busy hour.
const MOST_SAMPLES: usize = 4 * SLICE_SAMPLES;

/// A kiss RATE from a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateKiss {
    /// The address that sent it.
    pub address: SocketAddr,
    /// When it arrived, on the wall clock in nanoseconds since 1970.
    pub wall_ns: i64,
    /// The poll interval at that time, in seconds.
    pub poll_s: f64,
}

impl Reader {
    /// The latest sample of every series that has any, by server and address.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn latest(&self) -> Result<Vec<StoredSample>, StoreError> {
        self.run_on_samples("read the latest samples", |samples| {
            let mut latest = samples.latest()?;
            let series = select_series(samples.conn, "ORDER BY server, vantage, address", [])?;
            let known = series.iter().filter_map(|one| Some(one.stored(latest.remove(&one.id)?)));
            Ok(known.collect())
        })
    }

    /// The last kiss RATE of each address, as far back as samples are kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rates(&self) -> Result<Vec<RateKiss>, StoreError> {
        self.run("read the last kisses", |conn| {
            // SQLite takes `poll_s` from the row with the maximum.
            let mut statement = conn.prepare_cached(
                "SELECT address, max(wall_ns), poll_s FROM rate_kiss JOIN series ON series.id = series_id \
                 WHERE vantage = '' GROUP BY address",
            )?;
            let decode = |row: &Row<'_>| {
                let Ok(address) = row.get_ref(0)?.as_str()?.parse() else { return Ok(None) };
                Ok(Some(RateKiss { address, wall_ns: row.get(1)?, poll_s: row.get(2)? }))
            };
            statement.query_map([], decode)?.filter_map(Result::transpose).collect()
        })
    }

    /// The first `limit` samples of a server within a span, by time. The next page starts one nanosecond after the last
    /// sample. Samples of the same instant are never separated, so a page may be longer than `limit`.
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
        self.run_on_samples("read samples", |samples| {
            let series = self.find_series(samples.conn, server, address)?;
            read_span(samples, &series, (from_ns, to_ns), limit)
        })
    }

    /// Every sample of every series since `from_ns`, by time, for outputs that catch up. Memory is bounded for any
    /// span: about 8,000 samples, 33,000 at most (more only if they have the same timestamp).
    #[must_use]
    pub fn since(&self, from_ns: i64) -> Since<'_> {
        Since { reader: self, next_ns: from_ns, width_ns: FIRST_SLICE_NS, slice: Vec::new().into_iter(), ended: false }
    }

    /// A slice of at most `width_ns` that starts no later than the first sample at or after `from_ns`; `None` if there
    /// is no such sample.
    fn slice(&self, from_ns: i64, width_ns: i64) -> Result<Option<Slice>, StoreError> {
        self.run_on_samples("read samples", |samples| {
            let Some(first_ns) = samples.first_from(from_ns)? else { return Ok(None) };
            let series = by_id(samples.conn)?;
            read_slice(samples, &series, first_ns, width_ns).map(Some)
        })
    }
}

/// The samples of a span that is short enough to hold them in memory.
struct Slice {
    samples: Vec<StoredSample>,
    width_ns: i64,
    end_ns: i64,
}

/// Every series and the identity of its samples, by number.
type ById = HashMap<i64, (Arc<ServerIdent>, Option<SocketAddr>)>;

fn by_id(conn: &Connection) -> rusqlite::Result<ById> {
    let series = select_series(conn, "", [])?.into_iter();
    Ok(series.map(|one| (one.id, (one.ident(), one.key.address))).collect())
}

fn read_slice(samples: Samples<'_>, series: &ById, first_ns: i64, mut width_ns: i64) -> rusqlite::Result<Slice> {
    loop {
        let end_ns = first_ns.saturating_add(width_ns);
        let most = if width_ns > 1 { MOST_SAMPLES } else { usize::MAX };
        if let Some(samples) = read_at_most(samples, series, (first_ns, end_ns), most)? {
            return Ok(Slice { samples, width_ns, end_ns });
        }
        width_ns /= 2;
    }
}

/// The samples of a span, by time; `None` if there are more than `most`.
fn read_at_most(
    samples: Samples<'_>,
    series: &ById,
    span: (i64, i64),
    most: usize,
) -> rusqlite::Result<Option<Vec<StoredSample>>> {
    let Some(mut found) = samples.at_most(span, most)? else { return Ok(None) };
    found.sort_by_key(|record| (record.at.wall_ns, record.series_id));
    // Samples of a series that another program deleted are skipped, because their server is unknown.
    let named = found.into_iter().filter_map(|record| {
        let (ident, address) = series.get(&record.series_id)?;
        Some(record.into_stored(ident, *address))
    });
    Ok(Some(named.collect()))
}

/// The first `limit` samples of several series within a span, by time, and those of the same instant as the last.
pub(super) fn read_span(
    samples: Samples<'_>,
    series: &[Series],
    span: (i64, i64),
    limit: usize,
) -> rusqlite::Result<Vec<StoredSample>> {
    let mut found = Vec::new();
    for one in series {
        let ident = one.ident();
        let records = samples.of_series(one.id, span, limit)?.into_iter();
        found.extend(records.map(|record| record.into_stored(&ident, one.key.address)));
    }
    if series.len() > 1 {
        found.sort_by_key(wall_ns);
        cut(&mut found, limit);
    }
    Ok(found)
}

/// Truncates sorted samples to `limit`, but not between two of the same instant.
fn cut(samples: &mut Vec<StoredSample>, limit: usize) {
    let Some(last_ns) = limit.checked_sub(1).and_then(|last| samples.get(last)).map(wall_ns) else { return };
    let keep = samples.partition_point(|stored| wall_ns(stored) <= last_ns);
    samples.truncate(keep);
}

fn wall_ns(stored: &StoredSample) -> i64 {
    stored.sample.at.wall_ns
}

/// The iterator of [`Reader::since`]; ends after the first error.
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
        let Some(slice) = self.reader.slice(self.next_ns, self.width_ns)? else {
            self.ended = true;
            return Ok(());
        };
        self.next_ns = slice.end_ns;
        self.width_ns = fitted(slice.width_ns, slice.samples.len());
        self.slice = slice.samples.into_iter();
        Ok(())
    }
}

/// The width of the next slice, after one of `width_ns` with this number of samples.
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
        while self.slice.len() == 0 && !self.ended {
            if let Err(why) = self.refill() {
                self.ended = true;
                return Some(Err(why));
            }
        }
        self.slice.next().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::damage::Damage;
    use crate::store::schema;

    #[test]
    fn busy_hour_after_a_quiet_month_is_read_in_slices() {
        const COUNT: usize = MOST_SAMPLES + 5;
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        conn.execute_batch("INSERT INTO series VALUES (1, '', 'a', '', 0, 0), (2, '', 'b', '', 0, 0)").unwrap();
        let mut insert = conn
            .prepare(
                "INSERT INTO sample (series_id, wall_ns, mono_ns, raw_ns, outcome, poll_s, sent, lost) \
                 VALUES (1 + ?1 % 2, ?1, 0, 0, 1, 16.0, 1, 1)",
            )
            .unwrap();
        for n in 0..COUNT {
            insert.execute([n as i64]).unwrap();
        }
        let (series, damage) = (by_id(&conn).unwrap(), Damage::default());
        let samples = Samples::new(&conn, &damage);
        let (mut next_ns, mut seen) = (0, Vec::new());
        while seen.len() < COUNT {
            let slice = read_slice(samples, &series, next_ns, i64::MAX / 2).unwrap();
            assert!((1..=MOST_SAMPLES).contains(&slice.samples.len()) && slice.end_ns > next_ns);
            seen.extend(slice.samples.iter().map(wall_ns));
            next_ns = slice.end_ns;
        }
        assert!(seen.into_iter().eq(0..COUNT as i64), "each once, in order");
    }
}
