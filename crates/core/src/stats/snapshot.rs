//! An immutable picture of all that was computed, for whoever shows or judges it. Data only.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::leap::LeapTruth;
use super::local::LocalState;
use super::state::Totals;
use super::summary::WindowSummary;
use super::verdict::Verdict;
use crate::clock::Stamp;
use crate::sample::{Sample, SeriesKey};

/// The picture.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was made.
    pub at: Stamp,
    /// Every series that is polled.
    pub series: BTreeMap<SeriesKey, Arc<SeriesSnapshot>>,
    /// Who is wrong.
    pub verdict: Arc<Verdict>,
    /// What the kernel and a time daemon say of the own clock.
    pub local: LocalState,
    /// What is known of leap seconds.
    pub leap: Arc<LeapTruth>,
}

/// One series.
#[derive(Debug, Clone)]
pub struct SeriesSnapshot {
    /// The last poll, however it ended.
    pub last: Arc<Sample>,
    /// The last poll that brought an offset.
    pub last_measured: Option<Arc<Sample>>,
    /// The offsets of the last polls in seconds, oldest first, at most [`SeriesSnapshot::RECENT`]; NaN where a poll
    /// brought none. For small pictures: single precision.
    pub recent_s: Vec<f32>,
    /// Polls since start.
    pub polls: u64,
    /// Polls in a row, up to the last one, that brought no offset.
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
