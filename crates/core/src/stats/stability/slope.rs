//! The uncertainty of the slope of a line through phases whose noise is not white.
//!
//! A line over n phases weighs the beginning against the end, so the noise at averaging times of a fraction of n
//! decides. The modified deviation over an eighth of the phases measures it, and for each power law the error of the
//! slope is a fixed multiple of that deviation. The factors were found by simulation; those of white PM and white FM
//! agree with least squares: 2·8^−1.5 and √2·√(6/5)/√8.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::edf::{Variance, edf_between};
use super::{deviation, noise};

/// The standard deviation of the slope over MDEV at an eighth of the phases, for alpha = −2 to 2.
const FACTORS: [f64; 5] = [2.2, 1.1, 0.6, 0.25, 0.0905];
/// The averaging time that measures the noise is this part of the phases.
const PART: usize = 8;
/// The exponent between the eighth of the phases and this part of it is compared with the pooled one.
const NEAR: usize = 4;
/// An exponent at the longest averaging times that is lower than the pooled one by this much is that of another noise.
const ANOTHER_NOISE: f64 = 0.8;
/// The exponent is lowered by this, because one that is too high gives an interval that is too narrow.
const CAUTION: f64 = 0.25;
/// Noise with a higher exponent counts as white.
const WHITE: f64 = 1.7;

/// Half of the width of the interval that holds the true slope per slot with probability `confidence`, from the phases
/// on an even grid (NaN is a gap) without their line. `None` when the noise is white or not known; then the points
/// count as independent.
pub(in crate::stats) fn half_width(residuals: &[f64], confidence: f64) -> Option<f64> {
    let m = residuals.len() / PART;
    let factors: Vec<usize> = std::iter::successors(Some(1), |m| Some(m * 2)).take_while(|k| *k <= m).collect();
    let pooled = noise::exponents(residuals, &factors).last().copied().flatten()?;
    let mut second = Vec::new();
    let mut mdev = |m: usize| {
        deviation::second_differences(residuals, m, &mut second);
        deviation::mdev(residuals, &second, m, m as f64, pooled).map(|estimate| estimate.dev).filter(|dev| *dev > 0.0)
    };
    let near = (m / NEAR).max(1);
    let (far_dev, near_dev) = (mdev(m)?, mdev(near)?);
    let octaves = (m as f64 / near as f64).log2();
    let at_the_end = if octaves > 0.0 { -1.0 - 2.0 * (far_dev / near_dev).log2() / octaves } else { pooled };
    let alpha = combined(pooled, at_the_end.clamp(-2.0, 2.0));
    if alpha > WHITE {
        return None;
    }
    let edf = edf_between(Variance { order: 2, modified: true }, alpha, m, residuals.len())?;
    let quantile = StudentsT::new(0.0, 1.0, edf).ok()?.inverse_cdf((1.0 + confidence) / 2.0);
    Some(quantile * factor(alpha) * far_dev)
}

fn combined(pooled: f64, at_the_end: f64) -> f64 {
    if at_the_end < pooled - ANOTHER_NOISE {
        return at_the_end;
    }
    let caution = CAUTION * (2.0 - pooled.max(at_the_end)).clamp(0.0, 1.0);
    (0.5 * (pooled + at_the_end) - caution).max(-2.0)
}

/// The factor between two whole exponents, on a logarithmic scale.
fn factor(alpha: f64) -> f64 {
    let place = (alpha + 2.0).clamp(0.0, 4.0);
    let (low, share) = (place.floor() as usize, place - place.floor());
    FACTORS[low].powf(1.0 - share) * FACTORS[(low + 1).min(4)].powf(share)
}
