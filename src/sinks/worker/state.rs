//! The state of a writer, including its current batch. It outlives the thread, so that no sample is lost with it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Incident, MAX_BATCH, WriteError};
use crate::sinks::queue::SinkQueue;
use ntp_monitor_core::sample::Sample;

/// How long an incident is reported, so that a check every few minutes sees it.
const SHOWN_FOR_NS: i64 = 600 * 1_000_000_000;

/// The state of a writer.
#[derive(Debug, Default)]
pub struct WriterState {
    written: AtomicU64,
    failures: AtomicU64,
    abandoned: AtomicU64,
    turn_mono_ns: AtomicI64,
    failing: AtomicBool,
    last_error: Mutex<Option<String>>,
    /// The last incident, and its time on the monotonic clock in nanoseconds.
    incident: Mutex<Option<(String, i64)>>,
    /// The current batch. It is not on the thread's stack, so that it survives a panic of the writer.
    in_hand: Mutex<InHand>,
}

#[derive(Debug, Default)]
pub(super) struct InHand {
    pub(super) batch: VecDeque<Arc<Sample>>,
    /// Number of consecutive failed attempts.
    pub(super) attempts: u32,
    /// Number of attempts that ended in a panic.
    pub(super) panics: u32,
    /// Number of samples at the front that have been passed to the next output.
    passed_on: usize,
}

impl InHand {
    /// The samples of the next attempt.
    pub(super) fn chunk(&self) -> Vec<Arc<Sample>> {
        self.batch.iter().take(MAX_BATCH).cloned().collect()
    }

    /// Removes the first `count` samples.
    pub(super) fn remove(&mut self, count: usize) {
        self.batch.drain(..count);
        self.passed_on = self.passed_on.saturating_sub(count);
    }

    /// Passes the first `count` samples to the next output, except those that were already passed.
    pub(super) fn pass_on(&mut self, count: usize, next: Option<&SinkQueue<Arc<Sample>>>) {
        if let Some(next) = next {
            for sample in self.batch.range(self.passed_on.min(count)..count) {
                next.offer(Arc::clone(sample));
            }
        }
        self.passed_on = self.passed_on.max(count);
    }
}

/// A snapshot of a [`WriterState`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterGauge {
    /// Samples written since the start.
    pub written: u64,
    /// Failed attempts since the start.
    pub failures: u64,
    /// Samples dropped because their batch repeatedly made the writer panic, could not be written at shutdown, or was
    /// in a file that another program removed.
    pub abandoned: u64,
    /// Samples taken from the queue and not yet written.
    pub in_hand: usize,
    /// When the oldest of them was measured, on the monotonic clock in nanoseconds.
    pub oldest_mono_ns: Option<i64>,
    /// When the loop of the thread last ran, on the monotonic clock in nanoseconds: about once a second, unless it
    /// hangs in the system; 0 if it was never started.
    pub turn_mono_ns: i64,
    /// Whether the last attempt failed.
    pub failing: bool,
    /// The last error, even if it is over.
    pub last_error: Option<String>,
    /// What another program did to the files of the output in the last ten minutes, if anything.
    pub incident: Option<String>,
}

impl WriterState {
    #[must_use]
    pub fn gauge(&self) -> WriterGauge {
        let (in_hand, oldest_mono_ns) = {
            let in_hand = self.in_hand();
            (in_hand.batch.len(), in_hand.batch.front().map(|sample| sample.at.mono_ns))
        };
        WriterGauge {
            written: self.written.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
            in_hand,
            oldest_mono_ns,
            turn_mono_ns: self.turn_mono_ns.load(Ordering::Relaxed),
            failing: self.failing.load(Ordering::Relaxed),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            incident: self.incident(crate::clock::now().mono_ns),
        }
    }

    fn incident(&self, now_mono_ns: i64) -> Option<String> {
        let incident = self.incident.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, at_mono_ns) = incident.as_ref()?;
        (now_mono_ns - at_mono_ns < SHOWN_FOR_NS).then(|| what.clone())
    }

    /// Records that another program changed the files of the output.
    pub(super) fn note(&self, incident: &Incident) {
        let noted = (incident.what.clone(), crate::clock::now().mono_ns);
        *self.incident.lock().unwrap_or_else(PoisonError::into_inner) = Some(noted);
    }

    // A panic of the writer poisons these locks by design; the data remains consistent.
    pub(super) fn in_hand(&self) -> MutexGuard<'_, InHand> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the loop of the thread has run.
    pub(super) fn turned(&self) {
        self.turn_mono_ns.store(crate::clock::now().mono_ns, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, count: usize) {
        self.written.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Clears the failure. Returns whether there was one.
    pub(super) fn works(&self) -> bool {
        self.failing.swap(false, Ordering::Relaxed)
    }

    /// Records a failed attempt. Returns whether the previous attempt had succeeded.
    pub(super) fn failed(&self, why: &WriteError) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_string());
        !self.failing.swap(true, Ordering::Relaxed)
    }

    pub(super) fn gave_up(&self, count: usize) {
        self.abandoned.fetch_add(count as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incident_is_shown_for_ten_minutes() {
        let state = WriterState::default();
        assert_eq!(state.incident(0), None);
        state.note(&Incident { what: "removed".to_owned(), lost: 0 });
        let now = crate::clock::now().mono_ns;
        assert_eq!(state.incident(now + 590_000_000_000).as_deref(), Some("removed"));
        assert_eq!(state.incident(now + 610_000_000_000), None);
    }
}
