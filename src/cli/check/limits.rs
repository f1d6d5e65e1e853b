//! Limits of `check`: the value at which a quantity becomes a warning, and the value at which it becomes critical.

use super::super::args::parse_duration;
use super::state::State;

/// The values at which a quantity becomes a warning and critical, in the unit of the quantity; times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub warning: f64,
    pub critical: Option<f64>,
}

impl Limits {
    /// Reads `WARN` or `WARN,CRIT` with times.
    pub(super) fn times(text: &str) -> Result<Self, String> {
        Self::parse(text, |part| parse_duration(part).map(|time| time.as_secs_f64()))
    }

    /// Reads `WARN` or `WARN,CRIT` with times of which a smaller one is worse. The values are negated.
    pub(super) fn times_left(text: &str) -> Result<Self, String> {
        Self::parse(text, |part| parse_duration(part).map(|time| -time.as_secs_f64()))
            .map_err(|why| why.replace("CRIT must not be below WARN", "CRIT must not be above WARN"))
    }

    /// Reads `WARN` or `WARN,CRIT` with strata.
    pub(super) fn strata(text: &str) -> Result<Self, String> {
        Self::parse(text, |part| match part.parse() {
            Ok(stratum @ 1..=16_u8) => Ok(f64::from(stratum)),
            _ => Err("a stratum is a number from 1 to 16".to_owned()),
        })
    }

    fn parse(text: &str, number: impl Fn(&str) -> Result<f64, String>) -> Result<Self, String> {
        let (warning, critical) = match text.split_once(',') {
            Some((warning, critical)) => (number(warning)?, Some(number(critical)?)),
            None => (number(text)?, None),
        };
        if critical.is_some_and(|critical| critical < warning) {
            return Err("CRIT must not be below WARN".to_owned());
        }
        Ok(Self { warning, critical })
    }

    pub(super) fn judge(self, value: f64) -> State {
        match value {
            value if value.is_nan() => State::Unknown,
            value if self.critical.is_some_and(|limit| value >= limit) => State::Critical,
            value if value >= self.warning => State::Warning,
            _ => State::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_one_or_two_values_in_order() {
        assert_eq!(Limits::times("36h,7d"), Ok(Limits { warning: 129_600.0, critical: Some(604_800.0) }));
        assert_eq!(Limits::strata("4"), Ok(Limits { warning: 4.0, critical: None }));
        for bad in ["", ",", "4,", ",4", "5,4", "0", "17", "1.5", "-1", "4,5,6"] {
            assert!(Limits::strata(bad).is_err(), "{bad}");
        }
        assert_eq!(Limits::times_left("14d,2d"), Ok(Limits { warning: -1_209_600.0, critical: Some(-172_800.0) }));
        assert!(Limits::times_left("2d,14d").is_err());
        for bad in ["", "2s,1s", "1s,", "soon", "-1s", "1s,2s,3s"] {
            assert!(Limits::times(bad).is_err(), "{bad}");
        }
    }
}
