//! A finished poll.

use std::sync::Arc;

use actix::Message;

use crate::sample::{Sample, SeriesKey};

/// To whoever computes on samples: a poll has ended.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SampleReady(pub Arc<Sample>);

/// To whoever keeps something for each series: this one is no longer polled.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Forget(pub SeriesKey);
