//! The precision with which this host can timestamp events, and undisturbed readings of its clocks.

use std::time::Duration;

use ntp_monitor_core::clock::Stamp;

/// Two software timestamps of one event differ by about this much, because they are made in the driver and not at the
/// wire. A clock with a finer resolution does not measure more precisely.
const FINEST_S: f64 = 1.0 / 1_048_576.0;
/// A host with a coarser clock cannot monitor other clocks.
const COARSEST_S: f64 = 1.0 / 64.0;
const READINGS: usize = 64;
/// Two readings of the clocks that are this close together were not interrupted.
const LONGEST_READ: Duration = Duration::from_micros(200);
const READ_ATTEMPTS: usize = 4;

/// The smallest step between two successive readings of the wall clock, in seconds: at least 2^-20 (0.95 µs), at most
/// 2^-6. RFC 5905 §7.3 calls this the precision of the system clock.
#[must_use]
pub(super) fn own_precision_s() -> f64 {
    let readings: Vec<i64> = (0..READINGS).map(|_| crate::clock::now().wall_ns).collect();
    let steps = readings.windows(2).map(|pair| pair[1] - pair[0]).filter(|step_ns| *step_ns > 0);
    // If 64 readings are equal, the clock is coarse.
    steps.min().map_or(COARSEST_S, |step_ns| step_ns as f64 / 1e9).clamp(FINEST_S, COARSEST_S)
}

/// Reads the clocks, and repeats if the process was interrupted between the readings. That is common on a busy host and
/// would look like a step of the clock.
#[must_use]
pub(super) fn uninterrupted_stamp() -> Stamp {
    let mut first = crate::clock::now();
    for _ in 0..READ_ATTEMPTS {
        let second = crate::clock::now();
        if second.since(first) <= LONGEST_READ {
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
    fn precision_of_this_host_is_plausible() {
        assert!((FINEST_S..=COARSEST_S).contains(&own_precision_s()));
    }
}
