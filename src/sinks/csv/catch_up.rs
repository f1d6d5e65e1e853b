//! Rows that are missing from the files since an earlier process ended. They are read from the store in pieces and
//! written before newer rows. So any number of them needs no queue, and a process that ends meanwhile leaves no gap
//! between rows.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tail::Tail;
use ntp_monitor_core::sample::Sample;

/// The gap between the files and the store. Cheap to clone; outlives the thread of the output.
#[derive(Debug, Clone, Default)]
pub struct CatchUp(Arc<Mutex<Option<Gap>>>);

/// The rows that are missing from the files in a directory.
#[derive(Debug)]
struct Gap {
    dir: PathBuf,
    tail: Tail,
    /// The span that is still to be compared, as stamps.
    left: Range<i64>,
    written: usize,
}

impl CatchUp {
    /// The files in `dir` end with `tail`; the store has samples up to `newest_ns`.
    pub fn begin(&self, dir: &Path, tail: Tail, newest_ns: i64) {
        let left = tail.since_ns.saturating_add(1)..newest_ns.saturating_add(1);
        let gap = Gap { dir: dir.to_owned(), tail, left, written: 0 };
        *self.gap() = Some(gap).filter(|gap| !gap.left.is_empty());
    }

    /// The span that is still to be compared; `None` when `dir` is complete.
    pub(super) fn left(&self, dir: &Path) -> Option<Range<i64>> {
        self.gap().as_ref().filter(|gap| gap.dir == dir).map(|gap| gap.left.clone())
    }

    /// The `stored` samples that are missing from the files.
    pub(super) fn lacking(&self, stored: Vec<Arc<Sample>>) -> Vec<Arc<Sample>> {
        let gap = self.gap();
        stored.into_iter().filter(|sample| gap.as_ref().is_some_and(|gap| gap.tail.lacks(sample))).collect()
    }

    /// The files now have all samples up to `until_ns`; `written` of them are new. Returns the number of all new rows
    /// once the gap is closed.
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
