//! Rows that the files lack since an earlier process ended, however many: they are read from the store in pieces and
//! written before newer ones, so that they never wait in a queue and an end of the process leaves no gap between rows.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tail::Tail;
use ntp_monitor_core::sample::Sample;

/// The gap between the files and the store. Cheap to clone; outlives the thread of the output.
#[derive(Debug, Clone, Default)]
pub struct CatchUp(Arc<Mutex<Option<Gap>>>);

/// What the files in a directory lack.
#[derive(Debug)]
struct Gap {
    dir: PathBuf,
    tail: Tail,
    /// The stamps that are still to be compared.
    left: Range<i64>,
    written: usize,
}

impl CatchUp {
    /// The files in `dir` end with `tail`; samples up to `newest_ns` are in the store.
    pub fn begin(&self, dir: &Path, tail: Tail, newest_ns: i64) {
        let left = tail.since_ns.saturating_add(1)..newest_ns.saturating_add(1);
        let gap = Gap { dir: dir.to_owned(), tail, left, written: 0 };
        *self.gap() = Some(gap).filter(|gap| !gap.left.is_empty());
    }

    /// The span that is still to be compared; `None` when nothing is left to do in `dir`.
    pub(super) fn left(&self, dir: &Path) -> Option<Range<i64>> {
        self.gap().as_ref().filter(|gap| gap.dir == dir).map(|gap| gap.left.clone())
    }

    /// Those of the `stored` samples that the files lack.
    pub(super) fn lacking(&self, stored: Vec<Arc<Sample>>) -> Vec<Arc<Sample>> {
        let gap = self.gap();
        stored.into_iter().filter(|sample| gap.as_ref().is_some_and(|gap| gap.tail.lacks(sample))).collect()
    }

    /// The files have all samples up to `until_ns` now, of which `written` are new; `None` if all of the gap is closed.
    /// Returns the number of all new rows when it is.
    pub(super) fn advance(&self, until_ns: Option<i64>, written: usize) -> Option<usize> {
        let mut slot = self.gap();
        let gap = slot.as_mut()?;
        gap.written += written;
        gap.left.start = until_ns.map_or(gap.left.end, |until_ns| until_ns.saturating_add(1));
        let written = gap.written;
        if !gap.left.is_empty() {
            return None;
        }
        *slot = None;
        Some(written)
    }

    // No code that runs under this lock can panic.
    fn gap(&self) -> MutexGuard<'_, Option<Gap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
