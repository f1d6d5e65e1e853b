//! Counts the outcomes of polls in a window, for all series at once; success rates are computed from them.
//!
//! The window is covered exactly: whole hours from hourly rollups, the rest at its edges from five-minute rollups, and
//! the remaining edges from raw samples, as well as the pending bucket, which rollups do not contain.

use std::collections::BTreeMap;

use super::{Reader, select_series};
use crate::store::rollup::{Counts, Grain};
use crate::store::samples::{ALL_SERIES, Samples};
use crate::store::{StoreError, pending, rollup_table};
use ntp_monitor_core::sample::SeriesKey;

/// Outcome counts of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesCounts {
    pub key: SeriesKey,
    /// The counts of its polls.
    pub counts: Counts,
}

impl Reader {
    /// The outcome counts within a span, for every series that has any, by server and address. Reaches back as far as
    /// the retention of the used resolutions.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn counts(&self, from_ns: i64, to_ns: i64) -> Result<Vec<SeriesCounts>, StoreError> {
        self.run_on_samples("count outcomes", |samples| {
            let conn = samples.conn;
            let mut by_id = BTreeMap::new();
            let lacking = pending::span(conn)?;
            for (source, from_ns, to_ns) in cover(from_ns, to_ns) {
                add_counts(samples, source, (from_ns, to_ns), &mut by_id)?;
                // A part that is covered by rollups contains the pending bucket completely or not at all.
                let held = |span: &pending::Span| (from_ns..to_ns).contains(&span.from_ns);
                if let Some(span) = lacking.filter(|span| source.is_some() && held(span)) {
                    add_counts(samples, None, (span.from_ns, span.to_ns), &mut by_id)?;
                }
            }
            let series = select_series(conn, "ORDER BY server, vantage, address", [])?;
            let known = series.into_iter().filter_map(|one| Some((by_id.remove(&one.id)?, one.key)));
            Ok(known.map(|(counts, key)| SeriesCounts { key, counts }).collect())
        })
    }
}

/// The source of a part of a window; `None` for raw samples.
type Source = Option<Grain>;

/// Splits a window into parts, each with its source, without gap or overlap.
fn cover(from_ns: i64, to_ns: i64) -> Vec<(Source, i64, i64)> {
    // The span may end at the maximum of an i64.
    let down = |ns: i64, width_ns: i64| ns.div_euclid(width_ns).saturating_mul(width_ns);
    let up = |ns: i64, width_ns: i64| {
        let more = if ns.rem_euclid(width_ns) > 0 { width_ns } else { 0 };
        down(ns, width_ns).saturating_add(more)
    };
    let mut parts = vec![(from_ns, to_ns, None)];
    for grain in Grain::ALL {
        let width_ns = grain.width_ns();
        parts = parts
            .into_iter()
            .flat_map(|(from_ns, to_ns, source)| {
                let (inner_from, inner_to) = (up(from_ns, width_ns), down(to_ns, width_ns));
                if source != finer(grain) || inner_from >= inner_to {
                    return vec![(from_ns, to_ns, source)];
                }
                vec![(from_ns, inner_from, source), (inner_from, inner_to, Some(grain)), (inner_to, to_ns, source)]
            })
            .collect();
    }
    parts.into_iter().filter(|(from, to, _)| from < to).map(|(from, to, source)| (source, from, to)).collect()
}

/// The next finer source.
fn finer(grain: Grain) -> Source {
    match grain {
        Grain::FiveMinutes => None,
        Grain::Hour => Some(Grain::FiveMinutes),
    }
}

fn add_counts(
    samples: Samples<'_>,
    source: Source,
    (from_ns, to_ns): (i64, i64),
    by_id: &mut BTreeMap<i64, Counts>,
) -> rusqlite::Result<()> {
    let Some(grain) = source else {
        return samples.of_all(ALL_SERIES, (from_ns, to_ns), |record| {
            let counts = by_id.entry(record.series_id).or_default();
            counts.count(&record.outcome, record.sent, record.lost);
        });
    };
    let mut statement = samples.conn.prepare_cached(&rollup_sql(grain))?;
    let mut rows = statement.query([from_ns / 1_000_000_000, to_ns / 1_000_000_000])?;
    while let Some(row) = rows.next()? {
        by_id.entry(row.get(10)?).or_default().merge(&rollup_table::decode_counts(row)?);
    }
    Ok(())
}

fn rollup_sql(grain: Grain) -> String {
    let table = grain.table();
    // The cross join fixes the join order: one short key range per series.
    format!(
        "SELECT {}, series.id FROM series CROSS JOIN {table} ON series_id = series.id AND bucket_s >= ?1 \
         AND bucket_s < ?2",
        rollup_table::COUNTS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    #[test]
    fn window_is_covered_once_by_the_coarsest_sources() {
        let parts = cover(52 * MINUTE, 187 * MINUTE);
        assert_eq!(
            parts,
            [
                (None, 52 * MINUTE, 55 * MINUTE),
                (Some(Grain::FiveMinutes), 55 * MINUTE, 60 * MINUTE),
                (Some(Grain::Hour), 60 * MINUTE, 180 * MINUTE),
                (Some(Grain::FiveMinutes), 180 * MINUTE, 185 * MINUTE),
                (None, 185 * MINUTE, 187 * MINUTE),
            ]
        );
        assert_eq!(cover(MINUTE, 2 * MINUTE), [(None, MINUTE, 2 * MINUTE)]);
        assert_eq!(cover(MINUTE, MINUTE), []);
        let parts = cover(i64::MIN, i64::MAX);
        assert_eq!((parts.first().unwrap().1, parts.last().unwrap().2), (i64::MIN, i64::MAX));
        assert!(parts.windows(2).all(|pair| pair[0].2 == pair[1].1));
    }
}
