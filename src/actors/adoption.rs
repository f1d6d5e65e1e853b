//! What the supervisor is asked to look after, and to stop.

use std::fmt;
use std::sync::Arc;

use actix::Message;

use super::notice::DeathNotice;
use ntp_monitor_core::health::child::Role;

/// Starts one incarnation of a child, which must hold the notice for as long as it lives. What it returns asks that
/// incarnation to stop.
pub type Factory = Box<dyn Fn(DeathNotice) -> Stop + Send>;

/// Asks one incarnation of a child to stop; it then drops its death notice.
pub type Stop = Box<dyn FnOnce() + Send>;

/// To the supervisor: look after this child from now on. A child of that name that is there already is kept.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Adopt {
    /// Unique among all children.
    pub name: Arc<str>,
    /// Whether the service can do without it.
    pub role: Role,
    /// Makes an incarnation.
    pub factory: Factory,
}

impl fmt::Debug for Adopt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adopt").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// To the supervisor: stop this child for good.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Release {
    /// Which one.
    pub name: Arc<str>,
}
