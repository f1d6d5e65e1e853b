//! Publishes samples: each sample at once to the queue of the store, and in batches to the actors that process samples.
//! Never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Recipient};
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::messages::sample::{Forget, SamplesReady};
use crate::sinks::queue::SinkQueue;
use ntp_monitor_core::sample::{Batch, Sample, SeriesKey};

/// Samples that follow a delivery within this time are delivered together, because waking an actor costs more than
/// processing a sample.
const GATHER: Duration = Duration::from_secs(1);

/// Mailbox capacity of the actors that process samples: a minute of batches.
pub(super) const MAILBOX: usize = 64;

/// Publishes the samples of every prober. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outlet {
    journal: SinkQueue<Arc<Sample>>,
    listeners: Arc<[Listener]>,
    tap: Option<broadcast::Sender<Batch>>,
    gathered: Arc<Mutex<Gathered>>,
}

/// The samples of the next batch.
#[derive(Debug, Default)]
struct Gathered {
    samples: Vec<Arc<Sample>>,
    /// When the last batch was delivered.
    delivered: Option<Instant>,
    /// Whether a task waits to deliver the next one.
    is_planned: bool,
}

/// An actor that receives samples. It may die and be restarted, so its address is looked up for each batch.
#[derive(Debug, Clone)]
pub struct Listener {
    name: &'static str,
    slot: Arc<ListenerSlot>,
}

#[derive(Debug, Default)]
struct ListenerSlot {
    address: Mutex<Option<(Recipient<SamplesReady>, Recipient<Forget>)>>,
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
        A: Actor + Handler<SamplesReady> + Handler<Forget>,
        A::Context: ToEnvelope<A, SamplesReady> + ToEnvelope<A, Forget>,
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

    fn deliver(&self, batch: &Batch) {
        let address = self.slot.address.lock().unwrap_or_else(PoisonError::into_inner);
        // Capacity is counted per sender clone, so the stored address is used instead of a clone.
        let delivered = address.as_ref().is_some_and(|(to, _)| to.try_send(SamplesReady(Arc::clone(batch))).is_ok());
        if !delivered {
            self.slot.missed.fetch_add(batch.len() as u64, Ordering::Relaxed);
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
        Self { journal, listeners: listeners.into(), tap: None, gathered: Arc::default() }
    }

    /// The same outlet, with a broadcast channel for live views. Slow readers of it are never waited for.
    #[must_use]
    pub fn tapped(self, tap: broadcast::Sender<Batch>) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// Publishes a sample. Drops of a full queue, and samples that a listener missed, are counted there. Must be called
    /// on an arbiter.
    pub fn publish(&self, sample: Sample) {
        let sample = Arc::new(sample);
        self.journal.offer(Arc::clone(&sample));
        let Some(due) = self.gathered().add(sample, Instant::now()) else { return };
        if due <= Instant::now() {
            return self.deliver();
        }
        let this = self.clone();
        actix_rt::spawn(async move {
            tokio::time::sleep_until(due).await;
            this.deliver();
        });
    }

    /// Records a sample of a series that has been replaced. Listeners have forgotten that series.
    pub fn record(&self, sample: Sample) {
        self.journal.offer(Arc::new(sample));
    }

    /// Delivers the gathered samples.
    pub fn deliver(&self) {
        let samples = self.gathered().take(Instant::now());
        if samples.is_empty() {
            return;
        }
        let batch: Batch = samples.into();
        for listener in &*self.listeners {
            listener.deliver(&batch);
        }
        if let Some(tap) = &self.tap {
            // An error means that the channel has no reader.
            let _ = tap.send(batch);
        }
    }

    /// Tells the listeners that these series are no longer polled, or that `successor` is polled instead.
    pub fn forget(&self, keys: Vec<SeriesKey>, successor: Option<&SeriesKey>) {
        if keys.is_empty() {
            return;
        }
        // A sample that arrived later would create its series again.
        self.deliver();
        let forget = Forget { keys: keys.into(), successor: successor.cloned() };
        self.listeners.iter().for_each(|listener| listener.forget(forget.clone()));
    }

    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    /// Adds a sample. Returns when the batch is due, unless its delivery is planned already.
    fn add(&mut self, sample: Arc<Sample>, now: Instant) -> Option<Instant> {
        self.samples.push(sample);
        if self.is_planned {
            return None;
        }
        let due = self.delivered.map_or(now, |delivered| now.max(delivered + GATHER));
        self.is_planned = due > now;
        Some(due)
    }

    fn take(&mut self, now: Instant) -> Vec<Arc<Sample>> {
        self.delivered = Some(now);
        self.is_planned = false;
        std::mem::take(&mut self.samples)
    }
}

#[cfg(test)]
mod tests {
    use actix::Context;

    use super::*;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Outcome, ServerIdent};

    /// The sizes of the batches that arrived, and zero for each series that ended.
    #[derive(Default)]
    struct Counter(Arc<Mutex<Vec<usize>>>);

    impl Actor for Counter {
        type Context = Context<Self>;
    }

    impl Handler<SamplesReady> for Counter {
        type Result = ();

        fn handle(&mut self, SamplesReady(batch): SamplesReady, _: &mut Context<Self>) {
            self.0.lock().unwrap().push(batch.len());
        }
    }

    impl Handler<Forget> for Counter {
        type Result = ();

        fn handle(&mut self, Forget { keys, .. }: Forget, _: &mut Context<Self>) {
            self.0.lock().unwrap().extend(keys.iter().map(|_| 0));
        }
    }

    fn poll() -> Sample {
        Sample::unasked(Stamp::default(), ServerIdent::named("a"), Outcome::Timeout, 64.0)
    }

    #[actix_rt::test]
    async fn samples_of_a_second_arrive_as_one_batch() {
        tokio::time::pause();
        let (listener, counter) = (Listener::new("counter"), Counter::default());
        let arrived = Arc::clone(&counter.0);
        listener.connect(counter.start());
        let outlet = Outlet::new(SinkQueue::new("journal", 8), [listener]);
        let key = poll().key();
        outlet.publish(poll());
        (0..5).for_each(|_| outlet.publish(poll()));
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(*arrived.lock().unwrap(), [1], "the first one does not wait");
        assert_eq!(outlet.journal.gauge().depth, 6, "the store does not wait for the batch");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(*arrived.lock().unwrap(), [1, 5]);
        outlet.publish(poll());
        outlet.forget(vec![key], None);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(*arrived.lock().unwrap(), [1, 5, 1, 0], "a series ends after its last sample");
    }
}
