//! The bounded queue to the writer thread. Adding a record never waits; when the queue is full the record is dropped
//! and counted, and the count is logged as soon as there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use slog::{Drain, Level, Never, OwnedKVList, Record, b, record};
use slog_async::{AsyncCore, AsyncGuard};

use super::formats::Fan;

/// The capacity, sufficient for the records of a start or a reload. At about 300 bytes a record this is 1 MiB.
pub(super) const CAPACITY: usize = 4096;

/// The counters of the queue.
#[derive(Debug, Default)]
pub(super) struct Counters {
    dropped: AtomicU64,
    unreported: AtomicU64,
    unwritten: Arc<AtomicU64>,
}

impl Counters {
    /// Records lost because the queue was full or because they could not be written.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed) + self.unwritten.load(Ordering::Relaxed)
    }
}

pub(super) struct Queue {
    core: AsyncCore,
    counters: Arc<Counters>,
}

impl Queue {
    /// Starts the writer thread. Dropping the guard ends it after all queued records are written.
    pub(super) fn new(drain: Fan, capacity: usize) -> (Self, AsyncGuard) {
        let counters = Counters { unwritten: Arc::clone(&drain.unwritten), ..Counters::default() };
        let builder = AsyncCore::custom(drain).chan_size(capacity).thread_name("log".to_owned());
        let (core, guard) = builder.build_with_guard();
        (Self { core, counters: Arc::new(counters) }, guard)
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    fn report(&self) {
        let unreported = self.counters.unreported.swap(0, Ordering::Relaxed);
        if unreported == 0 {
            return;
        }
        let message = format_args!("log records were dropped because the log could not be written fast enough");
        let count = b!("count" => unreported);
        let outcome = self.core.log(&record!(Level::Warning, "", &message, count), &slog::o!().into());
        if outcome.is_err() {
            self.counters.unreported.fetch_add(unreported, Ordering::Relaxed);
        }
    }
}

impl Drain for Queue {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if self.core.log(record, values).is_ok() {
            self.report();
        } else {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            self.counters.unreported.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
