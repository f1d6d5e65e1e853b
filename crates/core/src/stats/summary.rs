//! The summary of a set of samples, as shown in tables, in JSON and on the page.
//!
//! [`summarise`] is exact over any span; [`super::window`] assembles the windows of a running monitor. Both return a
//! [`WindowSummary`]. Values that need more samples are absent. Samples with different timestamping methods are never
//! mixed: the method with the most samples is summarised, and the other samples are only counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::distribution::Distribution;
use super::filter::Filtered;
use super::intake::{Intake, Refusals, TimeAxis};
use super::loss::Outcomes;
use super::moments::Moments;
use super::quantile::{self, Percentile};
use super::reach::Reach;
use super::score::PoolScore;
use super::sketch::Sketch;
use super::state::ServerState;
use super::trend::{self, Point, Trend};
use crate::sample::{Sample, Timestamping};

/// The distribution of one quantity. In JSON the percentiles are further keys: `"p50"`, `"p99.9"`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// The number of values.
    pub n: u64,
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Median, by the same rule as the percentiles.
    pub median: Option<f64>,
    /// Sample standard deviation (n − 1).
    pub stddev: Option<f64>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// The values of [`Summary::percentiles`]. Shared, because a summary is copied more often than made.
    pub quantiles: Arc<[f64]>,
}

impl Summary {
    /// The exact summary of finite values. Sorts the values.
    #[must_use]
    pub fn exact(mut values: Vec<f64>) -> Self {
        let moments: Moments = values.iter().copied().collect();
        values.sort_unstable_by(f64::total_cmp);
        Self::new(&moments, |q| quantile::of_sorted(&values, q))
    }

    /// The summary from exact moments and a sketch. Estimated quantiles are limited to the exact minimum and maximum.
    #[must_use]
    pub fn sketched(moments: &Moments, sketch: &Sketch) -> Self {
        let (min, max) = (moments.min().unwrap_or(f64::MIN), moments.max().unwrap_or(f64::MAX));
        Self::new(moments, |q| sketch.quantile(q).map(|value| value.clamp(min, max)))
    }

    /// The percentiles of [`Percentile::ALL`] that n values support (type 7), with their values.
    pub fn percentiles(&self) -> impl Iterator<Item = (&'static Percentile, f64)> {
        Percentile::supported_by(self.n).zip(self.quantiles.iter().copied())
    }

    /// The percentile with this label; `None` if there are too few values for it.
    #[must_use]
    pub fn percentile(&self, label: &str) -> Option<f64> {
        self.percentiles().find(|(percentile, _)| percentile.label == label).map(|(_, value)| value)
    }

    fn new(moments: &Moments, quantile: impl Fn(f64) -> Option<f64>) -> Self {
        let supported = Percentile::supported_by(moments.n());
        Self {
            n: moments.n(),
            mean: moments.mean(),
            median: quantile(0.5),
            stddev: moments.stddev(),
            min: moments.min(),
            max: moments.max(),
            quantiles: supported.map_while(|percentile| quantile(percentile.q)).collect(),
        }
    }
}

/// The distribution of one quantity: its number of values, what they support of the others, and percentiles such as `p50`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the schema of what Summary writes")]
struct Figures {
    n: u64,
    #[schemars(default)]
    mean: f64,
    #[schemars(default)]
    median: f64,
    #[schemars(default)]
    stddev: f64,
    #[schemars(default)]
    min: f64,
    #[schemars(default)]
    max: f64,
    #[schemars(flatten)]
    percentiles: BTreeMap<String, f64>,
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("n", &self.n)?;
        let named = [
            ("mean", self.mean),
            ("median", self.median),
            ("stddev", self.stddev),
            ("min", self.min),
            ("max", self.max),
        ];
        let percentiles = self.percentiles().map(|(percentile, value)| (percentile.label, Some(value)));
        for (name, value) in named.into_iter().chain(percentiles) {
            if let Some(value) = value {
                map.serialize_entry(name, &value)?;
            }
        }
        map.end()
    }
}

/// The statistics of one server over one span. Offsets are positive when the server is ahead; times are in seconds.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct WindowSummary {
    /// The number of samples in the summary: those with the most frequent timestamping method.
    pub n: u64,
    /// The timestamping method of these samples; absent if it was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamping: Option<&'static str>,
    /// The number of samples with other timestamping methods, which are left out of the statistics.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other_ways: BTreeMap<&'static str, u64>,
    /// Whether the quantiles are exact; otherwise their relative error is at most 1 %.
    pub exact: bool,
    /// The time from the first poll in the summary to the end of the span, in seconds; absent without polls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covers_s: Option<f64>,
    /// The signed offset.
    #[schemars(with = "Figures")]
    pub offset: Summary,
    /// The magnitude of the offset.
    #[schemars(with = "Figures")]
    pub offset_abs: Summary,
    /// Round-trip delay.
    #[schemars(with = "Figures")]
    pub delay: Summary,
    /// The number of polls with any outcome.
    pub polls: u64,
    /// The share of polls that gave no sample, 0 to 1; absent without polls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// 1 − loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_ratio: Option<f64>,
    /// The number of polls by outcome.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub outcomes: Outcomes,
    /// Requests sent; more than polls when bursts are on.
    pub requests_sent: u64,
    /// Requests without an accepted reply.
    pub requests_lost: u64,
    /// Jitter as defined by RFC 5905 at the end of the span, always over the last eight polls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_s: Option<f64>,
    /// The output of the clock filter (RFC 5905 §10) at the end of the span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filtered>,
    /// The reach register of the last eight polls, in octal.
    #[schemars(with = "String")]
    pub reach: Reach,
    /// The score of the NTP Pool at the end of the span.
    #[schemars(with = "f64")]
    pub score: PoolScore,
    /// The rate of change of the offset; absent with too few samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trend: Option<Trend>,
    /// Samples rejected since the statistics began, by reason.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub refused: Refusals,
}

/// The exact summary of recorded samples of one server, ordered by their wall clock.
///
/// Samples that are out of order, duplicates or not finite are rejected and counted; gaps are allowed. The caller
/// removes samples from the future, because every sample after one would be out of order.
#[must_use]
pub fn summarise<'a>(samples: impl Iterator<Item = &'a Sample>) -> WindowSummary {
    let mut intake = Intake::new(TimeAxis::Wall);
    let mut state = ServerState::default();
    let mut assembly = Assembly::new(trend::MAX_POINTS);
    for sample in samples {
        let Ok(at_ns) = intake.admit(sample) else { continue };
        let at_s = at_ns as f64 / 1e9;
        state.record(at_s, sample);
        assembly.outcomes.record(sample);
        assembly.begins_at(at_ns);
        if let Some(measure) = sample.measure.filter(|_| sample.outcome.is_success()) {
            let point = Point { at_s, offset_s: measure.offset_s, delay_s: measure.delay_s };
            assembly.way(sample.timestamping).points.push(point);
        }
    }
    let now_ns = intake.last_ns().unwrap_or(0);
    assembly.finish(now_ns, &state, intake.refused)
}

/// The input of a summary, by way of timestamping.
#[derive(Debug, Clone)]
pub(super) struct Assembly {
    pub outcomes: Outcomes,
    first_ns: Option<i64>,
    ways: Vec<Way>,
    trend_points: usize,
}

/// The samples of one way of timestamping.
#[derive(Debug, Clone)]
pub(super) struct Way {
    way: Option<Timestamping>,
    /// Single samples in order of time, newer than what is merged.
    pub points: Vec<Point>,
    /// Older samples, if any.
    pub merged: Option<Distribution>,
    /// The lowest-delay sample of each part of `merged`, in order of time.
    pub lowest: Vec<Point>,
}

impl Way {
    pub fn merge(&mut self, older: &Distribution, lowest: Point) {
        self.merged.get_or_insert_default().merge(older);
        self.lowest.push(lowest);
    }

    fn n(&self) -> u64 {
        self.points.len() as u64 + self.merged.as_ref().map_or(0, |merged| merged.moments.offset.n())
    }

    /// Offset, |offset| and delay.
    fn summaries(&self) -> [Summary; 3] {
        let Some(merged) = &self.merged else {
            let of = |value: fn(&Point) -> f64| Summary::exact(self.points.iter().map(value).collect());
            return [of(|p| p.offset_s), of(|p| p.offset_s.abs()), of(|p| p.delay_s)];
        };
        let mut all = merged.clone();
        self.points.iter().for_each(|point| all.add(point));
        [
            Summary::sketched(&all.moments.offset, &all.offsets),
            Summary::sketched(&all.moments.magnitude, &all.offsets.magnitudes()),
            Summary::sketched(&all.moments.delay, &all.delays),
        ]
    }

    fn trend(&self, at_most: usize) -> Option<Trend> {
        trend::of_low_delay(&[self.lowest.as_slice(), &self.points].concat(), at_most)
    }
}

impl Assembly {
    pub fn new(trend_points: usize) -> Self {
        Self { outcomes: Outcomes::default(), first_ns: None, ways: Vec::new(), trend_points }
    }

    /// Records the time of a poll; the earliest one is kept.
    pub fn begins_at(&mut self, at_ns: i64) {
        self.first_ns = Some(self.first_ns.map_or(at_ns, |first_ns| first_ns.min(at_ns)));
    }

    pub fn way(&mut self, way: Option<Timestamping>) -> &mut Way {
        let at = self.ways.iter().position(|known| known.way == way).unwrap_or_else(|| {
            self.ways.push(Way { way, points: Vec::new(), merged: None, lowest: Vec::new() });
            self.ways.len() - 1
        });
        &mut self.ways[at]
    }

    /// The way of timestamping with the most samples; the better one if two have equally many.
    pub fn main_way(&mut self) -> Option<&Way> {
        // An unknown method would otherwise sort before the best known one.
        self.ways.sort_by_key(|way| (std::cmp::Reverse(way.n()), way.way.is_none(), way.way));
        self.ways.first()
    }

    pub fn finish(mut self, now_ns: i64, state: &ServerState, refused: Refusals) -> WindowSummary {
        let trend_points = self.trend_points;
        let main = self.main_way();
        let [offset, offset_abs, delay] = main.map(Way::summaries).unwrap_or_default();
        let trend = main.and_then(|way| way.trend(trend_points));
        let exact = main.is_none_or(|way| way.merged.is_none());
        let timestamping = main.and_then(|way| way.way).map(Timestamping::label);
        let others = self.ways.iter().skip(1);
        let filter = state.filtered(now_ns as f64 / 1e9);
        WindowSummary {
            n: offset.n,
            timestamping,
            other_ways: others.map(|way| (way.way.map_or("unknown", Timestamping::label), way.n())).collect(),
            exact,
            covers_s: self.first_ns.map(|first_ns| now_ns.saturating_sub(first_ns) as f64 / 1e9),
            offset,
            offset_abs,
            delay,
            polls: self.outcomes.polls(),
            loss: self.outcomes.loss_ratio(),
            success_ratio: self.outcomes.success_ratio(),
            outcomes: self.outcomes,
            requests_sent: self.outcomes.requests_sent(),
            requests_lost: self.outcomes.requests_lost(),
            jitter_s: filter.map(|filtered| filtered.jitter_s),
            filter,
            reach: state.reach,
            score: state.score,
            trend,
            refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lost, sample};
    use super::*;

    #[test]
    fn summary_omits_quantiles_that_the_sample_cannot_support() {
        let json = serde_json::to_value(Summary::exact((1..=20).map(f64::from).collect())).unwrap();
        assert_eq!(
            (json["n"].as_u64(), json["mean"].as_f64(), json["median"].as_f64()),
            (Some(20), Some(10.5), Some(10.5))
        );
        assert_eq!(json["p50"], json["median"]);
        assert!(json.get("p95").is_some() && json.get("p99").is_none());
        assert_eq!(serde_json::to_string(&Summary::exact(Vec::new())).unwrap(), r#"{"n":0}"#);
        let one = serde_json::to_string(&Summary::exact(vec![0.5])).unwrap();
        assert_eq!(one, r#"{"n":1,"mean":0.5,"median":0.5,"min":0.5,"max":0.5,"p50":0.5}"#);
    }

    #[test]
    fn recorded_samples_are_summarised_with_their_losses() {
        let mut samples: Vec<_> = (0..40).map(|i| sample(f64::from(i) * 64.0, -1e-3, 0.02)).collect();
        samples[39] = lost(39.0 * 64.0);
        samples.push(sample(39.0 * 64.0, 5.0, 0.02));
        let got = summarise(samples.iter());
        assert_eq!((got.n, got.polls, got.loss), (39, 40, Some(0.025)));
        assert_eq!((got.offset.mean, got.offset_abs.mean, got.offset.stddev), (Some(-1e-3), Some(1e-3), Some(0.0)));
        assert_eq!((got.reach.to_string().as_str(), got.refused.total()), ("376", 1));
        assert_eq!(got.covers_s, Some(39.0 * 64.0));
        let json = serde_json::to_value(&got).unwrap();
        assert_eq!(json["outcomes"], serde_json::json!({"sample": 39, "timeout": 1}));
        assert_eq!(json["trend"]["ppm"].as_f64(), Some(0.0));
        assert_eq!(json["timestamping"], "kernel");
    }

    #[test]
    fn ways_of_timestamping_are_never_mixed() {
        let mut samples: Vec<_> = (0..30).map(|i| sample(f64::from(i), 1e-6, 0.001)).collect();
        samples.iter_mut().step_by(3).for_each(|sample| {
            sample.timestamping = Some(Timestamping::Userland);
            sample.measure.as_mut().unwrap().offset_s = 0.5;
        });
        samples[1].timestamping = None;
        let got = summarise(samples.iter());
        assert_eq!((got.timestamping, got.n, got.offset.max), (Some("kernel"), 19, Some(1e-6)));
        assert_eq!(got.other_ways, BTreeMap::from([("unknown", 1), ("userland", 10)]));
    }

    #[test]
    fn summary_without_samples_is_empty() {
        let got = summarise([].into_iter());
        assert_eq!((got.n, got.polls, got.loss, got.covers_s, got.trend), (0, 0, None, None, None));
    }
}
