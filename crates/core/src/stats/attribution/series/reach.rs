//! When a server that does not answer is unreachable, and not only lossy as ever.

use serde::{Deserialize, Serialize};

/// So many polls in a row without a usable reply where nothing else is usual.
const LEAST: u32 = 5;
/// More are never waited for.
const MOST: u32 = 32;
/// How likely so many losses in a row may be, where polls are lost as often as usual.
const CHANCE: f64 = 1e-6;
/// The usual loss is that of about so many polls.
const MEMORY_POLLS: f64 = 64.0;

/// Failed polls, and how many of them are usual.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in super::super) struct Reach {
    failures: u32,
    /// The time of the first of the failures.
    pub since_s: f64,
    /// The share of polls that are lost, from 0 to 1, without the present failures.
    usual_loss: f64,
}

impl Reach {
    pub fn new(t_s: f64) -> Self {
        Self { failures: 0, since_s: t_s, usual_loss: 0.0 }
    }

    /// A poll brought a usable reply.
    pub fn answered(&mut self) {
        // An outage says nothing of what is usual; the first of its polls would have been lost anyway.
        for _ in 0..self.failures.min(LEAST) {
            self.usual_loss += (1.0 - self.usual_loss) / MEMORY_POLLS;
        }
        self.usual_loss -= self.usual_loss / MEMORY_POLLS;
        self.failures = 0;
    }

    /// The poll that ended at `t_s` brought none.
    pub fn failed(&mut self, t_s: f64) {
        if self.failures == 0 {
            self.since_s = t_s;
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// How many failures in a row are more than what is usual.
    pub fn patience(&self) -> u32 {
        // A loss of 1 would need infinitely many; a cast of that saturates.
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
    fn five_failures_in_a_row_are_an_outage_where_losses_are_rare_and_more_where_they_are_usual() {
        assert_eq!(after(std::iter::empty()).patience(), 5);
        assert_eq!(after((0..1000).map(|k| k % 50 != 0)).patience(), 5);
        assert_eq!(after((1..1000).map(|k| k % 3 != 0)).patience(), 13);
        assert_eq!(after((1..1000).map(|k| k % 3 == 0)).patience(), 32);
        let lossy = |failures| after((1..999).map(|k| k % 3 != 0).chain(std::iter::repeat_n(false, failures)));
        assert_eq!((lossy(12).is_lost(), lossy(13).is_lost()), (false, true));
    }

    #[test]
    fn an_outage_does_not_become_usual() {
        let reach = after([true; 100].into_iter().chain([false; 5000]).chain([true]));
        assert_eq!((reach.patience(), reach.is_lost(), reach.since_s), (6, false, 100.0));
        assert!(after([false; 5].into_iter()).is_lost());
    }
}
