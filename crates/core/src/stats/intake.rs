//! Checks samples before they enter the statistics, and counts those that are refused, by reason.
//!
//! Code behind this check never gets NaN, infinity, a negative delay or time that runs backwards.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::filter::MAX_DISPERSION_S;
use super::sketch::LARGEST;
use crate::clock::Stamp;
use crate::sample::{Outcome, Sample};

/// Which clock of a sample's [`Stamp`] orders it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeAxis {
    /// The monotonic clock: for a running monitor, because it does not step.
    Monotonic,
    /// The wall clock: for recorded samples, whose monotonic clocks start at zero with each boot.
    Wall,
}

impl TimeAxis {
    /// Nanoseconds on this axis.
    #[must_use]
    pub fn ns(self, at: Stamp) -> i64 {
        match self {
            Self::Monotonic => at.mono_ns,
            Self::Wall => at.wall_ns,
        }
    }
}

/// Why a sample does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Offset or delay is missing, NaN or infinite.
    #[error("its offset or delay is not a number")]
    NotFinite,
    /// An offset of more than an era of NTP (136 years), or a delay that is negative or 16 s and more.
    #[error("its offset or delay is beyond what NTP can measure")]
    OutOfRange,
    /// The same time as the sample before.
    #[error("its time is that of the sample before")]
    Duplicate,
    /// An earlier time than the sample before.
    #[error("it is older than the sample before")]
    OutOfOrder,
    /// Later than the latest time that is allowed.
    #[error("its time is in the future")]
    Future,
}

impl Refusal {
    /// Every reason, in order.
    pub const ALL: [Self; 5] = [Self::NotFinite, Self::OutOfRange, Self::Duplicate, Self::OutOfOrder, Self::Future];

    /// The name in JSON and metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NotFinite => "not-finite",
            Self::OutOfRange => "out-of-range",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out-of-order",
            Self::Future => "future",
        }
    }
}

/// How many samples were refused, by reason. Serialises as an object of the reasons that occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refusals {
    counts: [u32; Refusal::ALL.len()],
}

impl Refusals {
    /// How many were refused for this reason.
    #[must_use]
    pub fn count(&self, reason: Refusal) -> u32 {
        self.counts[reason as usize]
    }

    /// How many were refused.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }

    /// Adds the counts of another check.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = mine.saturating_add(theirs);
        }
    }

    fn record(&mut self, reason: Refusal) {
        let count = &mut self.counts[reason as usize];
        *count = count.saturating_add(1);
    }
}

impl Serialize for Refusals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for reason in Refusal::ALL.into_iter().filter(|reason| self.count(*reason) > 0) {
            map.serialize_entry(reason.label(), &self.count(reason))?;
        }
        map.end()
    }
}

/// Checks samples one after the other.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    pub axis: TimeAxis,
    /// The latest time that is allowed.
    pub until_ns: i64,
    last_ns: Option<i64>,
    pub refused: Refusals,
}

impl Intake {
    pub fn new(axis: TimeAxis) -> Self {
        Self { axis, until_ns: i64::MAX, last_ns: None, refused: Refusals::default() }
    }

    /// Checks a sample; returns its time in nanoseconds on the axis.
    pub fn admit(&mut self, sample: &Sample) -> Result<i64, Refusal> {
        let at_ns = self.axis.ns(sample.at);
        match self.check_time(at_ns).and_then(|()| check_values(sample)) {
            Ok(()) => {
                self.last_ns = Some(at_ns);
                Ok(at_ns)
            }
            Err(reason) => {
                self.refused.record(reason);
                Err(reason)
            }
        }
    }

    /// The time of the last sample that was accepted.
    pub fn last_ns(&self) -> Option<i64> {
        self.last_ns
    }

    fn check_time(&self, at_ns: i64) -> Result<(), Refusal> {
        if at_ns > self.until_ns {
            return Err(Refusal::Future);
        }
        match self.last_ns {
            Some(last_ns) if at_ns == last_ns => Err(Refusal::Duplicate),
            Some(last_ns) if at_ns < last_ns => Err(Refusal::OutOfOrder),
            _ => Ok(()),
        }
    }
}

fn check_values(sample: &Sample) -> Result<(), Refusal> {
    if sample.outcome != Outcome::Sample {
        return Ok(());
    }
    let measure = sample.measure.ok_or(Refusal::NotFinite)?;
    if !measure.offset_s.is_finite() || !measure.delay_s.is_finite() {
        return Err(Refusal::NotFinite);
    }
    if measure.offset_s.abs() > LARGEST || !(0.0..MAX_DISPERSION_S).contains(&measure.delay_s) {
        return Err(Refusal::OutOfRange);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lost, sample, stamp};
    use super::*;

    #[test]
    fn each_bad_sample_is_refused_and_counted_under_its_reason() {
        let mut intake = Intake::new(TimeAxis::Monotonic);
        intake.until_ns = stamp(1000.0).mono_ns;
        assert!(intake.admit(&sample(100.0, 0.001, 0.01)).is_ok());
        let cases = [
            (sample(200.0, f64::NAN, 0.01), Refusal::NotFinite),
            (sample(200.0, 0.0, f64::INFINITY), Refusal::NotFinite),
            (sample(200.0, 1e300, 0.01), Refusal::OutOfRange),
            (sample(200.0, 0.0, -0.01), Refusal::OutOfRange),
            (sample(100.0, 0.001, 0.01), Refusal::Duplicate),
            (lost(99.0), Refusal::OutOfOrder),
            (lost(1001.0), Refusal::Future),
        ];
        for (bad, reason) in cases {
            assert_eq!(intake.admit(&bad), Err(reason));
        }
        let mut unmeasured = sample(300.0, 0.0, 0.01);
        unmeasured.measure = None;
        assert_eq!(intake.admit(&unmeasured), Err(Refusal::NotFinite));
        assert!(intake.admit(&lost(200.0)).is_ok(), "a refused sample does not move time");
        let json = serde_json::to_string(&intake.refused).unwrap();
        assert_eq!(json, r#"{"not-finite":3,"out-of-range":2,"duplicate":1,"out-of-order":1,"future":1}"#);
        assert_eq!(intake.refused.total(), 8);
    }

    #[test]
    fn time_axis_decides_which_samples_are_out_of_order() {
        let mut first = lost(100.0);
        let mut second = lost(164.0);
        (first.at.wall_ns, second.at.wall_ns) = (1_000, 900);
        let mut mono = Intake::new(TimeAxis::Monotonic);
        assert!(mono.admit(&first).is_ok() && mono.admit(&second).is_ok());
        let mut wall = Intake::new(TimeAxis::Wall);
        assert!(wall.admit(&first).is_ok());
        assert_eq!(wall.admit(&second), Err(Refusal::OutOfOrder));
    }
}
