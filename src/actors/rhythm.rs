//! The interval of work whose cost grows with the number of series: snapshots, health reports, alert evaluation.

use std::time::Duration;

/// With more series than this, such work is done less often; it costs up to ten microseconds per series.
const MANY: usize = 500;
const PERIOD_OF_MANY: Duration = Duration::from_secs(10);

/// The interval to wait: `usual`, or longer with many series.
pub(super) fn pause(series: usize, usual: Duration) -> Duration {
    if series > MANY { PERIOD_OF_MANY.max(usual) } else { usual }
}
