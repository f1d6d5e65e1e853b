//! The clock of a scripted server: this host's clock with a scripted error.

use std::time::Duration;

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::NtpTimestamp;

/// The time of a scripted server, as a function of this host's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ServerClock {
    /// Constant offset in nanoseconds, positive when the server is ahead of this host.
    pub offset_ns: i64,
    /// Frequency error in parts per million since the server was started; positive when the server runs fast.
    pub drift_ppm: f64,
    /// The resolution in nanoseconds; 0 for full resolution.
    pub grain_ns: i64,
}

impl ServerClock {
    /// How far the server is ahead of this host after running for `age`, in nanoseconds.
    #[must_use]
    pub fn offset_after(&self, age: Duration) -> i64 {
        let drift_ns = (self.drift_ppm * 1e-6 * age.as_secs_f64() * 1e9).round() as i64;
        self.offset_ns.saturating_add(drift_ns)
    }

    /// The time that a server started at `start` shows when this host shows `now`, moved by `shift_ns`.
    #[must_use]
    pub fn show(&self, start: Stamp, now: Stamp, shift_ns: i64) -> NtpTimestamp {
        let wrong_by_ns = self.offset_after(now.since(start));
        let exact_ns = now.wall_ns.saturating_add(wrong_by_ns).saturating_add(shift_ns);
        NtpTimestamp::from_unix_ns(exact_ns - exact_ns.rem_euclid(self.grain_ns.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    #[test]
    fn offset_and_drift_add_up() {
        let clock = ServerClock { offset_ns: 80_000_000, drift_ppm: 50.0, grain_ns: 0 };
        assert_eq!(clock.offset_after(Duration::ZERO), 80_000_000);
        assert_eq!(clock.offset_after(Duration::from_secs(4)), 80_200_000);
        assert_eq!(clock.offset_after(Duration::from_secs(10)), 80_500_000);
    }

    #[test]
    fn coarse_clock_shows_the_tick_before() {
        let start = Stamp::new(1_700_000_000 * SECOND_NS, 0, 0);
        let now = Stamp::new(start.wall_ns + SECOND_NS / 2 + 1_999, SECOND_NS / 2, 0);
        let shown = |grain_ns| ServerClock { grain_ns, ..ServerClock::default() }.show(start, now, 0);
        assert_eq!(shown(SECOND_NS), NtpTimestamp::from_unix_ns(start.wall_ns));
        assert_eq!(shown(1_000), NtpTimestamp::from_unix_ns(now.wall_ns - 999));
    }

    #[test]
    fn the_clock_shows_local_time_plus_its_error_also_across_an_era() {
        let start = Stamp::new(1_700_000_000 * SECOND_NS, 0, 0);
        let now = Stamp::new(start.wall_ns + SECOND_NS, SECOND_NS, 0);
        // 2036-02-07 06:28:16 UTC is second 0 of NTP era 1.
        let era_1_ns = 2_085_978_496 * SECOND_NS;
        let clock = ServerClock { offset_ns: era_1_ns - now.wall_ns, ..ServerClock::default() };
        assert_eq!(clock.show(start, now, SECOND_NS), NtpTimestamp(1 << 32));
        assert_eq!(clock.show(start, now, -SECOND_NS), NtpTimestamp(0xffff_ffff << 32));
    }
}
