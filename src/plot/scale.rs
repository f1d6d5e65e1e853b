//! Maps values to positions on an axis, and selects round values for its ticks.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    /// The value at the start of the axis; its logarithm on a logarithmic axis.
    from: f64,
    to: f64,
    is_log: bool,
    pub ticks: Vec<Tick>,
    /// The unit of the labels; empty if each label contains its unit.
    pub unit: &'static str,
}

const DAY_S: i64 = 86_400;
/// Intervals between ticks of time, in seconds; longer ones are months and years.
const STEPS_S: [i64; 20] = [
    1,
    5,
    15,
    30,
    60,
    300,
    900,
    1800,
    3600,
    2 * 3600,
    3 * 3600,
    6 * 3600,
    12 * 3600,
    DAY_S,
    2 * DAY_S,
    3 * DAY_S,
    7 * DAY_S,
    14 * DAY_S,
    28 * DAY_S,
    56 * DAY_S,
];

impl Scale {
    /// The position of a value, from 0 at the start of the axis to 1 at its end; clamped.
    pub fn place(&self, value: f64) -> f64 {
        let value = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// Whether a value is on the axis.
    pub fn holds(&self, value: f64) -> bool {
        let value = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        (self.from..=self.to).contains(&value)
    }

    /// A linear axis of plain numbers.
    pub fn linear(low: f64, high: f64, about: usize) -> Self {
        Self::in_unit(low, high, about, "", 1.0)
    }

    /// A linear axis without ticks.
    pub fn unmarked(from: f64, to: f64) -> Self {
        Self { from, to, is_log: false, ticks: Vec::new(), unit: "" }
    }

    /// A linear axis of seconds, labelled in the unit that fits the largest value.
    pub fn seconds(low: f64, high: f64, about: usize) -> Self {
        const UNITS: [(&str, f64); 4] = [("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)];
        let largest = low.abs().max(high.abs());
        let (unit, size_s) = UNITS.into_iter().find(|(_, size_s)| largest >= *size_s).unwrap_or(UNITS[3]);
        Self::in_unit(low, high, about, unit, size_s)
    }

    fn in_unit(low: f64, high: f64, about: usize, unit: &'static str, size: f64) -> Self {
        // Limits the number of ticks for absurd values and NaN.
        let sound = |value: f64| if value.is_nan() { 0.0 } else { value.clamp(-1e12, 1e12) / size };
        let (low, high) = (sound(low.min(high)), sound(high.max(low)));
        // If all values are nearly equal, add some room around them.
        let room = if high - low > 1e-9 * high.abs() { 0.0 } else { (high.abs() * 0.1).max(1.0) };
        let (low, high) = (low - room, high + room);
        let step = round_step((high - low) / about.max(1) as f64);
        let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let label = |k: i64| format!("{:.decimals$}", k as f64 * step).replace("-0.0", "0.0");
        let ticks = (first..=last).map(|k| Tick { at: k as f64 * step * size, label: label(k) }).collect();
        Self { from: first as f64 * step * size, to: last as f64 * step * size, is_log: false, ticks, unit }
    }

    /// A logarithmic axis with ticks at powers of ten, and at 2 and 5 if there is room.
    pub fn decades(low: f64, high: f64, label: impl Fn(i32, u32) -> String) -> Self {
        let (low, high) = (low.max(1e-300).log10(), high.max(low).max(1e-300).log10());
        // Some room at both ends, and at least one decade.
        let room = ((1.0 - (high - low)) / 2.0).max((high - low) * 0.04);
        let (from, to) = (low - room, high + room);
        let digits: &[u32] = if to - from <= 2.5 { &[1, 2, 5] } else { &[1] };
        // Limits the number of labels.
        let every = ((to - from) / 10.0).ceil().max(1.0) as usize;
        let powers = (from.floor() as i32..=to.ceil() as i32).step_by(every);
        let ticks = powers.flat_map(|power| digits.iter().map(move |digit| (power, *digit)));
        let ticks = ticks
            .map(|(power, digit)| Tick { at: f64::from(digit) * 10_f64.powi(power), label: label(power, digit) })
            .filter(|tick| (from..=to).contains(&tick.at.log10()))
            .collect();
        Self { from, to, is_log: true, ticks, unit: "" }
    }

    /// An axis of wall-clock time in nanoseconds since 1970, in UTC.
    pub fn time(from_ns: i64, to_ns: i64, about: usize) -> Self {
        let to_ns = to_ns.max(from_ns.saturating_add(1_000_000_000));
        let span_s = (i128::from(to_ns) - i128::from(from_ns)) as f64 / 1e9;
        let (from_s, to_s) = (from_ns.div_euclid(1_000_000_000), to_ns.div_euclid(1_000_000_000));
        let wanted_s = span_s / about.max(1) as f64;
        let ticks = match STEPS_S.into_iter().find(|step_s| *step_s as f64 >= wanted_s) {
            Some(step_s) if step_s < 28 * DAY_S => by_seconds(from_s, to_s, step_s),
            _ => by_months(from_s, to_s, (wanted_s / (30.44 * DAY_S as f64)).ceil().max(1.0) as i32),
        };
        Self { from: from_ns as f64, to: to_ns as f64, is_log: false, ticks, unit: "" }
    }
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn round_step(step: f64) -> f64 {
    let step = if step.is_finite() && step > 0.0 { step } else { 1.0 };
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|round| *round >= step * (1.0 - 1e-9))
        .unwrap_or(step)
}

fn by_seconds(from_s: i64, to_s: i64, step_s: i64) -> Vec<Tick> {
    let first = from_s.div_euclid(step_s) + i64::from(from_s.rem_euclid(step_s) > 0);
    let at = (first..=to_s.div_euclid(step_s)).map(|k| k * step_s);
    at.map(|at_s| Tick { at: at_s as f64 * 1e9, label: clock_label(at_s, step_s) }).collect()
}

/// The time of day, or the date at midnight.
fn clock_label(at_s: i64, step_s: i64) -> String {
    let Ok(time) = Timestamp::from_second(at_s) else { return String::new() };
    let form = match step_s {
        _ if at_s.rem_euclid(DAY_S) == 0 => "%b %-d",
        step_s if step_s < 60 => "%H:%M:%S",
        _ => "%H:%M",
    };
    time.strftime(form).to_string()
}

fn by_months(from_s: i64, to_s: i64, months: i32) -> Vec<Tick> {
    let months = [1, 2, 3, 6, 12, 24, 60, 120, 240].into_iter().find(|step| *step >= months).unwrap_or(600);
    let date = |at_s: i64| Timestamp::from_second(at_s).ok().map(|time| time.to_zoned(TimeZone::UTC).date());
    let (Some(from), Some(to)) = (date(from_s), date(to_s)) else { return Vec::new() };
    let first = i32::from(from.year()) * 12 + i32::from(from.month()) - 1;
    let last = i32::from(to.year()) * 12 + i32::from(to.month()) - 1;
    let ticks = (first.div_euclid(months)..=last.div_euclid(months)).filter_map(|k| {
        let month = k * months;
        let date = Date::new(month.div_euclid(12) as i16, month.rem_euclid(12) as i8 + 1, 1).ok()?;
        let at = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let label = if month.rem_euclid(12) == 0 { "%Y" } else { "%b" };
        Some(Tick { at: at.as_second() as f64 * 1e9, label: date.strftime(label).to_string() })
    });
    ticks.filter(|tick| tick.at >= from_s as f64 * 1e9).collect()
}

/// For example `10⁻⁷` or `2·10⁻⁷`.
pub(super) fn power_label(power: i32, digit: u32) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised: String =
        power.to_string().chars().map(|c| c.to_digit(10).map_or('⁻', |digit| digits[digit as usize])).collect();
    if digit == 1 { format!("10{raised}") } else { format!("{digit}·10{raised}") }
}

/// For example `500 µs`, `20 ms` or `100 s`: a power of ten in seconds, with a unit.
pub(super) fn seconds_label(power: i32, digit: u32) -> String {
    let (unit, below) = match power {
        0.. => ("s", 0),
        -3..0 => ("ms", -3),
        -6..-3 => ("µs", -6),
        _ => ("ns", -9),
    };
    if !(-9..=4).contains(&power) {
        return format!("{} s", power_label(power, digit));
    }
    format!("{} {unit}", f64::from(digit) * 10_f64.powi(power - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_cover_every_value() {
        let scale = Scale::seconds(-0.0013, 0.0042, 6);
        assert_eq!((labels(&scale), scale.unit), (vec!["-2", "-1", "0", "1", "2", "3", "4", "5"], "ms"));
        assert!(scale.place(-0.0013) > 0.0 && scale.place(0.0042) < 1.0);
        assert_eq!(labels(&Scale::linear(0.0, 0.5, 5)), ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
    }

    #[test]
    fn scale_exists_for_equal_and_invalid_values() {
        for (low, high) in [(0.0, 0.0), (5e-3, 5e-3), (f64::NAN, f64::NAN), (1e308, -1e308), (1.0, 1.0 + 1e-16)] {
            let scale = Scale::seconds(low, high, 6);
            assert!(scale.ticks.len() < 50, "{low} {high}: {}", scale.ticks.len());
        }
    }

    #[test]
    fn time_ticks_are_at_round_times_and_dates() {
        let day = Scale::time(0, 86_400 * S, 8);
        assert_eq!(labels(&day)[..3], ["Jan 1", "03:00", "06:00"]);
        let week = Scale::time(3600 * S, 7 * 86_400 * S, 8);
        assert_eq!(labels(&week)[..2], ["Jan 2", "Jan 3"]);
        let year = Scale::time(0, 365 * 86_400 * S, 8);
        assert_eq!(labels(&year)[..3], ["1970", "Mar", "May"]);
        let century = Scale::time(0, 100 * 365 * 86_400 * S, 8);
        assert!((2..=12).contains(&century.ticks.len()), "{:?}", labels(&century));
        assert!(Scale::time(i64::MIN, i64::MAX, 8).ticks.len() < 20);
        assert!(!Scale::time(5, 5, 8).ticks.is_empty());
    }

    #[test]
    fn decades_are_labelled_as_powers_or_with_a_unit() {
        assert_eq!(power_label(-7, 1), "10⁻⁷");
        assert_eq!(power_label(12, 5), "5·10¹²");
        let cases = [((-4, 5), "500 µs"), ((-2, 2), "20 ms"), ((2, 1), "100 s"), ((0, 1), "1 s"), ((-9, 1), "1 ns")];
        for ((power, digit), label) in cases {
            assert_eq!(seconds_label(power, digit), label);
        }
        let scale = Scale::decades(2e-3, 0.5, seconds_label);
        assert_eq!(labels(&scale), ["10 ms", "100 ms"]);
        assert!(scale.place(2e-3) > 0.0 && scale.place(1e-3) == 0.0);
        assert_eq!(labels(&Scale::decades(1e-3, 1e-3, seconds_label)), ["500 µs", "1 ms", "2 ms"]);
        assert_eq!(Scale::decades(0.0, 0.0, seconds_label).place(-1.0), 0.0);
    }
}
