//! The rows that a repair has restored, and its progress.

use std::collections::HashSet;
use std::sync::Arc;

use crate::sinks::csv::tail::Key;
use crate::sinks::worker::WriteError;
use ntp_monitor_core::sample::Sample;

/// A restored sample may still arrive from the queue until the samples that arrive are younger by this much.
const MAY_COME_NS: i64 = 600_000_000_000;

/// The progress of the repairs.
pub(super) enum Progress {
    /// There is nothing to repair.
    Done,
    /// A repair in progress, with more rows to compare.
    Going(WriteError),
    /// The store cannot be read now; with the repair to do and the reason.
    Waiting(WriteError),
}

/// Rows that were restored from the store, and whose samples may still arrive.
#[derive(Debug, Default)]
pub(super) struct Returned {
    keys: HashSet<Key>,
    newest_ns: i64,
}

impl Returned {
    /// Whether the row of this sample was restored.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// Adds rows that were restored.
    pub(super) fn extend(&mut self, keys: Vec<Key>) {
        let newest = keys.iter().map(|key| key.0).max();
        let before = if self.keys.is_empty() { i64::MIN } else { self.newest_ns };
        self.newest_ns = newest.unwrap_or(i64::MIN).max(before);
        self.keys.extend(keys);
    }

    /// Must be called after `batch` was written; forgets the rows whose samples cannot arrive any more.
    pub(super) fn settle(&mut self, batch: &[Arc<Sample>]) {
        let limit_ns = self.newest_ns.saturating_add(MAY_COME_NS);
        if !self.keys.is_empty() && batch.iter().all(|sample| sample.at.wall_ns > limit_ns) {
            *self = Self::default();
        }
    }
}
