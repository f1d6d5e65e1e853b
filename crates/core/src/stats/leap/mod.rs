//! Leap seconds: the list that governs them, what servers announce, and servers that smear them.

mod list;
mod smear;
mod truth;
mod watch;

pub use list::{LeapList, LeapListError, LeapSecond};
pub use smear::{is_leap_date_near, looks_like_smear, since_noon_s, smear_at_s, smeared_minus_utc_s};
pub use truth::{LeapKeeper, LeapSource, LeapTruth, ListFacts};
pub use watch::{LeapFinding, judge_announcements};

/// Seconds from 1900-01-01 to 1970-01-01.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;
const DAY_S: i64 = 86_400;

/// Days since 1970-01-01 to (year, month, day) of the proleptic Gregorian calendar (H. Hinnant, "days from civil").
fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// Whether a leap second can occur at the end of this day: the last of June or December (ITU-R TF.460).
fn is_leap_day(days: i64) -> bool {
    matches!(civil(days), (_, 6, 30) | (_, 12, 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_across_leap_years() {
        for (days, date) in [(0, (1970, 1, 1)), (11_016, (2000, 2, 29)), (17_166, (2016, 12, 31)), (-1, (1969, 12, 31))]
        {
            assert_eq!(civil(days), date);
        }
        assert!(is_leap_day(17_166) && !is_leap_day(17_167));
    }
}
