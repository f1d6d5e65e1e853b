//! Maximum time interval error for many averaging factors at once.

use super::deviation::Estimate;

/// MTIE for each of `factors`, which are in ascending order: the largest spread of phase within any m intervals.
///
/// The extremes of all stretches of 2^k points come from those of 2^(k−1), and any stretch is the union of two of
/// those: O(n log n) for all levels and O(n) for each factor. A gap can hide an extreme but not add one, so with gaps
/// this is a lower bound.
pub(super) fn mtie(x: &[f64], factors: &[usize]) -> Vec<Option<Estimate>> {
    let mut highest: Vec<f64> = x.iter().map(|x| if x.is_nan() { f64::NEG_INFINITY } else { *x }).collect();
    let mut lowest: Vec<f64> = x.iter().map(|x| if x.is_nan() { f64::INFINITY } else { *x }).collect();
    let mut width = 1;
    let mut result = Vec::with_capacity(factors.len());
    for &m in factors {
        let points = m + 1;
        while 2 * width <= points && points <= x.len() {
            double(&mut highest, width, |a, b| if b > a { b } else { a });
            double(&mut lowest, width, |a, b| if b < a { b } else { a });
            width *= 2;
        }
        result.push((points <= x.len()).then(|| largest_spread(&highest, &lowest, points - width)).flatten());
    }
    result
}

/// Turns the extremes of stretches of `width` points into those of twice as many.
fn double(extremes: &mut Vec<f64>, width: usize, better: impl Fn(f64, f64) -> f64) {
    let left = extremes.len() - width;
    for i in 0..left {
        extremes[i] = better(extremes[i], extremes[i + width]);
    }
    extremes.truncate(left);
}

/// The largest spread over two stretches that begin `shift` apart.
fn largest_spread(highest: &[f64], lowest: &[f64], shift: usize) -> Option<Estimate> {
    let (high, low) = (highest.get(shift..)?, lowest.get(shift..)?);
    let spreads = highest.iter().zip(high).zip(lowest.iter().zip(low));
    let spreads = spreads.map(|((a, b), (c, d))| (if b > a { b } else { a }) - (if d < c { d } else { c }));
    let dev = spreads.fold(f64::NEG_INFINITY, |best, spread| if spread > best { spread } else { best });
    dev.is_finite().then_some(Estimate { dev, n: high.len() as u64 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_definition(x: &[f64], m: usize) -> f64 {
        let spread = |w: &[f64]| {
            let known = || w.iter().copied().filter(|x| !x.is_nan());
            known().fold(f64::NEG_INFINITY, f64::max) - known().fold(f64::INFINITY, f64::min)
        };
        x.windows(m + 1).map(spread).fold(f64::NEG_INFINITY, f64::max)
    }

    proptest! {
        #[test]
        fn all_factors_equal_the_definition(
            x in prop::collection::vec(prop_oneof![9 => -1e3..1e3_f64, 1 => Just(f64::NAN)], 2..120),
        ) {
            let factors: Vec<_> = (1..x.len() + 3).collect();
            for (m, got) in factors.iter().zip(mtie(&x, &factors)) {
                let expected = if *m < x.len() { by_definition(&x, *m) } else { f64::NEG_INFINITY };
                prop_assert_eq!(got.map_or(f64::NEG_INFINITY, |e| e.dev), expected);
            }
        }
    }
}
