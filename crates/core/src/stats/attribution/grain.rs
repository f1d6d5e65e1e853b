//! How coarse the stamps are, as far as the offsets show it.
//!
//! Offsets of a clock that is read in whole milliseconds stay the same for hours and then jump by one. The noise that
//! is learned from them is zero and does not show this.

use serde::{Deserialize, Serialize};

/// Fewer differences than this prove no grain, for all servers together and for one alone.
const MIN_SEEN: u32 = 8;
const MIN_SEEN_OF_ONE: u32 = 64;
/// No clock is coarser, in seconds: the tick of old systems is 1/64 s.
const COARSEST_S: f64 = 1.0 / 64.0;

/// The smallest difference of neighbouring offsets of one server, or over all servers: they share the clock that
/// stamps.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Grain {
    least_s: f64,
    seen: u32,
    /// Differences of exactly zero.
    same: u32,
    needed: u32,
}

impl Default for Grain {
    fn default() -> Self {
        Self { least_s: COARSEST_S, seen: 0, same: 0, needed: MIN_SEEN }
    }
}

impl Grain {
    /// For the offsets of a single server.
    pub fn of_one() -> Self {
        Self { needed: MIN_SEEN_OF_ONE, ..Self::default() }
    }

    /// Takes note of the offsets of two polls of one server.
    pub fn note(&mut self, before_s: f64, now_s: f64) {
        let difference_s = (now_s - before_s).abs();
        self.same = self.same.saturating_add(u32::from(difference_s < 1e-9));
        // Differences below a nanosecond are the rounding of the numbers themselves.
        if (1e-9..COARSEST_S).contains(&difference_s) {
            self.least_s = self.least_s.min(difference_s);
            self.seen = self.seen.saturating_add(1);
        }
    }

    /// The smallest movement that rounded stamps cannot cause, in seconds: a value, its baseline, and what each is
    /// compared with are within half a grain of the truth.
    pub fn threshold_s(self) -> f64 {
        // Offsets that are mostly equal are coarse, even if they seldom differ.
        let is_coarse = self.seen >= self.needed || (self.seen >= 3 && self.same > 16 * self.seen);
        if is_coarse { 2.0 * self.least_s } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_offsets_in_whole_milliseconds_have_a_grain() {
        let grain_of = |offset_s: &dyn Fn(u32) -> f64| {
            let mut grain = Grain::default();
            (1..200).for_each(|k| grain.note(offset_s(k - 1), offset_s(k)));
            grain.threshold_s()
        };
        assert!((grain_of(&|k| f64::from(k * k % 7) * 1e-3) - 2e-3).abs() < 1e-6);
        assert!(grain_of(&|k| (f64::from(k) * 0.7).sin() * 1e-3) < 2e-4);
        assert_eq!(grain_of(&|_| 0.25), 0.0);
        assert_eq!(grain_of(&|k| if k < 100 { 0.0 } else { 0.002 }), 0.0);
    }
}
