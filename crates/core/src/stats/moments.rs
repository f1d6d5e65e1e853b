//! Mean, standard deviation, minimum and maximum of a stream, in five numbers that merge.
//!
//! Welford's update and Chan's merge (Chan, Golub, LeVeque 1979). The moments of statrs stream as well but cannot be
//! merged, which sub-windows and the rollups of the store need.

/// The first two moments and the extremes of the values seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    n: u64,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
    min: f64,
    max: f64,
}

impl Moments {
    /// Creates the moments from the stored mean, sum of squared distances and extremes of `n` values. If `n` is zero,
    /// the other numbers are ignored.
    #[must_use]
    pub fn from_parts(n: u64, mean: f64, squares: f64, min: f64, max: f64) -> Self {
        if n == 0 { Self::default() } else { Self { n, mean, squares, min, max } }
    }

    /// Adds one finite value.
    pub fn add(&mut self, value: f64) {
        if self.n == 0 {
            *self = Self { n: 1, mean: value, squares: 0.0, min: value, max: value };
            return;
        }
        self.n += 1;
        let from_old_mean = value - self.mean;
        self.mean += from_old_mean / self.n as f64;
        self.squares += from_old_mean * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        if self.n == 0 {
            *self = *other;
            return;
        }
        let n = self.n + other.n;
        let apart = other.mean - self.mean;
        let share = other.n as f64 / n as f64;
        self.squares += other.squares + apart * apart * self.n as f64 * share;
        self.mean += apart * share;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.n = n;
    }

    /// The number of values.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The arithmetic mean, of one value or more. Kept within the extremes, which rounding may leave.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.mean.clamp(self.min, self.max))
    }

    /// The sample standard deviation (divisor n − 1), of two values or more.
    #[must_use]
    pub fn stddev(&self) -> Option<f64> {
        (self.n > 1).then(|| (self.squares / (self.n - 1) as f64).sqrt())
    }

    /// The sum of the squared distances from the mean, of one value or more, for a caller that stores it.
    #[must_use]
    pub fn squares(&self) -> Option<f64> {
        (self.n > 0).then_some(self.squares)
    }

    /// The smallest value.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        (self.n > 0).then_some(self.min)
    }

    /// The largest value.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (self.n > 0).then_some(self.max)
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        values.into_iter().for_each(|value| moments.add(value));
        moments
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// NIST SP 1065, Table 30 (NBS14), averaging factors 1 and 2.
    #[test]
    fn mean_and_deviation_are_the_published_ones() {
        let moments: Moments = [892.0, 809.0, 823.0, 798.0, 671.0, 644.0, 883.0, 903.0, 677.0].into_iter().collect();
        assert_eq!(format!("{:.4}", moments.mean().unwrap()), "788.8889");
        assert_eq!(format!("{:.4}", moments.stddev().unwrap()), "100.9770");
        assert_eq!((moments.min(), moments.max()), (Some(644.0), Some(903.0)));
        let pairs: Moments = [850.5, 810.5, 657.5, 893.0].into_iter().collect();
        assert_eq!(format!("{:.4}", pairs.stddev().unwrap()), "102.6039");
    }

    #[test]
    fn moments_that_need_more_values_are_absent() {
        let none = Moments::default();
        assert_eq!((none.mean(), none.stddev(), none.min(), none.max()), (None, None, None, None));
        let one: Moments = [3.0].into_iter().collect();
        assert_eq!((one.mean(), one.stddev()), (Some(3.0), None));
    }

    #[test]
    fn saved_moments_are_restored() {
        let moments: Moments = [2.0, 4.0, 4.0, 4.0].into_iter().collect();
        let squares = moments.squares().unwrap();
        assert_eq!(squares, 3.0);
        assert_eq!(Moments::from_parts(4, 3.5, squares, 2.0, 4.0), moments);
        assert_eq!(Moments::from_parts(0, f64::NAN, f64::NAN, 1.0, 2.0), Moments::default());
    }

    proptest! {
        #[test]
        fn merging_parts_equals_the_whole(
            values in prop::collection::vec(-1e3..1e3_f64, 0..200), cut in 0..200_usize,
        ) {
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut merged: Moments = left.iter().copied().collect();
            merged.merge(&right.iter().copied().collect());
            let whole: Moments = values.iter().copied().collect();
            prop_assert_eq!((merged.n(), merged.min(), merged.max()), (whole.n(), whole.min(), whole.max()));
            for (a, b) in [(merged.mean(), whole.mean()), (merged.stddev(), whole.stddev())] {
                prop_assert!((a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs() < 1e-9);
            }
        }
    }
}
