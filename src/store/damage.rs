//! Records the parts of the store that could not be decoded. They are skipped, so that the rest can be read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest number of faults that are recorded; a file with more is damaged as a whole.
const MOST: usize = 1000;

/// The faults that the readers and the writer of a process found. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Damage(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    known: BTreeSet<String>,
    fresh: Vec<String>,
}

impl Damage {
    /// Records a fault: a sentence that names the missing samples.
    pub(super) fn note(&self, what: String) {
        let mut inner = self.inner();
        if inner.known.len() < MOST && inner.known.insert(what.clone()) {
            inner.fresh.push(what);
        }
    }

    /// The faults recorded since the last call.
    pub(super) fn take_fresh(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().fresh)
    }

    /// All faults.
    pub(super) fn all(&self) -> Vec<String> {
        self.inner().known.iter().cloned().collect()
    }

    // No change to the data can panic half-way.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
