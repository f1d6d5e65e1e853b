//! The pause before a dead child is restarted. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// A child that lived this long was healthy: after its next death the pause starts at the minimum again.
pub const HEALTHY: Duration = Duration::from_secs(60);
/// From this many consecutive deaths on, a child is reported as crashed rather than restarting.
pub const CRASHED: u32 = 3;
/// From this many consecutive deaths on, the service gives up on a core child (after about half a minute of pauses).
pub const HOPELESS: u32 = 9;

/// Counts the deaths of one child since it was last healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    deaths: u32,
}

impl Backoff {
    /// Records a death after a life of `lived`. Returns the pause before the restart: 100 ms, doubling to 30 s,
    /// shortened by up to a quarter by `dice` in [0, 1), so that children that died together do not restart together.
    pub fn died(&mut self, lived: Duration, dice: f64) -> Duration {
        if lived >= HEALTHY {
            self.deaths = 0;
        }
        self.deaths = self.deaths.saturating_add(1);
        let pause = FIRST.saturating_mul(1 << (self.deaths - 1).min(16)).min(LONGEST);
        pause.mul_f64(1.0 - 0.25 * dice.clamp(0.0, 1.0))
    }

    /// Number of consecutive deaths.
    #[must_use]
    pub fn deaths(self) -> u32 {
        self.deaths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_from_100_ms_to_30_s() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..11).map(|_| backoff.died(Duration::ZERO, 0.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
    }

    #[test]
    fn a_healthy_life_resets_the_count() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.died(Duration::ZERO, 0.0);
        }
        assert_eq!(backoff.died(HEALTHY, 0.0), FIRST);
        assert_eq!(backoff.deaths(), 1);
    }

    #[test]
    fn jitter_shortens_the_pause_by_at_most_a_quarter() {
        let pause = Backoff::default().died(Duration::ZERO, 0.999);
        assert!(pause <= FIRST && pause >= FIRST.mul_f64(0.75));
    }
}
