//! The data of one scrape.

use std::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::fleet::judge::Picture;
use crate::fleet::state::{AgentView, HubView};
use crate::store::{JournalGauge, MoveGauge};
use crate::web::State;
use crate::web::live::Hub;
use ntp_monitor_core::alert::status::AlertStatus;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::stats::snapshot::Snapshot;

/// The data that one scrape reads.
pub struct Scrape {
    /// The configuration in effect.
    pub config: Arc<Config>,
    pub snapshot: Arc<Snapshot>,
    pub health: Arc<Health>,
    pub alerts: Arc<AlertStatus>,
    /// The readers of the event stream.
    pub hub: Hub,
    /// The progress of moving samples of an earlier release.
    pub moving: MoveGauge,
    /// When the service started.
    pub started: Stamp,
    /// The fleet state of a hub.
    pub fleet: Arc<Picture>,
    pub hub_view: HubView,
    pub agent_view: AgentView,
    pub journal: JournalGauge,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a scrape of {} servers", self.config.servers.len())
    }
}

impl Scrape {
    /// Reads the current data.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let (config, snapshot, health) = state.now();
        let (alerts, hub) = (state.alerts.borrow().clone(), state.hub.clone());
        Self {
            config,
            snapshot,
            health,
            alerts,
            hub,
            moving: state.store.move_gauge(),
            started: state.started,
            fleet: state.fleet.picture.borrow().clone(),
            hub_view: state.fleet.hub.view(),
            agent_view: state.fleet.agent.view(),
            journal: state.store.fleet_gauge(),
        }
    }
}
