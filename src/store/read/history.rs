//! The history of a server at a suitable resolution: raw samples for a short span, rollups for a long one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rusqlite::params;

use super::samples::read_span;
use super::{Reader, Series};
use crate::store::record::StoredSample;
use crate::store::rollup::{Grain, Rollup};
use crate::store::samples::Samples;
use crate::store::{StoreError, pending, rollup_table};
use ntp_monitor_core::sample::{SeriesKey, Timestamping};

/// The history of a server within a span, by time, at the selected resolution.
#[derive(Debug, Clone, PartialEq)]
pub enum History {
    Raw(Vec<StoredSample>),
    Rollups {
        /// The width of a bucket in seconds: a multiple of 300.
        width_s: i64,
        /// One rollup for each bucket, series and kind of timestamping with polls.
        rollups: Vec<(SeriesKey, Rollup)>,
    },
}

#[derive(Debug, Clone, Copy)]
struct Request {
    from_ns: i64,
    to_ns: i64,
    step: Option<Duration>,
    max_points: usize,
}

impl Reader {
    /// The history of a server within a span. Returns raw samples if no `step` of five minutes or more is requested,
    /// they are at most `max_points`, and they reach back as far as the rollups. Otherwise returns rollups with buckets
    /// of the width `step`, widened so that about `max_points` cover the span.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn history(
        &self,
        server: &str,
        address: Option<SocketAddr>,
        from_ns: i64,
        to_ns: i64,
        step: Option<Duration>,
        max_points: usize,
    ) -> Result<History, StoreError> {
        let request = Request { from_ns, to_ns, step, max_points: max_points.max(1) };
        self.run_on_samples("read the history", |samples| {
            let series = self.find_series(samples.conn, server, address)?;
            if let Some(raw) = read_raw(samples, &series, &request)? {
                return Ok(History::Raw(raw));
            }
            let (grain, width_s) = choose(&request);
            let rollups = widened(read_rollups(samples, &series, grain, from_ns, to_ns)?, width_s);
            Ok(History::Rollups { width_s, rollups })
        })
    }

    /// Whether the samples of a server reach back as far within a span as its rollups, so that samples cover all data
    /// of the span.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn samples_reach_back(&self, server: &str, from_ns: i64, to_ns: i64) -> Result<bool, StoreError> {
        let request = Request { from_ns, to_ns, step: None, max_points: usize::MAX };
        self.run_on_samples("determine how far samples reach back", |samples| {
            for one in self.find_series(samples.conn, server, None)? {
                if reaches_further_in_rollups(samples, one.id, &request)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// The rollups of a server whose buckets start within a span, by time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rollups(
        &self,
        server: &str,
        address: Option<SocketAddr>,
        grain: Grain,
        from_ns: i64,
        to_ns: i64,
    ) -> Result<Vec<(SeriesKey, Rollup)>, StoreError> {
        self.run_on_samples("read rollups", |samples| {
            let series = self.find_series(samples.conn, server, address)?;
            Ok(widened(read_rollups(samples, &series, grain, from_ns, to_ns)?, grain.width_s()))
        })
    }
}

/// The samples of the span, if they are wanted and few enough, and rollups reach no further back.
fn read_raw(samples: Samples<'_>, series: &[Series], request: &Request) -> rusqlite::Result<Option<Vec<StoredSample>>> {
    if request.step.is_some_and(|step| step >= Duration::from_secs(Grain::FiveMinutes.width_s().unsigned_abs())) {
        return Ok(None);
    }
    for one in series {
        if reaches_further_in_rollups(samples, one.id, request)? {
            return Ok(None);
        }
    }
    let limit = request.max_points.saturating_add(1);
    let raw = read_span(samples, series, (request.from_ns, request.to_ns), limit)?;
    Ok((raw.len() <= request.max_points).then_some(raw))
}

/// Whether raw samples of the span were deleted by retention while their rollups remain.
fn reaches_further_in_rollups(samples: Samples<'_>, series_id: i64, request: &Request) -> rusqlite::Result<bool> {
    let raw_from_ns = samples.oldest_ns(series_id)?.unwrap_or(i64::MAX).min(request.to_ns);
    for grain in Grain::ALL {
        // Rollups reach further back only if a bucket exists before the one of the oldest raw sample.
        let (from_s, to_s) = (grain.bucket_s(request.from_ns), grain.bucket_s(raw_from_ns));
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {} WHERE series_id = ?1 AND bucket_s >= ?2 AND bucket_s < ?3)",
            grain.table()
        );
        if samples.conn.prepare_cached(&sql)?.query_row(params![series_id, from_s, to_s], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Selects which rollups to read, and the width of the buckets.
fn choose(request: &Request) -> (Grain, i64) {
    let span_s = request.to_ns.saturating_sub(request.from_ns).max(0) / 1_000_000_000;
    let least_s = span_s / i64::try_from(request.max_points).unwrap_or(i64::MAX);
    let step_s = request.step.map_or(0, |step| i64::try_from(step.as_secs()).unwrap_or(i64::MAX));
    let wanted_s = least_s.max(step_s);
    let grain = if wanted_s >= Grain::Hour.width_s() { Grain::Hour } else { Grain::FiveMinutes };
    let widths = wanted_s.saturating_add(grain.width_s() - 1) / grain.width_s();
    (grain, widths.max(1).saturating_mul(grain.width_s()))
}

/// Reads rollups. There may be two for one series, bucket and kind of timestamping, which [`widened`] merges.
fn read_rollups(
    samples: Samples<'_>,
    series: &[Series],
    grain: Grain,
    from_ns: i64,
    to_ns: i64,
) -> rusqlite::Result<Vec<(SeriesKey, Rollup)>> {
    let sql = format!(
        "SELECT {} FROM {} WHERE series_id = ?1 AND bucket_s >= ?2 AND bucket_s < ?3 ORDER BY bucket_s",
        rollup_table::columns(grain),
        grain.table()
    );
    let mut statement = samples.conn.prepare_cached(&sql)?;
    // The bucket that contains the start of the span is included.
    let (from_s, to_s) = (grain.bucket_s(from_ns), to_ns.div_euclid(1_000_000_000));
    let is_wanted = |span: &pending::Span| (from_s..to_s).contains(&grain.bucket_s(span.from_ns));
    let lacking = pending::span(samples.conn)?.filter(is_wanted);
    let mut found = Vec::new();
    for one in series {
        let mut rows = statement.query(params![one.id, from_s, to_s])?;
        while let Some(row) = rows.next()? {
            found.push((one.key.clone(), rollup_table::decode(row, grain)?));
        }
        if let Some(span) = lacking {
            let sums = pending::sums_of_series(samples, one.id, span, grain)?;
            found.extend(sums.into_iter().map(|sum| (one.key.clone(), sum)));
        }
    }
    Ok(found)
}

/// Merges rollups into buckets of `width_s`, by time, series and kind of timestamping.
fn widened(rollups: Vec<(SeriesKey, Rollup)>, width_s: i64) -> Vec<(SeriesKey, Rollup)> {
    let mut merged: BTreeMap<(i64, SeriesKey, Option<Timestamping>), Rollup> = BTreeMap::new();
    for (key, mut rollup) in rollups {
        rollup.bucket_s = rollup.bucket_s.div_euclid(width_s) * width_s;
        let place = (rollup.bucket_s, key, rollup.timestamping);
        match merged.get_mut(&place) {
            Some(wide) => wide.merge(&rollup),
            None => drop(merged.insert(place, rollup)),
        }
    }
    merged.into_iter().map(|((_, key, _), rollup)| (key, rollup)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NS: i64 = 86_400_000_000_000;

    fn chosen(days: i64, step_s: Option<u64>, max_points: usize) -> (Grain, i64) {
        choose(&Request { from_ns: 0, to_ns: days * DAY_NS, step: step_s.map(Duration::from_secs), max_points })
    }

    #[test]
    fn bucket_width_follows_step_and_max_points() {
        assert_eq!(chosen(1, None, 1000), (Grain::FiveMinutes, 300));
        assert_eq!(chosen(1, Some(600), 1000), (Grain::FiveMinutes, 600));
        assert_eq!(chosen(7, None, 500), (Grain::FiveMinutes, 1500));
        assert_eq!(chosen(365, None, 1000), (Grain::Hour, 9 * 3600));
        assert_eq!(chosen(1, Some(86_400), 1000), (Grain::Hour, 86_400));
    }
}
