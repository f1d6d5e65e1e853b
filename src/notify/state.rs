//! The state of a notifier, for health, metrics and the API. It outlives the task that updates it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Failure, Retry};
use crate::config::NotifierType;
use ntp_monitor_core::health::notifiers::NotifierHealth;

/// Consecutive failures from which a notifier counts as failing; a single one may be a blip.
const FAILING: u32 = 2;

/// Shared by the task of a notifier, which writes it, and its readers.
#[derive(Debug)]
pub struct NotifierState {
    inner: Mutex<NotifierHealth>,
}

impl NotifierState {
    /// The state of a notifier without attempts.
    #[must_use]
    pub fn new(kind: NotifierType) -> Self {
        Self { inner: Mutex::new(NotifierHealth::new(kind.label())) }
    }

    /// The current state, without the values of the queue.
    #[must_use]
    pub fn gauge(&self) -> NotifierHealth {
        self.lock().clone()
    }

    /// Restores the time of the last delivery by an earlier process.
    pub(super) fn recall(&self, last_success: Timestamp) {
        self.lock().last_success.get_or_insert(last_success);
    }

    /// Records a delivery. Returns whether earlier attempts had failed.
    pub(super) fn delivered(&self) -> bool {
        let mut inner = self.lock();
        let recovered = inner.failing_since.is_some();
        inner.delivered += 1;
        inner.consecutive_failures = 0;
        inner.failing_since = None;
        inner.failing = false;
        inner.paused_until = None;
        inner.last_success = Some(Timestamp::now());
        recovered
    }

    /// Records a message that some receivers accepted and others permanently rejected. The notifier counts as failing
    /// until all receivers accept a message. Returns whether it was not failing before.
    pub(super) fn delivered_in_part(&self, why: &str) -> bool {
        let now = Timestamp::now();
        let mut inner = self.lock();
        let is_news = !inner.failing;
        inner.delivered += 1;
        inner.failures += 1;
        inner.consecutive_failures = 0;
        inner.failing_since.get_or_insert(now);
        inner.failing = true;
        inner.paused_until = None;
        (inner.last_success, inner.last_failure) = (Some(now), Some(now));
        inner.last_error = Some(format!("not all receivers got the message: {why}"));
        is_news
    }

    /// Records a failed attempt, with the pause before the next one. Returns the number of consecutive failures.
    pub(super) fn failed(&self, failure: &Failure, pause: Option<Duration>) -> u32 {
        let now = Timestamp::now();
        let mut inner = self.lock();
        inner.failures += 1;
        inner.consecutive_failures = inner.consecutive_failures.saturating_add(1);
        inner.failing_since.get_or_insert(now);
        inner.failing |= inner.consecutive_failures >= FAILING || failure.retry == Retry::Paused;
        inner.last_failure = Some(now);
        inner.last_error = Some(failure.why.clone());
        inner.paused_until = pause.and_then(|pause| now.checked_add(SignedDuration::try_from(pause).ok()?).ok());
        inner.consecutive_failures
    }

    /// Records that a message was dropped.
    pub(super) fn gave_up(&self) {
        self.lock().given_up += 1;
    }

    // No code that runs under this lock panics, and a partial update would do no harm.
    fn lock(&self) -> MutexGuard<'_, NotifierHealth> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_or_one_access_denial_count_as_failing() {
        let state = NotifierState::new(NotifierType::Slack);
        assert_eq!(state.failed(&Failure::new(Retry::Backoff, "x"), None), 1);
        assert!(!state.gauge().failing);
        state.failed(&Failure::new(Retry::Backoff, "y"), None);
        assert!(state.gauge().failing && state.gauge().failing_since.is_some());
        assert!(state.delivered());
        assert!(!state.gauge().failing && state.gauge().failing_since.is_none());
        state.failed(&Failure::new(Retry::Paused, "401"), Some(Duration::from_secs(60)));
        assert!(state.gauge().failing && state.gauge().paused_until > state.gauge().last_failure);
        assert_eq!(state.gauge().last_error.as_deref(), Some("401"));
    }
}
