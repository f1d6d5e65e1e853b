//! What the rest of the service sees of the fleet.

use std::sync::Arc;

use tokio::sync::watch;

use super::agent::Arrived;
use super::enforce::Enforced;
use super::hub::Plans;
use super::judge::{Judge, Picture};
use super::state::{AgentState, HubState};

/// The boards of the fleet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    pub agent: Arc<AgentState>,
    pub hub: Arc<HubState>,
    /// The latest plan of this agent.
    pub plan: watch::Sender<Option<Arc<Arrived>>>,
    /// What this agent polls.
    pub enforced: watch::Sender<Arc<Enforced>>,
    /// What this hub wrote for each vantage.
    pub plans: watch::Sender<Arc<Plans>>,
    pub judge: Arc<Judge>,
    /// What this hub makes of all vantages.
    pub picture: watch::Sender<Arc<Picture>>,
}
