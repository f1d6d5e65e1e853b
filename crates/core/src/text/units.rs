//! Quantities for people: three significant digits, a suitable unit, and a sign if the sign has a meaning.

use std::time::Duration;

use jiff::Timestamp;

/// The text for a value that was not measured.
pub const NOTHING: &str = "–";

/// The text for a value that rounds to zero.
const ZERO: &str = "0 s";

/// Units of time with their size in seconds, largest first.
const UNITS: [(&str, f64); 4] = [("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)];

/// A time in seconds with three significant digits: `3.21 ms`, `412 µs`, `0 s`. Beyond 1000 s all digits are kept.
#[must_use]
pub fn seconds(value_s: f64) -> String {
    if !value_s.is_finite() {
        return NOTHING.to_owned();
    }
    let text = magnitude(value_s.abs(), Rounding::Nearest);
    if value_s < 0.0 && text != ZERO { format!("-{text}") } else { text }
}

/// A proven minimum without its sign, rounded down, so that the text claims no more than the value.
#[must_use]
pub fn at_least(value_s: f64) -> String {
    if value_s.is_finite() { magnitude(value_s.abs(), Rounding::Down) } else { NOTHING.to_owned() }
}

/// A limit without its sign, rounded up, so that the text claims no less than the value.
#[must_use]
pub fn at_most(value_s: f64) -> String {
    if value_s.is_finite() { magnitude(value_s.abs(), Rounding::Up) } else { NOTHING.to_owned() }
}

/// As [`seconds`], always with a sign: `+3.21 ms`. For offsets: plus means that the server is ahead.
#[must_use]
pub fn signed_seconds(value_s: f64) -> String {
    let text = seconds(value_s);
    if value_s > 0.0 && text != NOTHING && text != ZERO { format!("+{text}") } else { text }
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

/// To which of the two neighbours with three digits a value is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Nearest,
    Down,
    Up,
}

impl Rounding {
    /// Whether `value` is at least `limit` after rounding to three digits; the last one counts `step`. So 0.9996 ms
    /// is shown as 1.00 ms, not as 1000 µs.
    fn reaches(self, value: f64, limit: f64, step: f64) -> bool {
        let below = match self {
            Self::Nearest => step / 2.0,
            Self::Down => 0.0,
            // What is exactly a step below has three digits.
            Self::Up => step * (1.0 - 1e-6),
        };
        value >= limit - below
    }

    fn round(self, value: f64, decimals: usize) -> f64 {
        // A decimal fraction has no exact binary form, so what is closer than this to a step is that step.
        const CLOSE: f64 = 1e-6;
        let scale = [1.0, 10.0, 100.0][decimals];
        match self {
            Self::Nearest => value,
            Self::Down => (value * scale + CLOSE).floor() / scale,
            Self::Up => (value * scale - CLOSE).ceil() / scale,
        }
    }
}

fn magnitude(value_s: f64, rounding: Rounding) -> String {
    if !rounding.reaches(value_s / 1e-9, 1.0, 1.0) || value_s == 0.0 {
        return ZERO.to_owned();
    }
    let fits = |(_, size_s): &(&str, f64)| rounding.reaches(value_s / size_s, 1.0, 1e-3);
    let (unit, size_s) = UNITS.into_iter().find(fits).unwrap_or(UNITS[3]);
    let value = value_s / size_s;
    let decimals = match value {
        _ if unit == "ns" => 0,
        v if !rounding.reaches(v, 10.0, 0.01) => 2,
        v if !rounding.reaches(v, 100.0, 0.1) => 1,
        _ => 0,
    };
    format!("{:.decimals$} {unit}", rounding.round(value, decimals))
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
    fn a_minimum_is_rounded_down_and_a_limit_up() {
        let cases = [
            (0.049_68, "49.6 ms", "49.7 ms"),
            (0.999_77, "999 ms", "1.00 s"),
            (0.999_2, "999 ms", "1.00 s"),
            (2.174_5e-3, "2.17 ms", "2.18 ms"),
            (9.996e-3, "9.99 ms", "10.0 ms"),
            (0.003_2, "3.20 ms", "3.20 ms"),
            (0.3, "300 ms", "300 ms"),
            (86_399.998, "86399 s", "86400 s"),
            (0.999, "999 ms", "999 ms"),
            (7.4e-9, "7 ns", "8 ns"),
            (0.0, "0 s", "0 s"),
        ];
        for (value_s, least, most) in cases {
            assert_eq!((at_least(-value_s).as_str(), at_most(value_s).as_str()), (least, most));
        }
        assert_eq!((at_least(f64::NAN), at_most(f64::INFINITY)), (NOTHING.to_owned(), NOTHING.to_owned()));
    }

    #[test]
    fn a_sign_is_always_shown_on_an_offset_and_never_on_zero() {
        assert_eq!(signed_seconds(0.0032), "+3.20 ms");
        assert_eq!(signed_seconds(-0.0032), "-3.20 ms");
        assert_eq!(signed_seconds(0.0), "0 s");
        assert_eq!((signed_seconds(1e-12), seconds(-1e-12)), (ZERO.to_owned(), ZERO.to_owned()));
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
