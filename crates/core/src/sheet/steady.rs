//! One property over time: its stable value, and how a different value replaces it.

use super::Value;

/// A differing observation adds this much to `odd`; an agreeing one subtracts 1.
const ODD_STEP: u8 = 2;
/// A property varies from this weight on, until the weight is zero again.
const VARIES: u8 = 16;
const MOST_ODD: u8 = 32;
/// A varying property takes a new value after this many equal observations in a row.
const STREAK_AFTER_VARYING: u8 = 16;

/// A property that may differ from reply to reply. A different value becomes stable after several equal observations in
/// a row, so one odd reply is not a change. A property that keeps differing is reported as varying, once.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Steady {
    pub held: Option<Value>,
    next: Option<Value>,
    streak: u8,
    odd: u8,
    pub varies: bool,
}

/// The effect of an observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Effect {
    Nothing,
    /// The first value of the property.
    First,
    /// A new value replaces this one.
    From(Value),
    /// The property began to vary.
    Varies,
    /// The property no longer varies and has its former value.
    Settled,
}

impl Steady {
    /// A property whose value is known from an earlier process.
    pub fn holding(held: Option<Value>, varies: bool) -> Self {
        Self { held, odd: if varies { VARIES } else { 0 }, varies, ..Self::default() }
    }

    /// Adds an observation. A new value becomes stable after `needed` equal observations in a row.
    pub fn observe(&mut self, value: Value, needed: u8) -> Effect {
        let Some(held) = self.held else {
            self.held = Some(value);
            return Effect::First;
        };
        if value == held {
            (self.next, self.streak) = (None, 0);
            self.odd = self.odd.saturating_sub(1);
            let has_settled = self.odd == 0 && std::mem::take(&mut self.varies);
            return if has_settled { Effect::Settled } else { Effect::Nothing };
        }
        self.odd = (self.odd + ODD_STEP).min(MOST_ODD);
        self.streak = if self.next == Some(value) { self.streak + 1 } else { 1 };
        self.next = Some(value);
        if !self.varies && self.odd >= VARIES {
            self.varies = true;
            return Effect::Varies;
        }
        if self.streak < if self.varies { STREAK_AFTER_VARYING } else { needed } {
            return Effect::Nothing;
        }
        if self.varies {
            (self.varies, self.odd) = (false, 0);
        }
        (self.held, self.next, self.streak) = (Some(value), None, 0);
        Effect::From(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(values: impl IntoIterator<Item = u8>) -> (Steady, Vec<Effect>) {
        let mut steady = Steady::default();
        let effects = values.into_iter().map(|value| steady.observe(Value::HopLimit(value), 3));
        let effects = effects.filter(|effect| *effect != Effect::Nothing).collect();
        (steady, effects)
    }

    #[test]
    fn one_odd_observation_is_no_change_and_three_are() {
        let (steady, seen) = effects([60, 60, 61, 60, 61, 61, 60]);
        assert_eq!((steady.held, seen), (Some(Value::HopLimit(60)), vec![Effect::First]));
        let (steady, seen) = effects([60, 61, 61, 61, 61]);
        assert_eq!(seen, [Effect::First, Effect::From(Value::HopLimit(60))]);
        assert_eq!(steady.held, Some(Value::HopLimit(61)));
    }

    #[test]
    fn value_that_always_differs_is_reported_as_varying_once() {
        let (steady, seen) = effects((0..=255).cycle().take(5_000));
        assert!(steady.varies);
        assert_eq!(seen, [Effect::First, Effect::Varies]);
        let (_, seen) = effects((0..5_000).map(|k| if k / 3 % 2 == 0 { 60 } else { 61 }));
        assert!(seen.len() <= 5, "three changes at most before it varies: {seen:?}");
    }

    #[test]
    fn varying_property_settles_at_the_old_or_a_new_value() {
        let alternating = || (0..40).map(|k| 60 + k % 2);
        let (steady, seen) = effects(alternating().chain([60; 40]));
        assert_eq!((seen.last(), steady.varies), (Some(&Effect::Settled), false));
        let (steady, seen) = effects(alternating().chain([70; 15]));
        assert!(steady.varies && seen.last() == Some(&Effect::Varies));
        let (steady, seen) = effects(alternating().chain([70; 16]));
        assert_eq!((seen.last(), steady.varies), (Some(&Effect::From(Value::HopLimit(60))), false));
    }
}
