//! The state of the fleet that the rest of the service reads.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::agent::Arrived;
use super::enforce::Enforced;
use super::hub::Plans;
use super::judge::{Judge, Picture, is_heard};
use super::presence::Presence;
use super::quiet;
use super::state::{AgentState, HubState};
use crate::config;
use ntp_monitor_core::alert::facts::FleetFacts;
use ntp_monitor_core::alert::silence::Silence;

/// When this process started.
#[derive(Debug, Clone, Copy)]
pub struct Started(Instant);

impl Default for Started {
    fn default() -> Self {
        Self(Instant::now())
    }
}

/// What agent, hub and judge publish. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    pub started: Started,
    pub agent: Arc<AgentState>,
    pub hub: Arc<HubState>,
    /// The latest plan of this agent.
    pub plan: watch::Sender<Option<Arc<Arrived>>>,
    /// What this agent polls.
    pub enforced: watch::Sender<Arc<Enforced>>,
    /// The plan that this hub last wrote for each vantage.
    pub plans: watch::Sender<Arc<Plans>>,
    pub judge: Arc<Judge>,
    /// This hub's latest analysis of all vantages.
    pub picture: watch::Sender<Arc<Picture>>,
}

impl Fleet {
    /// The silence of an agent whose hub notifies about servers. It ends [`quiet::ALONE_AFTER`] after the agent last
    /// heard a hub.
    #[must_use]
    pub fn silence(&self, config: &config::Config, now_ns: i64) -> Option<Silence> {
        let fleet = config.fleet.as_ref().filter(|fleet| fleet.alerts == config::FleetAlerts::Hub)?;
        if fleet.role != config::FleetRole::Agent {
            return None;
        }
        let now = jiff::Timestamp::from_nanosecond(now_ns.into()).ok()?;
        let left = quiet::left(self.started.0, self.agent.view().hub_heard, Instant::now())?;
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

    /// The facts that the alert rules of a hub evaluate; `None` on other instances.
    #[must_use]
    pub fn facts(&self, config: &config::Fleet) -> Option<FleetFacts> {
        let (view, picture, now) = (self.hub.view(), self.picture.borrow().clone(), Instant::now());
        config.role.is_hub().then_some(())?;
        let heard = view.vantages.iter().filter(|(_, known)| known.heard.is_some());
        let silent: Vec<&str> = heard
            .clone()
            .filter(|(_, known)| !is_heard(known, config.silent_after, now))
            .map(|(name, _)| name.as_str())
            .collect();
        let proven = |pair: &ntp_monitor_core::fleet::skew::Skew| pair.estimate_s.abs() - pair.bound_s;
        let widest =
            picture.skew.iter().max_by(|a, b| proven(a).total_cmp(&proven(b))).filter(|pair| proven(pair) > 0.0);
        let speaking = view.vantages.iter().filter(|(_, known)| is_heard(known, config.silent_after, now));
        let nts = nts(speaking.filter_map(|(name, known)| Some((name.as_str(), &**known.presence.as_ref()?))));
        Some(FleetFacts {
            // Of two hubs only the one with the lease notifies.
            speaks: view.speaks(),
            vantages: heard.count(),
            silent: silent.len(),
            silent_names: silent.join(", "),
            skew_s: widest.map_or(0.0, proven),
            skew_pair: widest.map(|pair| format!("{} and {}", pair.a, pair.b)).unwrap_or_default(),
            skew_limit_s: config.skew_limit.as_secs_f64(),
            wrong_servers: picture.verdict.servers.len(),
            wrong_vantages: picture.verdict.vantages.len(),
            sentence: picture.verdict.sentence.clone(),
            wrong_places: picture.quorum.wrong_places,
            wrong_places_server: picture.quorum.wrong_server.clone(),
            unreachable: picture.quorum.unreachable.len(),
            unreachable_names: picture.quorum.unreachable.join(", "),
            nts_failing: nts.failing.len(),
            nts_names: nts.failing.join(", "),
            nts_days_left: nts.days_left,
        })
    }
}

/// The NTS states that all vantages announced, summed up.
#[derive(Default)]
struct NtsFacts {
    failing: Vec<String>,
    days_left: Option<f64>,
}

fn nts<'a>(presences: impl Iterator<Item = (&'a str, &'a Presence)>) -> NtsFacts {
    let mut facts = NtsFacts::default();
    for (vantage, presence) in presences {
        for (server, nts) in presence.servers.iter().filter_map(|server| Some((server, server.nts.as_ref()?))) {
            if !nts.authenticated {
                let why = nts.fault.as_deref().unwrap_or("its samples are not authenticated");
                facts.failing.push(format!("{} from {vantage} ({why})", server.name));
            }
            let least = |known: f64| known.min(nts.days_left.unwrap_or(known));
            facts.days_left = facts.days_left.map(least).or(nts.days_left);
        }
    }
    facts
}
