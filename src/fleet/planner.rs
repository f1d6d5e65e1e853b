//! Makes the plans of a hub: who polls which server how often, within the budget of each server. The arithmetic is the
//! core's; this keeps account of what was written and what is known of each vantage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::judge::{Roster, group, is_heard};
use super::plan::{PlanDocument, Planned};
use super::state::{HubView, VantageView};
use crate::config::{Fleet, Server};
use ntp_monitor_core::fleet::plan::{
    Assignment, Ledger, PlanConfig, PlanServer, PlanVantage, PlanVersion, VantagePlan, plan,
};
use ntp_monitor_core::fleet::witness::Witness;

/// The plans of this hub.
pub struct Planner {
    config: PlanConfig,
    budget_s: f64,
    silent_after: std::time::Duration,
    ledger: Ledger,
    began: Instant,
    /// Counts changed plans.
    number: u64,
    current: BTreeMap<Arc<str>, Current>,
}

/// The latest plan of a vantage.
#[derive(Debug, Clone)]
pub struct Current {
    pub number: u64,
    pub planned: Vec<Planned>,
    plan: VantagePlan,
}

impl Planner {
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        let config = PlanConfig {
            vantages_per_server: fleet.vantages_per_server,
            validity_s: fleet.plan_validity.as_secs_f64(),
            ..PlanConfig::default()
        };
        Self {
            config,
            budget_s: fleet.budget.as_secs_f64(),
            silent_after: fleet.silent_after,
            ledger: Ledger::default(),
            began: Instant::now(),
            number: 0,
            current: BTreeMap::new(),
        }
    }

    fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.began).as_secs_f64()
    }

    /// Takes a document into account that another hub wrote: it may still be followed.
    pub fn adopt(&mut self, vantage: &Arc<str>, document: &PlanDocument, group: &Arc<str>, now: Instant) {
        let poll = |planned: &Planned| {
            let witness = Witness::at(planned.address.as_deref()?.parse().ok()?, group);
            Some(Assignment { witness, interval_s: planned.interval_s?, first_after_s: 0.0 })
        };
        let polls = document.servers.iter().flatten().filter_map(poll).collect();
        let version = PlanVersion { lease: document.revision, number: document.number };
        let until_s = self.seconds(now) + document.validity_s;
        self.ledger.publish(vantage, version, &VantagePlan { polls, fallback: Vec::new() }, until_s);
    }

    /// Computes every plan anew.
    pub fn turn(&mut self, view: &HubView, roster: &Roster, now: Instant) {
        self.ledger.expire(self.seconds(now));
        for (vantage, known) in &view.vantages {
            if let Some((lease, number)) = known.presence.as_ref().and_then(|presence| presence.follows) {
                self.ledger.acknowledge(vantage, PlanVersion { lease, number });
            }
        }
        let vantages: Vec<PlanVantage> = roster
            .iter()
            .map(|(name, seen)| {
                let known = view.vantages.get(&**name);
                PlanVantage {
                    name: Arc::clone(name),
                    group: group(name, known),
                    is_trusted: known.is_some_and(|known| self.is_trusted(known, now)),
                    allows: seen.keys().filter(|witness| witness.address().is_some()).cloned().collect(),
                }
            })
            .collect();
        let servers = self.servers(view, roster);
        let delay_s = |vantage: &str, witness: &Witness| roster.get(vantage)?.get(witness)?.delay_s;
        let turn = (self.seconds(now) / self.config.rotation_s) as u64;
        for (vantage, plan) in plan(&vantages, &servers, &delay_s, turn, &self.ledger, &self.config) {
            let planned = named(&plan, roster.get(&vantage));
            let is_same = self.current.get(&vantage).is_some_and(|current| current.planned == planned);
            if !is_same {
                self.number += 1;
                self.current.insert(vantage, Current { number: self.number, planned, plan });
            }
        }
    }

    fn is_trusted(&self, known: &VantageView, now: Instant) -> bool {
        known.presence.is_some() && is_heard(known, self.silent_after, now)
    }

    fn servers(&self, view: &HubView, roster: &Roster) -> Vec<PlanServer> {
        let mut all: BTreeMap<&Witness, (bool, f64)> = BTreeMap::new();
        for (vantage, seen) in roster {
            let candidates = view.vantages.get(&**vantage).and_then(|known| known.presence.as_ref());
            let candidates: BTreeMap<&str, _> =
                candidates.iter().flat_map(|presence| &presence.servers).map(|c| (c.name.as_str(), c)).collect();
            for (witness, seen) in seen.iter().filter(|(witness, _)| witness.address().is_some()) {
                let (own, poll_s) =
                    candidates.get(&*seen.name).map_or((false, f64::INFINITY), |c| (c.own, c.interval_s));
                let known = all.entry(witness).or_insert((true, f64::INFINITY));
                *known = (known.0 && own, known.1.min(poll_s));
            }
        }
        all.into_iter()
            .map(|(witness, (is_own, poll_s))| {
                let least = if is_own { Server::OWN_FLOOR } else { Server::FLOOR };
                let poll_s = if poll_s.is_finite() { poll_s } else { self.budget_s };
                PlanServer {
                    witness: witness.clone(),
                    budget_s: self.budget_s,
                    is_own,
                    poll_s: poll_s.max(least.as_secs_f64()),
                }
            })
            .collect()
    }

    /// The latest plan of a vantage.
    #[must_use]
    pub fn current(&self, vantage: &str) -> Option<&Current> {
        self.current.get(vantage)
    }

    /// Must be called before a document is sent: from now on the plan may be followed, for its validity from the
    /// announcement that it answers.
    pub fn written(&mut self, vantage: &str, lease: u64, answered: Option<Instant>, now: Instant) {
        let Some((name, current)) = self.current.get_key_value(vantage) else { return };
        let version = PlanVersion { lease, number: current.number };
        let until_s = self.seconds(answered.unwrap_or(now)) + self.config.validity_s;
        self.ledger.publish(name, version, &current.plan, until_s);
    }
}

/// A plan in the words of its vantage.
fn named(plan: &VantagePlan, seen: Option<&BTreeMap<Witness, super::judge::Seen>>) -> Vec<Planned> {
    let Some(seen) = seen else { return Vec::new() };
    let polls: BTreeMap<&Witness, f64> = plan.polls.iter().map(|poll| (&poll.witness, poll.interval_s)).collect();
    let fallback: BTreeMap<&Witness, f64> = plan.fallback.iter().map(|pace| (&pace.witness, pace.interval_s)).collect();
    let witnesses: BTreeSet<&&Witness> = polls.keys().chain(fallback.keys()).collect();
    let mut all: BTreeMap<&str, Planned> = BTreeMap::new();
    for witness in witnesses {
        let Some(seen) = seen.get(*witness) else { continue };
        let (interval_s, fallback_s) = (polls.get(*witness).map(rounded), fallback.get(*witness).map(rounded));
        let planned = Planned {
            name: seen.name.to_string(),
            address: witness.address().map(|address| address.to_string()),
            interval_s,
            fallback_s,
        };
        // A name with several addresses is polled at the slowest pace of them.
        let known = all.entry(&seen.name).or_insert_with(|| planned.clone());
        known.interval_s = slowest(known.interval_s, interval_s);
        known.fallback_s = slowest(known.fallback_s, fallback_s);
    }
    all.into_values().collect()
}

/// Upwards to a tenth of a second, so that small changes do not make a new plan.
fn rounded(seconds: &f64) -> f64 {
    (seconds * 10.0).ceil() / 10.0
}

fn slowest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::judge::Judge;
    use crate::fleet::presence::{Candidate, Presence};
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};
    use std::time::Duration;

    fn fleet() -> Fleet {
        let settings = [
            ("NTP_SERVER", "a"),
            ("NTP_MONITOR__MONITOR__VANTAGE", "hub1"),
            ("NTP_MONITOR__NATS__URL", "nats://127.0.0.1"),
            ("NTP_MONITOR__FLEET__ROLE", "hub"),
        ];
        let all = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        crate::config::load(None, &all, &[]).unwrap().config.fleet.unwrap()
    }

    /// Agents that all see one server, under a name of their own.
    fn agents(count: usize, own: bool, now: Instant) -> (HubView, Roster) {
        let (judge, mut view) = (Judge::default(), HubView::default());
        for n in 0..count {
            let (vantage, name) = (format!("v{n}"), format!("server of v{n}"));
            let candidate = Candidate { name: name.clone(), own, interval_s: 16.0, ..Candidate::default() };
            let presence = Presence { servers: vec![candidate], ..Presence::default() };
            let known = VantageView { presence: Some(presence), heard: Some(now), ..VantageView::default() };
            view.vantages.insert(vantage.clone(), known);
            let sample = Sample {
                address: "198.51.100.1:123".parse().ok(),
                ..Sample::unasked(Stamp::default(), ServerIdent::seen_from(&vantage, &name), Outcome::Timeout, 16.0)
            };
            judge.observe(&[Arc::new(sample)], &view, 0);
        }
        (view, judge.roster())
    }

    fn rate(planner: &Planner, view: &HubView, of: impl Fn(&Planned) -> Option<f64>) -> f64 {
        let planned = |vantage: &String| planner.current(vantage)?.planned.first().and_then(&of);
        view.vantages.keys().filter_map(planned).map(|interval_s| 1.0 / interval_s).sum()
    }

    #[test]
    fn all_agents_together_stay_within_the_budget_with_and_without_plans() {
        let now = Instant::now();
        let (view, roster) = agents(8, false, now);
        let mut planner = Planner::new(&fleet());
        for _ in 0..20 {
            planner.turn(&view, &roster, now);
            view.vantages.keys().for_each(|vantage| planner.written(vantage, 1, Some(now), now));
            let planned = rate(&planner, &view, |planned| planned.interval_s);
            assert!(planned <= 1.0 / 16.0 + 1e-9, "{planned}");
        }
        assert!(rate(&planner, &view, |planned| planned.fallback_s) <= 1.0 / 16.0);
        let polling = view.vantages.keys().filter(|v| planner.current(v).unwrap().planned[0].interval_s.is_some());
        assert_eq!(polling.count(), 5);
    }

    #[test]
    fn own_servers_are_polled_by_all_at_their_own_interval() {
        let now = Instant::now();
        let (view, roster) = agents(8, true, now);
        let mut planner = Planner::new(&fleet());
        planner.turn(&view, &roster, now);
        assert!((rate(&planner, &view, |planned| planned.interval_s) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn silent_vantage_gets_no_plan_of_its_own() {
        let now = Instant::now();
        let (mut view, roster) = agents(3, false, now);
        view.vantages.get_mut("v1").unwrap().heard = now.checked_sub(Duration::from_secs(91));
        let mut planner = Planner::new(&fleet());
        planner.turn(&view, &roster, now);
        assert!(planner.current("v1").unwrap().planned[0].interval_s.is_none());
        assert!(planner.current("v0").unwrap().planned[0].interval_s.is_some());
    }
}
