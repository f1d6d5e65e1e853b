//! Publishes a sample: to the queue of the store and to the actors that process samples. Never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Recipient};
use tokio::sync::broadcast;

use crate::messages::sample::{Forget, SampleReady};
use crate::sinks::queue::SinkQueue;
use ntp_monitor_core::sample::{Sample, SeriesKey};

/// Publishes the samples of every prober. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outlet {
    journal: SinkQueue<Arc<Sample>>,
    listeners: Arc<[Listener]>,
    tap: Option<broadcast::Sender<Arc<Sample>>>,
}

/// An actor that receives samples. It may die and be restarted, so its address is looked up for each sample.
#[derive(Debug, Clone)]
pub struct Listener {
    name: &'static str,
    slot: Arc<ListenerSlot>,
}

#[derive(Debug, Default)]
struct ListenerSlot {
    address: Mutex<Option<(Recipient<SampleReady>, Recipient<Forget>)>>,
    missed: AtomicU64,
}

impl Listener {
    /// A listener without an actor yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, slot: Arc::default() }
    }

    /// Sets the address of the actor's new incarnation.
    pub fn connect<A>(&self, address: Addr<A>)
    where
        A: Actor + Handler<SampleReady> + Handler<Forget>,
        A::Context: ToEnvelope<A, SampleReady> + ToEnvelope<A, Forget>,
    {
        let both = (address.clone().recipient(), address.recipient());
        *self.slot.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(both);
    }

    /// The name used in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Number of samples it did not receive, because its mailbox was full or it was dead.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.slot.missed.load(Ordering::Relaxed)
    }

    fn deliver(&self, sample: &Arc<Sample>) {
        let address = self.slot.address.lock().unwrap_or_else(PoisonError::into_inner);
        // Capacity is counted per sender clone, so the stored address is used instead of a clone.
        let delivered = address.as_ref().is_some_and(|(to, _)| to.try_send(SampleReady(Arc::clone(sample))).is_ok());
        if !delivered {
            self.slot.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn forget(&self, forget: Forget) {
        if let Some((_, to)) = &*self.slot.address.lock().unwrap_or_else(PoisonError::into_inner) {
            to.do_send(forget);
        }
    }
}

impl Outlet {
    /// An outlet that writes to `journal` and sends to `listeners`.
    #[must_use]
    pub fn new(journal: SinkQueue<Arc<Sample>>, listeners: impl Into<Arc<[Listener]>>) -> Self {
        Self { journal, listeners: listeners.into(), tap: None }
    }

    /// The same outlet, with a broadcast channel for live views. Slow readers of it are never waited for.
    #[must_use]
    pub fn tapped(self, tap: broadcast::Sender<Arc<Sample>>) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// Publishes a sample. Drops of a full queue, and samples that a listener missed, are counted there.
    pub fn publish(&self, sample: Sample) {
        let sample = Arc::new(sample);
        for listener in &*self.listeners {
            listener.deliver(&sample);
        }
        if let Some(tap) = &self.tap {
            // An error means that the channel has no reader.
            let _ = tap.send(Arc::clone(&sample));
        }
        self.journal.offer(sample);
    }

    /// Records a sample of a series that has been replaced. Listeners have forgotten that series.
    pub fn record(&self, sample: Sample) {
        self.journal.offer(Arc::new(sample));
    }

    /// Tells the listeners that this series is no longer polled, or that `successor` is polled instead.
    pub fn forget(&self, key: &SeriesKey, successor: Option<&SeriesKey>) {
        let forget = Forget { key: key.clone(), successor: successor.cloned() };
        self.listeners.iter().for_each(|listener| listener.forget(forget.clone()));
    }

    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }
}
