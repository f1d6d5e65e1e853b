//! The interval of work whose cost grows with the number of series: snapshots, health reports, alert evaluation.

use std::time::Duration;

/// With more series than this, such work is done less often; it costs up to ten microseconds per series.
const MANY: usize = 500;
const PERIOD_OF_MANY: Duration = Duration::from_secs(10);

/// An evaluation of all alert rules costs most of all, so it pauses at least this long for each series: ten seconds
/// with 20,000 of them.
const EVALUATION_OF_EACH: Duration = Duration::from_micros(500);

/// The interval between two evaluations of the alert rules: `usual`, or longer with many series.
pub(super) fn evaluation_pause(series: usize, usual: Duration) -> Duration {
    let all = EVALUATION_OF_EACH.saturating_mul(u32::try_from(series).unwrap_or(u32::MAX));
    pause(series, usual).max(all)
}

/// The interval to wait: `usual`, or longer with many series.
pub(super) fn pause(series: usize, usual: Duration) -> Duration {
    if series > MANY { PERIOD_OF_MANY.max(usual) } else { usual }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_series_are_evaluated_less_often() {
        let usual = Duration::from_secs(2);
        let pauses = [10, 501, 20_000, 50_000].map(|series| evaluation_pause(series, usual).as_secs());
        assert_eq!(pauses, [2, 10, 10, 25]);
    }
}
