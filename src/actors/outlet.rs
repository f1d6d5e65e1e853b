//! Where a prober puts a sample: into the store's queue, and to those who compute on samples. Never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Recipient};
use tokio::sync::broadcast;

use crate::messages::sample::{Forget, SampleReady};
use crate::sinks::queue::SinkQueue;
use ntp_monitor_core::sample::{Sample, SeriesKey};

/// The way out for every prober. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outlet {
    journal: SinkQueue<Arc<Sample>>,
    listeners: Arc<[Listener]>,
    tap: Option<broadcast::Sender<Arc<Sample>>>,
}

/// One who computes on samples. It may die and be replaced: the address is looked up at each sample.
#[derive(Debug, Clone)]
pub struct Listener {
    name: &'static str,
    seat: Arc<Seat>,
}

#[derive(Debug, Default)]
struct Seat {
    address: Mutex<Option<(Recipient<SampleReady>, Recipient<Forget>)>>,
    missed: AtomicU64,
}

impl Listener {
    /// A listener that nobody has taken the seat of yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, seat: Arc::default() }
    }

    /// The listener's new incarnation takes over.
    pub fn seat<A>(&self, address: Addr<A>)
    where
        A: Actor + Handler<SampleReady> + Handler<Forget>,
        A::Context: ToEnvelope<A, SampleReady> + ToEnvelope<A, Forget>,
    {
        let both = (address.clone().recipient(), address.recipient());
        *self.seat.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(both);
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
        let told = address.as_ref().is_some_and(|(to, _)| to.try_send(SampleReady(Arc::clone(sample))).is_ok());
        if !told {
            self.seat.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn forget(&self, key: &SeriesKey) {
        if let Some((_, to)) = &*self.seat.address.lock().unwrap_or_else(PoisonError::into_inner) {
            to.do_send(Forget(key.clone()));
        }
    }
}

impl Outlet {
    /// An outlet into `journal`, heard by `listeners`.
    #[must_use]
    pub fn new(journal: SinkQueue<Arc<Sample>>, listeners: impl Into<Arc<[Listener]>>) -> Self {
        Self { journal, listeners: listeners.into(), tap: None }
    }

    /// The same outlet, with a tap for whoever shows samples as they come. Its readers are never waited for.
    #[must_use]
    pub fn tapped(self, tap: broadcast::Sender<Arc<Sample>>) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// Hands a sample over. What a full queue dropped, and what a listener missed, is counted there.
    pub fn publish(&self, sample: Sample) {
        let sample = Arc::new(sample);
        for listener in &*self.listeners {
            listener.tell(&sample);
        }
        if let Some(tap) = &self.tap {
            // An error says that nobody reads.
            let _ = tap.send(Arc::clone(&sample));
        }
        self.journal.offer(sample);
    }

    /// Tells those who keep something for each series that this one is no longer polled.
    pub fn forget(&self, key: &SeriesKey) {
        self.listeners.iter().for_each(|listener| listener.forget(key));
    }

    /// Those who compute on samples.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }
}
