//! The median of a few values, and the smaller one of two.

/// The median; the mean of the middle two for an even number, zero for none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let (middle, is_odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if is_odd { upper } else { (lower + upper) / 2.0 }
}

/// The smaller one of two movements; zero if they differ in direction.
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    if a * b <= 0.0 { 0.0 } else { a.signum() * a.abs().min(b.abs()) }
}
