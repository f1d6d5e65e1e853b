//! What the sender shows of itself, to health and metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use ntp_monitor_core::clock::Stamp;

/// What the sender is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SenderLabel {
    /// Nothing is due.
    #[default]
    Idle,
    /// Requests are under way, and answered well.
    Sending,
    /// The last request failed in a way that time may heal; it will be repeated.
    Retrying,
    /// The database refuses us (token, organisation, bucket, every line): a person must act. Probed now and then.
    Paused,
}

impl SenderLabel {
    /// The name in metrics and the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Sending => "sending",
            Self::Retrying => "retrying",
            Self::Paused => "paused",
        }
    }
}

/// A reading of a [`SenderState`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SenderGauge {
    /// What the sender is doing.
    pub state: SenderLabel,
    /// Failed attempts since the last good one.
    pub consecutive_failures: u32,
    /// Failed attempts since start.
    pub failures: u64,
    /// Lines that the database has acknowledged since start.
    pub sent_lines: u64,
    /// Lines put into quarantine since start.
    pub quarantined_lines: u64,
    /// The last error, also when it is over.
    pub last_error: Option<String>,
    /// When the database last acknowledged lines.
    pub last_success: Option<Stamp>,
    /// Time until the next attempt, while one is waited for.
    pub next_attempt_in: Option<Duration>,
}

/// Shared between the sender, which writes, and whoever reports on it.
#[derive(Debug, Default)]
pub struct SenderState {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    gauge: SenderGauge,
    next_attempt: Option<Instant>,
}

impl SenderState {
    /// The state as it is now.
    #[must_use]
    pub fn gauge(&self) -> SenderGauge {
        let inner = self.lock();
        let next_attempt_in = inner.next_attempt.map(|at| at.saturating_duration_since(Instant::now()));
        SenderGauge { next_attempt_in, ..inner.gauge.clone() }
    }

    /// Nothing is due. While lines of a failed attempt still wait, the state stays what that attempt made it.
    pub(super) fn idle(&self, outbox_is_empty: bool) {
        let mut inner = self.lock();
        if outbox_is_empty || inner.gauge.consecutive_failures == 0 {
            inner.gauge.state = SenderLabel::Idle;
        }
        inner.next_attempt = None;
    }

    /// Lines were acknowledged. Returns whether attempts had been failing.
    pub(super) fn sent(&self, lines: usize, now: Stamp) -> bool {
        let mut inner = self.lock();
        let recovered = inner.gauge.consecutive_failures > 0;
        inner.gauge.state = SenderLabel::Sending;
        inner.gauge.consecutive_failures = 0;
        inner.gauge.sent_lines += lines as u64;
        inner.gauge.last_success = Some(now);
        inner.next_attempt = None;
        recovered
    }

    /// An attempt failed. Returns how many have in a row.
    pub(super) fn failed(&self, state: SenderLabel, why: &str) -> u32 {
        let mut inner = self.lock();
        inner.gauge.state = state;
        inner.gauge.consecutive_failures = inner.gauge.consecutive_failures.saturating_add(1);
        inner.gauge.failures += 1;
        inner.gauge.last_error = Some(why.to_owned());
        inner.gauge.consecutive_failures
    }

    pub(super) fn wait_until(&self, at: Instant) {
        self.lock().next_attempt = Some(at);
    }

    pub(super) fn quarantined(&self, lines: usize, why: &str) {
        let mut inner = self.lock();
        inner.gauge.quarantined_lines += lines as u64;
        inner.gauge.last_error = Some(why.to_owned());
    }

    // Nothing here panics while holding the lock, and the numbers would stay whole if it did.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
