//! The most recently written samples. If the store loses them, they are written again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sinks::worker::Incident;
use ntp_monitor_core::sample::Sample;

/// Maximum number of samples kept; they take about 2 MB.
const CAPACITY: usize = 4096;

/// The last samples, and counts of those that the store may lose. Shared with a successor of the writer; cheap to
/// clone.
#[derive(Debug, Clone, Default)]
pub(super) struct RecentSamples(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    samples: VecDeque<Arc<Sample>>,
    /// Samples that this process wrote.
    written: usize,
    /// Samples written since the last checkpoint, which are only in the log.
    since_checkpoint: usize,
    /// What happened to the store, and how many samples of this process it lost, including those that can be written
    /// again.
    lacking: Option<(String, usize)>,
}

impl RecentSamples {
    /// Adds samples that were written.
    pub(super) fn extend(&self, batch: &[Arc<Sample>]) {
        let mut inner = self.inner();
        inner.written += batch.len();
        inner.since_checkpoint += batch.len();
        inner.samples.extend(batch.iter().cloned());
        let surplus = inner.samples.len().saturating_sub(CAPACITY);
        inner.samples.drain(..surplus);
    }

    /// Records that all samples are in the file itself.
    pub(super) fn checkpoint(&self) {
        self.inner().since_checkpoint = 0;
    }

    /// Number of samples that this process wrote.
    pub(super) fn written(&self) -> usize {
        self.inner().written
    }

    /// Records that the store lost everything that this process wrote.
    pub(super) fn lost_all(&self, what: String) {
        let mut inner = self.inner();
        inner.lacking = Some((what, inner.written));
    }

    /// Records that the store lost the samples that this process wrote since the last checkpoint.
    pub(super) fn lost_since_checkpoint(&self, what: String) {
        let mut inner = self.inner();
        inner.lacking = Some((what, inner.since_checkpoint));
    }

    /// Whether the samples must be written again.
    pub(super) fn is_due(&self) -> bool {
        self.inner().lacking.is_some()
    }

    /// The samples, oldest first.
    pub(super) fn samples(&self) -> Vec<Arc<Sample>> {
        self.inner().samples.iter().cloned().collect()
    }

    /// Records that the samples were written again. Returns what happened and how many samples are lost.
    pub(super) fn restored(&self) -> Option<Incident> {
        let mut inner = self.inner();
        let (what, lacking) = inner.lacking.take()?;
        let again = inner.samples.len();
        let lost = lacking.saturating_sub(again);
        // Each lost sample is counted once.
        inner.written = inner.written.saturating_sub(lost);
        inner.since_checkpoint = again;
        Some(Incident { what: format!("{what}; the last {again} samples were written again"), lost })
    }

    // No change to the data can panic half-way.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Outcome, ServerIdent};

    fn batch(count: usize) -> Vec<Arc<Sample>> {
        let sample = Sample::unasked(Stamp::new(0, 0, 0), ServerIdent::named("a"), Outcome::Timeout, 64.0);
        std::iter::repeat_n(Arc::new(sample), count).collect()
    }

    #[test]
    fn samples_beyond_the_capacity_are_counted_as_lost_once() {
        let recent = RecentSamples::default();
        recent.extend(&batch(5000));
        recent.checkpoint();
        recent.extend(&batch(100));
        recent.lost_since_checkpoint("cut".to_owned());
        assert_eq!(recent.restored().map(|incident| incident.lost), Some(0));
        recent.extend(&batch(500));
        recent.lost_all("gone".to_owned());
        assert!(recent.is_due());
        assert_eq!(recent.restored().map(|incident| incident.lost), Some(1504));
        assert!(!recent.is_due() && recent.restored().is_none());
        recent.lost_all("gone".to_owned());
        assert_eq!(recent.restored().map(|incident| incident.lost), Some(0));
    }
}
