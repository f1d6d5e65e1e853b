//! A finished poll.

use std::sync::Arc;

use actix::Message;

use ntp_monitor_core::health::availability::Tally;
use ntp_monitor_core::sample::{Sample, SeriesKey};
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::local::LocalState;

/// To whoever computes on samples: a poll has ended.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SampleReady(pub Arc<Sample>);

/// To whoever keeps something for each series: this one is no longer polled.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Forget(pub SeriesKey);

/// To the keeper of the book: what an earlier process counted in the span that began `age_s` seconds ago. One message for
/// all series: with thousands of them, one each would leave no room in the mailbox for samples.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Recall {
    /// How long ago the span began, in seconds.
    pub age_s: i64,
    /// Whose polls, and how they ended.
    pub tallies: Vec<(SeriesKey, Tally)>,
}

/// To the statistician: what the kernel and a time daemon say of the own clock.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct LocalKnown(pub LocalState);

/// To the statistician: the list of leap seconds to use.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct LeapListKnown(pub LeapSource);
