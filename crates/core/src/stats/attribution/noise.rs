//! The scatter of means of several values, learned from means because averaging reduces wander less than white noise.

use super::robust;

/// Lengths of the windows whose means are tested.
pub(super) const WINDOWS: [usize; 5] = [2, 4, 8, 16, 32];
/// Standard deviations, one for each window; NaN where there are too few blocks.
pub(super) type Sigmas = [f64; 5];

/// With fewer blocks than this, no scatter is computed.
const LEAST: usize = 4;
/// A scatter of few independent values is uncertain: it is enlarged by this, divided by their number.
const DISTRUST: f64 = 6.0;

/// The scatter of the weighted means of successive blocks (see [`robust::scatter`]), enlarged where they are few or
/// correlated: values that span less than the correlation time of the wander count as one independent value.
///
/// No scatter is less than white noise of `white_s` makes it, nor falls faster than with the root of the length.
pub(super) fn sigmas(values: &[f64], weights: &[f64], white_s: f64, scratch: &mut Vec<f64>) -> Sigmas {
    let mut floor_s = white_s / std::f64::consts::SQRT_2;
    WINDOWS.map(|length| {
        let blocks = values.chunks_exact(length).zip(weights.chunks_exact(length));
        let mean = |(v, w): (&[f64], &[f64])| {
            let of: f64 = w.iter().sum();
            v.iter().zip(w).map(|(v, w)| v * w).sum::<f64>() / of
        };
        let means: Vec<f64> = blocks.map(mean).collect();
        if means.len() < LEAST {
            return f64::NAN;
        }
        let deviation = robust::scatter(&means, scratch).max(floor_s);
        floor_s = deviation / std::f64::consts::SQRT_2;
        let effective = means.len() as f64 * independence(&means, deviation);
        deviation * (1.0 + DISTRUST / effective)
    })
}

/// The share of values that count as independent, from the correlation of neighbours.
fn independence(means: &[f64], deviation: f64) -> f64 {
    let middle = means.iter().sum::<f64>() / means.len() as f64;
    // One outlier must not decide.
    let limit = 4.0 * deviation;
    let clipped = |x: &f64| (x - middle).clamp(-limit, limit);
    let variance: f64 = means.iter().map(|x| clipped(x).powi(2)).sum();
    let covariance: f64 = means.windows(2).map(|pair| clipped(&pair[0]) * clipped(&pair[1])).sum();
    let rho = if variance > 0.0 { (covariance / variance).clamp(0.0, 0.9) } else { 0.0 };
    (1.0 - rho) / (1.0 + rho)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Dice;

    #[test]
    fn white_noise_averages_out_and_wander_does_not() {
        let mut dice = Dice::new(3);
        let white: Vec<f64> = (0..2000).map(|_| dice.normal()).collect();
        let mut walk = 0.0;
        let wander: Vec<f64> = (0..2000)
            .map(|_| {
                walk = 0.99 * walk + 0.1 * dice.normal();
                walk
            })
            .collect();
        let weights = vec![1.0; 2000];
        let of_white = sigmas(&white, &weights, 0.0, &mut Vec::new());
        let of_wander = sigmas(&wander, &weights, 0.0, &mut Vec::new());
        assert!((of_white[0] / of_white[4] - 4.0).abs() < 1.2, "{of_white:?}");
        assert!(of_wander[4] > 0.7 * of_wander[0], "{of_wander:?}");
    }

    #[test]
    fn few_blocks_say_nothing() {
        let got = sigmas(&[1.0; 20], &[1.0; 20], 0.0, &mut Vec::new());
        assert!(got[1].is_finite() && got[3].is_nan());
    }
}
