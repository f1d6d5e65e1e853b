//! Makes the plans of a hub: which vantage polls which server how often, within the budget of each server. The
//! arithmetic is in the core crate; this module tracks which plans were written and what is known of each vantage.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::judge::{group, is_heard};
use super::plan::{AddressSlots, AgentLine, HubClock, PlanDocument, Planned};
use super::roster::Roster;
use super::state::{HubView, VantageView};
use crate::config::{Fleet, Server};
use ntp_monitor_core::fleet::plan::slots::{Class, DRIFT, Line, Relation, slot_s};
use ntp_monitor_core::fleet::plan::{
    Assignment, Fallback, Ledger, PlanConfig, PlanServer, PlanVantage, PlanVersion, VantagePlan, plan,
};
use ntp_monitor_core::fleet::witness::Witness;

/// A vantage takes a server over from another one if its delay is below the other's delay times this factor, minus
/// [`NEARER_S`].
const NEARER: f64 = 0.8;
const NEARER_S: f64 = 0.001;

/// The plans of this hub.
pub struct Planner {
    config: PlanConfig,
    budget_s: f64,
    /// The budget of the user's own servers; `None` if they have none.
    own_budget_s: Option<f64>,
    silent_after: Duration,
    ledger: Ledger,
    began: Instant,
    /// The number of the last plan that differed from the one before.
    number: u64,
    current: BTreeMap<Arc<str>, Current>,
    /// Until then, the plans of the previous hub are renewed without changes: agents may still follow its earlier
    /// plans, and only its last plans are known to stay within the budget together with those.
    adopted_until: Option<Instant>,
    /// Identifies the clock to which this hub relates the slots.
    clock: String,
    /// The clocks of the vantages.
    clocks: BTreeMap<String, VantageClock>,
    /// The group of each vantage, including those that this hub has not heard since it started.
    groups: BTreeMap<Arc<str>, Arc<str>>,
    /// The time scale of the slots minus this hub's clock, in seconds. A hub that takes over computes it from the
    /// agents that know the scale.
    ahead: Relation,
    /// The estimate of `ahead` that is used. It is fixed once this hub assigns slots itself.
    ahead_s: Option<f64>,
}

/// The relation of a vantage's clock to this hub's clock.
#[derive(Debug, Clone, Default)]
struct VantageClock {
    id: String,
    /// The latest announcement that was used: its session and number.
    announcement: Option<(String, u64)>,
    relation: Relation,
}

/// The latest plan of a vantage.
#[derive(Debug, Clone)]
pub struct Current {
    pub number: u64,
    pub planned: Vec<Planned>,
    plan: VantagePlan,
    /// The position of the slots as the previous hub wrote it.
    line: Option<AgentLine>,
}

impl Current {
    fn polled(&self) -> HashSet<&Witness> {
        self.plan.polls.iter().map(|poll| &poll.witness).collect()
    }
}

impl Planner {
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        let config = PlanConfig {
            vantages_per_server: fleet.vantages_per_server,
            validity_s: fleet.plan_ends_after().as_secs_f64(),
            ..PlanConfig::default()
        };
        Self {
            config,
            budget_s: fleet.budget.as_secs_f64(),
            own_budget_s: fleet.own_budget.map(|budget| budget.as_secs_f64()),
            silent_after: fleet.silent_after,
            ledger: Ledger::default(),
            began: Instant::now(),
            number: 0,
            current: BTreeMap::new(),
            adopted_until: None,
            clock: format!("{:016x}", rand::random::<u64>()),
            clocks: BTreeMap::new(),
            groups: BTreeMap::new(),
            ahead: Relation::default(),
            ahead_s: None,
        }
    }

    fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.began).as_secs_f64()
    }

    /// Takes a document into account that an earlier hub wrote: its agent may still follow it.
    pub fn adopt(&mut self, vantage: &Arc<str>, document: &PlanDocument, group: &Arc<str>, now: Instant) {
        let Some(planned) = document.servers.clone() else { return };
        let group = document.group.as_deref().map_or_else(|| Arc::clone(group), Arc::from);
        let plan = Self::slots(&planned, &group);
        self.groups.insert(Arc::clone(vantage), group);
        let version = PlanVersion { lease: document.revision, number: document.number };
        let until_s = self.seconds(now) + document.validity_s;
        self.ledger.publish(vantage, version, &plan, until_s);
        self.number = self.number.max(document.number);
        let line = document.line.clone();
        self.current.insert(Arc::clone(vantage), Current { number: document.number, planned, plan, line });
        let validity = Duration::try_from_secs_f64(document.validity_s).unwrap_or_default();
        self.adopted_until = self.adopted_until.max(Some(now + validity));
    }

    /// The assignments of a document.
    fn slots(planned: &[Planned], group: &Arc<str>) -> VantagePlan {
        let mut plan = VantagePlan::default();
        for planned in planned {
            let slot_s = planned.slot_s.unwrap_or(0.0);
            let interval_s = planned.interval_s.unwrap_or(f64::INFINITY);
            let first = planned.address.clone().map(|address| AddressSlots {
                address,
                slots: planned.slots.clone(),
                spare: planned.spare,
            });
            for AddressSlots { address, slots, spare } in first.iter().chain(&planned.more) {
                let Some(witness) = address.parse().ok().map(|address| Witness::at(address, group)) else { continue };
                // A hub of an earlier release assigns no slots: the server may be polled at any time.
                let slots = if slots.is_empty() { vec![Class { cycle: 1, at: 0 }] } else { slots.clone() };
                if planned.interval_s.is_some() {
                    plan.polls.push(Assignment { witness: witness.clone(), interval_s, slot_s, slots });
                }
                plan.fallback.push(Fallback { witness, interval_s, slot_s, spare: *spare });
            }
        }
        plan
    }

    /// Relates the clocks of the vantages to that of this hub, which shows `now_s`.
    fn relate(&mut self, view: &HubView, now_s: f64) {
        for (vantage, known) in &view.vantages {
            let Some(presence) = known.presence.as_ref() else { continue };
            let Some(clock) = presence.clock.as_ref() else { continue };
            let ours = self.clocks.entry(vantage.clone()).or_default();
            if ours.id != clock.id {
                *ours = VantageClock { id: clock.id.clone(), ..VantageClock::default() };
            }
            let announcement = Some((presence.session.clone(), presence.number));
            if ours.announcement == announcement {
                continue;
            }
            ours.announcement = announcement;
            ours.relation.heard(clock.sent_s, known.announced_s);
            if clock.hub == self.clock {
                ours.relation.answered(clock.hub_sent_s, clock.received_s, known.announced_s);
            }
        }
        if self.ahead_s.is_some() {
            return;
        }
        for (vantage, current) in &self.current {
            let Some(ours) = self.clocks.get(&**vantage) else { continue };
            let said = current.line.as_ref().filter(|line| line.clock == ours.id);
            if let (Some(AgentLine { line, .. }), Some((difference_s, bound_s))) =
                (said, ours.relation.difference_s(now_s))
            {
                let bound_s = bound_s + line.bound_s + DRIFT * (now_s + difference_s - line.at_s).abs();
                let ahead_s = difference_s - line.zero_s;
                self.ahead.narrow(ahead_s - bound_s, ahead_s + bound_s, now_s);
            }
        }
    }

    /// The clock fields of a document that is written when this hub's clock shows `now_s`: that time, and the position
    /// of the slots on the clock of the vantage.
    #[must_use]
    pub fn times(&self, vantage: &str, now_s: f64) -> (HubClock, Option<AgentLine>) {
        let clock = HubClock { id: self.clock.clone(), sent_s: now_s };
        let Some(ahead_s) = self.ahead_s else {
            return (clock, self.current.get(vantage).and_then(|current| current.line.clone()));
        };
        let line = self.clocks.get(vantage).and_then(|ours| {
            let (difference_s, bound_s) = ours.relation.difference_s(now_s)?;
            let line = Line { zero_s: difference_s - ahead_s, bound_s, at_s: now_s + difference_s };
            Some(AgentLine { clock: ours.id.clone(), line })
        });
        (clock, line)
    }

    /// Computes every plan; `now_s` is the time of this hub's slot clock.
    pub fn turn(&mut self, view: &HubView, roster: &Roster, now: Instant, now_s: f64) {
        self.ledger.expire(self.seconds(now));
        self.relate(view, now_s);
        for (vantage, known) in &view.vantages {
            if let Some((lease, number)) = known.presence.as_ref().and_then(|presence| presence.follows) {
                self.ledger.acknowledge(vantage, PlanVersion { lease, number });
            }
        }
        if self.adopted_until.is_some_and(|until| now < until) {
            return;
        }
        for (name, known) in roster.keys().map(|name| (name, view.vantages.get(&**name))) {
            if known.is_some_and(|known| known.presence.is_some()) {
                self.groups.insert(Arc::clone(name), group(name, known));
            }
        }
        let ahead = self.ahead;
        self.ahead_s.get_or_insert_with(|| ahead.difference_s(now_s).map_or(0.0, |(ahead_s, _)| ahead_s));
        let vantages: Vec<PlanVantage> = roster
            .iter()
            .map(|(name, seen)| {
                let known = view.vantages.get(&**name);
                let group = self.group(name);
                // A private address that was polled before the group was known occurs twice.
                let is_its = |witness: &&Witness| {
                    witness.address().is_some_and(|address| Witness::at(address, &group) == **witness)
                };
                PlanVantage {
                    name: Arc::clone(name),
                    is_trusted: known.is_some_and(|known| self.is_trusted(known, now)),
                    allows: seen.keys().filter(is_its).cloned().collect(),
                    group,
                }
            })
            .collect();
        let servers = self.servers(view, roster);
        let polled: BTreeMap<&str, HashSet<&Witness>> =
            self.current.iter().map(|(vantage, current)| (&**vantage, current.polled())).collect();
        // Delays vary, so a vantage keeps its servers unless another vantage is clearly nearer.
        let delay_s = |vantage: &str, witness: &Witness| {
            let delay_s = roster.get(vantage)?.get(witness)?.delay_s?;
            let polls = polled.get(vantage).is_some_and(|polled| polled.contains(witness));
            Some(if polls { NEARER * delay_s - NEARER_S } else { delay_s })
        };
        let turn = (self.seconds(now) / self.config.rotation_s) as u64;
        // The user's own servers are polled as the file of each agent says; they need no plan.
        let own: BTreeSet<&Witness> =
            servers.iter().filter(|server| server.is_own).map(|server| &server.witness).collect();
        let slots_s: BTreeMap<&Witness, f64> =
            servers.iter().map(|server| (&server.witness, slot_s(server.budget_s))).collect();
        for (vantage, plan) in plan(&vantages, &servers, &delay_s, turn, &self.ledger, &self.config) {
            let planned = named(&plan, roster.get(&vantage), &own, &slots_s);
            let is_same = self.current.get(&vantage).is_some_and(|current| current.planned == planned);
            if !is_same {
                self.number += 1;
                self.current.insert(vantage, Current { number: self.number, planned, plan, line: None });
            }
        }
    }

    /// The group in which the private addresses of a vantage are unique.
    #[must_use]
    pub fn group(&self, vantage: &Arc<str>) -> Arc<str> {
        Arc::clone(self.groups.get(vantage).unwrap_or(vantage))
    }

    fn is_trusted(&self, known: &VantageView, now: Instant) -> bool {
        known.presence.is_some() && is_heard(known, self.silent_after, now)
    }

    fn servers(&self, view: &HubView, roster: &Roster) -> Vec<PlanServer> {
        let mut all: BTreeMap<&Witness, (Option<bool>, f64)> = BTreeMap::new();
        for (vantage, seen) in roster {
            let candidates = view.vantages.get(&**vantage).and_then(|known| known.presence.as_ref());
            let candidates: BTreeMap<&str, _> =
                candidates.iter().flat_map(|presence| &presence.servers).map(|c| (c.name.as_str(), c)).collect();
            for (witness, seen) in seen.iter().filter(|(witness, _)| witness.address().is_some()) {
                let (own, poll_s) =
                    candidates.get(&*seen.name).map_or((false, f64::INFINITY), |c| (c.own, c.interval_s));
                let known = all.entry(witness).or_insert((None, f64::INFINITY));
                // A vantage that has not announced servers to this hub does not decide whether a server is the user's
                // own.
                let own = if candidates.is_empty() { known.0 } else { Some(known.0.unwrap_or(true) && own) };
                *known = (own, known.1.min(poll_s));
            }
        }
        all.into_iter()
            .map(|(witness, (is_own, poll_s))| {
                let is_own = is_own.unwrap_or(false);
                let least = if is_own { Server::OWN_FLOOR } else { Server::FLOOR };
                let own_budget_s = self.own_budget_s.filter(|_| is_own);
                let budget_s = own_budget_s.unwrap_or(self.budget_s);
                let poll_s = if poll_s.is_finite() { poll_s } else { budget_s };
                PlanServer {
                    witness: witness.clone(),
                    budget_s,
                    is_own: is_own && own_budget_s.is_none(),
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

    /// Must be called before a document is sent: from now on its agent may follow the plan, until its validity has
    /// passed since the announcement that it answers.
    pub fn written(&mut self, vantage: &str, lease: u64, answered: Option<Instant>, now: Instant) {
        let Some((name, current)) = self.current.get_key_value(vantage) else { return };
        let version = PlanVersion { lease, number: current.number };
        let until_s = self.seconds(answered.unwrap_or(now)) + self.config.validity_s;
        self.ledger.publish(name, version, &current.plan, until_s);
    }
}

/// A plan with the names that its vantage has for the servers.
fn named(
    plan: &VantagePlan,
    seen: Option<&BTreeMap<Witness, super::roster::Seen>>,
    own: &BTreeSet<&Witness>,
    slots_s: &BTreeMap<&Witness, f64>,
) -> Vec<Planned> {
    let Some(seen) = seen else { return Vec::new() };
    let polls: BTreeMap<&Witness, &Assignment> = plan.polls.iter().map(|poll| (&poll.witness, poll)).collect();
    let fallback: BTreeMap<&Witness, &Fallback> = plan.fallback.iter().map(|pace| (&pace.witness, pace)).collect();
    let witnesses: BTreeSet<&&Witness> = polls.keys().chain(fallback.keys()).collect();
    let mut all: BTreeMap<&str, Planned> = BTreeMap::new();
    for witness in witnesses.into_iter().filter(|witness| !own.contains(**witness)) {
        let Some(seen) = seen.get(*witness) else { continue };
        let (poll, pace) = (polls.get(*witness), fallback.get(*witness));
        let Some(address) = witness.address().map(|address| address.to_string()) else { continue };
        let slots = poll.map(|poll| poll.slots.clone()).unwrap_or_default();
        let spare = pace.and_then(|pace| pace.spare);
        let planned = Planned {
            name: seen.name.to_string(),
            address: Some(address.clone()),
            interval_s: poll.map(|poll| rounded(&poll.interval_s)),
            fallback_s: pace.map(|pace| rounded(&pace.interval_s)),
            slot_s: slots_s.get(*witness).copied(),
            slots: slots.clone(),
            spare,
            more: Vec::new(),
        };
        let Some(known) = all.get_mut(&*seen.name) else {
            all.insert(&seen.name, planned);
            continue;
        };
        // A name with several addresses: agents of earlier releases poll it at the longest of the intervals.
        known.interval_s = slowest(known.interval_s, planned.interval_s);
        known.fallback_s = slowest(known.fallback_s, planned.fallback_s);
        known.more.push(AddressSlots { address, slots, spare });
    }
    all.into_values().collect()
}

/// Rounded up to a tenth of a second, so that small changes do not make a new plan.
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
#[path = "planner_tests.rs"]
mod tests;
