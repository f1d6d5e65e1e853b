//! The 32-bit NTP short format: 16 bits of seconds and 16 of fraction (RFC 5905 §6).

/// A duration from 0 to just under 65 536 s in units of 2^-16 s (15.3 µs). Packets use it for root delay and
/// dispersion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpShort(pub u32);

impl NtpShort {
    /// The duration in seconds; the conversion is exact.
    #[must_use]
    pub fn seconds(self) -> f64 {
        f64::from(self.0) / 65_536.0
    }

    /// The nearest representable duration. Values out of range saturate, and NaN becomes zero.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Self {
        // A float-to-integer cast saturates and maps NaN to zero.
        Self((seconds * 65_536.0).round() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from `TestOfflineConvertShort` of beevik/ntp (BSD-2-Clause).
    #[test]
    fn short_format_matches_beevik_ntp() {
        let cases = [
            (0x0000_0000, 0.0),
            (0x0000_0001, 1.525_878_906_25e-5),
            (0x0000_8000, 0.5),
            (0x0000_c000, 0.75),
            (0x0000_ff80, 0.998_046_875),
            (0x0001_0000, 1.0),
            (0x0001_8000, 1.5),
            (0xffff_0000, 65_535.0),
            (0xffff_ff80, 65_535.998_046_875),
        ];
        for (raw, seconds) in cases {
            assert_eq!(NtpShort(raw).seconds(), seconds, "{raw:#010x}");
            assert_eq!(NtpShort::from_seconds(seconds), NtpShort(raw));
        }
    }

    #[test]
    fn values_out_of_range_saturate() {
        assert_eq!(NtpShort::from_seconds(1e9), NtpShort(u32::MAX));
        assert_eq!(NtpShort::from_seconds(-1.0), NtpShort(0));
        assert_eq!(NtpShort::from_seconds(f64::NAN), NtpShort(0));
    }
}
