//! Messages that start, stop and check children.

use std::sync::Arc;

use actix::Message;

use ntp_monitor_core::health::child::Role;

/// To the supervisor, from a death notice: a child ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Down {
    pub child: Arc<str>,
    pub role: Role,
    /// The incarnation; a late notice of an earlier one is ignored.
    pub generation: u64,
    pub panicked: bool,
}

/// To any actor: stop now, without handling the messages that are still queued.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopNow;

/// To any actor: reply once the messages queued before this one are handled.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Ping;
