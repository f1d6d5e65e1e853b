//! Birth and death.

use std::sync::Arc;

use actix::Message;

use ntp_monitor_core::health::child::Role;

/// To the supervisor, from a death notice.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Down {
    /// Who died.
    pub child: Arc<str>,
    /// What it was.
    pub role: Role,
    /// Which incarnation; a late notice of an earlier one is ignored.
    pub generation: u64,
    /// Whether it died of a panic.
    pub panicked: bool,
}

/// To any actor: end now. Nothing queued behind it is handled.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopNow;

/// To any actor: answer, in turn with everything else that waits.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Ping;
