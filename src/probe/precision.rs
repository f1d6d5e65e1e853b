//! How finely this host can stamp an event, and how its clocks are read undisturbed.

use std::time::Duration;

use ntp_monitor_core::clock::Stamp;

/// Two software stamps of one event differ by about this much: they are made in the driver's path, not at the wire. A
/// clock that reads finer does not measure finer.
const FINEST_S: f64 = 1.0 / 1_048_576.0;
/// A host whose clock is coarser than this cannot judge anybody's.
const COARSEST_S: f64 = 1.0 / 64.0;
const READINGS: usize = 64;
/// Two readings of the clocks this close together were not interrupted.
const CALM_READ: Duration = Duration::from_micros(200);
const CALM_ATTEMPTS: usize = 4;

/// The smallest step between two successive readings of the wall clock, in seconds: at least 2^-20 (0.95 µs), at most
/// 2^-6. What RFC 5905 §7.3 calls the precision of the system clock.
#[must_use]
pub(super) fn own_precision_s() -> f64 {
    let readings: Vec<i64> = (0..READINGS).map(|_| crate::clock::now().wall_ns).collect();
    let steps = readings.windows(2).map(|pair| pair[1] - pair[0]).filter(|step_ns| *step_ns > 0);
    // No step at all in 64 readings is a coarse clock.
    steps.min().map_or(COARSEST_S, |step_ns| step_ns as f64 / 1e9).clamp(FINEST_S, COARSEST_S)
}

/// Reads the clocks, again when something came in between the readings: on a busy host that is common, and it would
/// look like a step of the clock.
#[must_use]
pub(super) fn calm_stamp() -> Stamp {
    let mut first = crate::clock::now();
    for _ in 0..CALM_ATTEMPTS {
        let second = crate::clock::now();
        if second.since(first) <= CALM_READ {
            break;
        }
        first = second;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_precision_of_this_host_is_believable() {
        assert!((FINEST_S..=COARSEST_S).contains(&own_precision_s()));
    }
}
