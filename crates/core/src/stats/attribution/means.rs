//! The mean of the newest values of a series, and a bound of it that needs no sorting.

/// The weighted mean of the newest values, with the largest and the smallest limited. Of two values, the smaller one if
/// both have the same sign, otherwise zero.
pub(super) fn mean(values: &[f64], weights: &[f64]) -> f64 {
    if let [a, b] = *values {
        return if a * b <= 0.0 { 0.0 } else { a.signum() * a.abs().min(b.abs()) };
    }
    let mut sorted = [0.0; 32];
    let sorted = &mut sorted[..values.len()];
    sorted.copy_from_slice(values);
    sorted.sort_unstable_by(f64::total_cmp);
    let spare = (values.len() / 8).max(1);
    let (low, high) = (sorted[spare], sorted[values.len() - 1 - spare]);
    let (sum, of) =
        values.iter().zip(weights).fold((0.0, 0.0), |(sum, of), (v, w)| (sum + w * v.clamp(low, high), of + w));
    sum / of
}

/// An upper bound of the magnitude of [`mean`], without sorting.
#[derive(Default)]
pub(super) struct Bound {
    values: usize,
    /// How many are below zero.
    negative: usize,
    /// Sums of the weights, and of the weighted magnitudes.
    weight: f64,
    magnitude: f64,
}

impl Bound {
    /// Takes the values that have been added since the last call.
    pub fn extend(&mut self, values: &[f64], weights: &[f64]) {
        for (value, weight) in values.iter().zip(weights).skip(self.values) {
            self.negative += usize::from(*value < 0.0);
            self.weight += weight;
            self.magnitude += weight * value.abs();
        }
        self.values = values.len();
    }

    pub fn of_mean(&self) -> f64 {
        let spare = (self.values / 8).max(1);
        // With enough values on both sides of zero, limiting the extremes makes no magnitude larger.
        let is_mixed = self.negative > spare && self.values - self.negative > spare;
        if is_mixed { self.magnitude / self.weight } else { f64::INFINITY }
    }
}
