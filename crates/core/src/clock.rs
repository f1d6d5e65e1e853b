//! The [`Stamp`] that every sample carries, and the [`Clock`] trait that supplies stamps.
//!
//! Scheduling and timeouts use the monotonic clock only. The program measures the error of the wall clock, so nothing
//! may depend on the wall clock being right. Each [`Stamp`] carries both clocks; a jump in their difference reveals a
//! local clock step without asking any server.

use std::time::Duration;

/// One instant, read from three clocks of this machine at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// `CLOCK_REALTIME`: nanoseconds since 1970-01-01 UTC. This is the clock that is being monitored.
    pub wall_ns: i64,
    /// `CLOCK_MONOTONIC`: nanoseconds since an arbitrary start. Used for intervals and timeouts.
    pub mono_ns: i64,
    /// `CLOCK_REALTIME − CLOCK_MONOTONIC_RAW` in nanoseconds. A jump in it proves a local clock step without asking
    /// any server; a slow change is the frequency correction that the kernel applies.
    pub raw_ns: i64,
}

impl Stamp {
    /// The wall clock in seconds since 1970-01-01 UTC, with a resolution of about a quarter of a microsecond. Use it for
    /// display and statistics, never for T1 to T4 arithmetic.
    #[must_use]
    pub fn wall_s(self) -> f64 {
        self.wall_ns as f64 / 1e9
    }

    /// Monotonic time elapsed since `earlier`; zero if `earlier` is later than `self`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.mono_ns - earlier.mono_ns).unwrap_or(0))
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
    fn elapsed_time_since_a_later_stamp_is_zero() {
        let first = Stamp { wall_ns: 0, mono_ns: 10, raw_ns: 0 };
        let later = Stamp { mono_ns: 15, ..first };
        assert_eq!(first.since(later), Duration::ZERO);
        assert_eq!(later.since(first), Duration::from_nanos(5));
    }
}
