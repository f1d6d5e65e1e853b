//! The message that sets the servers to poll.

use std::sync::Arc;

use actix::Message;

use crate::config::Server;

/// To [`Targets`](crate::actors::targets::Targets): poll exactly these servers. Unchanged servers are not affected.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SetServers(pub Vec<Arc<Server>>);
