//! Exact quantiles by one rule, and which of them a sample supports.
//!
//! The rule is type 7 of Hyndman and Fan (1996): rank `q·(n−1)`, linear between the two values around it. It is what
//! NumPy and Prometheus (`quantile_over_time`) do by default, so their users can check these numbers. Input is finite;
//! code that collects values must reject NaN and infinities.

/// A percentile that summaries show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentile {
    /// Its name in tables and JSON: `p50`, `p99.9`.
    pub label: &'static str,
    /// The share of values below it, 0 to 1.
    pub q: f64,
    /// The smallest sample that supports it.
    ///
    /// A percentile is shown when at least one value is expected beyond it, `n·min(q, 1−q) ≥ 1`: the p99 of twenty
    /// values would be little else than their maximum. The median is always shown.
    pub needs: u64,
}

impl Percentile {
    /// Every percentile that summaries show, in order.
    pub const ALL: &'static [Self] = &[
        Self { label: "p1", q: 0.01, needs: 100 },
        Self { label: "p5", q: 0.05, needs: 20 },
        Self { label: "p25", q: 0.25, needs: 4 },
        Self { label: "p50", q: 0.5, needs: 1 },
        Self { label: "p75", q: 0.75, needs: 4 },
        Self { label: "p90", q: 0.9, needs: 10 },
        Self { label: "p95", q: 0.95, needs: 20 },
        Self { label: "p99", q: 0.99, needs: 100 },
        Self { label: "p99.9", q: 0.999, needs: 1000 },
    ];

    /// The percentiles that `n` values support.
    pub fn supported_by(n: u64) -> impl Iterator<Item = &'static Self> {
        Self::ALL.iter().filter(move |percentile| n >= percentile.needs)
    }
}

/// The `q`-quantile of values in ascending order. `None` when there are none, or when `q` is not within 0 to 1.
#[must_use]
pub fn of_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    if sorted.is_empty() || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let rank = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    Some(low + (high - low) * rank.fract())
}

/// The median of values in any order, in linear time; the values are rearranged. `None` when there are none.
#[must_use]
pub fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, &mut high, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !even {
        return Some(high);
    }
    let low = below.iter().copied().max_by(f64::total_cmp)?;
    Some(low + (high - low) * 0.5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_close(got: Option<f64>, expected: f64) {
        let got = got.unwrap();
        assert!((got - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{got} is not {expected}");
    }

    /// `numpy.quantile(data, q)`, NumPy 2.4.6, default method.
    #[test]
    fn quantiles_are_those_of_numpy() {
        let q = [0.0, 0.05, 0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];
        let cases: [(&[f64], [f64; 11]); 5] = [
            (&[15.0, 20.0, 35.0, 40.0, 50.0], [15.0, 16.0, 17.0, 20.0, 29.0, 35.0, 40.0, 46.0, 48.0, 49.6, 50.0]),
            (
                &[3.0, 6.0, 7.0, 8.0, 8.0, 10.0, 13.0, 15.0, 16.0, 20.0],
                [3.0, 4.35, 5.7, 7.25, 8.0, 9.0, 14.5, 16.4, 18.2, 19.64, 20.0],
            ),
            (&[1.0, 23.0, 42.0, 99.0], [1.0, 4.3, 7.6, 17.5, 26.8, 32.5, 56.25, 81.9, 90.45, 97.29, 99.0]),
            (&[7.0], [7.0; 11]),
            (&[1.0, 2.0], [1.0, 1.05, 1.1, 1.25, 1.4, 1.5, 1.75, 1.9, 1.95, 1.99, 2.0]),
        ];
        for (data, expected) in cases {
            for (q, expected) in q.into_iter().zip(expected) {
                assert_close(of_sorted(data, q), expected);
            }
            assert_close(median(&mut data.to_vec()), expected[5]);
        }
    }

    #[test]
    fn a_percentile_is_absent_until_the_sample_supports_it() {
        let labels = |n| Percentile::supported_by(n).map(|p| p.label).collect::<Vec<_>>();
        assert_eq!(labels(0), [""; 0]);
        assert_eq!(labels(1), ["p50"]);
        assert_eq!(labels(20), ["p5", "p25", "p50", "p75", "p90", "p95"]);
        assert_eq!(labels(99).len(), 6);
        assert_eq!(labels(100), ["p1", "p5", "p25", "p50", "p75", "p90", "p95", "p99"]);
        assert_eq!(labels(1000).last(), Some(&"p99.9"));
        for percentile in Percentile::ALL.iter().filter(|p| p.label != "p50") {
            let expected_beyond = percentile.needs as f64 * percentile.q.min(1.0 - percentile.q);
            assert!((expected_beyond - 1.0).abs() < 1e-9, "{}", percentile.label);
        }
    }

    #[test]
    fn empty_input_or_invalid_rank_has_no_quantile() {
        assert_eq!(of_sorted(&[], 0.5), None);
        assert_eq!(of_sorted(&[1.0], 1.5), None);
        assert_eq!(of_sorted(&[1.0], f64::NAN), None);
        assert_eq!(median(&mut []), None);
    }

    proptest! {
        #[test]
        fn the_median_is_the_middle_quantile(mut values in prop::collection::vec(-1e9..1e9_f64, 1..100)) {
            let by_selection = median(&mut values);
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(by_selection, of_sorted(&values, 0.5));
        }
    }
}
