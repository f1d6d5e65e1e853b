//! No file panics the CSV reader, what it reads is finite, and what is written of it is read back the same.

use ntp_monitor_core::formats::csv::{HEADER, append_record, read_from};
use ntp_monitor_core::sample::Sample;

#[allow(dead_code)] // The replay test needs no fragments.
pub const FRAGMENTS: &[&str] = &[
    HEADER,
    "\n",
    ",",
    ",,,,",
    "\"",
    "'",
    "\r\n",
    "time",
    "server",
    "outcome",
    "2026-11-22T20:42:42Z",
    "192.0.2.1:123",
    "[2001:db8::1]:123",
    "fe80::1%2",
    "sample",
    "timeout",
    "unsynchronised",
    "kiss",
    "RATE",
    "rejected",
    "origin",
    "GPS",
    "INIT",
    "1e308",
    "-1e-308",
    "NaN",
    "inf",
    "-0",
    "0.000000001",
    "4294967296",
    "99999999999",
    "16",
    "255",
    "kernel",
    "userland",
    "nts",
    "interleaved",
    "1969-12-31T23:59:59.999999999Z",
    "2262-04-12T00:00:00Z",
    "\u{85}",
    "\u{2028}",
    "=1",
];

pub fn check(bytes: &[u8]) {
    check_file(bytes);
    // The same after a good header gets further.
    check_file(&[HEADER.as_bytes(), bytes].concat());
}

fn check_file(bytes: &[u8]) {
    let Ok(rows) = read_from("fuzz.csv", bytes) else { return };
    for sample in rows.flatten() {
        if let Some(measure) = sample.measure {
            assert!(measure.offset_s.is_finite() && measure.delay_s.is_finite() && measure.root_distance_s.is_finite());
        }
        check_written(&sample);
    }
}

fn check_written(sample: &Sample) {
    let mut file = HEADER.as_bytes().to_vec();
    append_record(&mut file, "", sample);
    let text = String::from_utf8(file).expect("a row is text");
    assert_eq!(text.lines().count(), 2, "a row is one line: {text:?}");
    let read: Vec<_> = read_from("fuzz.csv", text.as_bytes()).expect("our own header").collect();
    assert_eq!(read.len(), 1, "{text:?}");
    assert_eq!(read[0].as_ref(), Ok(sample), "{text:?}");
}
