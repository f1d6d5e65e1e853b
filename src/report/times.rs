//! Times for readers: in the time zone of the report, with UTC beside it.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use ntp_monitor_core::stats::verdict::When;
use ntp_monitor_core::text::units::NOTHING;

const MINUTE: &str = "%Y-%m-%d %H:%M";
const SECOND: &str = "%Y-%m-%d %H:%M:%S";
/// The text after a time in a recorded sentence.
const UTC: &str = " UTC";

/// Formats times for a time zone.
#[derive(Debug, Clone)]
pub struct Times(TimeZone);

impl Times {
    #[must_use]
    pub fn of(zone: TimeZone) -> Self {
        Self(zone)
    }

    /// A time to the minute: `2026-11-23 17:00 JST (08:00 UTC)`, or `2026-11-23 08:00 UTC` if the zone is UTC.
    #[must_use]
    pub fn minute(&self, at: When) -> String {
        self.format(at.0, MINUTE)
    }

    /// A time to the second.
    #[must_use]
    pub fn second(&self, unix_ns: i64) -> String {
        self.format(unix_ns, SECOND)
    }

    /// The date in the zone.
    #[must_use]
    pub fn date(&self, unix_ns: i64) -> String {
        self.zoned(unix_ns).map_or_else(|| NOTHING.to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
    }

    /// A sentence that names the zone; `None` if it is UTC.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let name = self.0.iana_name().unwrap_or("this host's time zone");
        let is_utc = self.0 == TimeZone::UTC || matches!(name, "UTC" | "Etc/UTC");
        (!is_utc).then(|| format!("Times are in {name}, with UTC in brackets. The time axes of charts are in UTC."))
    }

    /// A recorded sentence, with its times to the minute in the zone.
    #[must_use]
    pub fn sentence(&self, text: &str) -> String {
        if self.note().is_none() {
            return text.to_owned();
        }
        let (mut said, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(end) = rest.find(UTC) {
            let (before, after) = rest.split_at(end);
            let start = before.len().saturating_sub(DateTime::ZERO.strftime(MINUTE).to_string().len());
            match before.get(start..).and_then(|time| DateTime::strptime(MINUTE, time).ok()) {
                Some(time) => {
                    let at = time.to_zoned(TimeZone::UTC).map(|at| at.timestamp().as_nanosecond());
                    let at = at.ok().and_then(|ns| i64::try_from(ns).ok());
                    said.push_str(&before[..start]);
                    said.push_str(&at.map_or_else(|| NOTHING.to_owned(), |ns| self.minute(When(ns))));
                }
                None => said.extend([before, UTC]),
            }
            rest = &after[UTC.len()..];
        }
        said.push_str(rest);
        said
    }

    fn zoned(&self, unix_ns: i64) -> Option<Zoned> {
        Some(Timestamp::from_nanosecond(i128::from(unix_ns)).ok()?.to_zoned(self.0.clone()))
    }

    fn format(&self, unix_ns: i64, form: &str) -> String {
        let Some(local) = self.zoned(unix_ns) else { return NOTHING.to_owned() };
        let utc = local.with_time_zone(TimeZone::UTC);
        if self.note().is_none() {
            return format!("{} UTC", utc.strftime(form));
        }
        // A date that is the same is not repeated.
        let short = if local.date() == utc.date() { form.trim_start_matches("%Y-%m-%d ") } else { form };
        format!("{} ({} UTC)", local.strftime(&format!("{form} %Z")), utc.strftime(short))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(zone: &str, at: &str) -> String {
        let at: Timestamp = at.parse().unwrap();
        Times::of(TimeZone::get(zone).unwrap()).minute(When(i64::try_from(at.as_nanosecond()).unwrap()))
    }

    #[test]
    fn times_are_in_the_zone_with_utc_beside() {
        assert_eq!(minute("Asia/Tokyo", "2026-11-23T08:00:00Z"), "2026-11-23 17:00 JST (08:00 UTC)");
        assert_eq!(minute("Asia/Tokyo", "2026-11-23T16:00:00Z"), "2026-11-24 01:00 JST (2026-11-23 16:00 UTC)");
        assert_eq!(minute("Europe/Amsterdam", "2026-07-01T08:00:00Z"), "2026-07-01 10:00 CEST (08:00 UTC)");
    }

    #[test]
    fn times_inside_sentences_are_in_the_zone() {
        let tokyo = Times::of(TimeZone::get("Asia/Tokyo").unwrap());
        assert_eq!(
            tokyo.sentence("n is wrong since 2026-11-23 08:00 UTC (step), by UTC; µ 2026-11-23 16:00 UTC"),
            "n is wrong since 2026-11-23 17:00 JST (08:00 UTC) (step), by UTC; µ 2026-11-24 01:00 JST (2026-11-23 \
             16:00 UTC)"
        );
        let text = "since 2026-11-23 08:00 UTC";
        assert_eq!(Times::of(TimeZone::UTC).sentence(text), text);
    }

    #[test]
    fn times_in_utc_are_not_repeated() {
        for zone in ["UTC", "Etc/UTC"] {
            assert_eq!(minute(zone, "2026-11-23T08:00:00Z"), "2026-11-23 08:00 UTC");
        }
        assert_eq!(Times::of(TimeZone::UTC).note(), None);
    }
}
