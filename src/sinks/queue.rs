//! The bounded queue of one output. Adding an item never waits: when the queue is full, the oldest sample is dropped
//! and counted, because the newest is the most useful.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};

/// The queue of one output, shared by all probers. Cheap to clone.
#[derive(Debug)]
pub struct SinkQueue<T> {
    name: &'static str,
    capacity: usize,
    entrance: Sender<T>,
    // Needed to drop the oldest item; also keeps the queue alive when its writer dies.
    exit: Receiver<T>,
    counters: Arc<Counters>,
}

impl<T> Clone for SinkQueue<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            capacity: self.capacity,
            entrance: self.entrance.clone(),
            exit: self.exit.clone(),
            counters: Arc::clone(&self.counters),
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    offered: AtomicU64,
    dropped: AtomicU64,
}

/// A snapshot of a queue, for health and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueGauge {
    pub name: &'static str,
    /// Number of waiting entries.
    pub depth: usize,
    pub capacity: usize,
    /// Number of entries ever offered.
    pub offered: u64,
    /// Number of entries dropped because the queue was full.
    pub dropped: u64,
}

impl<T> SinkQueue<T> {
    /// A queue of `capacity` entries for the output `name`.
    #[must_use]
    pub fn new(name: &'static str, capacity: usize) -> Self {
        // A bounded channel reserves memory for a full queue. This one is bounded by `offer`.
        let (entrance, exit) = unbounded();
        Self { name, capacity, entrance, exit, counters: Arc::default() }
    }

    /// Adds `item` without waiting. Returns how many older entries were dropped.
    pub fn offer(&self, item: T) -> u64 {
        self.counters.offered.fetch_add(1, Ordering::Relaxed);
        let mut dropped = 0;
        while self.exit.len() >= self.capacity && self.exit.try_recv().is_ok() {
            dropped += 1;
        }
        // This cannot fail, because the queue holds its own exit.
        let _ = self.entrance.send(item);
        self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
        dropped
    }

    /// The receiving end, for the output.
    #[must_use]
    pub fn exit(&self) -> Receiver<T> {
        self.exit.clone()
    }

    #[must_use]
    pub fn gauge(&self) -> QueueGauge {
        QueueGauge {
            name: self.name,
            depth: self.exit.len(),
            capacity: self.capacity,
            offered: self.counters.offered.load(Ordering::Relaxed),
            dropped: self.counters.dropped.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_queue_drops_the_oldest_and_counts_it() {
        let queue = SinkQueue::new("test", 2);
        assert_eq!((0..5).map(|n| queue.offer(n)).sum::<u64>(), 3);
        assert_eq!(queue.gauge(), QueueGauge { name: "test", depth: 2, capacity: 2, offered: 5, dropped: 3 });
        assert_eq!(queue.exit().try_iter().collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn entries_outlive_a_dead_reader() {
        let queue = SinkQueue::new("test", 8);
        drop(queue.exit());
        queue.offer(1);
        assert_eq!(queue.exit().recv(), Ok(1));
    }
}
