//! Reads the clocks of this machine.

use nix::time::{ClockId, clock_gettime};
use ntp_monitor_core::clock::{Clock, Stamp};

/// The clocks of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Stamp {
        now()
    }
}

/// Reads the clocks of this machine. The three readings together take well under a microsecond.
#[must_use]
pub fn now() -> Stamp {
    let mono_ns = read(ClockId::CLOCK_MONOTONIC);
    let raw = read(ClockId::CLOCK_MONOTONIC_RAW);
    let wall_ns = read(ClockId::CLOCK_REALTIME);
    Stamp { wall_ns, mono_ns, raw_ns: wall_ns - raw }
}

fn read(clock: ClockId) -> i64 {
    let t = clock_gettime(clock).expect("the three clocks exist on every Linux this program supports");
    t.tv_sec() * 1_000_000_000 + t.tv_nsec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_stamp_is_later_on_the_monotonic_clock() {
        let first = now();
        assert!(now().mono_ns >= first.mono_ns);
    }

    #[test]
    fn raw_difference_is_stable_between_two_reads() {
        let (first, second) = (now(), now());
        assert!((second.raw_ns - first.raw_ns).abs() < 1_000_000, "{first:?} {second:?}");
    }
}
