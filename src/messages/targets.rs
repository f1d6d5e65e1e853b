//! What is to be watched.

use std::sync::Arc;

use actix::Message;

use crate::config::Server;

/// To targets: watch these servers, all of them and no others. What is configured as before goes on undisturbed.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SetServers(pub Vec<Arc<Server>>);
