//! The reach register (RFC 5905 §13): which of the last eight polls succeeded.

use std::fmt;

use serde::{Serialize, Serializer};

/// Eight bits, shifted left at each poll; the lowest is set if the poll gave a sample. Shown in octal, as in other NTP
/// programs: `377` is eight successes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach(u8);

impl Reach {
    /// Records a poll.
    pub fn record(&mut self, success: bool) {
        self.0 = self.0 << 1 | u8::from(success);
    }

    /// The register as a number, 0 to 255.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether any of the last eight polls succeeded.
    #[must_use]
    pub fn is_reachable(self) -> bool {
        self.0 != 0
    }

    /// Whether the last three polls all failed, when the clock filter gets a dummy (RFC 5905 §13).
    #[must_use]
    pub fn is_fading(self) -> bool {
        self.0.trailing_zeros() >= 3
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

/// The octal text.
impl Serialize for Reach {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_successes_are_377_and_a_loss_is_shifted_through() {
        let mut reach = Reach::default();
        assert_eq!(reach.to_string(), "000");
        (0..8).for_each(|_| reach.record(true));
        assert_eq!(reach.to_string(), "377");
        reach.record(false);
        assert_eq!(reach.to_string(), "376");
        (0..7).for_each(|_| reach.record(true));
        assert_eq!(reach.to_string(), "177");
    }

    #[test]
    fn server_is_fading_after_three_and_unreachable_after_eight() {
        let mut reach = Reach::default();
        reach.record(true);
        (0..2).for_each(|_| reach.record(false));
        assert!(!reach.is_fading());
        reach.record(false);
        assert!(reach.is_fading() && reach.is_reachable());
        (0..5).for_each(|_| reach.record(false));
        assert!(!reach.is_reachable());
    }
}
