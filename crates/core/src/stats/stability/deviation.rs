//! The deviations of NIST SP 1065 §5.2 over a phase grid, each in O(n) for one averaging factor m.
//!
//! Gaps are NaN. A difference counts when every phase it needs was measured; `n` says how many did. The modified
//! deviation compares the means of three neighbouring windows of m phases. A mean is taken over the phases that exist:
//! all of a window of up to four, at least half of a longer one. Means over fewer phases are noisier, which is taken
//! back as far as the noise is white. Without gaps that is the published definition.

/// A deviation and the number of its terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub dev: f64,
    pub n: u64,
}

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

/// Windows up to this long must be complete: the mean of two phases out of three has another middle.
const COMPLETE: usize = 4;
/// With a lower exponent, phases wander so much within a window that the phases compared must be exactly m apart.
const WANDERS: f64 = -0.5;

/// Modified Allan deviation of phases whose noise has the exponent `alpha`. With wandering phases the mean difference
/// over the complete triples of a window takes the place of the difference of means.
pub(super) fn mdev(x: &[f64], second: &[f64], m: usize, tau_s: f64, alpha: f64) -> Option<Estimate> {
    if m == 0 || x.len() < 3 * m {
        return None;
    }
    let (sum, n) = if alpha < WANDERS && m > COMPLETE { of_triples(second, m) } else { of_means(x, m, alpha) };
    rms(sum / (2.0 * tau_s * tau_s), n)
}

/// Sum and number of the squared second differences of the means of three windows.
fn of_means(x: &[f64], m: usize, alpha: f64) -> (f64, u64) {
    let sums = running(x);
    let least = if m <= COMPLETE { m } else { m.div_ceil(2) };
    // White noise of a mean over k phases has 1/k of the variance of one. Other noise gains less from averaging.
    let white = (alpha - 1.0).clamp(0.0, 1.0);
    let share = white + (1.0 - white) * 2.0 / m.max(2) as f64;
    let (mut sum, mut n) = (0.0, 0);
    for j in 0..=x.len() - 3 * m {
        let window = |k: usize| {
            let (from, to) = (sums[j + k * m], sums[j + (k + 1) * m]);
            (to.0 - from.0, to.1 - from.1)
        };
        let [a, b, c] = [window(0), window(1), window(2)];
        if a.1.min(b.1).min(c.1) < least {
            continue;
        }
        let mean = |(sum, n): (f64, usize)| sum / n as f64;
        let difference = mean(c) - 2.0 * mean(b) + mean(a);
        let excess = (1.0 / a.1 as f64 + 4.0 / b.1 as f64 + 1.0 / c.1 as f64) * m as f64 / 6.0;
        sum += difference * difference / excess.powf(share);
        n += 1;
    }
    (sum, n)
}

/// Sum and number of the squared means of m neighbouring second differences, at least half of them complete.
fn of_triples(second: &[f64], m: usize) -> (f64, u64) {
    let sums = running(second);
    let (mut sum, mut n) = (0.0, 0);
    for (from, to) in sums.iter().zip(sums.iter().skip(m)) {
        let complete = to.1 - from.1;
        if 2 * complete >= m {
            sum += ((to.0 - from.0) / complete as f64).powi(2);
            n += 1;
        }
    }
    (sum, n)
}

/// Before each place, the sum and the number of the values that exist.
fn running(x: &[f64]) -> Vec<(f64, usize)> {
    let mut sums = Vec::with_capacity(x.len() + 1);
    let mut so_far = (0.0, 0);
    sums.push(so_far);
    for value in x {
        if !value.is_nan() {
            so_far = (so_far.0 + value, so_far.1 + 1);
        }
        sums.push(so_far);
    }
    sums
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
