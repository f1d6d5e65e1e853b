//! No file panics the CSV reader, and what it reads is finite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ntp_monitor_core::formats::csv::{HEADER, read_from};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // The same behind a good header gets further in.
    check(&[HEADER.as_bytes(), b"\n", bytes].concat());
});

fn check(bytes: &[u8]) {
    let Ok(rows) = read_from("fuzz.csv", bytes) else { return };
    for sample in rows.flatten() {
        if let Some(measure) = sample.measure {
            assert!(measure.offset_s.is_finite() && measure.delay_s.is_finite());
        }
    }
}
