//! Raw samples: the latest of every series, those of a server within a span, and all since an instant.

use std::net::SocketAddr;

use rusqlite::{Connection, Row, params};

use super::{Reader, Series, find_series, select_series};
use crate::store::StoreError;
use crate::store::codec::{self, COLUMNS, StoredSample};
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
    /// When, on the wall clock in nanoseconds.
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
        self.run("read the latest samples", |conn| {
            // A single statement, because the cost is one step per series.
            let sql = format!(
                "SELECT {COLUMNS}, vantage, server, address FROM series CROSS JOIN sample ON series_id = series.id AND wall_ns = \
                 (SELECT max(wall_ns) FROM sample WHERE series_id = series.id) ORDER BY server, vantage, address"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let decode = |row: &Row<'_>| {
                let ident = ServerIdent::seen_from(row.get_ref("vantage")?.as_str()?, row.get_ref("server")?.as_str()?);
                codec::decode(row, &ident, row.get_ref("address")?.as_str()?.parse().ok())
            };
            statement.query_map([], decode)?.collect()
        })
    }

    /// The last kiss RATE of each address, among the stored samples.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rates(&self) -> Result<Vec<RateKiss>, StoreError> {
        self.run("read the last kisses", |conn| {
            // The condition must equal that of the index exactly. The other columns are those of the row with the
            // maximum.
            let mut statement = conn.prepare_cached(
                "SELECT address, max(wall_ns), poll_s FROM sample CROSS JOIN series ON series.id = series_id \
                 WHERE outcome = 3 AND reason = 'RATE' GROUP BY address",
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
        self.run("read samples", |conn| {
            let series = find_series(conn, server, address)?;
            read_span(conn, &series, from_ns, to_ns, limit)
        })
    }

    /// Every sample of every series since `from_ns`, by time, for outputs that catch up. Memory is bounded for any
    /// span: about 8,000 samples, 33,000 at most (more only if they have the same timestamp).
    #[must_use]
    pub fn since(&self, from_ns: i64) -> Since<'_> {
        Since { reader: self, next_ns: from_ns, width_ns: FIRST_SLICE_NS, slice: Vec::new().into_iter(), ended: false }
    }

    /// The slice of at most `width_ns` that starts with the first sample at or after `from_ns`; `None` if there is no
    /// such sample.
    fn slice(&self, from_ns: i64, width_ns: i64) -> Result<Option<Slice>, StoreError> {
        self.run("read samples", |conn| {
            let Some(first_ns) = first_from(conn, from_ns)? else { return Ok(None) };
            let series = select_series(conn, "ORDER BY id", [])?;
            read_slice(conn, &series, first_ns, width_ns).map(Some)
        })
    }
}

/// The samples of a span that is short enough to hold them in memory.
struct Slice {
    samples: Vec<StoredSample>,
    width_ns: i64,
    end_ns: i64,
}

fn read_slice(conn: &Connection, series: &[Series], first_ns: i64, mut width_ns: i64) -> rusqlite::Result<Slice> {
    loop {
        let end_ns = first_ns.saturating_add(width_ns);
        let most = if width_ns > 1 { MOST_SAMPLES } else { usize::MAX };
        if let Some(samples) = read_at_most(conn, series, first_ns, end_ns, most)? {
            return Ok(Slice { samples, width_ns, end_ns });
        }
        width_ns /= 2;
    }
}

/// The samples of a span, by time; `None` if there are more than `most`.
fn read_at_most(
    conn: &Connection,
    series: &[Series],
    from_ns: i64,
    to_ns: i64,
    most: usize,
) -> rusqlite::Result<Option<Vec<StoredSample>>> {
    let mut samples = Vec::new();
    for one in series {
        let room = most.saturating_sub(samples.len());
        samples.extend(read_span(conn, std::slice::from_ref(one), from_ns, to_ns, room.saturating_add(1))?);
        if samples.len() > most {
            return Ok(None);
        }
    }
    samples.sort_by_key(wall_ns);
    Ok(Some(samples))
}

fn first_from(conn: &Connection, from_ns: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(
        "SELECT min((SELECT wall_ns FROM sample WHERE series_id = series.id AND wall_ns >= ?1 ORDER BY wall_ns LIMIT 1)) \
         FROM series",
    )?
    .query_row([from_ns], |row| row.get(0))
}

/// The first `limit` samples of several series within a span, by time, and those of the same instant as the last.
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

/// Truncates sorted samples to `limit`, but not between two of the same instant.
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

#[cfg(test)]
mod tests {
    use super::*;
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
        let series = select_series(&conn, "ORDER BY id", []).unwrap();
        let (mut next_ns, mut seen) = (0, Vec::new());
        while seen.len() < COUNT {
            let slice = read_slice(&conn, &series, next_ns, i64::MAX / 2).unwrap();
            assert!((1..=MOST_SAMPLES).contains(&slice.samples.len()) && slice.end_ns > next_ns);
            seen.extend(slice.samples.iter().map(wall_ns));
            next_ns = slice.end_ns;
        }
        assert!(seen.into_iter().eq(0..COUNT as i64), "each once, in order");
    }
}
