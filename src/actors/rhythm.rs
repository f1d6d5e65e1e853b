//! How often what costs time for every series is done: a picture, a report, a look of the rules.

use std::time::Duration;

/// From this many series on, such work is done less often: it costs up to ten microseconds a series.
const MANY: usize = 500;
const PERIOD_OF_MANY: Duration = Duration::from_secs(10);

/// How long to wait before the next time: `usual`, and longer with many series.
pub(super) fn pause(series: usize, usual: Duration) -> Duration {
    if series > MANY { PERIOD_OF_MANY.max(usual) } else { usual }
}
