//! How long to wait before the next attempt. Pure: the random number is handed in.

use std::time::Duration;

/// The times by which the sender paces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// The wait after the first failure; it doubles from there.
    pub first_retry: Duration,
    /// The longest wait between retries.
    pub longest_retry: Duration,
    /// The wait between two probes while paused: a person must act first, so there is no hurry.
    pub probe: Duration,
    /// How often an idle sender looks into the outbox.
    pub poll: Duration,
    /// The longest that a server's `Retry-After` is believed.
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
    /// The wait after `failures` in a row (1 for the first), with `random` uniform in 0..1: between half and all of the
    /// doubled time, so that many senders do not come back together, but never before the server's `Retry-After`.
    #[must_use]
    pub fn retry(&self, failures: u32, random: f64, retry_after: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first_retry.saturating_mul(1 << doublings).min(self.longest_retry);
        let jittered = full.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        jittered.max(retry_after.unwrap_or_default().min(self.longest_retry_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_jitter_takes_at_most_half() {
        let pacing = Pacing::default();
        let full: Vec<u64> = (1..=11).map(|n| pacing.retry(n, 1.0, None).as_secs()).collect();
        assert_eq!(full, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pacing.retry(3, 0.0, None), Duration::from_secs(2));
        assert_eq!(pacing.retry(u32::MAX, 1.0, None), Duration::from_secs(300));
    }

    #[test]
    fn retry_after_is_kept_but_not_believed_without_limit() {
        let pacing = Pacing::default();
        assert_eq!(pacing.retry(1, 1.0, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(pacing.retry(9, 1.0, Some(Duration::from_secs(30))), Duration::from_secs(256));
        assert_eq!(pacing.retry(1, 1.0, Some(Duration::from_secs(1 << 40))), Duration::from_secs(3600));
    }
}
