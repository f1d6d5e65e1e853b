//! When a report is due: a time of day, on every day, or on some days of the week or of the month, in a zone.
//!
//! Daylight saving time: a time of day that is skipped in spring moves later by the length of the gap, so a report at
//! 02:30 is due at 03:30. Of a time that occurs twice in autumn the first one counts, so there is one report each day,
//! never two.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Days of the week or of the month, and a time of day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    days: Days,
    at: Time,
}

/// The days on which a report is due; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// Days from Monday, 0 to 6.
    Week(BTreeSet<u8>),
    /// Days of the month, 1 to 31. A month that is too short has its last day instead.
    Month(BTreeSet<u8>),
}

/// Three letters each, from Monday.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl FromStr for Schedule {
    type Err = String;

    /// `Mon 08:00`, `Mon,Thu 08:00`, `Mon-Fri 18:30`, `daily 06:00`, `monthly 06:00` (on the first), `1,15 06:00`,
    /// `last 06:00` (on the last day of the month).
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "{text:?} is not a schedule such as \"Mon 08:00\", \"Mon-Fri 18:30\", \"daily 06:00\", \"monthly 06:00\", \
                 \"1,15 06:00\" or \"last 06:00\""
            )
        };
        let (days, at) = text.trim().rsplit_once(char::is_whitespace).ok_or_else(refused)?;
        let days = parse_days(days.trim()).ok_or_else(refused)?;
        let (hour, minute) = at.split_once(':').filter(|(_, minute)| minute.len() == 2).ok_or_else(refused)?;
        let at = Time::new(hour.parse().map_err(|_| refused())?, minute.parse().map_err(|_| refused())?, 0, 0);
        Ok(Self { days, at: at.map_err(|_| refused())? })
    }
}

fn parse_days(text: &str) -> Option<Days> {
    match text.to_ascii_lowercase().as_str() {
        "daily" | "every day" => Some(Days::Week((0..7).collect())),
        "monthly" => Some(Days::Month([1].into())),
        _ if text.contains(|c: char| c.is_ascii_digit()) || text.to_ascii_lowercase().contains("last") => {
            days_of_month(text).map(Days::Month)
        }
        _ => days_of_week(text).map(Days::Week),
    }
}

/// `1,15`, `1-5`, `last`.
fn days_of_month(text: &str) -> Option<BTreeSet<u8>> {
    let day = |text: &str| match text.trim() {
        last if last.eq_ignore_ascii_case("last") => Some(31),
        number if number.bytes().all(|b| b.is_ascii_digit()) => {
            number.parse().ok().filter(|day| (1..=31).contains(day))
        }
        _ => None,
    };
    let mut days = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u8, u8) = (day(from)?, day(to)?);
        if from > to {
            return None;
        }
        days.extend(from..=to);
    }
    Some(days)
}

fn days_of_week(text: &str) -> Option<BTreeSet<u8>> {
    let mut days = BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        match part.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (day(from)?, day(to)?);
                // A range may wrap around, such as Friday to Monday.
                days.extend((0..7).map(|n| (from + n) % 7).take(usize::from((to + 7 - from) % 7) + 1));
            }
            None => drop(days.insert(day(part)?)),
        }
    }
    Some(days)
}

fn day(text: &str) -> Option<u8> {
    let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let text = text.trim().to_ascii_lowercase();
    let found = names.iter().position(|name| text.len() >= 3 && name.starts_with(&text))?;
    u8::try_from(found).ok()
}

impl Schedule {
    /// The first time after `after` at which a report is due in `zone`; `None` at the end of all calendars.
    #[must_use]
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // Start with the day before, because a gap can move its due time later.
        let first = after.to_zoned(zone.clone()).date().checked_sub(1.day()).ok()?;
        first
            .series(1.day())
            .take(usize::from(self.days.reach()))
            .filter(|date| self.days.contains(*date))
            .filter_map(|date| zone.to_ambiguous_timestamp(date.to_datetime(self.at)).compatible().ok())
            .find(|due| *due > after)
    }

    /// The last time up to `now` at which a report was due in `zone`; `None` at the beginning of all calendars.
    #[must_use]
    pub fn last(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut due = self.next(now.checked_sub(i64::from(self.days.reach()) * 24.hours()).ok()?, zone)?;
        while let Some(next) = self.next(due, zone).filter(|next| *next <= now) {
            due = next;
        }
        (due <= now).then_some(due)
    }
}

impl Days {
    fn contains(&self, date: Date) -> bool {
        match self {
            Self::Week(days) => days.contains(&index(date.weekday())),
            Self::Month(days) => {
                let (day, last) = (date.day().unsigned_abs(), date.days_in_month().unsigned_abs());
                days.contains(&day) || day == last && days.range(last..).next().is_some()
            }
        }
    }

    /// A number of days that always contains a due day, even if the calendar of a zone skips a day.
    fn reach(&self) -> u8 {
        match self {
            Self::Week(_) => 10,
            Self::Month(_) => 35,
        }
    }
}

fn index(day: Weekday) -> u8 {
    day.to_monday_zero_offset().unsigned_abs()
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.days {
            Days::Week(days) if days.len() == 7 => f.write_str("daily")?,
            Days::Week(days) => {
                let names: Vec<_> = days.iter().map(|day| DAYS[usize::from(*day)]).collect();
                f.write_str(&names.join(","))?;
            }
            Days::Month(days) if days.iter().eq(&[1]) => f.write_str("monthly")?,
            Days::Month(days) => {
                let names: Vec<_> = days.iter().map(u8::to_string).collect();
                f.write_str(&names.join(","))?;
            }
        }
        write!(f, " {}", self.at.strftime("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, zone: &str, after: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        let due = schedule.parse::<Schedule>().unwrap().next(after.parse().unwrap(), &zone).unwrap();
        due.to_string()
    }

    #[test]
    fn schedules_are_read_and_written_in_one_form() {
        for (text, shown) in [
            ("Mon 08:00", "Mon 08:00"),
            ("monday 8:00", "Mon 08:00"),
            ("  Thu, mon  18:30 ", "Mon,Thu 18:30"),
            ("Mon-Fri 00:00", "Mon,Tue,Wed,Thu,Fri 00:00"),
            ("Sat-Mon 23:59", "Mon,Sat,Sun 23:59"),
            ("daily 06:05", "daily 06:05"),
            ("Mon-Sun 06:05", "daily 06:05"),
            ("Monthly 6:00", "monthly 06:00"),
            ("1 06:00", "monthly 06:00"),
            ("15, 1 06:00", "1,15 06:00"),
            ("28-last 06:00", "28,29,30,31 06:00"),
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), shown, "{text}");
        }
        for bad in [
            "",
            "08:00",
            "Mon",
            "Mon 24:00",
            "Mon 8",
            "Mon 08:60",
            "Mon 08:00:00",
            "Mo 08:00",
            "Mon 8:5",
            ", 08:00",
            "0 08:00",
            "32 08:00",
            "5-1 08:00",
            "Mon,1 08:00",
            "-1 08:00",
        ] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_next_time_is_later_than_now_and_on_the_right_day() {
        // 2026-11-23 is a Monday.
        assert_eq!(next("Mon 08:00", "UTC", "2026-11-23T07:59:59Z"), "2026-11-23T08:00:00Z");
        assert_eq!(next("Mon 08:00", "UTC", "2026-11-23T08:00:00Z"), "2026-11-30T08:00:00Z");
        assert_eq!(next("Mon,Thu 08:00", "UTC", "2026-11-23T08:00:00Z"), "2026-11-26T08:00:00Z");
        assert_eq!(next("daily 00:00", "UTC", "2026-12-31T12:00:00Z"), "2027-01-01T00:00:00Z");
        assert_eq!(next("Mon 08:00", "Europe/Amsterdam", "2026-11-22T12:00:00Z"), "2026-11-23T07:00:00Z");
        assert_eq!(next("Mon 08:00", "Pacific/Kiritimati", "2026-11-22T12:00:00Z"), "2026-11-22T18:00:00Z");
    }

    /// In Amsterdam the clock goes from 02:00 to 03:00 on 2026-03-29, and from 03:00 to 02:00 on 2026-10-25.
    #[test]
    fn time_in_the_spring_gap_is_shifted_and_occurs_once() {
        let zone = "Europe/Amsterdam";
        assert_eq!(next("daily 02:30", zone, "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z");
        assert_eq!(next("daily 02:30", zone, "2026-03-29T01:30:00Z"), "2026-03-30T00:30:00Z");
    }

    #[test]
    fn first_of_two_equal_times_in_autumn_counts() {
        let zone = "Europe/Amsterdam";
        assert_eq!(next("daily 02:30", zone, "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(next("daily 02:30", zone, "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn days_of_the_month_are_clamped_to_its_end() {
        assert_eq!(next("monthly 06:00", "UTC", "2026-11-01T06:00:00Z"), "2026-12-01T06:00:00Z");
        assert_eq!(next("1,15 06:00", "UTC", "2026-11-01T06:00:00Z"), "2026-11-15T06:00:00Z");
        assert_eq!(next("31 06:00", "UTC", "2026-11-01T06:00:00Z"), "2026-11-30T06:00:00Z");
        assert_eq!(next("last 06:00", "UTC", "2027-01-31T06:00:00Z"), "2027-02-28T06:00:00Z");
        assert_eq!(next("29-31 06:00", "UTC", "2027-02-28T06:00:00Z"), "2027-03-29T06:00:00Z");
        assert_eq!(next("monthly 06:00", "Asia/Tokyo", "2026-11-20T00:00:00Z"), "2026-11-30T21:00:00Z");
        let schedule: Schedule = "last 06:00".parse().unwrap();
        let last = schedule.last("2026-12-31T05:59:59Z".parse().unwrap(), &TimeZone::UTC).unwrap();
        assert_eq!(last.to_string(), "2026-11-30T06:00:00Z");
    }

    /// Samoa had no 2011-12-30 at all.
    #[test]
    fn a_day_that_never_was_does_not_stop_the_schedule() {
        let due = next("Fri 08:00", "Pacific/Apia", "2011-12-29T20:00:00Z");
        assert!(("2011-12-30".."2012-01-08").contains(&due.as_str()), "{due}");
    }

    #[test]
    fn the_last_time_is_the_one_whose_next_is_in_the_future() {
        let schedule: Schedule = "Mon 08:00".parse().unwrap();
        let last = |now: &str| schedule.last(now.parse().unwrap(), &TimeZone::UTC).unwrap().to_string();
        assert_eq!(last("2026-11-23T08:00:00Z"), "2026-11-23T08:00:00Z");
        assert_eq!(last("2026-11-23T07:59:59Z"), "2026-11-16T08:00:00Z");
        assert_eq!(schedule.last(Timestamp::MIN, &TimeZone::UTC), None);
        assert_eq!(schedule.next(Timestamp::MAX, &TimeZone::UTC), None);
    }
}
