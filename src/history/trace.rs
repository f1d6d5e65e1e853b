//! The history of one server for charts. The resolution depends on the span and on the number of points that fit: every
//! poll, or steps of ten seconds to a week. The figures are defined in the same way at every resolution.
//!
//! Short steps are computed from samples, whose number is limited; longer ones from rollups. Jitter needs the order of
//! polls, which rollups do not have, so a long step computes it from its first samples, if there are any.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::course::Range;
use super::span::Span;
use crate::store::read::{Bucket, Reader, Spread};
use crate::store::{Counts, Grain, StoreError};
use ntp_monitor_core::sample::{Measure, Sample, Timestamping};
use ntp_monitor_core::stats::score::PoolScore;

/// The widths of steps, in seconds.
const STEPS_S: [i64; 15] =
    [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 7 * 86_400];
/// Jitter is taken over this many differences of neighbouring offsets, as RFC 5905 does.
const JITTER_OVER: usize = 8;
/// Samples of a long step from which its jitter is computed.
const JITTER_SAMPLES: usize = 2 * JITTER_OVER + 1;
/// Number of polls before the span that are read so that score and jitter begin with their correct values.
const LEAD_POLLS: f64 = 128.0;
/// Maximum number of samples after the last rollup; usually they cover five minutes.
const TAIL_SAMPLES: usize = 20_000;

/// How much detail a chart needs, and how much may be read for it.
#[derive(Debug, Clone, Copy)]
pub struct TraceOptions {
    /// The number of points that fit into the chart.
    pub points: usize,
    /// The width of a step in seconds; the default follows from the span.
    pub step_s: Option<i64>,
    /// Maximum number of samples that may be read one by one.
    pub rows: usize,
    pub jitter: bool,
}

/// The polls within one step, or a single one.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The middle of the polled part of the step, in nanoseconds since 1970.
    pub at_ns: i64,
    pub polls: u64,
    /// Polls that gave a sample.
    pub samples: u64,
    /// Offset in seconds, positive when the server is ahead.
    pub offset_s: Option<Range>,
    pub delay_s: Option<Range>,
    /// The mean root distance in seconds.
    pub distance_s: Option<f64>,
    /// RMS of the differences of neighbouring offsets, over eight at each poll, in seconds.
    pub jitter_s: Option<f64>,
    /// The score of the NTP Pool after the last poll.
    pub score: f64,
}

/// The history of one server, or of one of its addresses.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// The first poll ever, in nanoseconds since 1970; `None` if there was none.
    pub began_ns: Option<i64>,
    /// The width of a step in seconds; `None` if each point is a poll.
    pub step_s: Option<i64>,
    /// The poll interval in seconds, of the last poll that was read; `None` if none was.
    pub poll_s: Option<f64>,
    /// By time; steps without a poll are left out.
    pub cells: Vec<Cell>,
}

/// Reads the history of a server within a span.
///
/// # Errors
/// When the store cannot be read.
pub fn trace(
    reader: &Reader,
    (server, address): (&str, Option<SocketAddr>),
    began_ns: Option<i64>,
    span: Span,
    options: TraceOptions,
) -> Result<Trace, StoreError> {
    let source = Source { reader, server, address, began_ns: began_ns.unwrap_or(i64::MIN) };
    let span = Span { from_ns: span.from_ns.max(source.began_ns).min(span.to_ns), ..span };
    let step_s = options.step_s.unwrap_or_else(|| fitting(span, options.points));
    let is_short = step_s < Grain::FiveMinutes.width_s();
    let limit = if is_short { options.rows.max(options.points) } else { options.points };
    let samples = match reader.samples_reach_back(server, span.from_ns, span.to_ns)? {
        true => Some(source.samples(span.from_ns, span.to_ns, limit.saturating_add(1))?),
        false => None,
    };
    let Some(samples) = samples.filter(|samples| samples.len() <= limit) else {
        let widths = step_s.div_ceil_to(Grain::FiveMinutes.width_s());
        let trace = source.rolled(span, widths, options.jitter)?;
        return Ok(Trace { began_ns, ..trace });
    };
    let is_raw = options.step_s.is_none() && samples.len() <= options.points;
    let lead = source.lead(samples.first(), span)?;
    Ok(Trace {
        began_ns,
        step_s: (!is_raw).then_some(step_s),
        poll_s: samples.last().map(|sample| sample.poll_s),
        cells: cells(&lead, &samples, (!is_raw).then_some(step_s), span),
    })
}

/// The narrowest step with which `points` cover the span.
fn fitting(span: Span, points: usize) -> i64 {
    let wanted_s = span.length_s() / points.max(1) as f64;
    let longest = STEPS_S[STEPS_S.len() - 1];
    let weeks = || (wanted_s / longest as f64).ceil() as i64 * longest;
    STEPS_S.into_iter().find(|step_s| *step_s as f64 >= wanted_s).unwrap_or_else(weeks)
}

trait DivCeilTo {
    fn div_ceil_to(self, unit: Self) -> Self;
}

impl DivCeilTo for i64 {
    /// The next multiple of `unit`.
    fn div_ceil_to(self, unit: Self) -> Self {
        self.saturating_add(unit - 1) / unit * unit
    }
}

/// The cells of samples in order of time. The samples in `lead` only initialise jitter and score.
fn cells(lead: &[Sample], samples: &[Sample], step_s: Option<i64>, span: Span) -> Vec<Cell> {
    let way = main_way(samples.iter().filter(|sample| sample.measure.is_some()).map(|sample| (sample.timestamping, 1)));
    let mut run = Run::default();
    for sample in lead {
        let _ = run.poll(sample, way);
    }
    let mut sums: Vec<Sum> = Vec::new();
    for (n, sample) in samples.iter().enumerate() {
        let place = step_s.map_or(n as i64, |step_s| sample.at.wall_ns.div_euclid(step_s * 1_000_000_000));
        let jitter_s = run.poll(sample, way);
        if sums.last().is_none_or(|sum| sum.place != place) {
            sums.push(Sum::at(place));
        }
        if let Some(sum) = sums.last_mut() {
            sum.add(sample, way, jitter_s, run.score.value());
        }
    }
    sums.into_iter().map(|sum| sum.cell(step_s, span)).collect()
}

/// The kind of timestamping with the most samples: statistics never mix two.
fn main_way(counts: impl Iterator<Item = (Option<Timestamping>, u64)>) -> Option<Timestamping> {
    let mut ways: BTreeMap<Option<Timestamping>, u64> = BTreeMap::new();
    counts.for_each(|(way, n)| *ways.entry(way).or_default() += n);
    ways.into_iter().max_by_key(|(_, n)| *n).and_then(|(way, _)| way)
}

/// The state that continues from poll to poll.
#[derive(Debug, Default)]
struct Run {
    before_s: Option<f64>,
    squares: Vec<f64>,
    score: PoolScore,
}

impl Run {
    /// Adds a poll and returns the jitter after it.
    fn poll(&mut self, sample: &Sample, way: Option<Timestamping>) -> Option<f64> {
        self.score.record(sample);
        let offset_s = measure(sample, way)?.offset_s;
        if let Some(before_s) = self.before_s.replace(offset_s) {
            if self.squares.len() == JITTER_OVER {
                self.squares.remove(0);
            }
            self.squares.push((offset_s - before_s).powi(2));
        }
        let n = self.squares.len();
        (n > 1).then(|| (self.squares.iter().sum::<f64>() / n as f64).sqrt())
    }
}

fn measure(sample: &Sample, way: Option<Timestamping>) -> Option<Measure> {
    let measure = sample.measure.filter(|_| sample.timestamping == way)?;
    [measure.offset_s, measure.delay_s, measure.root_distance_s]
        .iter()
        .all(|value| value.is_finite())
        .then_some(measure)
}

/// A cell that is being filled.
#[derive(Debug)]
struct Sum {
    place: i64,
    first_ns: i64,
    polls: u64,
    samples: u64,
    n: u64,
    offset_s: Range,
    delay_s: Range,
    distance_s: f64,
    jitter: (f64, u64),
    score: f64,
}

impl Sum {
    fn at(place: i64) -> Self {
        let none = Range { mean: 0.0, low: f64::INFINITY, high: f64::NEG_INFINITY };
        Self {
            place,
            first_ns: 0,
            polls: 0,
            samples: 0,
            n: 0,
            offset_s: none,
            delay_s: none,
            distance_s: 0.0,
            jitter: (0.0, 0),
            score: 0.0,
        }
    }

    fn add(&mut self, sample: &Sample, way: Option<Timestamping>, jitter_s: Option<f64>, score: f64) {
        if self.polls == 0 {
            self.first_ns = sample.at.wall_ns;
        }
        self.polls += 1;
        self.samples += u64::from(sample.outcome.is_success());
        self.score = score;
        if let Some(jitter_s) = jitter_s {
            self.jitter = (self.jitter.0 + jitter_s.powi(2), self.jitter.1 + 1);
        }
        if let Some(measure) = measure(sample, way) {
            let spread = |value: f64| Spread { mean: value, low: value, high: value };
            self.measure(1, spread(measure.offset_s), spread(measure.delay_s), measure.root_distance_s);
        }
    }

    fn measure(&mut self, n: u64, offset_s: Spread, delay_s: Spread, distance_s: f64) {
        self.n += n;
        let share = n as f64 / self.n as f64;
        for (range, spread) in [(&mut self.offset_s, offset_s), (&mut self.delay_s, delay_s)] {
            range.mean += (spread.mean - range.mean) * share;
            range.low = range.low.min(spread.low);
            range.high = range.high.max(spread.high);
        }
        self.distance_s += (distance_s - self.distance_s) * share;
    }

    fn merge_counts(&mut self, counts: &Counts) {
        self.polls += counts.polls();
        self.samples += counts.samples();
    }

    fn cell(self, step_s: Option<i64>, span: Span) -> Cell {
        let at_ns = step_s.map_or(self.first_ns, |step_s| {
            let (start_s, end_s) = (self.place.saturating_mul(step_s), (self.place + 1).saturating_mul(step_s));
            let [start_ns, end_ns] = [start_s, end_s].map(|seconds| seconds.saturating_mul(1_000_000_000));
            // A step does not begin before monitoring started, or end after the span.
            let (start_ns, end_ns) = (start_ns.max(span.from_ns), end_ns.min(span.to_ns));
            start_ns + (end_ns - start_ns) / 2
        });
        let is_measured = self.n > 0;
        Cell {
            at_ns,
            polls: self.polls,
            samples: self.samples,
            offset_s: is_measured.then_some(self.offset_s),
            delay_s: is_measured.then_some(self.delay_s),
            distance_s: is_measured.then_some(self.distance_s),
            jitter_s: (self.jitter.1 > 0).then(|| (self.jitter.0 / self.jitter.1 as f64).sqrt()),
            score: self.score,
        }
    }
}

/// The source of a server's history.
struct Source<'a> {
    reader: &'a Reader,
    server: &'a str,
    address: Option<SocketAddr>,
    began_ns: i64,
}

impl Source<'_> {
    fn samples(&self, from_ns: i64, to_ns: i64, limit: usize) -> Result<Vec<Sample>, StoreError> {
        let stored = self.reader.samples(self.server, self.address, from_ns, to_ns, limit)?;
        Ok(stored.into_iter().map(|stored| stored.sample).collect())
    }

    /// The samples before the first one of the span.
    fn lead(&self, first: Option<&Sample>, span: Span) -> Result<Vec<Sample>, StoreError> {
        let Some(first) = first.filter(|_| span.from_ns > self.began_ns) else { return Ok(Vec::new()) };
        let lead_ns = (first.poll_s * LEAD_POLLS * 1e9) as i64;
        self.samples(span.from_ns.saturating_sub(lead_ns), span.from_ns, LEAD_POLLS as usize * 4)
    }

    /// Reads rollups, and the samples that are not in rollups yet.
    fn rolled(&self, span: Span, step_s: i64, with_jitter: bool) -> Result<Trace, StoreError> {
        let found = self.reader.buckets(self.server, self.address, span.from_ns, span.to_ns, step_s)?;
        let tail_ns = found.complete_to_ns.unwrap_or(span.from_ns).max(span.from_ns);
        let tail = self.samples(tail_ns, span.to_ns, TAIL_SAMPLES)?;
        let measured = |bucket: &Bucket| (bucket.timestamping, bucket.measure.map_or(0, |measure| measure.n));
        let recent = tail.iter().filter(|sample| sample.measure.is_some()).map(|sample| (sample.timestamping, 1));
        let way = main_way(found.buckets.iter().map(measured).chain(recent));
        let mut run = Run::default();
        let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
        let mut is_settled = span.from_ns <= self.began_ns;
        for bucket in &found.buckets {
            let place = bucket.start_s.div_euclid(step_s);
            let sum = sums.entry(place).or_insert_with(|| Sum::at(place));
            sum.merge_counts(&bucket.counts);
            if let Some(it) = bucket.measure.filter(|_| bucket.timestamping == way) {
                sum.measure(it.n, it.offset_s, it.delay_s, it.distance_s);
            }
            let mean_s = bucket.measure.map(|measure| measure.offset_s.mean);
            // Polls before the span are not read: the score starts at the value that the first polls would reach.
            let weight = if is_settled { 1 } else { 1000 };
            is_settled = true;
            run.score.record_sums(&bucket.counts.outcomes.map(|polls| polls * weight), mean_s);
            sum.score = run.score.value();
        }
        for sample in &tail {
            let place = sample.at.wall_ns.div_euclid(step_s.saturating_mul(1_000_000_000));
            let jitter_s = run.poll(sample, way);
            sums.entry(place).or_insert_with(|| Sum::at(place)).add(sample, way, jitter_s, run.score.value());
        }
        if with_jitter {
            self.add_jitter(&mut sums, step_s, way, span)?;
        }
        let poll_s = match tail.last() {
            Some(sample) => Some(sample.poll_s),
            None => self.samples(span.from_ns, span.to_ns, 1)?.first().map(|sample| sample.poll_s),
        };
        let cells = sums.into_values().map(|sum| sum.cell(Some(step_s), span)).collect();
        Ok(Trace { began_ns: None, step_s: Some(step_s), poll_s, cells })
    }

    /// The jitter of each step, from its first samples.
    fn add_jitter(
        &self,
        sums: &mut BTreeMap<i64, Sum>,
        step_s: i64,
        way: Option<Timestamping>,
        span: Span,
    ) -> Result<(), StoreError> {
        let first = self.samples(span.from_ns, span.to_ns, 1)?;
        let Some(first_ns) = first.first().map(|sample| sample.at.wall_ns) else { return Ok(()) };
        let step_ns = step_s.saturating_mul(1_000_000_000);
        for sum in sums.values_mut().filter(|sum| sum.jitter.1 == 0) {
            let from_ns = sum.place.saturating_mul(step_ns);
            if from_ns.saturating_add(step_ns) <= first_ns {
                continue;
            }
            let mut run = Run::default();
            for sample in &self.samples(from_ns, from_ns.saturating_add(step_ns), JITTER_SAMPLES)? {
                if let Some(jitter_s) = run.poll(sample, way) {
                    sum.jitter = (sum.jitter.0 + jitter_s.powi(2), sum.jitter.1 + 1);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_is_the_narrowest_that_covers_the_span() {
        let step_s = |span_s: i64, points| fitting(Span { from_ns: 0, to_ns: span_s * 1_000_000_000 }, points);
        assert_eq!((step_s(300, 600), step_s(3600, 600), step_s(6 * 3600, 600)), (10, 10, 60));
        assert_eq!((step_s(86_400, 600), step_s(90 * 86_400, 90)), (300, 86_400));
        assert_eq!(step_s(20 * 365 * 86_400, 100), 11 * 7 * 86_400);
    }
}
