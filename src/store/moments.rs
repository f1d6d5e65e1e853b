//! Mean and spread that can be added to and merged without the values (Welford; Chan, Golub and LeVeque).

/// The moments of a set of values. Empty: everything zero but the extremes, which are infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// How many values.
    pub n: u64,
    /// Their mean; 0 without values.
    pub mean: f64,
    /// The sum of the squared differences from the mean.
    pub m2: f64,
    /// The smallest; +∞ without values.
    pub min: f64,
    /// The largest; −∞ without values.
    pub max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { n: 0, mean: 0.0, m2: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Moments {
    /// Adds one finite value.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        let before = value - self.mean;
        self.mean += before / self.n as f64;
        self.m2 += before * (value - self.mean);
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
        let (n, m) = (self.n as f64, other.n as f64);
        let gap = other.mean - self.mean;
        self.mean += gap * m / (n + m);
        self.m2 += other.m2 + gap * gap * n * m / (n + m);
        self.n += other.n;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The sample standard deviation (n − 1); `None` below two values.
    #[must_use]
    pub fn stddev(&self) -> Option<f64> {
        (self.n >= 2).then(|| (self.m2 / (self.n - 1) as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    #[test]
    fn merging_is_adding_all() {
        let (left, right) = ([2.0, 4.0, 4.0, 4.0], [5.0, 5.0, 7.0, 9.0]);
        let mut merged = of(&left);
        merged.merge(&of(&right));
        merged.merge(&Moments::default());
        assert_eq!((merged.n, merged.mean, merged.min, merged.max), (8, 5.0, 2.0, 9.0));
        assert!((merged.m2 - 32.0).abs() < 1e-12, "{merged:?}");
        assert_eq!(of(&[1.0]).stddev(), None);
    }
}
