//! The states of all running notifiers, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::NotifierState;
use crate::store::QueueGauge;
use ntp_monitor_core::health::notifiers::NotifierHealth;

/// Cheap to clone; all clones share their content.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<BTreeMap<String, Arc<NotifierState>>>>);

impl Board {
    /// Adds a notifier, or replaces its state after a restart.
    pub fn put(&self, name: &str, state: Arc<NotifierState>) {
        self.lock().insert(name.to_owned(), state);
    }

    /// Removes a notifier that is no longer configured.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// The health of all notifiers, including their queues, at the wall time `now_ns`.
    #[must_use]
    pub fn report(&self, queues: &BTreeMap<String, QueueGauge>, now_ns: i64) -> BTreeMap<String, NotifierHealth> {
        let with_queue = |(name, state): (&String, &Arc<NotifierState>)| {
            let queue = queues.get(name).copied().unwrap_or_default();
            let oldest_s = queue.oldest_ns.map_or(0.0, |oldest| (now_ns - oldest).max(0) as f64 / 1e9);
            let health = NotifierHealth { queued: queue.waiting, oldest_s, expired: queue.expired, ..state.gauge() };
            (name.clone(), health)
        };
        self.lock().iter().map(with_queue).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<NotifierState>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
