//! The numbers that `check` reads from the replies of a server, with their limits, wording and performance data.

use super::super::measured::Measured;
use super::args::CheckArgs;
use super::limits::Limits;
use super::state::State;

/// A number that `check` prints and can compare with limits.
pub(super) struct Quantity {
    /// Label in performance data; the text uses the same words with blanks instead of underscores.
    pub label: &'static str,
    unit: Unit,
    /// The range of the value in performance data, `MIN;MAX`.
    range: &'static str,
    /// `None` when the replies do not state it.
    pub value: fn(&Measured) -> Option<f64>,
    limits: fn(&CheckArgs) -> Option<Limits>,
}

enum Unit {
    Seconds { decimals: usize },
    None,
}

impl Unit {
    fn show(&self, value: f64) -> String {
        match self {
            Self::Seconds { decimals } => format!("{value:.decimals$}s"),
            Self::None => value.to_string(),
        }
    }
}

/// In the order of the text.
pub(super) const QUANTITIES: [Quantity; 6] = [
    Quantity {
        label: "offset",
        unit: Unit::Seconds { decimals: 6 },
        range: ";",
        value: |measured| measured.measure().map(|measure| measure.offset_s),
        limits: |args| {
            Some(Limits { warning: args.warning.as_secs_f64(), critical: Some(args.critical.as_secs_f64()) })
        },
    },
    Quantity {
        label: "delay",
        unit: Unit::Seconds { decimals: 6 },
        range: "0;",
        value: |measured| measured.measure().map(|measure| measure.delay_s),
        limits: |args| args.delay,
    },
    Quantity {
        label: "root_distance",
        unit: Unit::Seconds { decimals: 6 },
        range: "0;",
        value: |measured| measured.measure().map(|measure| measure.root_distance_s),
        limits: |args| args.root_distance,
    },
    Quantity {
        label: "jitter",
        unit: Unit::Seconds { decimals: 6 },
        range: "0;",
        value: Measured::jitter_s,
        limits: |args| args.jitter,
    },
    Quantity {
        label: "stratum",
        unit: Unit::None,
        range: "1;16",
        value: |measured| measured.best().reply.map(|reply| f64::from(reply.stratum)),
        limits: |args| args.stratum,
    },
    Quantity {
        label: "reference_age",
        unit: Unit::Seconds { decimals: 0 },
        range: "0;",
        value: |measured| measured.best().reply?.reference_age_s,
        limits: |args| args.reference_age,
    },
];

impl Quantity {
    /// The state is unknown if the value has a limit but is not known. The sign of an offset is ignored.
    pub(super) fn judge(&self, args: &CheckArgs, measured: &Measured) -> State {
        match ((self.limits)(args), (self.value)(measured)) {
            (None, _) => State::Ok,
            (Some(_), None) => State::Unknown,
            (Some(limits), Some(value)) => limits.judge(value.abs()),
        }
    }

    /// For the text: `stratum 5 (WARNING)`. Nothing when the value is unknown and has no limit.
    pub(super) fn describe(&self, args: &CheckArgs, measured: &Measured) -> Option<String> {
        let words = self.label.replace('_', " ");
        let state = self.judge(args, measured);
        match (self.value)(measured) {
            None if state == State::Unknown => Some(format!("no {words}")),
            None => None,
            Some(value) => {
                let sign = if self.label == "offset" && value >= 0.0 { "+" } else { "" };
                Some(format!("{words} {sign}{}{}", self.unit.show(value), state.mark()))
            }
        }
    }

    /// `value[unit];warning;critical;min;max`.
    pub(super) fn performance(&self, args: &CheckArgs, measured: &Measured) -> Option<String> {
        let limits = (self.limits)(args);
        let shown = |limit: Option<f64>| limit.map(|limit| limit.to_string()).unwrap_or_default();
        let (warning, critical) = (shown(limits.map(|it| it.warning)), shown(limits.and_then(|it| it.critical)));
        let value = self.unit.show((self.value)(measured)?);
        Some(format!("{value};{warning};{critical};{}", self.range))
    }
}
