//! Messages that make the supervisor start or stop a child.

use std::fmt;
use std::sync::Arc;

use actix::Message;

use super::notice::DeathNotice;
use ntp_monitor_core::health::child::Role;

/// Starts one incarnation of a child, which must hold the notice for as long as it lives. Returns the function that
/// asks this incarnation to stop.
pub type Factory = Box<dyn Fn(DeathNotice) -> Stop + Send>;

/// Asks one incarnation of a child to stop; it then drops its death notice.
pub type Stop = Box<dyn FnOnce() + Send>;

/// To the supervisor: start and supervise this child. If a child of that name exists, it is kept.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Adopt {
    /// Unique among all children.
    pub name: Arc<str>,
    /// Says how essential the child is.
    pub role: Role,
    pub factory: Factory,
}

impl fmt::Debug for Adopt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adopt").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// To the supervisor: stop this child permanently.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Release {
    pub name: Arc<str>,
}
