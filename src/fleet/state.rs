//! The state of agent and hub for health, metrics and the API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::plan::Answers;
use super::presence::Presence;

/// The state of an agent and its counters since its start.
#[derive(Debug, Clone, Default)]
pub struct AgentView {
    pub is_connected: bool,
    /// Why the last connection ended, or could not be made.
    pub last_error: Option<String>,
    /// Samples that the server has acknowledged.
    pub acknowledged: u64,
    /// Messages that the server already had before they were first sent: another program uses the identity of this
    /// vantage.
    pub foreign: u64,
    /// How often all rows that no hub has stored were sent again.
    pub resent: u64,
    /// Why the last plan was ignored.
    pub plan_error: Option<String>,
    /// When a hub was last heard.
    pub hub_heard: Option<Instant>,
}

/// The shared [`AgentView`].
#[derive(Debug, Default)]
pub struct AgentState(Mutex<AgentView>);

impl AgentState {
    #[must_use]
    pub fn view(&self) -> AgentView {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, AgentView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a hub knows of one vantage, apart from its store.
#[derive(Debug, Clone, Default)]
pub struct VantageView {
    pub presence: Option<Arc<Presence>>,
    /// When the last announcement arrived, on this host's monotonic clock.
    pub announced: Option<Instant>,
    /// The same on the clock of the hub's slots, in seconds.
    pub announced_s: f64,
    /// When the last announcement or message of samples arrived, on this host's monotonic clock.
    pub heard: Option<Instant>,
    /// The vantage's wall clock minus this host's when the last announcement arrived, in nanoseconds. The error is the
    /// time that the message took. `None` while only announcements from before this hub connected are known.
    pub clock_ahead_ns: Option<i64>,
}

impl VantageView {
    /// The announcement that a plan written now answers.
    #[must_use]
    pub fn answers(&self) -> Option<Answers> {
        self.presence.as_ref().map(|presence| Answers { session: presence.session.clone(), number: presence.number })
    }
}

/// The state of a hub and its counters since its start.
#[derive(Debug, Clone, Default)]
pub struct HubView {
    pub is_connected: bool,
    pub last_error: Option<String>,
    /// Until when it has the lease, that is, writes plans and notifies.
    pub speaks_until: Option<Instant>,
    /// The vantages with samples that it has not read; `None` before it knows them.
    pub unread: Option<BTreeSet<Box<str>>>,
    pub received: u64,
    pub repeated: u64,
    pub lost: u64,
    pub refused: u64,
    pub vantages: BTreeMap<String, VantageView>,
}

impl HubView {
    /// Whether it has read all samples of this vantage.
    #[must_use]
    pub fn has_read(&self, vantage: &str) -> bool {
        self.unread.as_ref().is_some_and(|unread| !unread.contains(vantage))
    }

    /// Whether it has read all samples of all vantages.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.unread.as_ref().is_some_and(BTreeSet::is_empty)
    }

    pub(super) fn read(&mut self, vantage: &str, is_all: bool) {
        let unread = self.unread.get_or_insert_default();
        if is_all {
            unread.remove(vantage);
        } else if !unread.contains(vantage) {
            unread.insert(vantage.into());
        }
    }

    /// Whether this hub has the lease now. A process that was stopped meanwhile no longer has it.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.speaks_until.is_some_and(|until| Instant::now() < until)
    }
}

/// The shared [`HubView`].
#[derive(Debug, Default)]
pub struct HubState(Mutex<HubView>);

impl HubState {
    #[must_use]
    pub fn view(&self) -> HubView {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HubView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
