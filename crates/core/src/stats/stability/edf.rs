//! The equivalent degrees of freedom of a deviation, and the chi-squared confidence interval that follows from them.
//!
//! Greenhall and Riley, "Uncertainty of stability variances based on finite differences" (PTTI 2003), NIST SP 1065
//! §5.4. A short sum over all lags is computed directly. For a long one they give fitted tables; here it is computed
//! with a stride that grows with the distance from the multiples of tau, because it varies fast only near these.

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Which variance, as the order of its difference and the filter before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variance {
    /// 2 for Allan variances, 3 for Hadamard variances.
    pub order: u32,
    /// Whether phases are averaged over tau first.
    pub modified: bool,
}

/// The ends of the interval around `dev` that holds the true value with probability `confidence`.
pub(super) fn interval(dev: f64, edf: f64, confidence: f64) -> Option<(f64, f64)> {
    let chi_squared = ChiSquared::new(edf).ok()?;
    let end = |p: f64| dev * (edf / chi_squared.inverse_cdf(p)).sqrt();
    let (lo, hi) = (end((1.0 + confidence) / 2.0), end((1.0 - confidence) / 2.0));
    (lo.is_finite() && hi.is_finite()).then_some((lo, hi))
}

/// The equivalent degrees of freedom at an exponent between two whole ones, on a logarithmic scale.
pub(super) fn edf_between(variance: Variance, alpha: f64, m: usize, points: usize) -> Option<f64> {
    let at = |alpha: f64| edf(variance, alpha as i32, m, points);
    let (low, share) = (alpha.floor(), alpha - alpha.floor());
    if share == 0.0 {
        return at(low);
    }
    Some((at(low)?.ln() * (1.0 - share) + at(low + 1.0)?.ln() * share).exp())
}

/// The equivalent degrees of freedom of a fully overlapping variance at averaging factor `m` over `points` phases.
/// `None` when the points do not hold one difference, or the variance does not converge for the noise.
pub(super) fn edf(variance: Variance, alpha: i32, m: usize, points: usize) -> Option<f64> {
    let (m, points, order) = (m as f64, points as f64, f64::from(variance.order));
    let filter = if variance.modified { 1.0 } else { m };
    let reach = m / filter + m * order;
    if points < reach || m < 1.0 {
        return None;
    }
    let model = Model { alpha, order: variance.order, filter };
    // One term each tau0: the stride of full overlap, S = m of the paper.
    let terms = 1.0 + (points - reach).floor();
    let lags = terms.min((order + 1.0) * m);
    let sum = model.sum_over_lags(m, terms, lags);
    let edf = terms * model.correlation(0.0).powi(2) / sum;
    (edf.is_finite() && edf > 0.0).then(|| edf.max(1.0))
}

/// The generalised autocovariance of the filtered differences of a power-law phase.
#[derive(Debug, Clone, Copy)]
struct Model {
    alpha: i32,
    order: u32,
    /// m for plain variances, 1 for modified ones: phases averaged over tau / filter.
    filter: f64,
}

impl Model {
    /// The basic sum: squared correlations over the lags 0, ±1, …, each weighted with the share of terms that have it.
    fn sum_over_lags(&self, m: f64, terms: f64, lags: f64) -> f64 {
        let weighted = |lag: f64| (1.0 - lag / terms) * self.correlation(lag / m).powi(2);
        let mut sum = self.correlation(0.0).powi(2) + weighted(lags);
        let mut lag = 1.0;
        while lag < lags {
            let stride = self.stride(lag, m).min(lags - lag);
            sum += 2.0 * stride * weighted(lag + (stride - 1.0) / 2.0);
            lag += stride;
        }
        sum
    }

    /// How many lags from `lag` on one evaluation represents: one near the multiples of tau, otherwise a thirty-second
    /// of the distance to the nearest multiple, without crossing it.
    fn stride(&self, lag: f64, m: f64) -> f64 {
        let distance = (lag - (lag / m).round() * m).abs();
        let ahead = ((lag / m).floor() + 1.0) * m - lag;
        (distance / 32.0).floor().clamp(1.0, (ahead - 1.0).max(1.0))
    }

    /// s_z of the paper at `t` units of tau.
    fn correlation(&self, t: f64) -> f64 {
        let x = |shift: f64| self.averaged(t + shift);
        match self.order {
            2 => 6.0 * x(0.0) - 4.0 * (x(1.0) + x(-1.0)) + x(2.0) + x(-2.0),
            _ => 20.0 * x(0.0) - 15.0 * (x(1.0) + x(-1.0)) + 6.0 * (x(2.0) + x(-2.0)) - x(3.0) - x(-3.0),
        }
    }

    /// s_x of the paper. Above `LONG_FILTER` its limit is used for the noises that have one, where the second
    /// difference would drown in rounding.
    fn averaged(&self, t: f64) -> f64 {
        const LONG_FILTER: f64 = 33.0;
        if self.filter > LONG_FILTER && self.alpha <= 0 {
            return power_law(t, self.alpha + 2);
        }
        let step = 1.0 / self.filter;
        let at = |t: f64| power_law(t, self.alpha);
        self.filter * self.filter * (2.0 * at(t) - at(t - step) - at(t + step))
    }
}

/// s_w of the paper.
fn power_law(t: f64, alpha: i32) -> f64 {
    let t = t.abs();
    let times_ln = |power: i32| if t > 0.0 { t.powi(power) * t.ln() } else { 0.0 };
    match alpha {
        2 => -t,
        1 => times_ln(2),
        0 => t.powi(3),
        -1 => -times_ln(4),
        _ => -t.powi(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `edf_greenhall(…, overlapping=True)` of AllanTools 2024.6, whose tables for long sums are good to some percent.
    #[test]
    fn degrees_of_freedom_are_those_of_the_published_algorithm() {
        let cases = [
            (2, false, 2, 1, 100, 50.6659),
            (2, false, 2, 4, 1001, 511.7459),
            (2, false, 2, 10, 1001, 507.1731),
            (2, false, 2, 30, 1001, 492.0098),
            (2, false, 2, 100, 1001, 440.2065),
            (2, false, 2, 1000, 100000, 50665.8851),
            (2, false, 1, 1, 100, 62.5482),
            (2, false, 1, 4, 1001, 388.8920),
            (2, false, 1, 10, 1001, 247.3068),
            (2, false, 1, 30, 1001, 130.0251),
            (2, false, 1, 100, 1001, 53.8738),
            (2, false, 1, 300, 1001, 19.3150),
            (2, false, 1, 1000, 100000, 1200.7352),
            (2, false, 1, 30000, 100000, 53.1838),
            (2, false, 0, 1, 100, 76.9004),
            (2, false, 0, 4, 1001, 306.0916),
            (2, false, 0, 10, 1001, 135.0714),
            (2, false, 0, 30, 1001, 46.2945),
            (2, false, 0, 100, 1001, 12.8149),
            (2, false, 0, 300, 1001, 3.1567),
            (2, false, 0, 1000, 100000, 147.7538),
            (2, false, 0, 30000, 100000, 3.1524),
            (2, false, -1, 1, 100, 87.9927),
            (2, false, -1, 4, 1001, 282.3577),
            (2, false, -1, 10, 1001, 114.6687),
            (2, false, -1, 30, 1001, 37.2789),
            (2, false, -1, 100, 1001, 9.9480),
            (2, false, -1, 300, 1001, 2.2460),
            (2, false, -1, 1000, 100000, 115.5424),
            (2, false, -1, 30000, 100000, 2.2419),
            (2, false, -2, 1, 100, 74.9431),
            (2, false, -2, 4, 1001, 227.0924),
            (2, false, -2, 10, 1001, 91.0384),
            (2, false, -2, 30, 1001, 29.3927),
            (2, false, -2, 100, 1001, 7.7537),
            (2, false, -2, 300, 1001, 1.6637),
            (2, false, -2, 1000, 100000, 91.1420),
            (2, false, -2, 30000, 100000, 1.6609),
            (2, true, 2, 1, 100, 50.6659),
            (2, true, 2, 4, 1001, 291.6747),
            (2, true, 2, 10, 1001, 123.9402),
            (2, true, 2, 30, 1001, 39.8632),
            (2, true, 2, 100, 1001, 9.9356),
            (2, true, 2, 300, 1001, 1.4798),
            (2, true, 2, 1000, 100000, 125.5476),
            (2, true, 2, 30000, 100000, 1.4683),
            (2, true, 1, 1, 100, 62.5482),
            (2, true, 1, 4, 1001, 247.5770),
            (2, true, 1, 10, 1001, 98.1165),
            (2, true, 1, 30, 1001, 31.1342),
            (2, true, 1, 100, 1001, 7.7206),
            (2, true, 1, 300, 1001, 1.1752),
            (2, true, 1, 1000, 100000, 97.9166),
            (2, true, 1, 30000, 100000, 1.1692),
            (2, true, 0, 1, 100, 76.9004),
            (2, true, 0, 4, 1001, 239.9958),
            (2, true, 0, 10, 1001, 94.6343),
            (2, true, 0, 30, 1001, 29.9990),
            (2, true, 0, 100, 1001, 7.4165),
            (2, true, 0, 300, 1001, 1.1068),
            (2, true, 0, 1000, 100000, 94.4745),
            (2, true, 0, 30000, 100000, 1.1028),
            (2, true, -1, 1, 100, 87.9927),
            (2, true, -1, 4, 1001, 236.7518),
            (2, true, -1, 10, 1001, 93.2730),
            (2, true, -1, 30, 1001, 29.5136),
            (2, true, -1, 100, 1001, 7.2227),
            (2, true, -1, 300, 1001, 1.0687),
            (2, true, -1, 1000, 100000, 93.0470),
            (2, true, -1, 30000, 100000, 1.0661),
            (2, true, -2, 1, 100, 74.9431),
            (2, true, -2, 4, 1001, 190.3681),
            (2, true, -2, 10, 1001, 74.9571),
            (2, true, -2, 30, 1001, 23.6645),
            (2, true, -2, 100, 1001, 5.7269),
            (2, true, -2, 300, 1001, 1.0348),
            (2, true, -2, 1000, 100000, 74.8185),
            (2, true, -2, 30000, 100000, 1.0334),
            (3, false, 2, 1, 100, 42.2743),
            (3, false, 2, 4, 1001, 429.2659),
            (3, false, 2, 10, 1001, 423.1763),
            (3, false, 2, 30, 1001, 402.9897),
            (3, false, 2, 100, 1001, 334.4434),
            (3, false, 2, 1000, 100000, 42274.3407),
            (3, false, 1, 1, 100, 49.6744),
            (3, false, 1, 4, 1001, 325.9401),
            (3, false, 1, 10, 1001, 207.9480),
            (3, false, 1, 30, 1001, 105.4303),
            (3, false, 1, 100, 1001, 41.8329),
            (3, false, 1, 300, 1001, 7.4310),
            (3, false, 1, 1000, 100000, 1031.0456),
            (3, false, 1, 30000, 100000, 20.5159),
            (3, false, 0, 1, 100, 59.3686),
            (3, false, 0, 4, 1001, 256.7196),
            (3, false, 0, 10, 1001, 113.6989),
            (3, false, 0, 30, 1001, 39.8873),
            (3, false, 0, 100, 1001, 9.9228),
            (3, false, 0, 300, 1001, 1.4740),
            (3, false, 0, 1000, 100000, 125.5463),
            (3, false, 0, 30000, 100000, 1.4682),
            (3, false, -1, 1, 100, 69.8237),
            (3, false, -1, 4, 1001, 239.5322),
            (3, false, -1, 10, 1001, 97.0285),
            (3, false, -1, 30, 1001, 31.0917),
            (3, false, -1, 100, 1001, 7.7119),
            (3, false, -1, 300, 1001, 1.1722),
            (3, false, -1, 1000, 100000, 97.9166),
            (3, false, -1, 30000, 100000, 1.1692),
            (3, false, -2, 1, 100, 77.8379),
            (3, false, -2, 4, 1001, 236.9755),
            (3, false, -2, 10, 1001, 94.3238),
            (3, false, -2, 30, 1001, 29.9766),
            (3, false, -2, 100, 1001, 7.4069),
            (3, false, -2, 300, 1001, 1.1048),
            (3, false, -2, 1000, 100000, 94.4736),
            (3, false, -2, 30000, 100000, 1.1027),
        ];
        for (order, modified, alpha, m, points, expected) in cases {
            let got = edf(Variance { order, modified }, alpha, m, points).unwrap();
            let off = (got / expected - 1.0).abs();
            assert!(off < 0.04, "order {order}, modified {modified}, alpha {alpha}, m {m}: {got} is not {expected}");
        }
        let between = |alpha: f64| edf_between(Variance { order: 2, modified: false }, alpha, 100, 1001).unwrap();
        assert!(between(0.5) > between(0.0) && between(0.5) < between(1.0));
    }
}
