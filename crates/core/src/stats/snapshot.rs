//! An immutable snapshot of all results, for the API, the page and the alert rules. Data only.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::events::Event;
use super::leap::LeapTruth;
use super::local::LocalState;
use super::state::Totals;
use super::summary::WindowSummary;
use super::verdict::Verdict;
use crate::clock::Stamp;
use crate::sample::{Sample, SeriesKey};

/// All results at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the snapshot was taken.
    pub at: Stamp,
    /// The results of every polled series.
    pub series: BTreeMap<SeriesKey, Arc<SeriesSnapshot>>,
    /// The verdict: which clocks are wrong.
    pub verdict: Arc<Verdict>,
    /// The state of this host's clock according to the kernel and a time daemon.
    pub local: LocalState,
    /// The state of leap seconds.
    pub leap: Arc<LeapTruth>,
    /// The events that last, in no order.
    pub ongoing: Arc<[Event]>,
}

/// The results of one series.
#[derive(Debug, Clone)]
pub struct SeriesSnapshot {
    /// The last poll with any outcome.
    pub last: Arc<Sample>,
    /// The last poll that gave a sample.
    pub last_measured: Option<Arc<Sample>>,
    /// The offsets of the last polls in seconds, oldest first, at most [`SeriesSnapshot::RECENT`]; NaN where a poll
    /// brought none. For small pictures: single precision.
    pub recent_s: Vec<f32>,
    /// Polls since start.
    pub polls: u64,
    /// Polls in a row, up to the last one, that gave no sample.
    pub consecutive_failures: u64,
    /// The last hour: reach, score, jitter and clock filter as of the last poll; what many polls add up to, and the
    /// trend, up to a minute or one poll in 32 older.
    pub hour: WindowSummary,
    /// Histograms of every sample since start, for each way of timestamping.
    pub totals: Vec<Totals>,
}

impl SeriesSnapshot {
    /// How many of the last offsets are kept.
    pub const RECENT: usize = 30;
}

impl Snapshot {
    /// A picture of nothing.
    #[must_use]
    pub fn empty(at: Stamp) -> Self {
        Self {
            at,
            series: BTreeMap::new(),
            verdict: Arc::new(Verdict::nothing_yet()),
            local: LocalState::default(),
            leap: Arc::default(),
            ongoing: Arc::default(),
        }
    }

    /// The series of a name, from every vantage point. That of the name before it had an address is left out once it has one.
    #[must_use]
    pub fn series_of(&self, name: &Arc<str>) -> Vec<(&SeriesKey, &Arc<SeriesSnapshot>)> {
        let first = SeriesKey::here(name, None);
        let mut all: Vec<_> = self.series.range(first..).take_while(|(key, _)| key.server == *name).collect();
        if all.len() > 1 {
            all.retain(|(key, _)| key.address.is_some());
        }
        all
    }
}
