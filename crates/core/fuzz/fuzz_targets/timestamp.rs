//! Differences and eras hold for any two timestamps and any time near them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ntp_monitor_core::ntp::NtpTimestamp;

fuzz_target!(|input: (u64, u64, i64)| {
    let (a, b, near_ns) = input;
    let (later, earlier) = (NtpTimestamp(a), NtpTimestamp(b));
    assert_eq!(later.ticks_since(earlier), earlier.ticks_since(later).wrapping_neg());
    assert!(later.seconds_since(earlier).abs() <= 2_147_483_648.0);
    let unix_ns = later.to_unix_ns(near_ns);
    // Within 68 years of where it was looked for, unless that would not fit.
    let distance = i128::from(unix_ns) - i128::from(near_ns);
    assert!(distance.abs() <= (1_i128 << 31) * 1_000_000_000 + 1);
});
