//! A period of wall-clock time, and parsing of instants.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use ntp_monitor_core::stats::verdict::When;

/// `[from, to)` in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from_ns: i64,
    /// The end, not before the start.
    pub to_ns: i64,
}

impl Span {
    /// The period of this length that ends at `to_ns`.
    #[must_use]
    pub fn ending(to_ns: i64, length: Duration) -> Self {
        let length_ns = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
        Self { from_ns: to_ns.saturating_sub(length_ns), to_ns }
    }

    /// The same period, starting at `first_ns` at the earliest, so that it does not include time before the first
    /// sample.
    #[must_use]
    pub fn beginning_with(self, first_ns: i64) -> Self {
        Self { from_ns: self.from_ns.max(first_ns).min(self.to_ns), ..self }
    }

    /// The length in seconds.
    #[must_use]
    pub fn length_s(self) -> f64 {
        (i128::from(self.to_ns) - i128::from(self.from_ns)) as f64 / 1e9
    }

    /// Whether an instant is within the period.
    #[must_use]
    pub fn holds(self, at_ns: i64) -> bool {
        (self.from_ns..self.to_ns).contains(&at_ns)
    }
}

/// For example `2026-11-16 08:00 UTC to 2026-11-23 08:00 UTC`.
impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", When(self.from_ns), When(self.to_ns))
    }
}

/// Parses an instant: RFC 3339, or a date, or a date and a time of day, in UTC unless an offset is given.
///
/// # Errors
/// When the text has none of these forms, or the time is out of range.
pub fn parse_instant(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let in_utc = |civil: DateTime| civil.to_zoned(TimeZone::UTC).ok().as_ref().map(Zoned::timestamp);
    let time = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| in_utc(text.parse::<DateTime>().ok()?))
        .or_else(|| in_utc(text.parse::<Date>().ok()?.at(0, 0, 0, 0)));
    let time = time.ok_or_else(|| format!("{text:?} is not a time such as 2026-11-22 or 2026-11-22T23:00:00Z"))?;
    i64::try_from(time.as_nanosecond()).map_err(|_| format!("{text:?} is out of range: the years are 1678 to 2261"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn instant_is_in_utc_unless_an_offset_is_given() {
        assert_eq!(parse_instant("1970-01-02"), Ok(86_400 * S));
        assert_eq!(parse_instant("1970-01-01 00:01"), Ok(60 * S));
        assert_eq!(parse_instant("1970-01-01T00:00:01.5Z"), Ok(1_500_000_000));
        assert_eq!(parse_instant(" 1970-01-01T01:00:00+01:00 "), Ok(0));
        for bad in ["", "yesterday", "2026", "2026-13-01", "1066-10-14"] {
            assert!(parse_instant(bad).is_err(), "{bad}");
        }
        assert!(parse_instant("9999-01-01").unwrap_err().contains("out of range"));
    }

    #[test]
    fn period_starts_at_the_first_sample() {
        let century = Span::ending(100 * S, Duration::from_secs(100 * 365 * 86_400));
        assert_eq!(century.beginning_with(40 * S), Span { from_ns: 40 * S, to_ns: 100 * S });
        assert_eq!(century.beginning_with(400 * S).length_s(), 0.0);
        assert_eq!(Span::ending(0, Duration::MAX).from_ns, -i64::MAX);
        assert_eq!(Span { from_ns: i64::MIN, to_ns: i64::MAX }.length_s(), 2_f64.powi(64) / 1e9);
    }
}
