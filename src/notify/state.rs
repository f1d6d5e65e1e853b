//! What a notifier shows of itself, to health, metrics and the API. It outlives the task that writes it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Failure, Retry};
use crate::config::NotifierType;
use ntp_monitor_core::health::notifiers::NotifierHealth;

/// Failures in a row from which a notifier counts as failing: one may be a blip.
const FAILING: u32 = 2;

/// Shared between the task of a notifier, which writes, and whoever reports on it.
#[derive(Debug)]
pub struct NotifierState {
    inner: Mutex<NotifierHealth>,
}

impl NotifierState {
    /// The state of a notifier that has done nothing yet.
    #[must_use]
    pub fn new(kind: NotifierType) -> Self {
        Self { inner: Mutex::new(NotifierHealth::new(kind.label())) }
    }

    /// The state as it is now, without what only the queue knows.
    #[must_use]
    pub fn gauge(&self) -> NotifierHealth {
        self.lock().clone()
    }

    /// What an earlier process delivered last.
    pub(super) fn recall(&self, last_success: Timestamp) {
        self.lock().last_success.get_or_insert(last_success);
    }

    /// A message was taken. Returns whether attempts had been failing.
    pub(super) fn delivered(&self) -> bool {
        let mut inner = self.lock();
        let recovered = inner.consecutive_failures > 0;
        inner.delivered += 1;
        inner.consecutive_failures = 0;
        inner.failing_since = None;
        inner.failing = false;
        inner.paused_until = None;
        inner.last_success = Some(Timestamp::now());
        recovered
    }

    /// An attempt failed, and there will be no other for `pause`. Returns how many have failed in a row.
    pub(super) fn failed(&self, failure: &Failure, pause: Option<Duration>) -> u32 {
        let now = Timestamp::now();
        let mut inner = self.lock();
        inner.failures += 1;
        inner.consecutive_failures = inner.consecutive_failures.saturating_add(1);
        inner.failing_since.get_or_insert(now);
        inner.failing = inner.consecutive_failures >= FAILING || failure.retry == Retry::Paused;
        inner.last_failure = Some(now);
        inner.last_error = Some(failure.why.clone());
        inner.paused_until = pause.and_then(|pause| now.checked_add(SignedDuration::try_from(pause).ok()?).ok());
        inner.consecutive_failures
    }

    /// A message was given up.
    pub(super) fn gave_up(&self) {
        self.lock().given_up += 1;
    }

    // Nothing here panics while holding the lock, and the numbers would stay whole if it did.
    fn lock(&self) -> MutexGuard<'_, NotifierHealth> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_a_blip_two_are_failing_and_a_refusal_is_at_once() {
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
