//! An immutable snapshot of all results, for the API, the page and the alert rules. Data only.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::events::Event;
use super::leap::LeapTruth;
use super::local::LocalState;
use super::summary::WindowSummary;
use super::verdict::Verdict;
use super::window::ServerWindows;
use crate::clock::Stamp;
use crate::sample::{Sample, SeriesKey};

/// All results at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the snapshot was taken.
    pub at: Stamp,
    /// The results of every polled series. Successive snapshots share the keys.
    pub series: BTreeMap<Arc<SeriesKey>, Arc<SeriesSnapshot>>,
    /// The verdict: which clocks are wrong.
    pub verdict: Arc<Verdict>,
    /// The state of this host's clock according to the kernel and a time daemon.
    pub local: LocalState,
    /// The state of leap seconds.
    pub leap: Arc<LeapTruth>,
    /// The ongoing events, in no order.
    pub ongoing: Arc<[Event]>,
}

/// The results of one series.
#[derive(Debug, Clone)]
pub struct SeriesSnapshot {
    /// The last poll with any outcome.
    pub last: Arc<Sample>,
    /// The last poll that gave a sample.
    pub last_measured: Option<Arc<Sample>>,
    /// The offsets of the last polls in seconds, oldest first, at most [`SeriesSnapshot::RECENT`]; NaN for a poll
    /// without an offset. Single precision is enough for sparklines.
    pub recent_s: Box<[f32]>,
    /// Polls since start.
    pub polls: u64,
    /// Consecutive polls without a sample, up to the last one.
    pub consecutive_failures: u64,
    /// The summary of the last hour. Reach, score, jitter and clock filter are those of the last poll; the other
    /// figures may be up to a minute, or one poll in 32, older.
    pub hour: WindowSummary,
}

impl SeriesSnapshot {
    /// The number of recent offsets that are kept.
    pub const RECENT: usize = ServerWindows::RECENT;
}

impl Snapshot {
    /// An empty snapshot.
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

    /// The series of a name from all vantage points. The series without an address is omitted once there is one with an
    /// address.
    #[must_use]
    pub fn series_of(&self, name: &Arc<str>) -> Vec<(&Arc<SeriesKey>, &Arc<SeriesSnapshot>)> {
        let first = SeriesKey::here(name, None);
        let mut all: Vec<_> = self.series.range(first..).take_while(|(key, _)| key.server == *name).collect();
        if all.len() > 1 {
            all.retain(|(key, _)| key.address.is_some());
        }
        all
    }
}
