//! A histogram that fits its values, for display.

use schemars::JsonSchema;
use serde::Serialize;

/// A histogram of signed values with equal bins, for people to look at. Its range leaves out what is far from the middle
/// half of the values, so that one outlier does not squash all others into one bin.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct DisplayHistogram {
    /// The lower edge of the first bin, in seconds.
    pub from_s: f64,
    /// The width of a bin in seconds; 0 when all values are equal and one bin holds them.
    pub bin_s: f64,
    /// Values in each bin. The last bin includes its upper edge.
    pub counts: Vec<u64>,
    /// Values below the first bin.
    pub below: u64,
    /// Values above the last bin.
    pub above: u64,
}

impl DisplayHistogram {
    /// The most bins there are, enough for a page's width.
    pub const MAX_BINS: usize = 60;

    /// Values further from the middle half than this many times its width are outliers.
    const FAR: f64 = 4.0;

    /// The histogram of finite values, each with its number of occurrences: about √n bins. `None` when there is none.
    #[must_use]
    pub fn of(values: &[(f64, u64)]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let ((least_s, _), (most_s, _)) = (*sorted.first()?, *sorted.last()?);
        let n: u64 = sorted.iter().map(|(_, count)| count).sum();
        let (q1, q3) = (nth(&sorted, n / 4), nth(&sorted, n - 1 - n / 4));
        let far_s = (q3 - q1) * Self::FAR;
        let is_near = |value: f64| far_s <= 0.0 || (q1 - far_s..=q3 + far_s).contains(&value);
        let mut near = sorted.iter().map(|(value, _)| *value).filter(|value| is_near(*value));
        let from_s = near.next().unwrap_or(least_s);
        let until_s = near.next_back().unwrap_or(from_s);
        let outside = |is_outside: &dyn Fn(f64) -> bool| {
            sorted.iter().filter(|(value, _)| is_outside(*value)).map(|(_, count)| count).sum::<u64>()
        };
        let bins = ((n as f64).sqrt().ceil() as usize).clamp(1, Self::MAX_BINS);
        let bin_s = (until_s - from_s) / bins as f64;
        let is_flat = !(bin_s > 0.0 && (most_s - least_s).is_finite());
        let (below, above) = (outside(&|value| value < from_s), outside(&|value| value > until_s));
        if is_flat {
            return Some(Self { from_s, bin_s: 0.0, counts: vec![n - below - above], below, above });
        }
        let mut counts = vec![0; bins];
        for (value, count) in sorted.iter().filter(|(value, _)| (from_s..=until_s).contains(value)) {
            let bin = ((value - from_s) / bin_s) as usize;
            counts[bin.min(bins - 1)] += count;
        }
        Some(Self { from_s, bin_s, counts, below, above })
    }
}

/// The value at a rank in sorted values with their numbers of occurrences.
fn nth(sorted: &[(f64, u64)], place: u64) -> f64 {
    let mut seen = 0;
    let found = sorted.iter().find(|(_, count)| {
        seen += count;
        seen > place
    });
    found.or(sorted.last()).map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_values_share_one_bin() {
        let histogram = DisplayHistogram::of(&[(0.5, 3), (0.5, 4)]).unwrap();
        assert_eq!((histogram.bin_s, histogram.counts), (0.0, vec![7]));
        assert_eq!(DisplayHistogram::of(&[]), None);
    }

    #[test]
    fn outlier_does_not_squash_the_other_values() {
        let mut values: Vec<_> = (0..100).map(|k| (f64::from(k) * 1e-6, 1)).collect();
        values.extend([(0.5, 2), (-0.4, 1)]);
        let histogram = DisplayHistogram::of(&values).unwrap();
        assert_eq!((histogram.below, histogram.above), (1, 2));
        let until_s = histogram.from_s + histogram.bin_s * histogram.counts.len() as f64;
        assert!(histogram.from_s == 0.0 && (until_s - 99e-6).abs() < 1e-12, "{histogram:?}");
        assert!(histogram.counts.iter().all(|&count| count < 20), "{histogram:?}");
    }

    proptest! {
        #[test]
        fn every_value_is_in_exactly_one_bin(values in prop::collection::vec((-1e9..1e9_f64, 1..9_u64), 1..200)) {
            let histogram = DisplayHistogram::of(&values).unwrap();
            let n: u64 = values.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(histogram.counts.iter().sum::<u64>() + histogram.below + histogram.above, n);
            prop_assert!(histogram.counts.len() <= DisplayHistogram::MAX_BINS);
        }
    }
}
