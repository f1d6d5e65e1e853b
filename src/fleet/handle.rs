//! What the rest of the service sees of the fleet.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::agent::Arrived;
use super::enforce::Enforced;
use super::hub::Plans;
use super::judge::{Judge, Picture, is_heard};
use super::state::{AgentState, HubState};
use crate::config;
use ntp_monitor_core::alert::facts::FleetFacts;
use ntp_monitor_core::alert::silence::Silence;

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

/// After this time without a hub, an agent notifies about everything.
const ALONE_AFTER: Duration = Duration::from_secs(600);

impl Fleet {
    /// The silence of an agent whose hub notifies about servers. It ends by itself when no hub is heard any more.
    #[must_use]
    pub fn silence(&self, config: &config::Config, now_ns: i64) -> Option<Silence> {
        let fleet = config.fleet.as_ref().filter(|fleet| fleet.alerts == config::FleetAlerts::Hub)?;
        if fleet.role != config::FleetRole::Agent {
            return None;
        }
        let now = jiff::Timestamp::from_nanosecond(now_ns.into()).ok()?;
        let left = ALONE_AFTER.checked_sub(self.agent.view().hub_heard?.elapsed())?;
        let servers = config.servers.iter().map(|server| server.ident.name.to_string());
        Some(Silence {
            id: 0,
            alert: None,
            servers: servers.collect(),
            comment: "the hub of the fleet notifies about servers".to_owned(),
            created_by: "fleet".to_owned(),
            starts_at: now,
            ends_at: now.checked_add(left).ok()?,
        })
    }

    /// What the rules of the hub with the lease evaluate; `None` elsewhere.
    #[must_use]
    pub fn facts(&self, config: &config::Fleet) -> Option<FleetFacts> {
        let (view, picture, now) = (self.hub.view(), self.picture.borrow().clone(), Instant::now());
        // Of two hubs only the one with the lease notifies.
        view.speaks.filter(|_| config.role.is_hub())?;
        let heard = view.vantages.iter().filter(|(_, known)| known.heard.is_some());
        let silent: Vec<&str> = heard
            .clone()
            .filter(|(_, known)| !is_heard(known, config.silent_after, now))
            .map(|(name, _)| name.as_str())
            .collect();
        let proven = |pair: &ntp_monitor_core::fleet::skew::Skew| pair.estimate_s.abs() - pair.bound_s;
        let widest =
            picture.skew.iter().max_by(|a, b| proven(a).total_cmp(&proven(b))).filter(|pair| proven(pair) > 0.0);
        Some(FleetFacts {
            vantages: heard.count(),
            silent: silent.len(),
            silent_names: silent.join(", "),
            skew_s: widest.map_or(0.0, proven),
            skew_pair: widest.map(|pair| format!("{} and {}", pair.a, pair.b)).unwrap_or_default(),
            skew_limit_s: config.skew_limit.as_secs_f64(),
            wrong_servers: picture.verdict.servers.len(),
            wrong_vantages: picture.verdict.vantages.len(),
            sentence: picture.verdict.sentence.clone(),
        })
    }
}
