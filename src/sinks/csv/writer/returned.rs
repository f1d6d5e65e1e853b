//! What a repair has brought back, and how far it is.

use std::collections::HashSet;
use std::sync::Arc;

use crate::sinks::csv::tail::Key;
use crate::sinks::worker::WriteError;
use ntp_monitor_core::sample::Sample;

/// A sample that was brought back may still come from the queue until samples are this much younger.
const MAY_COME_NS: i64 = 600_000_000_000;

/// How far the repairs are.
pub(super) enum Progress {
    /// There is nothing to repair.
    Done,
    /// More rows follow; what is being done.
    Going(WriteError),
    /// The store cannot be read now; what is to be done, and why it cannot.
    Waiting(WriteError),
}

/// Rows that were brought back from the store, and whose samples may still come.
#[derive(Debug, Default)]
pub(super) struct Returned {
    keys: HashSet<Key>,
    newest_ns: i64,
}

impl Returned {
    /// Whether the row of this sample was brought back.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// Adds rows that were brought back.
    pub(super) fn extend(&mut self, keys: Vec<Key>) {
        let newest = keys.iter().map(|key| key.0).max();
        let before = if self.keys.is_empty() { i64::MIN } else { self.newest_ns };
        self.newest_ns = newest.unwrap_or(i64::MIN).max(before);
        self.keys.extend(keys);
    }

    /// `batch` was written; forgets the rows when their samples can come no more.
    pub(super) fn settle(&mut self, batch: &[Arc<Sample>]) {
        let limit_ns = self.newest_ns.saturating_add(MAY_COME_NS);
        if !self.keys.is_empty() && batch.iter().all(|sample| sample.at.wall_ns > limit_ns) {
            *self = Self::default();
        }
    }
}
