//! One point is exactly one line, whatever names, tags and values contain.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ntp_monitor::sinks::influx::Point;

fuzz_target!(|input: (&str, &str, &str, &str, &str, f64, i64)| {
    let (measurement, tag, value, field, text, number, at_ns) = input;
    let mut out = Vec::new();
    let point = Point::new(measurement, at_ns).tag(tag, value).text(field, text).number("number", number);
    if point.append_to(&mut out) {
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(out.last(), Some(&b'\n'));
        assert!(std::str::from_utf8(&out).is_ok_and(|line| line.ends_with(&format!(" {at_ns}\n"))));
    } else {
        assert!(out.is_empty());
    }
});
