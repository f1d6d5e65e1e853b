//! How long a dead child stays dead. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// A child that lived this long was healthy: its next death starts at the first pause again.
pub const HEALTHY: Duration = Duration::from_secs(60);
/// From this many deaths in a row on, a child counts as crashed rather than as restarting …
pub const CRASHED: u32 = 3;
/// … and from this many on a core child cannot stay up (about half a minute of pauses have been tried).
pub const HOPELESS: u32 = 9;

/// The deaths of one child since it last had a healthy spell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    deaths: u32,
}

impl Backoff {
    /// The child died after living for `lived`. Returns the pause before the next one: 100 ms doubling to 30 s, less
    /// up to a quarter by `dice` in [0, 1), so that children that died together do not come back together.
    pub fn died(&mut self, lived: Duration, dice: f64) -> Duration {
        if lived >= HEALTHY {
            self.deaths = 0;
        }
        self.deaths = self.deaths.saturating_add(1);
        let pause = FIRST.saturating_mul(1 << (self.deaths - 1).min(16)).min(LONGEST);
        pause.mul_f64(1.0 - 0.25 * dice.clamp(0.0, 1.0))
    }

    /// Deaths in a row.
    #[must_use]
    pub fn deaths(self) -> u32 {
        self.deaths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_tenth_of_a_second_to_half_a_minute() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..11).map(|_| backoff.died(Duration::ZERO, 0.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
    }

    #[test]
    fn a_healthy_spell_starts_the_count_again() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.died(Duration::ZERO, 0.0);
        }
        assert_eq!(backoff.died(HEALTHY, 0.0), FIRST);
        assert_eq!(backoff.deaths(), 1);
    }

    #[test]
    fn jitter_only_shortens_and_by_a_quarter_at_most() {
        let pause = Backoff::default().died(Duration::ZERO, 0.999);
        assert!(pause <= FIRST && pause >= FIRST.mul_f64(0.75));
    }
}
