//! Summarises a server from its hourly rollups, for periods whose samples have expired.
//!
//! Quantiles come from sketches (accurate to 1 % of their value); everything else is exact, with two limits: the first
//! and last hour of the period count in full, and for |offset| only quantiles and the maximum are known. The trend is
//! computed from the means of the hours with the lowest mean delays.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::span::Span;
use crate::store::read::Reader;
use crate::store::{Counts, Grain, Rollup, StoreError};
use ntp_monitor_core::sample::Timestamping;
use ntp_monitor_core::stats::intake::Refusals;
use ntp_monitor_core::stats::loss::Outcomes;
use ntp_monitor_core::stats::moments::Moments;
use ntp_monitor_core::stats::reach::Reach;
use ntp_monitor_core::stats::score::PoolScore;
use ntp_monitor_core::stats::sketch::Sketch;
use ntp_monitor_core::stats::summary::{Summary, WindowSummary};
use ntp_monitor_core::stats::trend::{self, Point};

/// The combined rollups of one kind of timestamping.
#[derive(Debug, Default)]
struct Way {
    offset: Moments,
    delay: Moments,
    offsets: Sketch,
    delays: Sketch,
    hours: Vec<Point>,
}

impl Way {
    fn add(&mut self, rollup: &Rollup) {
        self.offset.merge(&rollup.offset_s);
        self.delay.merge(&rollup.delay_s);
        for (all, one) in [(&mut self.offsets, &rollup.offset_sketch), (&mut self.delays, &rollup.delay_sketch)] {
            if let Some(one) = one {
                all.merge(one);
            }
        }
        if let (Some(offset_s), Some(delay_s)) = (rollup.offset_s.mean(), rollup.delay_s.mean()) {
            self.hours.push(Point { at_s: rollup.bucket_s as f64, offset_s, delay_s });
        }
    }

    /// The summary of |offset|, as far as the sketch knows it.
    fn magnitudes(&self) -> Summary {
        let largest = [self.offset.min(), self.offset.max()].into_iter().flatten().map(f64::abs).reduce(f64::max);
        Summary {
            mean: None,
            stddev: None,
            min: None,
            max: largest,
            ..sketched(&self.offset, &self.offsets.magnitudes())
        }
    }
}

/// Quantiles are omitted unless the sketch contains every value.
fn sketched(moments: &Moments, sketch: &Sketch) -> Summary {
    let summary = Summary::sketched(moments, sketch);
    if sketch.count() == moments.n() { summary } else { Summary { median: None, quantiles: Arc::default(), ..summary } }
}

/// The summary of a span and the distribution of its offsets, from hourly rollups.
///
/// # Errors
/// When the store cannot be read.
pub fn figures(
    reader: &Reader,
    server: &str,
    address: Option<SocketAddr>,
    span: Span,
) -> Result<(WindowSummary, Vec<(f64, u64)>), StoreError> {
    let rollups = reader.rollups(server, address, Grain::Hour, span.from_ns, span.to_ns)?;
    let mut all = Sketch::new();
    rollups.iter().filter_map(|(_, one)| one.offset_sketch.as_ref()).for_each(|sketch| all.merge(sketch));
    let offsets = all.values().collect();
    Ok((summary(rollups.iter().map(|(_, rollup)| rollup), span.to_ns), offsets))
}

/// The summary of hourly rollups in order of time. Values that need the last polls (jitter, filter, reach, score) are
/// empty; the caller fills them in.
pub(super) fn summary<'a>(rollups: impl Iterator<Item = &'a Rollup>, to_ns: i64) -> WindowSummary {
    let mut ways: BTreeMap<Option<Timestamping>, Way> = BTreeMap::new();
    let mut counts = Counts::default();
    let (mut first_s, mut end_ns) = (None, i64::MIN);
    for rollup in rollups {
        counts.merge(&rollup.counts);
        first_s.get_or_insert(rollup.bucket_s);
        end_ns = rollup.bucket_s.saturating_add(Grain::Hour.width_s()).saturating_mul(1_000_000_000).min(to_ns);
        // Polls without an exchange have neither a kind of timestamping nor a measurement.
        if rollup.offset_s.n() > 0 {
            ways.entry(rollup.timestamping).or_default().add(rollup);
        }
    }
    let mut ways: Vec<_> = ways.into_iter().collect();
    ways.sort_by_key(|(way, sums)| (std::cmp::Reverse(sums.offset.n()), way.is_none(), *way));
    let label = |way: Option<Timestamping>| way.map_or("unknown", Timestamping::label);
    let none = Way::default();
    let main = ways.first().map_or(&none, |(_, sums)| sums);
    let outcomes = Outcomes::from_counts(counts.outcomes, counts.sent, counts.lost);
    WindowSummary {
        n: main.offset.n(),
        timestamping: ways.first().and_then(|(way, _)| *way).map(Timestamping::label),
        other_ways: ways.iter().skip(1).map(|(way, sums)| (label(*way), sums.offset.n())).collect(),
        exact: false,
        covers_s: first_s.map(|first_s| (end_ns as f64 / 1e9 - first_s as f64).max(0.0)),
        offset: sketched(&main.offset, &main.offsets),
        offset_abs: main.magnitudes(),
        delay: sketched(&main.delay, &main.delays),
        polls: outcomes.polls(),
        loss: outcomes.loss_ratio(),
        success_ratio: outcomes.success_ratio(),
        requests_sent: outcomes.requests_sent(),
        requests_lost: outcomes.requests_lost(),
        outcomes,
        jitter_s: None,
        filter: None,
        reach: Reach::default(),
        score: PoolScore::default(),
        trend: trend::of_low_delay(&main.hours, trend::MAX_POINTS),
        refused: Refusals::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::sample::{Measure, Outcome, Sample, ServerIdent};

    fn sample(at_s: i64, way: Timestamping, offset_s: f64) -> Sample {
        let at = ntp_monitor_core::clock::Stamp::new(at_s * 1_000_000_000, 0, 0);
        let measure = Measure { offset_s, delay_s: 0.01, root_distance_s: 0.02 };
        Sample {
            outcome: Outcome::Sample,
            measure: Some(measure),
            timestamping: Some(way),
            sent: 1,
            ..Sample::unasked(at, ServerIdent::named("a"), Outcome::Timeout, 64.0)
        }
    }

    fn rollups(samples: &[Sample]) -> Vec<Rollup> {
        let mut all: BTreeMap<_, Rollup> = BTreeMap::new();
        for sample in samples {
            let bucket_s = Grain::Hour.bucket_s(sample.at.wall_ns);
            let empty = || Rollup::empty(Grain::Hour, bucket_s, sample.timestamping);
            all.entry((bucket_s, sample.timestamping)).or_insert_with(empty).add(sample);
        }
        all.into_values().collect()
    }

    #[test]
    fn summary_of_rollups_matches_that_of_their_samples() {
        let mut samples: Vec<_> =
            (0..200).map(|k| sample(k * 60, Timestamping::Kernel, 1e-3 * (k as f64 - 50.0))).collect();
        samples.push(sample(200 * 60, Timestamping::Userland, 5.0));
        samples.push(Sample { outcome: Outcome::Timeout, measure: None, timestamping: None, ..samples[0].clone() });
        let rolled = rollups(&samples);
        let got = summary(rolled.iter(), 4 * 3600 * 1_000_000_000);
        assert_eq!((got.n, got.polls, got.timestamping), (200, 202, Some("kernel")));
        assert_eq!(got.other_ways, BTreeMap::from([("userland", 1)]));
        assert_eq!((got.offset.min, got.offset.max, got.covers_s), (Some(-0.05), Some(0.149), Some(14_400.0)));
        assert!((got.offset.mean.unwrap() - 0.0495).abs() < 1e-12);
        assert!((got.offset.median.unwrap() - 0.0495).abs() < 0.0495 * 0.02);
        assert_eq!((got.offset_abs.max, got.offset_abs.mean, got.offset_abs.min), (Some(0.149), None, None));
        assert!((got.offset_abs.percentile("p95").unwrap() - 0.139).abs() < 0.139 * 0.02);
        assert!(!got.exact && got.loss == Some(1.0 / 202.0));
    }

    #[test]
    fn no_quantiles_without_sketch_and_empty_summary_without_data() {
        let samples: Vec<_> = (0..50).map(|k| sample(k * 60, Timestamping::Kernel, 1e-3)).collect();
        let mut rolled = rollups(&samples);
        rolled[0].offset_sketch = None;
        let got = summary(rolled.iter(), 3600 * 1_000_000_000);
        assert_eq!((got.offset.median, got.offset.mean), (None, Some(1e-3)));
        assert!(got.offset.quantiles.is_empty() && got.delay.median.is_some());
        let nothing = summary([].into_iter(), 0);
        assert_eq!((nothing.n, nothing.polls, nothing.loss, nothing.covers_s), (0, 0, None, None));
    }
}
