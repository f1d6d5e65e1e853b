//! Servers that smear a leap second over a day instead of inserting it.
//!
//! Google and AWS smear linearly from noon to noon UTC around the leap second: 86 401 seconds are shown as 86 400, so
//! such a server loses 11.574 ppm against UTC, is half a second behind at midnight, half a second ahead right after it
//! (UTC has just repeated a second), and right again at noon.

use super::{DAY_S, is_leap_day};

/// The rate of a smear of an inserted second in ppm: −1e6 / 86401.
pub const SMEAR_PPM: f64 = -1e6 / 86_401.0;
/// A fitted slope may differ from the rate of a smear by this much, or by half of its confidence interval if that is
/// more, but by no more than 2.5 ppm.
const TOLERANCE_PPM: f64 = 1.0;
const HALF_DAY_S: i64 = DAY_S / 2;
const SPARE_S: i64 = 3600;

/// How far a smearing server is ahead of UTC, `since_noon_s` SI seconds after the noon before an inserted leap second.
/// `None` outside of the smear and during the leap second itself, which has no number in Unix time.
#[must_use]
pub fn smeared_minus_utc_s(since_noon_s: f64) -> Option<f64> {
    if !(0.0..=86_401.0).contains(&since_noon_s) || (43_200.0..43_201.0).contains(&since_noon_s) {
        return None;
    }
    let shown = since_noon_s * 86_400.0 / 86_401.0;
    let utc = if since_noon_s < 43_200.0 { since_noon_s } else { since_noon_s - 1.0 };
    Some(shown - utc)
}

/// Whether a Unix time is within the day from noon to noon around the end of June or December, with an hour to spare.
#[must_use]
pub fn is_leap_date_near(unix_s: i64) -> bool {
    // Shift so that the window noon..noon becomes one day.
    [-SPARE_S, SPARE_S].iter().any(|s| is_leap_day((unix_s + s - HALF_DAY_S).div_euclid(DAY_S)))
}

/// Seconds since the noon at which a smear begins, if a leap second could be smeared at this Unix time: until noon of
/// the next day, with an hour to spare.
#[must_use]
pub fn since_noon_s(unix_s: i64) -> Option<i64> {
    let shifted_s = unix_s - HALF_DAY_S;
    [0, SPARE_S].into_iter().find_map(|spare_s| {
        let day = (shifted_s - spare_s).div_euclid(DAY_S);
        is_leap_day(day).then_some(shifted_s - day * DAY_S)
    })
}

/// How far a server that smears is ahead of UTC, `since_noon_s` Unix seconds after the noon before an inserted second.
#[must_use]
pub fn smear_at_s(since_noon_s: f64) -> f64 {
    // Unix time does not count the inserted second.
    let leaped_s = if since_noon_s < HALF_DAY_S as f64 { 0.0 } else { 1.0 };
    smeared_minus_utc_s(since_noon_s + leaped_s).unwrap_or(0.0)
}

/// Whether a drift against the majority is a smear: its rate fits that of an inserted or deleted second, near a date on
/// which leap seconds occur. `low_ppm..high_ppm` is the confidence interval of the slope.
#[must_use]
pub fn looks_like_smear(slope_ppm: f64, low_ppm: f64, high_ppm: f64, unix_s: i64) -> bool {
    let fits = |target: f64| {
        (slope_ppm - target).abs() <= TOLERANCE_PPM.max((high_ppm - low_ppm) / 2.0) && (slope_ppm - target).abs() <= 2.5
    };
    is_leap_date_near(unix_s) && (fits(SMEAR_PPM) || fits(-SMEAR_PPM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smear_follows_the_published_points() {
        // google/unsmear, "standard smear": (SI seconds since noon, smeared − UTC).
        let points = [
            (0.0, 0.0),
            (3600.0, -0.041_666_184_419_227_65),
            (21_600.0, -0.249_997_106_515_365_89),
            (43_199.0, -0.499_982_639_092_195_3),
            (43_201.0, 0.499_994_213_032_731_8),
            (64_801.0, 0.249_997_106_515_365_89),
            (86_401.0, 0.0),
        ];
        for (si, expected) in points {
            let got = smeared_minus_utc_s(si).unwrap();
            assert!((got - expected).abs() < 1e-9, "{si}: {got}");
        }
        assert_eq!(smeared_minus_utc_s(43_200.0), None);
        assert!((SMEAR_PPM - -11.573_940_116_433_837).abs() < 1e-9);
    }

    #[test]
    fn the_window_is_noon_to_noon_at_the_end_of_june_and_december() {
        let midnight = 1_483_228_800; // 2017-01-01
        assert!(is_leap_date_near(midnight - 11 * 3600) && is_leap_date_near(midnight + 11 * 3600));
        assert!(!is_leap_date_near(midnight - 14 * 3600) && !is_leap_date_near(midnight + 14 * 3600));
        assert!(!is_leap_date_near(midnight + 31 * 86_400));
    }

    #[test]
    fn smear_is_a_function_of_unix_time() {
        let midnight = 1_483_228_800;
        let at = |unix_s: i64| since_noon_s(unix_s).map(|s| (smear_at_s(s as f64) * 1e3).round());
        assert_eq!((at(midnight - 43_201), at(midnight - 43_200)), (None, Some(0.0)));
        assert_eq!((at(midnight - 1), at(midnight), at(midnight + 21_600)), (Some(-500.0), Some(500.0), Some(250.0)));
        assert_eq!((at(midnight + 45_000), at(midnight + 46_801)), (Some(0.0), None));
    }

    #[test]
    fn only_the_right_slope_at_the_right_time_is_a_smear() {
        let near = 1_483_228_800 - 6 * 3600;
        assert!(looks_like_smear(-11.4, -12.0, -10.8, near));
        assert!(looks_like_smear(11.6, 11.4, 11.8, near));
        assert!(!looks_like_smear(-8.0, -8.4, -7.6, near));
        assert!(!looks_like_smear(-11.5, -11.7, -11.3, near - 10 * 86_400));
    }
}
