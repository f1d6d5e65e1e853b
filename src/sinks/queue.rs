//! The bounded hand-over to one output. Offering never waits; when the queue is full the oldest sample makes room and
//! is counted, because the newest says most about now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// The entrance to one output, shared by every prober. Cheap to clone.
#[derive(Debug)]
pub struct SinkQueue<T> {
    name: &'static str,
    capacity: usize,
    entrance: Sender<T>,
    // Held so that the entrance can discard the oldest, and so that the queue outlives a writer that died.
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

/// A reading of a queue, for health and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueGauge {
    /// Which output.
    pub name: &'static str,
    /// Entries waiting.
    pub depth: usize,
    /// Entries it can hold.
    pub capacity: usize,
    /// Entries ever offered.
    pub offered: u64,
    /// Entries dropped because the queue was full.
    pub dropped: u64,
}

impl<T> SinkQueue<T> {
    /// A queue of `capacity` entries for the output `name`.
    #[must_use]
    pub fn new(name: &'static str, capacity: usize) -> Self {
        let (entrance, exit) = bounded(capacity);
        Self { name, capacity, entrance, exit, counters: Arc::default() }
    }

    /// Hands `item` over without waiting. Returns how many older entries were dropped to make room.
    pub fn offer(&self, item: T) -> u64 {
        self.counters.offered.fetch_add(1, Ordering::Relaxed);
        let mut dropped = 0;
        let mut item = item;
        loop {
            match self.entrance.try_send(item) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) => {
                    item = back;
                    dropped += u64::from(self.exit.try_recv().is_ok());
                }
                Err(TrySendError::Disconnected(_)) => unreachable!("the queue holds its own exit"),
            }
        }
        self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
        dropped
    }

    /// The end that the output reads.
    #[must_use]
    pub fn exit(&self) -> Receiver<T> {
        self.exit.clone()
    }

    /// The queue as it is now.
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
    fn a_full_queue_drops_its_oldest_and_counts_it() {
        let queue = SinkQueue::new("test", 2);
        assert_eq!((0..5).map(|n| queue.offer(n)).sum::<u64>(), 3);
        assert_eq!(queue.gauge(), QueueGauge { name: "test", depth: 2, capacity: 2, offered: 5, dropped: 3 });
        assert_eq!(queue.exit().try_iter().collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn entries_outlive_the_reader_that_died() {
        let queue = SinkQueue::new("test", 8);
        drop(queue.exit());
        queue.offer(1);
        assert_eq!(queue.exit().recv(), Ok(1));
    }
}
