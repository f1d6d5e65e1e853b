//! Reads the clocks of this machine.

use std::sync::OnceLock;

use nix::time::{ClockId, clock_gettime};
use ntp_monitor_core::clock::{Clock, Stamp};

/// 2242-03-16, in seconds since 1970. Linux does not allow clocks to be set beyond 2232; without a limit, nanoseconds
/// since 1970 would overflow in 2262.
const LAST_S: i64 = 1 << 33;

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
    // Read first, and clamped to zero, so that a pause between two reads does not look like a suspension.
    let boot = read(ClockId::CLOCK_BOOTTIME);
    let mono_ns = read(ClockId::CLOCK_MONOTONIC);
    let raw = read(ClockId::CLOCK_MONOTONIC_RAW);
    let wall_ns = read(ClockId::CLOCK_REALTIME);
    Stamp { boot_ns: (boot - mono_ns).max(0), ..Stamp::new(wall_ns, mono_ns, wall_ns - raw) }
}

/// Names the clock of [`Stamp::slot_s`]: it is the same for all processes until this machine is started again.
#[must_use]
pub fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        match id.trim() {
            "" => format!("{:032x}", rand::random::<u128>()),
            id => id.to_owned(),
        }
    })
}

fn read(clock: ClockId) -> i64 {
    let t = clock_gettime(clock).expect("the four clocks exist on every Linux this program supports");
    nanoseconds(t.tv_sec(), t.tv_nsec())
}

/// Nanoseconds as a stamp holds them. A clock beyond [`LAST_S`] is shown as that time.
fn nanoseconds(seconds: i64, ns: i64) -> i64 {
    seconds.clamp(0, LAST_S) * 1_000_000_000 + ns
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
    fn clock_that_is_centuries_ahead_does_not_overflow() {
        let far_ns = nanoseconds(i64::MAX, 999_999_999);
        assert_eq!(far_ns / 1_000_000_000, LAST_S);
        let year_ns = 366 * 86_400 * 1_000_000_000;
        assert!(far_ns.checked_add(10 * year_ns).is_some(), "sums with spans do not overflow either");
        assert_eq!(nanoseconds(1, 5), 1_000_000_005);
    }

    #[test]
    fn raw_difference_is_stable_between_two_reads() {
        let (first, second) = (now(), now());
        assert!((second.raw_ns - first.raw_ns).abs() < 1_000_000, "{first:?} {second:?}");
    }
}
