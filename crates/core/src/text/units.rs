//! Quantities for people: three significant digits, a suitable unit, and a sign if the sign has a meaning.

use std::time::Duration;

use jiff::Timestamp;

/// The text for a value that was not measured.
pub const NOTHING: &str = "–";

/// Units of time with their size in seconds, largest first.
const UNITS: [(&str, f64); 4] = [("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)];

/// A time in seconds with three significant digits: `3.21 ms`, `412 µs`, `0 s`. Beyond 1000 s all digits are kept.
#[must_use]
pub fn seconds(value_s: f64) -> String {
    if !value_s.is_finite() {
        return NOTHING.to_owned();
    }
    let sign = if value_s < 0.0 { "-" } else { "" };
    format!("{sign}{}", magnitude(value_s.abs()))
}

/// As [`seconds`], always with a sign: `+3.21 ms`. For offsets: plus means that the server is ahead.
#[must_use]
pub fn signed_seconds(value_s: f64) -> String {
    let text = seconds(value_s);
    if value_s > 0.0 && text != NOTHING && text != "0 s" { format!("+{text}") } else { text }
}

/// An uncertainty: `±3.21 ms`.
#[must_use]
pub fn bound(value_s: f64) -> String {
    if value_s.is_finite() { format!("±{}", seconds(value_s.abs())) } else { NOTHING.to_owned() }
}

/// A span as two units at most: `3 d 4 h`, `2 min 5 s`, `450 ms`.
#[must_use]
pub fn span(duration: Duration) -> String {
    let total_s = duration.as_secs();
    let (days, hours, minutes, secs) = (total_s / 86_400, total_s / 3600 % 24, total_s / 60 % 60, total_s % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => seconds(duration.as_secs_f64()),
        (0, 0, _) => pair(minutes, "min", secs, "s"),
        (0, _, _) => pair(hours, "h", minutes, "min"),
        _ => pair(days, "d", hours, "h"),
    }
}

/// A wall-clock time to the second, in UTC: `2026-11-22 22:23:42 UTC`.
#[must_use]
pub fn wall_time(unix_ns: i64) -> String {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(unix_ns)) else { return NOTHING.to_owned() };
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A wall-clock time as RFC 3339 in UTC with nanoseconds, for data files.
#[must_use]
pub fn rfc3339(unix_ns: i64) -> String {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(unix_ns)) else { return String::new() };
    format!("{time:.9}")
}

/// The same to the millisecond, for people.
#[must_use]
pub fn rfc3339_ms(unix_ns: i64) -> String {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(unix_ns)) else { return String::new() };
    format!("{time:.3}")
}

fn magnitude(value_s: f64) -> String {
    if value_s < 0.5e-9 {
        return "0 s".to_owned();
    }
    let (unit, size_s) = UNITS.into_iter().find(|(_, size_s)| rounds_to_one(value_s / size_s)).unwrap_or(UNITS[3]);
    let value = value_s / size_s;
    let decimals = match value {
        v if v < 9.995 && unit != "ns" => 2,
        v if v < 99.95 && unit != "ns" => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// Whether `value` rounds to one or more with three digits: 0.9996 ms is shown as 1.00 ms, not as 1000 µs.
fn rounds_to_one(value: f64) -> bool {
    value >= 0.999_5
}

fn pair(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_three_digits_and_a_unit_that_fits() {
        let cases = [
            (0.0, "0 s"),
            (4e-10, "0 s"),
            (7e-9, "7 ns"),
            (999.4e-9, "999 ns"),
            (999.6e-9, "1.00 µs"),
            (1.234e-6, "1.23 µs"),
            (12.34e-6, "12.3 µs"),
            (123.4e-6, "123 µs"),
            (999.6e-6, "1.00 ms"),
            (99.96e-3, "100 ms"),
            (9.996e-3, "10.0 ms"),
            (0.0032, "3.20 ms"),
            (1.0, "1.00 s"),
            (86_400.4, "86400 s"),
        ];
        for (value_s, text) in cases {
            assert_eq!(seconds(value_s), text);
        }
    }

    #[test]
    fn a_sign_is_always_shown_on_an_offset_and_never_on_zero() {
        assert_eq!(signed_seconds(0.0032), "+3.20 ms");
        assert_eq!(signed_seconds(-0.0032), "-3.20 ms");
        assert_eq!(signed_seconds(0.0), "0 s");
        assert_eq!(signed_seconds(1e-12), "0 s");
        assert_eq!(bound(0.0032), "±3.20 ms");
    }

    #[test]
    fn nan_is_shown_as_missing() {
        for value_s in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(seconds(value_s), NOTHING);
            assert_eq!(signed_seconds(value_s), NOTHING);
            assert_eq!(bound(value_s), NOTHING);
        }
    }

    #[test]
    fn a_span_has_two_units_at_most() {
        let cases = [(59, "59.0 s"), (60, "1 min"), (125, "2 min 5 s"), (7_260, "2 h 1 min"), (273_601, "3 d 4 h")];
        for (secs, text) in cases {
            assert_eq!(span(Duration::from_secs(secs)), text);
        }
        assert_eq!(span(Duration::from_millis(450)), "450 ms");
    }

    #[test]
    fn wall_times_are_utc() {
        assert_eq!(wall_time(1_800_000_000_000_000_000), "2027-01-15 08:00:00 UTC");
        assert_eq!(rfc3339(1_800_000_000_000_000_001), "2027-01-15T08:00:00.000000001Z");
        assert_eq!(wall_time(i64::MAX), "2262-04-11 23:47:16 UTC");
    }
}
