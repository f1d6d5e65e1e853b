//! The [`Stamp`] that every sample carries, and the [`Clock`] trait that supplies stamps.
//!
//! Scheduling and timeouts use the monotonic clock only. The program measures the error of the wall clock, so nothing
//! may depend on the wall clock being right. Each [`Stamp`] carries both clocks; a jump in their difference reveals a
//! local clock step without asking any server.

use serde::{Deserialize, Serialize};

use std::time::Duration;

/// One instant, read from four clocks of this machine at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// `CLOCK_REALTIME`: nanoseconds since 1970-01-01 UTC. This is the clock that is being monitored.
    pub wall_ns: i64,
    /// `CLOCK_MONOTONIC`: nanoseconds since an arbitrary start. Used for intervals and timeouts.
    pub mono_ns: i64,
    /// `CLOCK_REALTIME − CLOCK_MONOTONIC_RAW` in nanoseconds. A jump in it proves a local clock step without asking
    /// any server; a slow change is the frequency correction that the kernel applies.
    pub raw_ns: i64,
    /// `CLOCK_BOOTTIME − CLOCK_MONOTONIC` in nanoseconds: how long this machine has been suspended since it booted.
    /// It jumps by the time of each suspension. 0 where it was not read.
    pub boot_ns: i64,
}

impl Stamp {
    /// A stamp of a machine that was never suspended; set `boot_ns` where it is known.
    #[must_use]
    pub const fn new(wall_ns: i64, mono_ns: i64, raw_ns: i64) -> Self {
        Self { wall_ns, mono_ns, raw_ns, boot_ns: 0 }
    }

    /// The wall clock in seconds since 1970-01-01 UTC. Good to about a quarter of a microsecond; for display and
    /// statistics, never for T1..T4 arithmetic.
    #[must_use]
    pub fn wall_s(self) -> f64 {
        self.wall_ns as f64 / 1e9
    }

    /// The clock on which a fleet shares its slots out, in seconds: it advances by the hardware alone, which no program
    /// slows down or speeds up, and also while the machine is suspended.
    #[must_use]
    pub fn slot_s(self) -> f64 {
        (self.wall_ns - self.raw_ns + self.boot_ns) as f64 / 1e9
    }

    /// Monotonic time elapsed since `earlier`; zero if `earlier` is later than `self`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.mono_ns.saturating_sub(earlier.mono_ns)).unwrap_or(0))
    }
}

/// A source of time: this host's clocks, or a simulated clock for tests.
pub trait Clock: Send + Sync + 'static {
    /// Reads all clocks now.
    fn now(&self) -> Stamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_since_a_later_stamp_is_zero() {
        let first = Stamp::new(0, 10, 0);
        let later = Stamp { mono_ns: 15, ..first };
        assert_eq!(first.since(later), Duration::ZERO);
        assert_eq!(later.since(first), Duration::from_nanos(5));
    }
}
