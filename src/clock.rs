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

/// Reads the clocks of this machine. The four reads together take well under a microsecond.
#[must_use]
pub fn now() -> Stamp {
    // Read first, and not below zero: a pause between two reads must not look like a suspension.
    let boot = read(ClockId::CLOCK_BOOTTIME);
    let mono_ns = read(ClockId::CLOCK_MONOTONIC);
    let raw = read(ClockId::CLOCK_MONOTONIC_RAW);
    let wall_ns = read(ClockId::CLOCK_REALTIME);
    Stamp { boot_ns: (boot - mono_ns).max(0), ..Stamp::new(wall_ns, mono_ns, wall_ns - raw) }
}

fn read(clock: ClockId) -> i64 {
    let t = clock_gettime(clock).expect("the four clocks exist on every Linux this program supports");
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
