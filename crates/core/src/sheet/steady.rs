//! One property over time: the value that holds, and how a different one replaces it.

use super::Value;

/// An observation that differs weighs this much in `odd`; one that agrees takes away 1.
const ODD_STEP: u8 = 2;
/// From this weight on a property varies; it no longer does at zero.
const VARIES: u8 = 16;
const MOST_ODD: u8 = 32;
/// A property that varies takes a new value after so many equal observations in a row.
const STREAK_AFTER_VARYING: u8 = 16;

/// A property that may differ from reply to reply. A different value holds after it was seen several times in a row, so
/// that one odd reply is no change. A property that keeps differing is said to vary, once.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Steady {
    pub held: Option<Value>,
    next: Option<Value>,
    streak: u8,
    odd: u8,
    pub varies: bool,
}

/// What an observation changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Turn {
    Nothing,
    /// The first value of the property.
    First,
    /// A new value holds instead of this one.
    From(Value),
    /// The property began to vary.
    Varies,
    /// The property no longer varies, and its value is the one before.
    Settled,
}

impl Steady {
    /// A property whose value is known from an earlier process.
    pub fn holding(held: Option<Value>, varies: bool) -> Self {
        Self { held, odd: if varies { VARIES } else { 0 }, varies, ..Self::default() }
    }

    /// Takes an observation. A new value holds after `needed` equal ones in a row.
    pub fn observe(&mut self, value: Value, needed: u8) -> Turn {
        let Some(held) = self.held else {
            self.held = Some(value);
            return Turn::First;
        };
        if value == held {
            (self.next, self.streak) = (None, 0);
            self.odd = self.odd.saturating_sub(1);
            let has_settled = self.odd == 0 && std::mem::take(&mut self.varies);
            return if has_settled { Turn::Settled } else { Turn::Nothing };
        }
        self.odd = (self.odd + ODD_STEP).min(MOST_ODD);
        self.streak = if self.next == Some(value) { self.streak + 1 } else { 1 };
        self.next = Some(value);
        if !self.varies && self.odd >= VARIES {
            self.varies = true;
            return Turn::Varies;
        }
        if self.streak < if self.varies { STREAK_AFTER_VARYING } else { needed } {
            return Turn::Nothing;
        }
        if self.varies {
            (self.varies, self.odd) = (false, 0);
        }
        (self.held, self.next, self.streak) = (Some(value), None, 0);
        Turn::From(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(values: impl IntoIterator<Item = u8>) -> (Steady, Vec<Turn>) {
        let mut steady = Steady::default();
        let turns = values.into_iter().map(|value| steady.observe(Value::HopLimit(value), 3));
        let turns = turns.filter(|turn| *turn != Turn::Nothing).collect();
        (steady, turns)
    }

    #[test]
    fn one_odd_observation_is_no_change_and_three_are() {
        let (steady, seen) = turns([60, 60, 61, 60, 61, 61, 60]);
        assert_eq!((steady.held, seen), (Some(Value::HopLimit(60)), vec![Turn::First]));
        let (steady, seen) = turns([60, 61, 61, 61, 61]);
        assert_eq!(seen, [Turn::First, Turn::From(Value::HopLimit(60))]);
        assert_eq!(steady.held, Some(Value::HopLimit(61)));
    }

    #[test]
    fn value_that_always_differs_is_reported_as_varying_once() {
        let (steady, seen) = turns((0..=255).cycle().take(5_000));
        assert!(steady.varies);
        assert_eq!(seen, [Turn::First, Turn::Varies]);
        let (_, seen) = turns((0..5_000).map(|k| if k / 3 % 2 == 0 { 60 } else { 61 }));
        assert!(seen.len() <= 5, "three changes at most before it varies: {seen:?}");
    }

    #[test]
    fn varying_property_settles_at_the_old_or_a_new_value() {
        let alternating = || (0..40).map(|k| 60 + k % 2);
        let (steady, seen) = turns(alternating().chain([60; 40]));
        assert_eq!((seen.last(), steady.varies), (Some(&Turn::Settled), false));
        let (steady, seen) = turns(alternating().chain([70; 15]));
        assert!(steady.varies && seen.last() == Some(&Turn::Varies));
        let (steady, seen) = turns(alternating().chain([70; 16]));
        assert_eq!((seen.last(), steady.varies), (Some(&Turn::From(Value::HopLimit(60))), false));
    }
}
