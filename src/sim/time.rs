//! Simulated time: tokio's clock, which tests can pause and advance, so that a week runs in a second.

use tokio::time::Instant;

use ntp_monitor_core::clock::{Clock, Stamp};

/// A clock that follows tokio's. Its three clocks agree; the wall clock starts at [`SimClock::EPOCH_S`].
#[derive(Debug, Clone, Copy)]
pub struct SimClock {
    start: Instant,
}

impl SimClock {
    /// The wall time at the start: 2026-01-01 00:00:00 UTC.
    pub const EPOCH_S: i64 = 1_767_225_600;

    /// A clock that starts now.
    #[must_use]
    pub fn begin() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Stamp {
        let mono_ns = i64::try_from(self.start.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let epoch_ns = Self::EPOCH_S * 1_000_000_000;
        Stamp::new(epoch_ns + mono_ns, mono_ns, epoch_ns)
    }
}
