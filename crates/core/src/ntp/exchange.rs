//! The arithmetic of one exchange: offset, delay, dispersion and root distance from four timestamps (RFC 5905 §8).
//!
//! Timestamps are subtracted as 64-bit integers; only the difference is converted to a float. Converting each timestamp
//! first would lose everything below a quarter of a microsecond and give wrong results across NTP eras.

use super::NtpTimestamp;

/// The assumed frequency tolerance of a clock, in seconds per second (PHI in RFC 5905 §7.2).
pub const PHI: f64 = 15e-6;

/// Units of [`NtpTimestamp`] in a second.
const TICKS_PER_SECOND: f64 = 4_294_967_296.0;

/// The four timestamps of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// T1: the request left this host. Kept locally; the field that the server echoes holds a random cookie.
    pub t1: NtpTimestamp,
    /// T2: the request reached the server, by the server's clock.
    pub t2: NtpTimestamp,
    /// T3: the reply left the server, by the server's clock.
    pub t3: NtpTimestamp,
    /// T4: the reply reached this host.
    pub t4: NtpTimestamp,
}

impl Exchange {
    /// theta: the clock offset in seconds, positive when the server is ahead of this host. Correct while the two clocks
    /// are within 68 years of each other. The error from an asymmetric path is at most half the delay.
    #[must_use]
    pub fn offset_s(&self) -> f64 {
        let ticks = i128::from(self.t2.ticks_since(self.t1)) + i128::from(self.t3.ticks_since(self.t4));
        ticks as f64 / (2.0 * TICKS_PER_SECOND)
    }

    /// delta: the round-trip delay without the server's processing time, in seconds, not clamped. It is negative if the
    /// clocks run at different rates or the server's timestamps are wrong; see [`Exchange::delay_s`].
    #[must_use]
    pub fn raw_delay_s(&self) -> f64 {
        let ticks = i128::from(self.t4.ticks_since(self.t1)) - i128::from(self.t3.ticks_since(self.t2));
        ticks as f64 / TICKS_PER_SECOND
    }

    /// delta in seconds, clamped to at least `precision_s`, the measurement precision (RFC 5905 §8). The offset is
    /// never clamped.
    #[must_use]
    pub fn delay_s(&self, precision_s: f64) -> f64 {
        self.raw_delay_s().max(precision_s)
    }

    /// The server's processing time in seconds, by its own clock; negative if the server's timestamps are wrong.
    #[must_use]
    pub fn server_time_s(&self) -> f64 {
        self.t3.seconds_since(self.t2)
    }
}

/// The parts of the root distance, all in seconds and not negative.
///
/// The true offset of the server's reference clock is within `total_s` of the measured offset, provided that the root
/// delay and root dispersion that the server reports are right. RFC 5905, ntpd and chrony each sum slightly different
/// parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RootDistance {
    /// Half of the measured delay: the largest error from an asymmetric path.
    pub half_delay_s: f64,
    /// Half of the root delay that the server reports.
    pub half_root_delay_s: f64,
    /// The root dispersion that the server reports.
    pub root_dispersion_s: f64,
    /// The precision of the server's clock.
    pub server_precision_s: f64,
    /// The precision of this host's timestamps.
    pub own_precision_s: f64,
    /// [`PHI`] times the age of the sample: the possible drift of the clocks since the measurement.
    pub drift_s: f64,
}

impl RootDistance {
    /// The root distance `age_s` seconds after T1. Right after the exchange, `age_s` is the duration of the exchange.
    #[must_use]
    pub fn new(
        delay_s: f64,
        root_delay_s: f64,
        root_dispersion_s: f64,
        server_precision_s: f64,
        own_precision_s: f64,
        age_s: f64,
    ) -> Self {
        Self {
            half_delay_s: delay_s / 2.0,
            half_root_delay_s: root_delay_s / 2.0,
            root_dispersion_s,
            server_precision_s,
            own_precision_s,
            drift_s: PHI * age_s.max(0.0),
        }
    }

    /// The dispersion of the sample (epsilon in RFC 5905 §8) in seconds: both precisions plus the drift.
    #[must_use]
    pub fn dispersion_s(&self) -> f64 {
        self.server_precision_s + self.own_precision_s + self.drift_s
    }

    /// The root distance (lambda in RFC 5905) in seconds: the sum of all parts.
    #[must_use]
    pub fn total_s(&self) -> f64 {
        self.half_delay_s + self.half_root_delay_s + self.root_dispersion_s + self.dispersion_s()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exchange(t: [u64; 4]) -> Exchange {
        let [t1, t2, t3, t4] = t.map(NtpTimestamp);
        Exchange { t1, t2, t3, t4 }
    }

    fn check(t: [u64; 4], offset_s: f64, delay_s: f64) {
        let exchange = exchange(t);
        assert_eq!(exchange.offset_s(), offset_s, "{exchange:?}");
        assert_eq!(exchange.raw_delay_s(), delay_s, "{exchange:?}");
    }

    /// `TestOfflineOffsetCalculation`, its negative twin and `TestOfflineOffsetRollover` of beevik/ntp (BSD-2-Clause).
    #[test]
    fn offsets_match_beevik_ntp_across_eras() {
        let day = |s: u64| s << 32;
        check([0xe875_4700, 0xe875_4714, 0xe875_4715, 0xe875_4705].map(day), 18.0, 4.0);
        check([0xe875_4765, 0xe875_4766, 0xe875_4767, 0xe875_4769].map(day), -0.5, 3.0);
        check([0x83aa_7e80, 0xea02_4000, 0xea02_4001, 0x83aa_7e81].map(day), 1_717_027_200.0, 0.0);
        check([0xea02_4000, 0x83aa_7e80, 0x83aa_7e81, 0xea02_4001].map(day), -1_717_027_200.0, 0.0);
        check([0x1480_0880, 0xe93c_7f00, 0xe93c_7f01, 0x1480_0881].map(day), -725_846_400.0, 0.0);
        check([0xe93c_7f00, 0x1480_0880, 0x1480_0881, 0xe93c_7f01].map(day), 725_846_400.0, 0.0);
        check([0x1480_0880, 0x14a8_e700, 0x14a8_e701, 0x1480_0881].map(day), 2_678_400.0, 0.0);
        check([0x14a8_e700, 0x1480_0880, 0x1480_0881, 0x14a8_e701].map(day), -2_678_400.0, 0.0);
    }

    /// Replies recorded by RIPE Atlas (`evntp-4.out`, and msm 1020237 probe 71 of the sagan tests). Its "offset" is the
    /// probe's clock minus the server's: the opposite sign of RFC 5905. It rounds to a microsecond.
    #[test]
    fn offsets_match_ripe_atlas_with_opposite_sign() {
        let stamp = |s: u64, fraction: f64| s << 32 | (fraction * TICKS_PER_SECOND).round() as u64;
        let cases = [
            (
                [
                    stamp(3_835_786_750, 0.402_607_918),
                    stamp(3_835_786_750, 0.402_893_066),
                    stamp(3_835_786_750, 0.403_163_910),
                    stamp(3_835_786_750, 0.403_707_027),
                ],
                0.000_129,
                0.000_828,
            ),
            (
                [
                    stamp(3_627_199_379, 0.796_274_185_2),
                    stamp(3_627_199_388, 0.170_494_556_4),
                    stamp(3_627_199_388, 0.170_522_213),
                    stamp(3_627_199_379, 0.818_201_065_1),
                ],
                -8.363_271,
                0.021_899,
            ),
        ];
        for (stamps, ripe_offset_s, ripe_rtt_s) in cases {
            let exchange = exchange(stamps);
            assert!((exchange.offset_s() + ripe_offset_s).abs() < 2e-6, "{}", exchange.offset_s());
            assert!((exchange.raw_delay_s() - ripe_rtt_s).abs() < 2e-6, "{}", exchange.raw_delay_s());
        }
    }

    #[test]
    fn exchange_may_cross_an_era_boundary() {
        check([0xffff_ffff_f000_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000], 0.0, 0.25);
        check([0xffff_ffff_8000_0000, 0x1_8000_0000, 0x1_8000_0000, 0xffff_ffff_8000_0000], 2.0, 0.0);
    }

    #[test]
    fn offset_keeps_the_lowest_timestamp_bit() {
        let now = 0xe875_4700_0000_0000;
        check([now, now + 1, now + 1, now], 1.0 / TICKS_PER_SECOND, 0.0);
    }

    /// The example of RFC 5905 §8: a client 100 ppm fast sees −6.4 ms of delay when the server holds it for 64 s.
    #[test]
    fn negative_delay_is_clamped_and_offset_is_not() {
        let exchange =
            exchange([0xe875_4700_0000_0000, 0xe875_4700_0000_0000, 0xe875_4740_0000_0000, 0xe875_473f_fe5c_91d1]);
        assert!((exchange.raw_delay_s() + 0.0064).abs() < 1e-9);
        assert!((exchange.offset_s() - 0.0032).abs() < 1e-9);
        assert_eq!(exchange.delay_s(1e-6), 1e-6);
    }

    #[test]
    fn root_distance_is_the_sum_of_its_parts() {
        let distance = RootDistance::new(0.020, 0.010, 0.003, 1e-6, 2e-6, 2.0);
        assert!((distance.total_s() - (0.010 + 0.005 + 0.003 + 1e-6 + 2e-6 + 30e-6)).abs() < 1e-15);
        assert!((distance.dispersion_s() - 33e-6).abs() < 1e-15);
        assert_eq!(RootDistance::new(0.0, 0.0, 0.0, 0.0, 0.0, -5.0).total_s(), 0.0, "a step back is no negative age");
    }

    proptest! {
        /// Exchanges built from a true offset and two one-way delays, at a random time of any era.
        #[test]
        fn offset_and_delay_are_recovered_in_any_era(
            t1 in any::<u64>(),
            // Up to 30 years, 1 000 s and 100 s in units of 2^-32 s.
            ahead in -(946_000_000_i64 << 32)..(946_000_000_i64 << 32),
            out in 0_u64..1_000 << 32,
            back in 0_u64..1_000 << 32,
            held in 0_u64..100 << 32,
        ) {
            let t2 = t1.wrapping_add_signed(ahead).wrapping_add(out);
            let t3 = t2.wrapping_add(held);
            let t4 = t3.wrapping_sub(ahead as u64).wrapping_add(back);
            let exchange = exchange([t1, t2, t3, t4]);
            let seconds = |ticks: i128| ticks as f64 / TICKS_PER_SECOND;
            let asymmetry = i128::from(out) - i128::from(back);
            prop_assert_eq!(exchange.offset_s(), seconds(2 * i128::from(ahead) + asymmetry) / 2.0);
            prop_assert_eq!(exchange.raw_delay_s(), seconds(i128::from(out) + i128::from(back)));
            prop_assert!((exchange.offset_s() - seconds(i128::from(ahead))).abs() <= exchange.raw_delay_s() / 2.0 + 1e-6);
        }

        #[test]
        fn random_timestamps_never_overflow(stamps in any::<[u64; 4]>()) {
            let exchange = exchange(stamps);
            prop_assert!(exchange.offset_s().abs() <= 4_294_967_296.0);
            prop_assert!(exchange.delay_s(1e-6) >= 1e-6);
        }
    }
}
