//! When a server that does not answer is unreachable, and when its losses are the usual ones.

use serde::{Deserialize, Serialize};

/// Failed polls in a row that make a server unreachable, at least.
const LEAST: u32 = 5;
/// The same, at most.
const MOST: u32 = 32;
/// A server is unreachable when a row of losses is less likely than this at its usual loss.
const CHANCE: f64 = 1e-6;
/// The usual loss is averaged over about so many polls.
const MEMORY_POLLS: u8 = 64;
/// Answered polls that are assumed before the first one.
const FIRST_POLLS: u8 = 8;

/// Failed polls, and how many of them are usual.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in super::super) struct Reach {
    failures: u32,
    /// The time of the first of the failures.
    pub since_s: f64,
    /// The share of polls that are lost, from 0 to 1, without the present failures.
    usual_loss: f64,
    /// Polls that it was learned from, at most [`MEMORY_POLLS`].
    polls: u8,
}

impl Reach {
    pub fn new(t_s: f64) -> Self {
        Self { failures: 0, since_s: t_s, usual_loss: 0.0, polls: FIRST_POLLS }
    }

    pub fn answered(&mut self) {
        // Only the first polls of an outage count, so that a long one does not become usual.
        for _ in 0..self.failures.min(LEAST) {
            self.learn(1.0);
        }
        self.learn(0.0);
        self.failures = 0;
    }

    fn learn(&mut self, lost: f64) {
        self.polls = self.polls.saturating_add(1).min(MEMORY_POLLS);
        self.usual_loss += (lost - self.usual_loss) / f64::from(self.polls);
    }

    /// The poll that ended at `t_s` failed.
    pub fn failed(&mut self, t_s: f64) {
        if self.failures == 0 {
            self.since_s = t_s;
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// How many failures in a row make the server unreachable.
    pub fn patience(&self) -> u32 {
        // The usual loss stays below 1, because `answered` always reduces it last. A loss of 0 gives 0.
        ((CHANCE.ln() / self.usual_loss.ln()).ceil() as u32).clamp(LEAST, MOST)
    }

    pub fn is_lost(&self) -> bool {
        self.failures >= self.patience()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(polls: impl Iterator<Item = bool>) -> Reach {
        let mut reach = Reach::new(0.0);
        for (k, answered) in polls.enumerate() {
            if answered { reach.answered() } else { reach.failed(k as f64) }
        }
        reach
    }

    #[test]
    fn usual_losses_raise_the_failures_that_make_an_outage() {
        assert_eq!(after(std::iter::empty()).patience(), 5);
        assert_eq!(after((0..1000).map(|k| k % 50 != 0)).patience(), 5);
        assert_eq!(after((1..1000).map(|k| k % 3 != 0)).patience(), 13);
        assert_eq!(after((1..1000).map(|k| k % 3 == 0)).patience(), 32);
        let lossy = |failures| after((1..999).map(|k| k % 3 != 0).chain(std::iter::repeat_n(false, failures)));
        assert_eq!((lossy(12).is_lost(), lossy(13).is_lost()), (false, true));
    }

    #[test]
    fn losses_of_the_first_polls_are_soon_known_as_usual() {
        assert!(after((0..40).map(|k| k % 2 != 0)).patience() >= 14);
    }

    #[test]
    fn an_outage_does_not_become_usual() {
        let reach = after([true; 100].into_iter().chain([false; 5000]).chain([true]));
        assert_eq!((reach.patience(), reach.is_lost(), reach.since_s), (6, false, 100.0));
        assert!(after([false; 5].into_iter()).is_lost());
    }
}
