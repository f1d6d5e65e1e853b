//! Live events (samples, changes of the verdict, of health and of alerts) for server-sent events.
//!
//! One task numbers the events and keeps the last [`KEPT`] of them, so that a reader that reconnects in time misses
//! nothing. The service never waits for a reader; a slow one is disconnected and counted.

mod frame;
mod stream;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Semaphore, watch};

pub use frame::{Frame, Happening, Topic};
pub use stream::ENDPOINTS;

use ntp_monitor_core::alert::status::AlertStatus;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::sample::Batch;
use ntp_monitor_core::stats::snapshot::Snapshot;

/// Maximum number of sample batches that wait for the task that numbers them.
pub const BATCHES: usize = 64;
/// The number of events that are kept: how far a reader may lag or resume.
const KEPT: usize = 2048;
const READERS: usize = 1000;

/// The sources of events.
#[derive(Debug)]
pub struct Sources {
    pub samples: broadcast::Receiver<Batch>,
    /// The snapshots with their verdicts.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    pub health: watch::Receiver<Arc<Health>>,
    pub alerts: watch::Receiver<Arc<AlertStatus>>,
}

/// Distributes events to readers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Distinguishes the event numbers of this process from those of another one.
    epoch: String,
    kept: Mutex<VecDeque<Arc<Frame>>>,
    frames: broadcast::Sender<Arc<Frame>>,
    places: Arc<Semaphore>,
    cut_off: AtomicU64,
    missed: AtomicU64,
}

impl Hub {
    /// Creates a hub for a service that started at `started`, fed from `sources` until they end.
    #[must_use]
    pub fn start(started: Stamp, sources: Sources) -> Self {
        let hub = Self::idle(started);
        actix_rt::spawn(feed(hub.clone(), sources));
        hub
    }

    fn idle(started: Stamp) -> Self {
        Self(Arc::new(Shared {
            epoch: format!("{:x}", started.wall_ns),
            kept: Mutex::new(VecDeque::with_capacity(KEPT)),
            frames: broadcast::Sender::new(KEPT),
            places: Arc::new(Semaphore::new(READERS)),
            cut_off: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }))
    }

    #[must_use]
    pub fn readers(&self) -> usize {
        READERS - self.0.places.available_permits()
    }

    /// Number of readers disconnected because they were too slow.
    #[must_use]
    pub fn cut_off(&self) -> u64 {
        self.0.cut_off.load(Ordering::Relaxed)
    }

    /// Number of batches of samples that arrived too fast to be numbered and reached no reader.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.0.missed.load(Ordering::Relaxed)
    }

    /// Only the feeding task calls this, so numbers are assigned in order.
    fn publish(&self, happening: Happening) {
        let mut kept = self.kept();
        let number = kept.back().map_or(1, |last| last.number + 1);
        let frame = Arc::new(Frame::new(number, happening));
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&frame));
        // Done under the lock, so that a new subscriber gets each frame once.
        let _ = self.0.frames.send(frame);
    }

    /// Events after `last_id`, followed by live ones.
    fn subscribe(&self, last_id: Option<&str>) -> Subscription {
        let kept = self.kept();
        let live = self.0.frames.subscribe();
        let after = last_id.and_then(|id| id.strip_prefix(&*self.0.epoch)?.strip_prefix('-')?.parse::<u64>().ok());
        let newest = kept.back().map_or(0, |frame| frame.number);
        let oldest = kept.front().map_or(1, |frame| frame.number);
        let after = after.filter(|after| *after <= newest && after + 1 >= oldest);
        let begin = after.unwrap_or(newest);
        let behind = kept.iter().filter(|frame| frame.number > begin).map(Arc::clone).collect();
        Subscription { begin, behind, live, resumed: after.is_some() }
    }

    fn id_of(&self, number: u64) -> String {
        format!("{}-{number}", self.0.epoch)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Frame>>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subscription of a reader.
struct Subscription {
    /// The number before the first event of the subscription.
    begin: u64,
    behind: VecDeque<Arc<Frame>>,
    /// Future events.
    live: broadcast::Receiver<Arc<Frame>>,
    /// Whether no event was lost since the last connection.
    resumed: bool,
}

/// Publishes the samples of a batch in parts, so that readers keep up with a large one.
async fn publish_samples(hub: &Hub, batch: &Batch) {
    for part in batch.chunks(KEPT / 8) {
        part.iter().for_each(|sample| hub.publish(Happening::Sample(Arc::clone(sample))));
        tokio::task::yield_now().await;
    }
}

async fn feed(hub: Hub, mut sources: Sources) {
    let mut said = (None, None);
    let mut alerts = frame::Standings::default();
    loop {
        tokio::select! {
            batch = sources.samples.recv() => match batch {
                Ok(batch) => publish_samples(&hub, &batch).await,
                Err(RecvError::Lagged(n)) => { hub.0.missed.fetch_add(n, Ordering::Relaxed); }
                Err(RecvError::Closed) => return,
            },
            Ok(()) = sources.snapshot.changed() => {
                let snapshot = sources.snapshot.borrow_and_update().clone();
                let key = frame::verdict_key(&snapshot.verdict);
                if said.0.replace(key.clone()) != Some(key) {
                    hub.publish(Happening::Verdict(snapshot));
                }
            }
            Ok(()) = sources.alerts.changed() => {
                let status = sources.alerts.borrow_and_update().clone();
                alerts.changes(&status).into_iter().for_each(|it| hub.publish(Happening::Alert(Box::new(it))));
            }
            Ok(()) = sources.health.changed() => {
                let health = sources.health.borrow_and_update().clone();
                let key = (health.status, frame::reason_key(&health));
                if said.1.replace(key.clone()) != Some(key) {
                    hub.publish(Happening::Health(health));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::health::report::Health;

    fn hub() -> Hub {
        Hub::idle(Stamp::new(0x5e, 0, 0))
    }

    fn publish(hub: &Hub, count: usize) {
        (0..count).for_each(|_| hub.publish(Happening::Health(Arc::new(Health::default()))));
    }

    #[test]
    fn returning_reader_gets_missed_events_once() {
        let hub = hub();
        publish(&hub, 5);
        let mut reader = hub.subscribe(Some("5e-3"));
        assert_eq!((reader.behind.iter().map(|f| f.number).collect::<Vec<_>>(), reader.resumed), (vec![4, 5], true));
        publish(&hub, 1);
        assert_eq!(reader.live.try_recv().unwrap().number, 6);
        let fresh = hub.subscribe(None);
        assert_eq!((fresh.begin, fresh.behind.len(), fresh.resumed), (6, 0, false));
    }

    #[test]
    fn a_late_or_foreign_reader_learns_that_frames_are_lost() {
        let hub = hub();
        assert!(hub.subscribe(Some("5e-0")).resumed, "nothing has happened yet");
        publish(&hub, KEPT + 10);
        for id in ["5e-3", "5f-2000", "5e-99999", "5e", "", "5e-x"] {
            let reader = hub.subscribe(Some(id));
            assert!(reader.behind.is_empty() && !reader.resumed, "{id}");
        }
        let reader = hub.subscribe(Some("5e-10"));
        assert_eq!((reader.behind.len(), reader.resumed), (KEPT, true));
    }
}
