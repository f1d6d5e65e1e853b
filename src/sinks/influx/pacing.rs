//! Computes the wait before the next attempt. Pure: the caller passes the random number.

use std::time::Duration;

/// The waits of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// The wait after the first failure; it doubles with each failure.
    pub first_retry: Duration,
    /// The longest wait between retries.
    pub longest_retry: Duration,
    /// The wait between two attempts while every message or line is rejected; long, because an operator must act first.
    pub probe: Duration,
    /// How often an idle sender checks the outbox.
    pub poll: Duration,
    /// Upper limit for a server's `Retry-After`.
    pub longest_retry_after: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(300),
            probe: Duration::from_secs(60),
            poll: Duration::from_secs(1),
            longest_retry_after: Duration::from_secs(3600),
        }
    }
}

impl Pacing {
    /// The wait after `failures` consecutive failures (1 for the first), with `random` uniform in 0..1: between half
    /// and all of the doubled time, so that many senders do not retry together, but never before the server's
    /// `Retry-After`.
    #[must_use]
    pub fn retry(&self, failures: u32, random: f64, retry_after: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first_retry.saturating_mul(1 << doublings).min(self.longest_retry);
        let jittered = full.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        jittered.max(retry_after.unwrap_or_default().min(self.longest_retry_after))
    }

    /// The wait after `failures` consecutive small requests that the server rejected because of the client: it doubles
    /// up to a sixth of [`Pacing::probe`].
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first_retry.saturating_mul(1 << doublings).min(self.probe / 6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_5_min_and_jitter_takes_at_most_half() {
        let pacing = Pacing::default();
        let full: Vec<u64> = (1..=11).map(|n| pacing.retry(n, 1.0, None).as_secs()).collect();
        assert_eq!(full, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pacing.retry(3, 0.0, None), Duration::from_secs(2));
        assert_eq!(pacing.retry(u32::MAX, 1.0, None), Duration::from_secs(300));
    }

    #[test]
    fn pauses_double_to_10_s() {
        let pauses: Vec<u64> = [1, 2, 3, 4, 5, 99].map(|n| Pacing::default().pause(n).as_secs()).into();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_limit() {
        let pacing = Pacing::default();
        assert_eq!(pacing.retry(1, 1.0, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(pacing.retry(9, 1.0, Some(Duration::from_secs(30))), Duration::from_secs(256));
        assert_eq!(pacing.retry(1, 1.0, Some(Duration::from_secs(1 << 40))), Duration::from_secs(3600));
    }
}
