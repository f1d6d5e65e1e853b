//! The time series of one server over a period, reduced to the number of points that a chart needs. Each point keeps
//! its range, so that no peak is lost.
//!
//! Uses samples as far back as the store keeps them, and rollups before that. Only the kind of timestamping with the
//! most samples is used. The addresses of a server are combined into one series.

use std::collections::BTreeMap;

use super::span::Span;
use crate::store::read::{History, Reader};
use crate::store::{Grain, Rollup, StoreError};
use ntp_monitor_core::sample::{Measure, Sample, Timestamping};
use ntp_monitor_core::stats::quantile;

/// Maximum number of points of a course.
pub const MOST_POINTS: usize = 800;
/// Maximum number of samples in a scatter plot.
pub const MOST_DOTS: usize = 4000;
/// Maximum number of samples that are read individually; longer periods use rollups.
const MOST_SAMPLES: usize = 100_000;
/// Points further apart than this many usual intervals are separated by a gap.
const GAP: i64 = 4;

/// The values of one point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// The measurements around one instant, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The middle of its period, in nanoseconds since 1970.
    pub at_ns: i64,
    pub n: u64,
    /// Offset, positive when the server is ahead.
    pub offset_s: Range,
    pub delay_s: Range,
    pub distance_s: f64,
    /// Upper bound of this host's clock error if the server's claim holds: the largest |offset| + root distance.
    pub bound_s: f64,
}

/// The time series of one server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Course {
    pub server: String,
    /// The points by time, at most [`MOST_POINTS`].
    pub points: Vec<Point>,
    /// The usual interval between two points, in nanoseconds; 0 if unknown.
    pub usual_ns: i64,
    /// Whether each point is a single sample.
    pub is_raw: bool,
    /// Times of failed polls, or of buckets with failed polls; at most [`MOST_POINTS`].
    pub failures_ns: Vec<i64>,
}

impl Course {
    /// The points, split at gaps.
    pub fn stretches(&self) -> impl Iterator<Item = &[Point]> {
        let gap_ns = if self.usual_ns > 0 { self.usual_ns.saturating_mul(GAP) } else { i64::MAX };
        self.points.chunk_by(move |a, b| b.at_ns.saturating_sub(a.at_ns) <= gap_ns)
    }
}

/// All measurements of a server, before they are reduced.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub server: String,
    /// The points by time.
    pub points: Vec<Point>,
    /// The width of the rollups that the points represent, in nanoseconds; `None` for samples.
    pub width_ns: Option<i64>,
    /// The usual interval between two points, in nanoseconds; 0 if unknown.
    pub usual_ns: i64,
    /// Times of failed polls, or of buckets with failed polls.
    pub failures_ns: Vec<i64>,
}

/// Reads the measurements of a server.
///
/// # Errors
/// When the store cannot be read.
pub fn measured(reader: &Reader, server: &str, span: Span) -> Result<Measured, StoreError> {
    let history = reader.history(server, None, span.from_ns, span.to_ns, None, MOST_SAMPLES)?;
    let mut failures_ns = Vec::new();
    let (points, width_ns) = match &history {
        History::Raw(stored) => {
            let failed = stored.iter().map(|one| &one.sample).filter(|sample| !sample.outcome.is_success());
            failures_ns.extend(failed.map(|sample| sample.at.wall_ns));
            let points = stored.iter().filter_map(|one| Some((one.sample.timestamping, Point::of(&one.sample)?)));
            (of_main_way(points), None)
        }
        History::Rollups { width_s, rollups } => {
            let failed = rollups.iter().map(|(_, one)| one).filter(|one| one.counts.samples() < one.counts.polls());
            failures_ns.extend(failed.map(|one| middle_ns(one.bucket_s, *width_s)));
            let points = rollups.iter().filter_map(|(_, one)| Some((one.timestamping, Point::summed(one, *width_s)?)));
            (of_main_way(points), Some(width_s.saturating_mul(1_000_000_000)))
        }
    };
    let usual_ns = width_ns.or_else(|| usual_spacing_ns(&points)).unwrap_or(0);
    Ok(Measured { server: server.to_owned(), points, width_ns, usual_ns, failures_ns })
}

impl Measured {
    /// Reduces the measurements to the number of points that a chart needs.
    #[must_use]
    pub fn course(&self, span: Span) -> Course {
        let column_ns = ((span.length_s() * 1e9) as i64 / MOST_POINTS as i64).max(1);
        let is_thin = self.points.len() <= MOST_POINTS;
        let stride = self.failures_ns.len().div_ceil(MOST_POINTS).max(1);
        Course {
            server: self.server.clone(),
            points: if is_thin { self.points.clone() } else { thinned(&self.points, span, column_ns) },
            usual_ns: if is_thin { self.usual_ns } else { self.usual_ns.max(column_ns) },
            is_raw: self.width_ns.is_none() && is_thin,
            failures_ns: self.failures_ns.iter().copied().step_by(stride).collect(),
        }
    }
}

/// The points with the most frequent kind of timestamping.
fn of_main_way(measured: impl Iterator<Item = (Option<Timestamping>, Point)>) -> Vec<Point> {
    let mut ways: BTreeMap<Option<Timestamping>, Vec<Point>> = BTreeMap::new();
    measured.for_each(|(way, point)| ways.entry(way).or_default().push(point));
    let samples = |points: &Vec<Point>| points.iter().map(|point| point.n).sum::<u64>();
    ways.into_values().max_by_key(samples).unwrap_or_default()
}

fn middle_ns(bucket_s: i64, width_s: i64) -> i64 {
    bucket_s.saturating_mul(2).saturating_add(width_s).saturating_mul(500_000_000)
}

fn usual_spacing_ns(points: &[Point]) -> Option<i64> {
    let mut distances: Vec<f64> = points.windows(2).map(|pair| (pair[1].at_ns - pair[0].at_ns) as f64).collect();
    quantile::median(&mut distances).map(|ns| ns as i64)
}

/// Merges the points that fall into the same pixel column of the chart.
fn thinned(points: &[Point], span: Span, column_ns: i64) -> Vec<Point> {
    let column = |point: &Point| point.at_ns.saturating_sub(span.from_ns) / column_ns;
    points
        .chunk_by(|a, b| column(a) == column(b))
        .filter_map(|chunk| chunk.iter().copied().reduce(Point::merged))
        .collect()
}

impl Range {
    fn merged(self, n: u64, other: Self, m: u64) -> Self {
        let share = m as f64 / (n + m) as f64;
        Self {
            mean: self.mean + (other.mean - self.mean) * share,
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }
}

impl Point {
    fn of(sample: &Sample) -> Option<Self> {
        let Measure { offset_s, delay_s, root_distance_s } = sample.measure?;
        let one = |value: f64| Range { mean: value, low: value, high: value };
        let bound_s = offset_s.abs() + root_distance_s;
        let point = Self {
            at_ns: sample.at.wall_ns,
            n: 1,
            offset_s: one(offset_s),
            delay_s: one(delay_s),
            distance_s: root_distance_s,
            bound_s,
        };
        (bound_s.is_finite() && delay_s.is_finite()).then_some(point)
    }

    /// A point for a rollup. Its bound is never too small: the largest offset plus the largest distance.
    fn summed(rollup: &Rollup, width_s: i64) -> Option<Self> {
        let range = |of: &ntp_monitor_core::stats::moments::Moments| {
            Some(Range { mean: of.mean()?, low: of.min()?, high: of.max()? })
        };
        let offset_s = range(&rollup.offset_s)?;
        Some(Self {
            at_ns: middle_ns(rollup.bucket_s, width_s),
            n: rollup.offset_s.n(),
            offset_s,
            delay_s: range(&rollup.delay_s)?,
            distance_s: rollup.root_distance_mean_s,
            bound_s: offset_s.low.abs().max(offset_s.high.abs()) + rollup.root_distance_max_s,
        })
    }

    fn merged(self, other: Self) -> Self {
        let share = other.n as f64 / (self.n + other.n) as f64;
        Self {
            at_ns: self.at_ns + ((other.at_ns - self.at_ns) as f64 * share) as i64,
            n: self.n + other.n,
            offset_s: self.offset_s.merged(self.n, other.offset_s, other.n),
            delay_s: self.delay_s.merged(self.n, other.delay_s, other.n),
            distance_s: self.distance_s + (other.distance_s - self.distance_s) * share,
            bound_s: self.bound_s.max(other.bound_s),
        }
    }
}

/// Individual samples of a server, evenly selected.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dots {
    /// Offset and delay of each sample, in seconds; at most [`MOST_DOTS`].
    pub samples: Vec<(f64, f64)>,
    /// The time of the first stored sample, in nanoseconds since 1970; `None` if there is none.
    pub since_ns: Option<i64>,
}

/// Selects samples of a period; memory is bounded regardless of their number.
///
/// # Errors
/// When the store cannot be read.
pub fn dots(reader: &Reader, server: &str, span: Span) -> Result<Dots, StoreError> {
    let mut dots = Dots::default();
    let (mut next_ns, mut stride, mut seen) = (span.from_ns, 1, 0_usize);
    loop {
        let page = reader.samples(server, None, next_ns, span.to_ns, MOST_DOTS)?;
        let Some(last) = page.last() else { return Ok(dots) };
        next_ns = last.sample.at.wall_ns.saturating_add(1);
        dots.since_ns = dots.since_ns.or(page.first().map(|one| one.sample.at.wall_ns));
        for measure in page.iter().filter_map(|one| one.sample.measure) {
            if seen.is_multiple_of(stride) {
                dots.samples.push((measure.offset_s, measure.delay_s));
            }
            seen += 1;
            if dots.samples.len() > MOST_DOTS {
                // Drop every other sample, and take half as many from now on.
                dots.samples = dots.samples.into_iter().step_by(2).collect();
                stride *= 2;
            }
        }
    }
}

/// The offsets of a period in seconds, each with its number of occurrences: individual samples, or the bins of the
/// hourly sketches.
///
/// # Errors
/// When the store cannot be read.
pub fn offsets(reader: &Reader, server: &str, span: Span) -> Result<Vec<(f64, u64)>, StoreError> {
    if let History::Raw(stored) = reader.history(server, None, span.from_ns, span.to_ns, None, MOST_SAMPLES)? {
        return Ok(stored.iter().filter_map(|one| one.sample.offset_s()).map(|offset_s| (offset_s, 1)).collect());
    }
    let rollups = reader.rollups(server, None, Grain::Hour, span.from_ns, span.to_ns)?;
    let mut all = ntp_monitor_core::stats::sketch::Sketch::new();
    rollups.iter().filter_map(|(_, one)| one.offset_sketch.as_ref()).for_each(|sketch| all.merge(sketch));
    Ok(all.values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_ns: i64, offset_s: f64) -> Point {
        let one = |value: f64| Range { mean: value, low: value, high: value };
        Point {
            at_ns,
            n: 1,
            offset_s: one(offset_s),
            delay_s: one(0.01),
            distance_s: 0.02,
            bound_s: offset_s.abs() + 0.02,
        }
    }

    #[test]
    fn merged_points_keep_peaks_and_weigh_by_samples() {
        let points: Vec<_> = [1e-3, 2e-3, 9e-3, -5e-3].into_iter().zip(0..).map(|(x, k)| point(k * 10, x)).collect();
        let got = thinned(&points, Span { from_ns: 0, to_ns: 40 }, 40);
        assert_eq!(got.len(), 1);
        assert_eq!((got[0].n, got[0].offset_s.low, got[0].offset_s.high), (4, -5e-3, 9e-3));
        assert!((got[0].offset_s.mean - 1.75e-3).abs() < 1e-15 && (got[0].bound_s - 0.029).abs() < 1e-15);
        assert_eq!(got[0].at_ns, 15);
    }

    #[test]
    fn rollup_point_is_in_the_middle_of_its_bucket() {
        assert_eq!(middle_ns(300, 300), 450_000_000_000);
        assert_eq!(middle_ns(i64::MAX, 300), i64::MAX, "nonsense is not multiplied");
    }
}
