//! When a report is due: a time of day, on every day or on some days of the week, in a zone.
//!
//! The clock of a zone is put forward and back. A time of day that a day does not have (in the gap of spring) is that
//! much later, so that a report at 02:30 comes at 03:30; one that a day has twice (in autumn) is the first of both: one
//! report each day, never two.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Days of the week and a time of day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Days from Monday, 0 to 6; never empty.
    days: BTreeSet<u8>,
    at: Time,
}

/// Three letters each, from Monday.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl FromStr for Schedule {
    type Err = String;

    /// `Mon 08:00`, `Mon,Thu 08:00`, `Mon-Fri 18:30`, `daily 06:00`.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("{text:?} is not a schedule such as \"Mon 08:00\", \"Mon-Fri 18:30\" or \"daily 06:00\"");
        let (days, at) = text.trim().rsplit_once(char::is_whitespace).ok_or_else(refused)?;
        let days = parse_days(days.trim()).ok_or_else(refused)?;
        let (hour, minute) = at.split_once(':').filter(|(_, minute)| minute.len() == 2).ok_or_else(refused)?;
        let at = Time::new(hour.parse().map_err(|_| refused())?, minute.parse().map_err(|_| refused())?, 0, 0);
        Ok(Self { days, at: at.map_err(|_| refused())? })
    }
}

fn parse_days(text: &str) -> Option<BTreeSet<u8>> {
    if ["daily", "every day"].iter().any(|all| text.eq_ignore_ascii_case(all)) {
        return Some((0..7).collect());
    }
    let mut days = BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        match part.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (day(from)?, day(to)?);
                // From Friday to Monday is a way to say the weekend.
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
        // From the day before: what is due there may be later than it says, because of a gap.
        let first = after.to_zoned(zone.clone()).date().checked_sub(1.day()).ok()?;
        first
            .series(1.day())
            .take(10)
            .filter(|date| self.days.contains(&index(date.weekday())))
            .filter_map(|date| zone.to_ambiguous_timestamp(date.to_datetime(self.at)).compatible().ok())
            .find(|due| *due > after)
    }

    /// The last time up to `now` at which a report was due in `zone`; `None` at the beginning of all calendars.
    #[must_use]
    pub fn last(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut due = self.next(now.checked_sub(10 * 24.hours()).ok()?, zone)?;
        while let Some(next) = self.next(due, zone).filter(|next| *next <= now) {
            due = next;
        }
        (due <= now).then_some(due)
    }
}

fn index(day: Weekday) -> u8 {
    day.to_monday_zero_offset().unsigned_abs()
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days.len() == 7 {
            f.write_str("daily")?;
        } else {
            let names: Vec<_> = self.days.iter().map(|day| DAYS[usize::from(*day)]).collect();
            f.write_str(&names.join(","))?;
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
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), shown, "{text}");
        }
        for bad in
            ["", "08:00", "Mon", "Mon 24:00", "Mon 8", "Mon 08:60", "Mon 08:00:00", "Mo 08:00", "Mon 8:5", ", 08:00"]
        {
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
    fn a_time_in_the_gap_of_spring_is_that_much_later_and_comes_once() {
        let zone = "Europe/Amsterdam";
        assert_eq!(next("daily 02:30", zone, "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z");
        assert_eq!(next("daily 02:30", zone, "2026-03-29T01:30:00Z"), "2026-03-30T00:30:00Z");
    }

    #[test]
    fn a_time_that_autumn_has_twice_is_the_first_of_both() {
        let zone = "Europe/Amsterdam";
        assert_eq!(next("daily 02:30", zone, "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(next("daily 02:30", zone, "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
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
