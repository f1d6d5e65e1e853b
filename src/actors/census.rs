//! The status of every child: written by the supervisor, read by health and the web without sending a message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use ntp_monitor_core::health::child::{ChildState, ChildStatus, Role};

/// The status of all children, by name. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Census {
    children: Arc<Mutex<BTreeMap<Arc<str>, ChildStatus>>>,
    /// Number of live probers, including those that were asked to stop and are finishing a poll.
    probers: Arc<watch::Sender<usize>>,
}

/// The children of the supervisor together.
#[derive(Debug, Clone, Default)]
pub struct CensusSummary {
    /// The sum over all children.
    pub restarts: u64,
    /// The sum over all children.
    pub panics: u64,
    /// Those that do not run.
    pub down: Vec<(Arc<str>, ChildStatus)>,
}

impl Census {
    /// Copies the status of all children.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Arc<str>, ChildStatus> {
        self.lock().clone()
    }

    /// What health reports of all children, without a copy of every entry.
    #[must_use]
    pub fn summary(&self) -> CensusSummary {
        let children = self.lock();
        let down = children.iter().filter(|(_, child)| child.state != ChildState::Running);
        CensusSummary {
            restarts: children.values().map(|child| child.restarts).sum(),
            panics: children.values().map(|child| child.panics).sum(),
            down: down.map(|(name, child)| (Arc::clone(name), child.clone())).collect(),
        }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<ChildStatus> {
        self.lock().get(name).cloned()
    }

    /// Waits until no prober is alive, including those that were asked to stop.
    pub async fn without_probers(&self) {
        // `self` holds the sender, so this cannot fail.
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

    // No code that runs under this lock can panic.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, ChildStatus>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
