//! Which noise dominates at an averaging time, as the exponent of its power law.
//!
//! The lag-1 autocorrelation method (Riley and Greenhall, EFTF 2004; NIST SP 1065 §5.5) with two changes. Phases are
//! averaged over the averaging time instead of being decimated, because decimated flicker PM looks like white PM; what
//! averaging does to the exponent is known and taken back. And an exponent is pooled with those of the shorter
//! averaging times, unless it differs from them by more than chance: a few blocks alone tell little.

use schemars::JsonSchema;
use serde::Serialize;

/// A power law S_y(f) ∝ f^alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
pub enum Noise {
    /// alpha = 2: what network delay and stamping do to NTP offsets at short averaging times.
    #[serde(rename = "white PM")]
    WhitePm,
    /// alpha = 1.
    #[serde(rename = "flicker PM")]
    FlickerPm,
    /// alpha = 0.
    #[serde(rename = "white FM")]
    WhiteFm,
    /// alpha = −1.
    #[serde(rename = "flicker FM")]
    FlickerFm,
    /// alpha = −2.
    #[serde(rename = "random walk FM")]
    RandomWalkFm,
}

impl Noise {
    /// The exponent alpha.
    #[must_use]
    pub fn alpha(self) -> i32 {
        match self {
            Self::WhitePm => 2,
            Self::FlickerPm => 1,
            Self::WhiteFm => 0,
            Self::FlickerFm => -1,
            Self::RandomWalkFm => -2,
        }
    }

    pub(super) fn from_alpha(alpha: f64) -> Self {
        match alpha {
            a if a >= 1.5 => Self::WhitePm,
            a if a >= 0.5 => Self::FlickerPm,
            a if a >= -0.5 => Self::WhiteFm,
            a if a >= -1.5 => Self::FlickerFm,
            _ => Self::RandomWalkFm,
        }
    }
}

/// The method needs about thirty points; with fewer, no noise is identified.
const MIN_POINTS: usize = 30;

/// Differences taken at most: enough for the noises that the Allan variances tell apart.
const MAX_DIFFERENCES: u32 = 2;

/// Squares of residuals below this part of all squares are rounding (about 1e-16 of each value).
const ROUNDING: f64 = 1e-28;

/// The pooled estimate weighs half as much at the next averaging time, which has half as many blocks if it is twice as
/// long: each octave counts alike.
const MEMORY: f64 = 0.5;
/// An estimate that differs from the pool by more than this, divided by the root of its blocks, is about three standard
/// deviations off. Another noise has taken over, and the pool starts over.
const ANOTHER_NOISE: f64 = 10.0;
/// An uncertain exponent gives intervals that are too narrow rather than too wide, so it is taken lower by this,
/// divided by the root of the pooled blocks. White PM and random walk FM are the ends of the scale and need no
/// correction.
const CAUTION: f64 = 1.0;

/// The exponent alpha of the noise at each averaging factor; `None` until one was identified.
pub(super) fn exponents(x: &[f64], factors: &[usize]) -> Vec<Option<f64>> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let pooled = |m: &usize| {
        if let Some((alpha, blocks)) = exponent(x, *m) {
            if weight > 0.0 && (alpha - sum / weight).abs() > ANOTHER_NOISE / blocks.sqrt() {
                (sum, weight) = (0.0, 0.0);
            }
            (sum, weight) = (sum * MEMORY + alpha * blocks, weight * MEMORY + blocks);
        }
        (weight > 0.0).then(|| cautious(sum / weight, weight))
    };
    factors.iter().map(pooled).collect()
}

fn cautious(alpha: f64, blocks: f64) -> f64 {
    let from_the_ends = (1.5 - alpha.abs()).clamp(0.0, 0.5) * 2.0;
    alpha - from_the_ends * CAUTION / blocks.sqrt()
}

/// The exponent at one averaging factor from the means of blocks of `m` phases (NaN is a gap), with the number of
/// blocks; `None` when there are fewer than thirty, or when they do not vary.
fn exponent(x: &[f64], m: usize) -> Option<(f64, f64)> {
    let mut z: Vec<f64> = x.chunks_exact(m).map(block_mean).collect();
    let blocks = z.iter().filter(|z| !z.is_nan()).count();
    if blocks < MIN_POINTS {
        return None;
    }
    let before = sum_of_squares(&z);
    remove_quadratic(&mut z);
    if sum_of_squares(&z) <= before * ROUNDING {
        return None;
    }
    let mut differences = 0;
    loop {
        let r1 = lag_1_autocorrelation(&z)?;
        let delta = r1 / (1.0 + r1);
        if delta < 0.25 || differences == MAX_DIFFERENCES {
            return Some((of_blocks(2.0 - 2.0 * (delta + f64::from(differences)), m), blocks as f64));
        }
        z = z.windows(2).map(|pair| pair[1] - pair[0]).collect();
        differences += 1;
    }
}

/// The mean of a block; NaN if more than an eighth of it is missing, because its middle is then another one.
fn block_mean(block: &[f64]) -> f64 {
    let known = || block.iter().filter(|x| !x.is_nan());
    let n = known().count();
    if 8 * n < 7 * block.len() { f64::NAN } else { known().sum::<f64>() / n as f64 }
}

/// Corrects an exponent for the averaging over `m` phases: the means of long blocks of a random walk of the phase, for
/// example, have an autocorrelation of 1/4 after differencing, which looks like alpha = −0.4 instead of 0.
fn of_blocks(seen: f64, m: usize) -> f64 {
    const SHIFTS: [(f64, f64); 5] = [(-2.0, 0.0), (-1.0, -0.8), (0.0, -0.4), (1.0, -0.37), (2.0, 0.0)];
    let extent = 1.0 - 1.0 / (m * m) as f64;
    let knots = SHIFTS.map(|(alpha, shift)| (alpha + extent * shift, alpha));
    let seen = seen.clamp(-2.0, 2.0);
    let pair = knots.windows(2).find(|pair| seen <= pair[1].0);
    pair.map_or(2.0, |pair| pair[0].1 + (seen - pair[0].0) / (pair[1].0 - pair[0].0))
}

/// The correlation of neighbours about the mean. `None` when nothing varies.
fn lag_1_autocorrelation(z: &[f64]) -> Option<f64> {
    let known = || z.iter().copied().filter(|z| !z.is_nan());
    let mean = known().sum::<f64>() / known().count() as f64;
    let together: f64 = z.windows(2).map(|p| (p[0] - mean) * (p[1] - mean)).filter(|p| !p.is_nan()).sum();
    let alone: f64 = known().map(|z| (z - mean).powi(2)).sum();
    let r1 = together / alone;
    (alone > 0.0 && r1 > -1.0 && r1.is_finite()).then_some(r1)
}

fn sum_of_squares(z: &[f64]) -> f64 {
    z.iter().filter(|z| !z.is_nan()).map(|z| z * z).sum()
}

/// Subtracts the least-squares parabola, by projection on polynomials that are made orthogonal over what was measured.
fn remove_quadratic(z: &mut [f64]) {
    let half = (z.len() as f64 - 1.0).max(1.0) / 2.0;
    let u: Vec<f64> = (0..z.len()).map(|i| i as f64 / half - 1.0).collect();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(3);
    for power in 0..3 {
        let mut p: Vec<f64> = u.iter().zip(&*z).map(|(u, z)| if z.is_nan() { 0.0 } else { u.powi(power) }).collect();
        basis.iter().for_each(|q| subtract_projection(&mut p, q));
        subtract_projection(z, &p);
        basis.push(p);
    }
}

/// Subtracts from `v` its part along `q`; NaN in `v` stays NaN and counts for nothing.
fn subtract_projection(v: &mut [f64], q: &[f64]) {
    let length: f64 = q.iter().map(|q| q * q).sum();
    if length <= 0.0 {
        return;
    }
    let along: f64 = v.iter().zip(q).filter(|(v, _)| !v.is_nan()).map(|(v, q)| v * q).sum::<f64>() / length;
    v.iter_mut().zip(q).for_each(|(v, q)| *v -= along * q);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeded uniform noise about zero (the generator of NIST SP 1065 §12.4).
    fn white(n: usize) -> Vec<f64> {
        let mut state = 1_234_567_890_u64;
        let next = |state: &mut u64| {
            *state = *state * 16807 % 2_147_483_647;
            *state as f64 / 2_147_483_647.0 - 0.5
        };
        (0..n).map(|_| next(&mut state)).collect()
    }

    fn identified(x: &[f64], m: usize) -> Option<Noise> {
        exponents(x, &[m])[0].map(Noise::from_alpha)
    }

    fn integrate(x: &[f64]) -> Vec<f64> {
        x.iter().scan(0.0, |sum, x| Some(std::mem::replace(sum, *sum + x))).collect()
    }

    #[test]
    fn noise_types_are_identified_despite_gaps_and_drift() {
        let phase_noise = white(4000);
        let frequency_noise = integrate(&phase_noise);
        let walk = integrate(&frequency_noise);
        for (x, expected) in
            [(phase_noise, Noise::WhitePm), (frequency_noise, Noise::WhiteFm), (walk, Noise::RandomWalkFm)]
        {
            assert_eq!(identified(&x, 1), Some(expected));
            let drifting = x.iter().enumerate().map(|(i, x)| x + 1e-3 * i as f64 + 1e-6 * (i as f64).powi(2));
            let with_gaps: Vec<_> = drifting.enumerate().map(|(i, x)| if i % 11 == 3 { f64::NAN } else { x }).collect();
            assert_eq!(identified(&with_gaps, 1), Some(expected));
            assert_eq!(identified(&with_gaps, 16), Some(expected), "averaging does not change it");
        }
    }

    #[test]
    fn noise_of_few_or_equal_phases_is_not_identified() {
        assert_eq!(identified(&white(29), 1), None);
        assert_eq!(identified(&white(100), 4), None);
        assert_eq!(identified(&[0.25; 100], 1), None);
    }
}
