//! Robust estimators of median and noise, for small windows (at most a few hundred values).

/// The median; sorts its argument partly. Zero if there are no values. For an even number, the lower of the middle two,
/// so that the result is always a value that was measured.
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

/// The standard deviation of values that may have outliers: 1.4826 times their MAD about their median, or what their
/// 85 % quantile says, if that is more. The tails of the noise count, but not a few outliers.
pub(super) fn scatter(values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend_from_slice(values);
    let middle = median(scratch);
    scratch.iter_mut().for_each(|x| *x = (*x - middle).abs());
    let tail = quantile(scratch, 0.85) / 1.44;
    tail.max(1.4826 * median(scratch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_of_a_drifting_series_does_not_include_its_drift() {
        let series = (0..200).map(|k| 0.01 * f64::from(k) + if k % 2 == 0 { 1.0 } else { -1.0 });
        let got = noise(series, &mut Vec::new());
        assert!((got - 2.0 * 1.4826 / 2f64.sqrt()).abs() < 0.03, "{got}");
    }

    #[test]
    fn tails_count_as_noise_and_few_outliers_do_not() {
        let value = |k: u32, every: u32| if k.is_multiple_of(every) { 10.0 } else { f64::from(k % 3) };
        let of = |every: u32| scatter(&(1..=120).map(|k| value(k, every)).collect::<Vec<_>>(), &mut Vec::new());
        assert!(of(5) > 5.0 && of(12) < 2.0, "{} {}", of(5), of(12));
    }

    #[test]
    fn empty_and_degenerate_series_are_harmless() {
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
        assert_eq!(noise(std::iter::empty(), &mut Vec::new()), 0.0);
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 9.0]), 2.0);
    }
}
