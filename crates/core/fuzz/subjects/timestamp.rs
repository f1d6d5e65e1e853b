//! Differences and eras hold for any two timestamps and any time near them. The input is three numbers of 8 octets.

use ntp_monitor_core::ntp::NtpTimestamp;

pub fn check(input: &[u8]) {
    let (numbers, _) = input.as_chunks::<8>();
    let [a, b, near, ..] = numbers else { return };
    let (later, earlier) = (NtpTimestamp(u64::from_be_bytes(*a)), NtpTimestamp(u64::from_be_bytes(*b)));
    let near_ns = i64::from_be_bytes(*near);
    assert_eq!(later.ticks_since(earlier), earlier.ticks_since(later).wrapping_neg());
    assert!(later.seconds_since(earlier).abs() <= 2_147_483_648.0);
    let unix_ns = later.to_unix_ns(near_ns);
    // Within 68 years of where it was looked for, unless that would not fit.
    let distance = i128::from(unix_ns) - i128::from(near_ns);
    assert!(distance.abs() <= (1_i128 << 31) * 1_000_000_000 + 1);
}
