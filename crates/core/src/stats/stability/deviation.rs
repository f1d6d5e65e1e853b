//! The deviations of NIST SP 1065 §5.2 over a phase grid, each in O(n) for one averaging factor m.
//!
//! Gaps are NaN. A difference counts when every phase it needs was measured; `n` says how many did. The modified
//! deviation averages m neighbouring differences: it takes the mean of those that are complete and leaves the term out
//! when fewer than half are, so that one lost poll does not void the 3·m terms around it. Without gaps that is the
//! published definition.

use super::Estimate;

/// The differences x(i+2m) − 2x(i+m) + x(i), NaN where one of the three is missing.
pub(super) fn second_differences(x: &[f64], m: usize, into: &mut Vec<f64>) {
    into.clear();
    let (Some(middle), Some(end)) = (x.get(m..), x.get(2 * m..)) else { return };
    into.extend(x.iter().zip(middle).zip(end).map(|((a, b), c)| c - 2.0 * b + a));
}

/// Overlapping Allan deviation from the second differences.
pub(super) fn oadev(second: &[f64], tau_s: f64) -> Option<Estimate> {
    let (sum, n) = sum_of_squares(second.iter().copied());
    rms(sum / (2.0 * tau_s * tau_s), n)
}

/// Modified Allan deviation from the second differences.
pub(super) fn mdev(second: &[f64], m: usize, tau_s: f64) -> Option<Estimate> {
    let (first, rest) = second.split_at_checked(m)?;
    let value_of = |difference: f64| if difference.is_nan() { (0.0, 0) } else { (difference, 1) };
    let mut window = first.iter().fold((0.0, 0_usize), |(sum, n), d| (sum + value_of(*d).0, n + value_of(*d).1));
    let (mut sum, mut n) = (0.0, 0);
    let mut take = |(total, complete): (f64, usize)| {
        if 2 * complete >= m && complete > 0 {
            let mean = total / complete as f64;
            sum += mean * mean;
            n += 1;
        }
    };
    take(window);
    for (leaving, entering) in second.iter().zip(rest) {
        let ((out, fewer), (new, more)) = (value_of(*leaving), value_of(*entering));
        window = (window.0 + (new - out), window.1 + more - fewer);
        take(window);
    }
    rms(sum / (2.0 * tau_s * tau_s), n)
}

/// Overlapping Hadamard deviation: blind to linear frequency drift.
pub(super) fn ohdev(x: &[f64], m: usize, tau_s: f64) -> Option<Estimate> {
    let (b, c, d) = (x.get(m..)?, x.get(2 * m..)?, x.get(3 * m..)?);
    let third = x.iter().zip(b).zip(c).zip(d).map(|(((a, b), c), d)| d - 3.0 * c + 3.0 * b - a);
    let (sum, n) = sum_of_squares(third);
    rms(sum / (6.0 * tau_s * tau_s), n)
}

/// Root mean square time interval error; no mean is removed.
pub(super) fn tie_rms(x: &[f64], m: usize) -> Option<Estimate> {
    let later = x.get(m..)?;
    let (sum, n) = sum_of_squares(x.iter().zip(later).map(|(a, b)| b - a));
    rms(sum, n)
}

/// Sum of squares and number of what is not NaN.
fn sum_of_squares(values: impl Iterator<Item = f64>) -> (f64, u64) {
    values.fold((0.0, 0), |(sum, n), v| if v.is_nan() { (sum, n) } else { (sum + v * v, n + 1) })
}

fn rms(scaled_sum: f64, n: u64) -> Option<Estimate> {
    (n > 0).then(|| Estimate { dev: (scaled_sum / n as f64).sqrt(), n })
}
