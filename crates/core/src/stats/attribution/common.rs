//! The common mode: the offset that all servers share, which is the error of this host's clock seen from outside.

/// The common mode as one server shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    /// Offset less the usual level, in seconds.
    pub y_s: f64,
    /// How much it counts.
    pub weight: f64,
}

/// The part of the weight on either side that is ignored; the rest are the middle values.
const OUTER: f64 = 0.4;

/// The middle value, by weight, that is nearest to what was predicted. NaN if there is none.
pub(super) fn lazy_median(words: &mut [Word], predicted_s: f64) -> f64 {
    words.sort_unstable_by(|a, b| a.y_s.total_cmp(&b.y_s));
    let all: f64 = words.iter().map(|w| w.weight).sum();
    let mut below = 0.0;
    let mut best = f64::NAN;
    for word in words.iter() {
        let (from, until) = (below / all, (below + word.weight) / all);
        below += word.weight;
        let is_middle = until > OUTER && from < 1.0 - OUTER;
        if is_middle && (best.is_nan() || (word.y_s - predicted_s).abs() < (best - predicted_s).abs()) {
            best = word.y_s;
        }
    }
    best
}

/// What a server shows of the common mode once its delay is accounted for. An unusual delay `x_s` moves the offset by
/// at most half of itself, and by exactly half if only one direction changed.
pub(super) fn freed(y_s: f64, x_s: f64, excess_s: f64, sigma_s: f64, predicted_s: f64) -> f64 {
    if x_s.abs() <= excess_s || !predicted_s.is_finite() {
        return y_s;
    }
    let half_s = x_s.abs() / 2.0;
    let close_s = 3.0 * sigma_s.min(half_s) + 0.08 * half_s;
    let fits = |candidate_s: &f64| (candidate_s - predicted_s).abs() <= close_s;
    if let Some(found) = [y_s, y_s - half_s, y_s + half_s].into_iter().find(fits) {
        return found;
    }
    let away_s = y_s - predicted_s;
    predicted_s + away_s.signum() * (away_s.abs() - half_s).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(values: &[f64], predicted_s: f64) -> f64 {
        let mut words: Vec<_> = values.iter().map(|y_s| Word { y_s: *y_s, weight: 1.0 }).collect();
        lazy_median(&mut words, predicted_s)
    }

    #[test]
    fn middle_values_decide_and_the_prediction_chooses_among_them() {
        assert_eq!(median(&[3.0, 1.0, 2.0], 9.0), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0], 0.0), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0], 9.0), 3.0);
        assert!(median(&[], 0.0).is_nan());
    }

    #[test]
    fn unusual_delay_moves_a_word_by_at_most_its_half() {
        assert_eq!(freed(0.01, 0.0, 1e-3, 1e-4, 0.0), 0.01);
        assert!(freed(0.01, 0.02, 1e-3, 1e-4, 0.0).abs() < 1e-12);
        assert!((freed(0.1, 0.02, 1e-3, 1e-4, 0.0) - 0.09).abs() < 1e-12);
    }
}
