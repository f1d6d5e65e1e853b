//! Messages about polls and about this host's clock.

use std::sync::Arc;

use actix::Message;

use ntp_monitor_core::health::availability::Tally;
use ntp_monitor_core::sample::{Batch, SeriesKey};
use ntp_monitor_core::stats::judgement::Judgement;
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::local::LocalState;

/// To the actors that process samples: these polls have ended.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SamplesReady(pub Batch);

/// To the actors that keep state for each series: these series are no longer polled.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Forget {
    pub keys: Arc<[SeriesKey]>,
    /// The series of the same server that is polled instead, and continues its failures in a row.
    pub successor: Option<SeriesKey>,
}

/// To the health actor: the poll counts of an earlier process in a period that began `age_s` seconds ago. One message
/// covers all series, because one per series would fill the mailbox.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Recall {
    /// How long ago the period began, in seconds.
    pub age_s: i64,
    /// Poll counts by series.
    pub tallies: Vec<(SeriesKey, Tally)>,
}

/// To the statistician: the state of this host's clock, as the kernel and a time daemon report it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct LocalKnown(pub LocalState);

/// To the statistician: continue the verdict from this state of an earlier process.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Restored(pub Box<Judgement>);

/// To the statistician: save the state of the verdict for the next process now.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct KeepState;

/// To the statistician: the leap second list to use.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct LeapListKnown(pub LeapSource);
