//! Limits the messages per minute to one receiver. Pure: the caller passes the time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// The times of the last messages, at most as many as are allowed per minute.
#[derive(Debug)]
pub(super) struct Rate {
    per_minute: usize,
    sent: VecDeque<Instant>,
}

impl Rate {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1) as usize, sent: VecDeque::new() }
    }

    /// How long the next message must wait.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        if self.sent.len() < self.per_minute {
            return Duration::ZERO;
        }
        self.sent.front().map_or(Duration::ZERO, |oldest| (*oldest + MINUTE).saturating_duration_since(now))
    }

    /// Records an attempt. Failed attempts count, because they cost the receiver as much.
    pub(super) fn note(&mut self, now: Instant) {
        if self.sent.len() == self.per_minute {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_exceeds_the_limit() {
        let (mut rate, start) = (Rate::new(3), Instant::now());
        for n in 0..3 {
            assert_eq!(rate.wait(start), Duration::ZERO);
            rate.note(start + Duration::from_secs(n));
        }
        assert_eq!(rate.wait(start + Duration::from_secs(2)), Duration::from_secs(58));
        assert_eq!(rate.wait(start + MINUTE), Duration::ZERO);
        rate.note(start + MINUTE);
        assert_eq!(rate.wait(start + MINUTE), Duration::from_secs(1));
    }
}
