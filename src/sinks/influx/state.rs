//! The state of the sender, for health and metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use ntp_monitor_core::clock::Stamp;

/// What the sender is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SenderLabel {
    #[default]
    Idle,
    Sending,
    /// The last request failed temporarily and will be repeated.
    Retrying,
    /// The database rejects the client (token, organisation, bucket) or every line: an operator must act. Probed now
    /// and then.
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

/// A snapshot of a [`SenderState`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SenderGauge {
    pub state: SenderLabel,
    /// Number of failed attempts since the last success.
    pub consecutive_failures: u32,
    /// Number of failed attempts since the start.
    pub failures: u64,
    /// Lines that the database has acknowledged since the start.
    pub sent_lines: u64,
    /// Lines moved to quarantine since the start.
    pub quarantined_lines: u64,
    /// Lines that the database dropped since the start, because its bucket does not keep points as old.
    pub too_old_lines: u64,
    /// The last error, even if it is over.
    pub last_error: Option<String>,
    /// When the database last acknowledged lines.
    pub last_success: Option<Stamp>,
    /// Time until the next attempt, during a wait.
    pub next_attempt_in: Option<Duration>,
}

/// Shared by the sender, which writes it, and its readers.
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
    #[must_use]
    pub fn gauge(&self) -> SenderGauge {
        let inner = self.lock();
        let next_attempt_in = inner.next_attempt.map(|at| at.saturating_duration_since(Instant::now()));
        SenderGauge { next_attempt_in, ..inner.gauge.clone() }
    }

    /// Records that nothing is due. If lines of a failed attempt still wait, the state does not change.
    pub(super) fn idle(&self, outbox_is_empty: bool) {
        let mut inner = self.lock();
        if outbox_is_empty || inner.gauge.consecutive_failures == 0 {
            inner.gauge.state = SenderLabel::Idle;
        }
        inner.next_attempt = None;
    }

    /// Records acknowledged lines. Returns whether earlier attempts had failed.
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

    /// Records lines that the database dropped because they are too old.
    pub(super) fn too_old(&self, lines: usize, why: &str) {
        let mut inner = self.lock();
        inner.gauge.too_old_lines += lines as u64;
        inner.gauge.last_error = Some(why.to_owned());
    }

    /// Records a failed attempt. Returns the number of consecutive failures.
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

    // No code that runs under this lock panics, and a partial update would do no harm.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
