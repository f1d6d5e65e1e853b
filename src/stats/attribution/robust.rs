//! The robust estimators that attribution runs on: median, noise, slope. Small windows only (at most a few hundred).

/// The median; sorts its argument partly. Zero for nothing, the lower of the middle two for an even number, so that the
/// result is always a value that was measured.
pub(super) fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The `q` quantile by rank, nearest below.
pub(super) fn quantile(values: &mut [f64], q: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = ((values.len() - 1) as f64 * q) as usize;
    *values.select_nth_unstable_by(rank, f64::total_cmp).1
}

/// The standard deviation of the noise on a series that may drift or step: from the median difference of neighbours
/// (1.4826 · MAD of the differences / √2), so a trend does not inflate it.
pub(super) fn noise(series: impl Iterator<Item = f64>, scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    let mut last: Option<f64> = None;
    for value in series {
        if let Some(before) = last.replace(value) {
            scratch.push((value - before).abs());
        }
    }
    median(scratch) * 1.4826 / std::f64::consts::SQRT_2
}

/// A fitted slope with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    pub slope: f64,
    pub low: f64,
    pub high: f64,
}

/// Theil–Sen with Sen's interval (Sen 1968; SciPy `theilslopes`). `None` for fewer than three distinct times. O(n²):
/// the caller thins its window.
pub(super) fn theil_sen(points: &[(f64, f64)]) -> Option<Slope> {
    let n = points.len();
    let mut slopes = Vec::with_capacity(n * n.saturating_sub(1) / 2);
    for (i, (t0, x0)) in points.iter().enumerate() {
        slopes.extend(points[i + 1..].iter().filter(|(t, _)| t > t0).map(|(t, x)| (x - x0) / (t - t0)));
    }
    if slopes.len() < 3 {
        return None;
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let m = slopes.len();
    let middle = if m % 2 == 1 { slopes[m / 2] } else { (slopes[m / 2 - 1] + slopes[m / 2]) / 2.0 };
    let n = n as f64;
    let sigma = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let reach = 1.959_963_985 * sigma;
    let low = (((m as f64 - reach) / 2.0).round() as isize - 1).clamp(0, m as isize - 1) as usize;
    let high = (((m as f64 + reach) / 2.0).round() as usize).min(m - 1);
    Some(Slope { slope: middle, low: slopes[low], high: slopes[high] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_of_a_drifting_series_is_its_noise_and_not_its_drift() {
        let series = (0..200).map(|k| 0.01 * f64::from(k) + if k % 2 == 0 { 1.0 } else { -1.0 });
        let got = noise(series, &mut Vec::new());
        assert!((got - 2.0 * 1.4826 / 2f64.sqrt()).abs() < 0.03, "{got}");
    }

    #[test]
    fn theil_sen_ignores_spikes() {
        let points: Vec<_> =
            (0..40).map(|k| (f64::from(k), 0.5 * f64::from(k) + if k % 9 == 4 { 100.0 } else { 0.0 })).collect();
        let fit = theil_sen(&points).unwrap();
        assert!((fit.slope - 0.5).abs() < 1e-9 && fit.low <= 0.5 && fit.high >= 0.5, "{fit:?}");
    }

    #[test]
    fn empty_and_degenerate_series_are_harmless() {
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
        assert_eq!(noise(std::iter::empty(), &mut Vec::new()), 0.0);
        assert_eq!(theil_sen(&[(0.0, 1.0); 8]), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 9.0]), 2.0);
    }
}
