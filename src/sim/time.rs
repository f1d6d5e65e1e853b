//! Time that a test controls: tokio's clock, which can be paused and then runs a week in a second.

use tokio::time::Instant;

use ntp_monitor_core::clock::{Clock, Stamp};

/// A clock that follows tokio's. All three of its clocks agree; the wall clock begins at [`SimClock::EPOCH_S`].
#[derive(Debug, Clone, Copy)]
pub struct SimClock {
    start: Instant,
}

impl SimClock {
    /// The wall time at which it begins: 2026-01-01 00:00:00 UTC.
    pub const EPOCH_S: i64 = 1_767_225_600;

    /// A clock that begins now.
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
