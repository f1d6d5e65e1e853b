//! Stability of a phase series (offsets over time): Allan, modified, time and Hadamard deviations with confidence
//! intervals, MTIE and TIE rms.
//!
//! Definitions, equations and the check values of the tests are those of NIST SP 1065 (Riley, 2008). Samples go on an
//! even grid that keeps its gaps ([`PhaseGrid`]). At short averaging times the offsets of NTP show the network (white
//! PM, slopes −1 and −3/2), not the oscillator.
//!
//! Intervals hold the true deviation with probability [`CONFIDENCE`]: chi-squared with the equivalent degrees of
//! freedom of Greenhall and Riley for the noise that the lag-1 autocorrelation shows at that averaging time and at the
//! shorter ones. Without an identified noise there is no interval. MTIE is an observed maximum and TIE rms keeps the
//! mean, so neither has an interval. The test `coverage` measures how often intervals hold the true deviation.

mod deviation;
mod edf;
mod grid;
mod mtie;
mod noise;
pub(super) mod slope;

pub use grid::{MAX_SLOTS, PhaseGrid, usual_spacing_s};
pub use noise::Noise;

use deviation::Estimate;
use edf::Variance;
use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use super::intake::{Intake, TimeAxis};
use super::summary::Assembly;
use super::trend::{MAX_POINTS, Point};
use crate::sample::Sample;

/// The probability with which an interval holds the true deviation.
pub const CONFIDENCE: f64 = 0.95;

/// Why stability cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum StabilityError {
    /// Fewer than three phases, which one second difference needs. Samples within one poll interval are one phase.
    #[error("stability needs samples in at least 3 poll intervals; the number of intervals with samples is {0}")]
    TooFew(usize),
    /// tau0 is not a positive number of seconds.
    #[error("samples cannot be spaced {0} s apart")]
    Spacing(f64),
    /// The grid would not fit into memory.
    #[error("{0} slots of tau0 are too many (at most {MAX_SLOTS}): choose a larger tau0 or a shorter span")]
    TooLong(f64),
}

/// The stability of the offsets of recorded samples of one server, ordered by their wall clock, at the given averaging
/// times in seconds or at octaves. tau0 is the usual distance of its polls, lost ones included. Only samples of the way
/// of timestamping that has most are used. Samples that are out of order, duplicates or not finite are left out.
///
/// # Errors
/// When the samples do not fill a grid.
pub fn of_samples<'a>(
    samples: impl Iterator<Item = &'a Sample>,
    taus_s: Option<&[f64]>,
) -> Result<Stability, StabilityError> {
    let mut intake = Intake::new(TimeAxis::Wall);
    let mut assembly = Assembly::new(MAX_POINTS);
    let mut polls_s = Vec::new();
    let mut first_ns = None;
    for sample in samples {
        let Ok(at_ns) = intake.admit(sample) else { continue };
        // Counted from the first poll, because seconds since 1970 resolve only a quarter of a microsecond.
        let at_s = at_ns.saturating_sub(*first_ns.get_or_insert(at_ns)) as f64 / 1e9;
        polls_s.push(at_s);
        if let Some(measure) = sample.measure.filter(|_| sample.outcome.is_success()) {
            let point = Point { at_s, offset_s: measure.offset_s, delay_s: measure.delay_s };
            assembly.way(sample.timestamping).points.push(point);
        }
    }
    let points = assembly.main_way().map_or(&[][..], |way| &way.points);
    let tau0_s = usual_spacing_s(&polls_s).ok_or(StabilityError::TooFew(points.len()))?;
    let phases: Vec<_> = points.iter().map(|point| (point.at_s, point.offset_s)).collect();
    Ok(Stability::of(&PhaseGrid::from_samples(tau0_s, &phases)?, taus_s))
}

/// Deviations by averaging time. All vectors are parallel to `tau_s`; a figure with too few terms is `None`.
///
/// A row is shown when its factor is at most a third of the slots and three terms or more carry its Allan deviation.
/// ADEV, MDEV and HDEV are fractional frequencies, TDEV, MTIE and TIE rms are seconds.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema, Serialize)]
pub struct Stability {
    /// The spacing of the grid in seconds.
    pub tau0_s: f64,
    /// Slots of the grid.
    pub slots: usize,
    /// Slots that hold a sample.
    pub measured: usize,
    /// The probability with which an interval holds the true deviation.
    pub confidence: f64,
    /// Averaging times in seconds.
    pub tau_s: Vec<f64>,
    /// Terms behind `oadev`.
    pub n: Vec<u64>,
    /// The noise that the intervals assume.
    pub noise: Vec<Option<Noise>>,
    /// Overlapping Allan deviation.
    pub oadev: Vec<Option<f64>>,
    /// Lower end of its interval.
    pub oadev_lo: Vec<Option<f64>>,
    /// Upper end of its interval.
    pub oadev_hi: Vec<Option<f64>>,
    /// Modified Allan deviation.
    pub mdev: Vec<Option<f64>>,
    /// Lower end of its interval.
    pub mdev_lo: Vec<Option<f64>>,
    /// Upper end of its interval.
    pub mdev_hi: Vec<Option<f64>>,
    /// Time deviation in seconds: tau / √3 · MDEV.
    pub tdev: Vec<Option<f64>>,
    /// Lower end of its interval.
    pub tdev_lo: Vec<Option<f64>>,
    /// Upper end of its interval.
    pub tdev_hi: Vec<Option<f64>>,
    /// Overlapping Hadamard deviation: blind to linear frequency drift.
    pub hdev: Vec<Option<f64>>,
    /// Lower end of its interval.
    pub hdev_lo: Vec<Option<f64>>,
    /// Upper end of its interval.
    pub hdev_hi: Vec<Option<f64>>,
    /// Maximum time interval error in seconds; with gaps a lower bound.
    pub mtie: Vec<Option<f64>>,
    /// Root mean square time interval error in seconds.
    pub tie_rms: Vec<Option<f64>>,
}

/// A figure with fewer terms is not shown.
const MIN_TERMS: u64 = 3;

impl Stability {
    /// The stability of a grid at the given averaging times in seconds, each rounded to a multiple of tau0; without
    /// any, at tau0 times the powers of two. Times that round to nothing, or exceed a third of the span, are left out.
    #[must_use]
    pub fn of(grid: &PhaseGrid, taus_s: Option<&[f64]>) -> Self {
        let factors = factors(grid, taus_s);
        let mut result = Self {
            tau0_s: grid.tau0_s,
            slots: grid.slots(),
            measured: grid.measured(),
            confidence: CONFIDENCE,
            ..Self::default()
        };
        let exponents = noise::exponents(&grid.x, &factors);
        let measured = grid.measured();
        let mut second = Vec::with_capacity(grid.slots());
        for ((&m, mtie), alpha) in factors.iter().zip(mtie::mtie(&grid.x, &factors)).zip(exponents) {
            deviation::second_differences(&grid.x, m, &mut second);
            let tau_s = m as f64 * grid.tau0_s;
            result.push_row(&Row { x: &grid.x, second: &second, measured, m, tau_s, alpha }, mtie);
        }
        result
    }

    fn push_row(&mut self, row: &Row<'_>, mtie: Option<Estimate>) {
        let Some(oadev) = row.shown(deviation::oadev(row.second, row.tau_s)) else { return };
        let mdev = row.shown(deviation::mdev(row.x, row.second, row.m, row.tau_s, row.alpha.unwrap_or(2.0)));
        let hdev = row.shown(deviation::ohdev(row.x, row.m, row.tau_s));
        let to_time = row.tau_s / 3_f64.sqrt();
        let tdev = mdev.map(|e| Estimate { dev: e.dev * to_time, n: e.n });
        self.tau_s.push(row.tau_s);
        self.n.push(oadev.n);
        self.noise.push(row.alpha.map(Noise::from_alpha));
        let allan = Variance { order: 2, modified: false };
        let modified = Variance { order: 2, modified: true };
        let hadamard = Variance { order: 3, modified: false };
        row.push(Some(oadev), allan, [&mut self.oadev, &mut self.oadev_lo, &mut self.oadev_hi]);
        row.push(mdev, modified, [&mut self.mdev, &mut self.mdev_lo, &mut self.mdev_hi]);
        row.push(tdev, modified, [&mut self.tdev, &mut self.tdev_lo, &mut self.tdev_hi]);
        row.push(hdev, hadamard, [&mut self.hdev, &mut self.hdev_lo, &mut self.hdev_hi]);
        self.mtie.push(mtie.map(|e| e.dev));
        self.tie_rms.push(deviation::tie_rms(row.x, row.m).map(|e| e.dev));
    }
}

struct Row<'a> {
    x: &'a [f64],
    second: &'a [f64],
    /// The number of phases, without gaps.
    measured: usize,
    m: usize,
    tau_s: f64,
    /// The exponent of the noise.
    alpha: Option<f64>,
}

impl Row<'_> {
    fn shown(&self, estimate: Option<Estimate>) -> Option<Estimate> {
        estimate.filter(|e| e.n >= MIN_TERMS && e.dev.is_finite())
    }

    /// Appends an estimate with the ends of its interval to three columns.
    fn push(&self, estimate: Option<Estimate>, variance: Variance, [dev, lo, hi]: [&mut Vec<Option<f64>>; 3]) {
        let interval = estimate.and_then(|e| self.interval(e, variance));
        dev.push(estimate.map(|e| e.dev));
        lo.push(interval.map(|ends| ends.0));
        hi.push(interval.map(|ends| ends.1));
    }

    /// The interval, wider for a series with gaps: its degrees of freedom are those of an unbroken series with as many
    /// terms. For noise that is correlated over long times, neighbouring terms hold little of their own, so those of an
    /// unbroken series with as many phases are taken if they are more.
    fn interval(&self, estimate: Estimate, variance: Variance) -> Option<(f64, f64)> {
        const SHORT: usize = 4;
        let alpha = self.alpha?;
        let reach = if variance.modified { 3 * self.m - 1 } else { variance.order as usize * self.m };
        let by_terms = estimate.n as usize + reach;
        let is_redundant = alpha < 1.5 && self.m > if variance.modified { SHORT } else { SHORT / 2 };
        let points = if is_redundant { by_terms.max(self.measured) } else { by_terms };
        let edf = edf::edf_between(variance, alpha, self.m, points)?;
        edf::interval(estimate.dev, edf, CONFIDENCE)
    }
}

/// The averaging factors to show, rising: at least 1, at most a third of the slots.
fn factors(grid: &PhaseGrid, taus_s: Option<&[f64]>) -> Vec<usize> {
    let largest = grid.slots() / 3;
    let mut factors: Vec<usize> = match taus_s {
        Some(taus_s) => taus_s.iter().map(|tau_s| (tau_s / grid.tau0_s).round() as usize).collect(),
        None => std::iter::successors(Some(1), |m| Some(m * 2)).take_while(|m| *m <= largest).collect(),
    };
    factors.retain(|m| (1..=largest).contains(m));
    factors.sort_unstable();
    factors.dedup();
    factors
}

#[cfg(test)]
mod tests;
