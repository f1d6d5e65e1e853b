//! The clocks this program reads, and the stamp that every sample carries.
//!
//! Scheduling and time-outs use the monotonic clock only. The wall clock is what the program judges, so nothing may
//! depend on it being right: each [`Stamp`] carries both, and their difference shows a local step without any server.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// One instant, read from three clocks of this machine at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// `CLOCK_REALTIME`: nanoseconds since 1970-01-01 UTC. This is the clock under suspicion.
    pub wall_ns: i64,
    /// `CLOCK_MONOTONIC`: nanoseconds since an arbitrary start. Steers intervals and time-outs.
    pub mono_ns: i64,
    /// `CLOCK_REALTIME − CLOCK_MONOTONIC_RAW` in nanoseconds. A jump in it proves a local clock step without asking
    /// any server; a slow change is the frequency correction that the kernel applies.
    pub raw_ns: i64,
}

impl Stamp {
    /// Reads the clocks of this machine. The three reads take well under a microsecond together.
    #[must_use]
    pub fn now() -> Self {
        let mono_ns = read(ClockId::CLOCK_MONOTONIC);
        let raw = read(ClockId::CLOCK_MONOTONIC_RAW);
        let wall_ns = read(ClockId::CLOCK_REALTIME);
        Self { wall_ns, mono_ns, raw_ns: wall_ns - raw }
    }

    /// The wall clock in seconds since 1970-01-01 UTC. Good to about a quarter of a microsecond; for display and
    /// statistics, never for T1..T4 arithmetic.
    #[must_use]
    pub fn wall_s(self) -> f64 {
        self.wall_ns as f64 / 1e9
    }

    /// Monotonic time that has passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.mono_ns - earlier.mono_ns).unwrap_or(0))
    }
}

/// Where the time comes from: this machine, or a simulation that runs a week in a second.
pub trait Clock: Send + Sync + 'static {
    /// The stamp of this instant.
    fn now(&self) -> Stamp;
}

/// The clocks of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Stamp {
        Stamp::now()
    }
}

fn read(clock: ClockId) -> i64 {
    let t = clock_gettime(clock).expect("the three clocks exist on every Linux this program supports");
    t.tv_sec() * 1_000_000_000 + t.tv_nsec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_stamp_is_later_on_the_monotonic_clock() {
        let first = Stamp::now();
        let second = Stamp::now();
        assert!(second.mono_ns >= first.mono_ns);
        assert_eq!(first.since(Stamp { mono_ns: first.mono_ns + 5, ..first }), Duration::ZERO);
        assert_eq!(Stamp { mono_ns: first.mono_ns + 5, ..first }.since(first), Duration::from_nanos(5));
    }

    #[test]
    fn the_raw_difference_moves_less_than_a_millisecond_between_two_reads() {
        let first = Stamp::now();
        let second = Stamp::now();
        assert!((second.raw_ns - first.raw_ns).abs() < 1_000_000, "{first:?} {second:?}");
    }
}
