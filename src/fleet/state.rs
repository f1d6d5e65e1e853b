//! What agent and hub publish of themselves, for health, metrics and the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::plan::Answers;
use super::presence::Presence;

/// What an agent did since its start.
#[derive(Debug, Clone, Default)]
pub struct AgentView {
    pub is_connected: bool,
    /// Why the last connection ended, or could not be made.
    pub last_error: Option<String>,
    /// Samples that the server has acknowledged.
    pub acknowledged: u64,
    /// Messages that the server knew before they were sent the first time: somebody uses their identity.
    pub foreign: u64,
    /// How often everything that no hub has stored was sent again.
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

/// What a hub knows of one vantage, beside what its store has.
#[derive(Debug, Clone, Default)]
pub struct VantageView {
    pub presence: Option<Arc<Presence>>,
    /// When the last announcement came, on this host's monotonic clock.
    pub announced: Option<Instant>,
    /// The same on the clock of the hub's slots, in seconds.
    pub announced_s: f64,
    /// When the last announcement or message came, on this host's monotonic clock.
    pub heard: Option<Instant>,
    /// The vantage's wall clock less this host's at the last announcement, in nanoseconds; only as good as the way of the
    /// message is short.
    pub clock_ahead_ns: Option<i64>,
}

impl VantageView {
    /// The announcement that a plan written now answers.
    #[must_use]
    pub fn answers(&self) -> Option<Answers> {
        self.presence.as_ref().map(|presence| Answers { session: presence.session.clone(), number: presence.number })
    }
}

/// What a hub did since its start.
#[derive(Debug, Clone, Default)]
pub struct HubView {
    pub is_connected: bool,
    pub last_error: Option<String>,
    /// Until when it has the lease, and with it speaks for the fleet.
    pub speaks_until: Option<Instant>,
    /// Whether it has read everything that the stream has.
    pub is_caught_up: bool,
    pub received: u64,
    pub repeated: u64,
    pub lost: u64,
    pub refused: u64,
    pub vantages: BTreeMap<String, VantageView>,
}

impl HubView {
    /// Whether this hub has the lease. A process that was stopped meanwhile has it no longer.
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
