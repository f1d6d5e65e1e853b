//! The 64-bit NTP timestamp and its era-safe arithmetic (RFC 5905 §6).

use std::fmt;

/// Seconds between 1900-01-01 (the NTP era 0) and 1970-01-01 (Unix).
const UNIX_EPOCH_IN_NTP_S: i64 = 2_208_988_800;
const NANOS: i128 = 1_000_000_000;

/// A timestamp of 32 bits of seconds since 1900-01-01 and 32 bits of fraction. It does not contain the era. Zero means
/// "no timestamp".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NtpTimestamp(pub u64);

impl NtpTimestamp {
    /// The value that means "no timestamp".
    pub const ZERO: Self = Self(0);

    /// Whether the value is [`NtpTimestamp::ZERO`].
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Converts a Unix time in nanoseconds, rounded to the nearest 2^-32 s. The era is dropped.
    #[must_use]
    pub fn from_unix_ns(unix_ns: i64) -> Self {
        let since_1900_ns = i128::from(unix_ns) + i128::from(UNIX_EPOCH_IN_NTP_S) * NANOS;
        let ticks = (since_1900_ns * (1_i128 << 32) + NANOS / 2).div_euclid(NANOS);
        Self(ticks as u64)
    }

    /// `self − earlier` in units of 2^-32 s. Correct, also across eras, if the two are within 68 years of each other. All
    /// other differences are built on this one: converting timestamps to floats first would lose the low bits.
    #[must_use]
    pub fn ticks_since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0) as i64
    }

    /// `self − earlier` in seconds.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.ticks_since(earlier) as f64 / 4_294_967_296.0
    }

    /// The Unix time in nanoseconds, in the era that puts it within 68 years of `near_unix_ns`.
    #[must_use]
    pub fn to_unix_ns(self, near_unix_ns: i64) -> i64 {
        let ticks = i128::from(self.ticks_since(Self::from_unix_ns(near_unix_ns)));
        let base = i128::from(near_unix_ns);
        let ns = base + (ticks * NANOS + (1_i128 << 31)).div_euclid(1_i128 << 32);
        ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

impl fmt::Display for NtpTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{:08x}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    /// `TestOfflineTimeRollover` of beevik/ntp (BSD-2-Clause): era 0 down to 1970, era 1 from 2036 on.
    #[test]
    fn era_rollover_matches_beevik_ntp() {
        let cases: [(u64, i64); 8] = [
            (0x83aa_7e80, 0),
            (0x9000_0000, 206_930_304),
            (0xe000_0000, 1_549_107_584),
            (0xffff_ffff, 2_085_978_495),
            (0x0000_0001, 2_085_978_497),
            (0x4000_0000, 3_159_720_320),
            (0x8000_0000, 4_233_462_144),
            (0x83aa_7e70, 4_294_967_280),
        ];
        for (seconds, unix_s) in cases {
            let stamp = NtpTimestamp(seconds << 32);
            assert_eq!(NtpTimestamp::from_unix_ns(unix_s * SECOND_NS), stamp);
            for near_s in [unix_s - 2_000_000_000, unix_s, unix_s + 2_000_000_000] {
                assert_eq!(stamp.to_unix_ns(near_s * SECOND_NS), unix_s * SECOND_NS, "{stamp} near {near_s}");
            }
        }
    }

    /// The rows of RFC 5905 §6, figure 4, that are free of errors.
    #[test]
    fn dates_match_rfc_5905() {
        for (unix_s, seconds) in [(0, 2_208_988_800_u64), (63_072_000, 2_272_060_800), (2_086_041_600, 63_104)] {
            assert_eq!(NtpTimestamp::from_unix_ns(unix_s * SECOND_NS), NtpTimestamp(seconds << 32));
        }
    }

    proptest! {
        #[test]
        fn unix_nanoseconds_round_trip(unix_ns in any::<i64>(), far_s in -2_147_000_000_i64..2_147_000_000) {
            let near_ns = unix_ns.saturating_add(far_s * SECOND_NS);
            prop_assert_eq!(NtpTimestamp::from_unix_ns(unix_ns).to_unix_ns(near_ns), unix_ns);
        }
    }
}
