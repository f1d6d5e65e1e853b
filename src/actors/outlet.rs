//! Where a prober puts a sample: into the store's queue, and to those who compute on samples. Never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::Recipient;

use crate::messages::sample::SampleReady;
use crate::sample::Sample;
use crate::sinks::queue::SinkQueue;

/// The way out for every prober. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outlet {
    journal: SinkQueue<Arc<Sample>>,
    listeners: Arc<[Listener]>,
}

/// One who computes on samples. It may die and be replaced: the address is looked up at each sample.
#[derive(Debug, Clone)]
pub struct Listener {
    name: &'static str,
    seat: Arc<Seat>,
}

#[derive(Debug, Default)]
struct Seat {
    address: Mutex<Option<Recipient<SampleReady>>>,
    missed: AtomicU64,
}

impl Listener {
    /// A listener that nobody has taken the seat of yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, seat: Arc::default() }
    }

    /// The listener's new incarnation takes over.
    pub fn seat(&self, address: Recipient<SampleReady>) {
        *self.seat.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// Its name, for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Samples that it never got: its mailbox was full, or it was dead.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.seat.missed.load(Ordering::Relaxed)
    }

    fn tell(&self, sample: &Arc<Sample>) {
        let address = self.seat.address.lock().unwrap_or_else(PoisonError::into_inner);
        // Only an address that is kept sees a full mailbox; that is why it is not cloned out of the lock.
        let told = address.as_ref().is_some_and(|to| to.try_send(SampleReady(Arc::clone(sample))).is_ok());
        if !told {
            self.seat.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Outlet {
    /// An outlet into `journal`, heard by `listeners`.
    #[must_use]
    pub fn new(journal: SinkQueue<Arc<Sample>>, listeners: impl Into<Arc<[Listener]>>) -> Self {
        Self { journal, listeners: listeners.into() }
    }

    /// Hands a sample over. What a full queue dropped, and what a listener missed, is counted there.
    pub fn publish(&self, sample: Sample) {
        let sample = Arc::new(sample);
        for listener in &*self.listeners {
            listener.tell(&sample);
        }
        self.journal.offer(sample);
    }

    /// Those who compute on samples.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }
}
