//! Aggregates over five minutes and over an hour. A sample is added once, when its raw row is new, so that a rollup
//! always equals the sum of its raw rows. Kinds of timestamping are never mixed.

use ntp_monitor_core::sample::{Measure, Outcome, Sample, Timestamping};
use ntp_monitor_core::stats::moments::Moments;
use ntp_monitor_core::stats::sketch::Sketch;

use super::codes;
use super::record::Record;

/// The two widths of rollups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grain {
    FiveMinutes,
    /// One hour, with quantile sketches.
    Hour,
}

impl Grain {
    pub const ALL: [Self; 2] = [Self::FiveMinutes, Self::Hour];

    #[must_use]
    pub fn width_s(self) -> i64 {
        match self {
            Self::FiveMinutes => 300,
            Self::Hour => 3600,
        }
    }

    #[must_use]
    pub fn width_ns(self) -> i64 {
        self.width_s() * 1_000_000_000
    }

    pub(super) fn table(self) -> &'static str {
        match self {
            Self::FiveMinutes => "rollup_5m",
            Self::Hour => "rollup_1h",
        }
    }

    /// The start of the bucket that contains an instant, in seconds since 1970.
    #[must_use]
    pub fn bucket_s(self, wall_ns: i64) -> i64 {
        wall_ns.div_euclid(self.width_ns()) * self.width_s()
    }
}

/// Outcome and request counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Polls by outcome, in the order of [`Outcome::LABELS`].
    pub outcomes: [u64; Outcome::LABELS.len()],
    /// Number of requests sent.
    pub sent: u64,
    /// Number of requests without an accepted reply.
    pub lost: u64,
}

impl Counts {
    pub fn add(&mut self, sample: &Sample) {
        self.count(&sample.outcome, sample.sent, sample.lost);
    }

    pub(super) fn count(&mut self, outcome: &Outcome, sent: u16, lost: u16) {
        self.outcomes[codes::of_outcome(outcome)] += 1;
        self.sent += u64::from(sent);
        self.lost += u64::from(lost);
    }

    /// Adds all polls of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        self.sent += other.sent;
        self.lost += other.lost;
    }

    #[must_use]
    pub fn polls(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Number of polls that gave a sample.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.outcomes[codes::of_outcome(&Outcome::Sample)]
    }
}

/// The aggregate of one series over one bucket, for one kind of timestamping.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    /// Start of the bucket in seconds since 1970.
    pub bucket_s: i64,
    /// The kind of timestamping; `None` for polls without an exchange.
    pub timestamping: Option<Timestamping>,
    pub counts: Counts,
    /// Offsets in seconds, positive when the server is ahead.
    pub offset_s: Moments,
    pub delay_s: Moments,
    /// The mean root distance in seconds, over the same polls as the offsets; 0 without any.
    pub root_distance_mean_s: f64,
    /// The largest root distance in seconds; 0 without any.
    pub root_distance_max_s: f64,
    /// The distribution of the offsets; hourly rollups only.
    pub offset_sketch: Option<Sketch>,
    /// The distribution of the delays; hourly rollups only.
    pub delay_sketch: Option<Sketch>,
}

impl Rollup {
    /// A rollup without polls.
    #[must_use]
    pub fn empty(grain: Grain, bucket_s: i64, timestamping: Option<Timestamping>) -> Self {
        let sketch = (grain == Grain::Hour).then(Sketch::new);
        Self {
            bucket_s,
            timestamping,
            counts: Counts::default(),
            offset_s: Moments::default(),
            delay_s: Moments::default(),
            root_distance_mean_s: 0.0,
            root_distance_max_s: 0.0,
            offset_sketch: sketch.clone(),
            delay_sketch: sketch,
        }
    }

    /// Adds one poll. Values that are not finite are not added to means; the poll is still counted.
    pub fn add(&mut self, sample: &Sample) {
        self.counts.add(sample);
        self.measure(sample.measure);
    }

    /// As [`Rollup::add`], for a sample without the names of its series.
    pub(super) fn add_record(&mut self, record: &Record) {
        self.counts.count(&record.outcome, record.sent, record.lost);
        self.measure(record.measure);
    }

    fn measure(&mut self, measure: Option<Measure>) {
        let Some(m) = measure else { return };
        if ![m.offset_s, m.delay_s, m.root_distance_s].iter().all(|value| value.is_finite()) {
            return;
        }
        self.offset_s.add(m.offset_s);
        self.delay_s.add(m.delay_s);
        self.root_distance_mean_s += (m.root_distance_s - self.root_distance_mean_s) / self.offset_s.n() as f64;
        self.root_distance_max_s = self.root_distance_max_s.max(m.root_distance_s);
        if let Some(sketch) = &mut self.offset_sketch {
            sketch.add(m.offset_s);
        }
        if let Some(sketch) = &mut self.delay_sketch {
            sketch.add(m.delay_s);
        }
    }

    /// Adds all polls of `other`, which must belong to the same series and kind of timestamping; keeps the bucket.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.offset_s.merge(&other.offset_s);
        self.delay_s.merge(&other.delay_s);
        if self.offset_s.n() > 0 {
            let share = other.offset_s.n() as f64 / self.offset_s.n() as f64;
            self.root_distance_mean_s += (other.root_distance_mean_s - self.root_distance_mean_s) * share;
        }
        self.root_distance_max_s = self.root_distance_max_s.max(other.root_distance_max_s);
        merge_sketch(&mut self.offset_sketch, other.offset_sketch.as_ref());
        merge_sketch(&mut self.delay_sketch, other.delay_sketch.as_ref());
    }
}

/// A merged distribution is known only if both parts are.
fn merge_sketch(mine: &mut Option<Sketch>, theirs: Option<&Sketch>) {
    match (mine.as_mut(), theirs) {
        (Some(sketch), Some(other)) => sketch.merge(other),
        _ => *mine = None,
    }
}
