//! Who is alive: written by the supervisor, read by health and the web at any time without asking an actor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use ntp_monitor_core::health::child::{ChildStatus, Role};

/// All children by name. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Census {
    children: Arc<Mutex<BTreeMap<Arc<str>, ChildStatus>>>,
    /// Probers that live, also those that were told to stop and end with the poll under way.
    probers: Arc<watch::Sender<usize>>,
}

impl Census {
    /// A copy of everything, by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Arc<str>, ChildStatus> {
        self.lock().clone()
    }

    /// One child.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ChildStatus> {
        self.lock().get(name).cloned()
    }

    /// Returns when no prober lives: not one that was told to stop, either.
    pub async fn without_probers(&self) {
        // The sender is ours, so this cannot fail.
        let _ = self.probers.subscribe().wait_for(|alive| *alive == 0).await;
    }

    pub(super) fn born(&self, role: Role) {
        if role == Role::Prober {
            self.probers.send_modify(|alive| *alive += 1);
        }
    }

    pub(super) fn died(&self, role: Role) {
        if role == Role::Prober {
            self.probers.send_modify(|alive| *alive = alive.saturating_sub(1));
        }
    }

    pub(super) fn put(&self, name: &Arc<str>, status: ChildStatus) {
        self.lock().insert(Arc::clone(name), status);
    }

    pub(super) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    // Nothing that can panic happens under this lock.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, ChildStatus>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
