//! The death notice: a value that a child holds and whose `Drop` notifies the supervisor. It works for a clean end and
//! for a panic, in an actor, a task or a thread, because all three drop what they own.

use std::sync::Arc;

use actix::Recipient;

use crate::messages::lifecycle::Down;
use ntp_monitor_core::health::child::Role;

/// Held by a child for as long as it lives; notifies the supervisor when dropped.
#[derive(Debug)]
pub struct DeathNotice {
    child: Arc<str>,
    role: Role,
    generation: u64,
    supervisor: Option<Recipient<Down>>,
}

impl DeathNotice {
    /// The notice for incarnation `generation` of the child.
    #[must_use]
    pub(super) fn new(child: Arc<str>, role: Role, generation: u64, supervisor: Recipient<Down>) -> Self {
        Self { child, role, generation, supervisor: Some(supervisor) }
    }

    /// A notice without a supervisor, for tests.
    #[must_use]
    pub fn unsupervised() -> Self {
        Self { child: "unsupervised".into(), role: Role::Sink, generation: 0, supervisor: None }
    }
}

impl Drop for DeathNotice {
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor.take() {
            let child = Arc::clone(&self.child);
            let panicked = std::thread::panicking();
            supervisor.do_send(Down { child, role: self.role, generation: self.generation, panicked });
        }
    }
}
