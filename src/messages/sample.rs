//! A finished poll.

use std::sync::Arc;

use actix::Message;

use crate::sample::Sample;

/// To whoever computes on samples: a poll has ended.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SampleReady(pub Arc<Sample>);
