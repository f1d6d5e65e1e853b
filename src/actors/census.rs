//! Who is alive: written by the supervisor, read by health and the web at any time without asking an actor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::clock::Stamp;

/// Whether the service can do without a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The service is nothing without it: when it cannot stay up, the process ends and systemd restarts it.
    Core,
    /// An output: it is restarted for ever, its queue waits, bounded and counted.
    Sink,
    /// One server's prober: when it keeps dying it harms nobody else.
    Prober,
}

/// How a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChildState {
    /// It runs.
    Running,
    /// It died and will be back shortly.
    Restarting,
    /// It died several times in a row; the next attempt is up to 30 s away.
    Crashed,
}

/// One child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildStatus {
    /// Whether the service can do without it.
    pub role: Role,
    /// How it is.
    pub state: ChildState,
    /// When it came into this state.
    pub since: Stamp,
    /// How often it was started again.
    pub restarts: u64,
    /// How many of its deaths were panics.
    pub panics: u64,
}

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
