//! Which vantage polls which server how often, so that no server ever sees more than its budget from the whole fleet.
//!
//! The budget is a rate: one poll in `budget_s` from all vantages together. It holds in every mixture of vantages that
//! follow the newest plan, follow an older one, or have none any more:
//!
//! - A vantage whose plan expired polls every server that its own file allows at the *fallback pace*, which shares a
//!   reserved part of the budget among all vantages that may poll the server.
//! - The planned rates share what the reserve leaves, counting every vantage without a plan at its fallback pace.
//! - A vantage gets a faster rate only when the slower rates of the others are acknowledged or expired ([`Ledger`]).
//!
//! A plan is valid for a duration after the agent *sent* the message that the plan answers (`answers`), on the agent's
//! monotonic clock. However late a plan arrives, it expires no later than the hub assumes, because the hub counts the
//! same duration from when it received that message.

mod ledger;

pub use ledger::Ledger;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::witness::Witness;

/// What a planner may choose from; the defaults are those of the documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanConfig {
    /// How many vantages poll each server.
    pub vantages_per_server: usize,
    /// How long a plan is valid, in seconds.
    pub validity_s: f64,
    /// After how many seconds one of the vantages of each server gives way to the next one.
    pub rotation_s: f64,
    /// The part of each budget that is kept for vantages without a valid plan, 0 to 1.
    pub reserve: f64,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self { vantages_per_server: 5, validity_s: 120.0, rotation_s: 3600.0, reserve: 0.25 }
    }
}

/// A vantage as the planner knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanVantage {
    /// Its name.
    pub name: Arc<str>,
    /// The group that it belongs to, for spreading; empty when it belongs to none.
    pub group: Arc<str>,
    /// Whether it is heard and was tested. Others keep their share of the reserve and get no plan of their own.
    pub is_trusted: bool,
    /// What its own file allows it to poll.
    pub allows: BTreeSet<Witness>,
}

/// A server as the planner knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanServer {
    /// Its identity.
    pub witness: Witness,
    /// The shortest time between two polls from the whole fleet, in seconds; 16 s unless configured.
    pub budget_s: f64,
    /// Our own server: every vantage polls it at its own interval, and no budget applies.
    pub is_own: bool,
    /// The poll interval that the configuration asks for, in seconds. A plan never polls faster.
    pub poll_s: f64,
}

/// One server in the plan of a vantage.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The server.
    pub witness: Witness,
    /// The interval between two polls, in seconds.
    pub interval_s: f64,
    /// When to begin, in seconds after the plan arrived: vantages of one server do not poll it together.
    pub first_after_s: f64,
}

/// The pace without a valid plan, for one server.
#[derive(Debug, Clone, PartialEq)]
pub struct Fallback {
    /// The server.
    pub witness: Witness,
    /// The interval between two polls, in seconds.
    pub interval_s: f64,
}

/// The plan of one vantage.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VantagePlan {
    /// What to poll while the plan is valid.
    pub polls: Vec<Assignment>,
    /// What to poll after it expired: the pace at which all agents together stay within every budget.
    pub fallback: Vec<Fallback>,
}

/// Where a plan comes from, and which of two is newer: the revision of the lease first, then the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct PlanVersion {
    /// The revision of the lease of the hub that wrote it.
    pub lease: u64,
    /// Counts the plans of that hub.
    pub number: u64,
}

/// The pace of a vantage that has no valid plan, in seconds between two polls of a server with this budget, when
/// `allowed` vantages may poll it.
#[must_use]
pub fn fallback_interval_s(budget_s: f64, allowed: usize, config: &PlanConfig) -> f64 {
    let allowed = allowed.max(1) as f64;
    let share = if allowed as usize <= config.vantages_per_server { 1.0 } else { config.reserve.clamp(0.01, 1.0) };
    allowed * budget_s / share
}

/// Rates by vantage, in polls a second.
type Rates<'a> = BTreeMap<&'a str, f64>;

/// Plans for every vantage. `delay_s` is the median round trip of a vantage to a server, where it was measured; `turn`
/// counts rotations (time divided by [`PlanConfig::rotation_s`]); `in_force` is what may still be polled by older plans.
#[must_use]
pub fn plan(
    vantages: &[PlanVantage],
    servers: &[PlanServer],
    delay_s: &dyn Fn(&str, &Witness) -> Option<f64>,
    turn: u64,
    in_force: &Ledger,
    config: &PlanConfig,
) -> BTreeMap<Arc<str>, VantagePlan> {
    let mut plans: BTreeMap<_, _> =
        vantages.iter().map(|vantage| (Arc::clone(&vantage.name), VantagePlan::default())).collect();
    // Once for all servers, so that the time grows with the pairs of vantage and server and not with their square.
    let (may_poll, rates) = (who_may_poll(vantages), in_force.rates());
    let (nobody, none) = (Vec::new(), Rates::new());
    for (at, server) in servers.iter().enumerate() {
        let allowed = may_poll.get(&server.witness).unwrap_or(&nobody);
        if server.is_own {
            own(server, allowed, &mut plans);
            continue;
        }
        let fallback_s = fallback_interval_s(server.budget_s, allowed.len(), config).max(server.poll_s);
        for vantage in allowed {
            let fallback = Fallback { witness: server.witness.clone(), interval_s: fallback_s };
            plans.entry(Arc::clone(&vantage.name)).or_default().fallback.push(fallback);
        }
        let delay = |vantage: &PlanVantage| delay_s(&vantage.name, &server.witness);
        let mut chosen = choose(allowed, &delay, turn.wrapping_add(at as u64), config.vantages_per_server);
        // Each keeps its place in the interval while the same vantages are chosen.
        chosen.sort_by(|a, b| a.name.cmp(&b.name));
        let held = rates.get(&server.witness).unwrap_or(&none);
        for (order, (vantage, interval_s)) in
            intervals(server, &chosen, allowed, fallback_s, held).into_iter().enumerate()
        {
            let first_after_s = interval_s * order as f64 / chosen.len().max(1) as f64;
            let poll = Assignment { witness: server.witness.clone(), interval_s, first_after_s };
            plans.entry(vantage).or_default().polls.push(poll);
        }
    }
    plans
}

/// The vantages whose own file allows them to poll a server.
fn who_may_poll(vantages: &[PlanVantage]) -> HashMap<&Witness, Vec<&PlanVantage>> {
    let mut all: HashMap<&Witness, Vec<&PlanVantage>> = HashMap::new();
    for vantage in vantages {
        for witness in &vantage.allows {
            all.entry(witness).or_default().push(vantage);
        }
    }
    all
}

/// Our own servers are polled by everybody who may, at the configured interval.
fn own(server: &PlanServer, allowed: &[&PlanVantage], plans: &mut BTreeMap<Arc<str>, VantagePlan>) {
    for (order, vantage) in allowed.iter().enumerate() {
        let plan = plans.entry(Arc::clone(&vantage.name)).or_default();
        let (witness, interval_s) = (server.witness.clone(), server.poll_s);
        plan.fallback.push(Fallback { witness: witness.clone(), interval_s });
        if vantage.is_trusted {
            let first_after_s = interval_s * order as f64 / allowed.len() as f64;
            plan.polls.push(Assignment { witness, interval_s, first_after_s });
        }
    }
}

/// The nearest trusted vantages, one of each group first; the last place goes round among all others.
fn choose<'a>(
    allowed: &[&'a PlanVantage],
    delay_s: &dyn Fn(&PlanVantage) -> Option<f64>,
    turn: u64,
    most: usize,
) -> Vec<&'a PlanVantage> {
    let trusted = allowed.iter().copied().filter(|vantage| vantage.is_trusted);
    let mut nearest: Vec<_> = trusted.map(|vantage| (delay_s(vantage).unwrap_or(f64::INFINITY), vantage)).collect();
    nearest.sort_by(|(a_s, a), (b_s, b)| a_s.total_cmp(b_s).then_with(|| a.name.cmp(&b.name)));
    let mut candidates: Vec<_> = nearest.into_iter().map(|(_, vantage)| vantage).collect();
    if candidates.len() <= most || most == 0 {
        candidates.truncate(most);
        return candidates;
    }
    let (mut groups, mut later) = (BTreeSet::new(), Vec::new());
    let mut order = Vec::new();
    for vantage in candidates {
        // A vantage without a group is a group of its own.
        let group = if vantage.group.is_empty() { &vantage.name } else { &vantage.group };
        if groups.insert(Arc::clone(group)) { order.push(vantage) } else { later.push(vantage) }
    }
    order.extend(later);
    let mut rest = order.split_off(most - 1);
    // Not by distance, which scatters: everybody's turn comes.
    rest.sort_by(|a, b| a.name.cmp(&b.name));
    order.push(rest[(turn % rest.len() as u64) as usize]);
    order
}

/// The interval of each chosen vantage. Whatever each vantage may still be doing (the plan in force or the fallback pace)
/// counts, so a vantage becomes faster only in the room that the others leave.
fn intervals(
    server: &PlanServer,
    chosen: &[&PlanVantage],
    allowed: &[&PlanVantage],
    fallback_s: f64,
    rates: &Rates,
) -> Vec<(Arc<str>, f64)> {
    let (budget, fallback) = (1.0 / server.budget_s, 1.0 / fallback_s);
    let many = chosen.len().max(1) as f64;
    let held = |name: &str| rates.get(name).map_or(fallback, |rate| rate.max(fallback));
    let known: BTreeSet<&str> = allowed.iter().map(|vantage| &*vantage.name).collect();
    let gone = rates.iter().filter(|(name, _)| !known.contains(*name));
    let spent =
        allowed.iter().map(|vantage| held(&vantage.name)).sum::<f64>() + gone.map(|(_, rate)| rate).sum::<f64>();
    let room = (budget - spent).max(0.0) / many;
    let target = (budget - (allowed.len() as f64 - many) * fallback) / many;
    let rate = |vantage: &&PlanVantage| target.min(held(&vantage.name) + room).min(1.0 / server.poll_s);
    chosen.iter().map(|vantage| (Arc::clone(&vantage.name), 1.0 / rate(vantage))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(n: u8) -> Witness {
        Witness::Public(([192, 0, 2, n], 123).into())
    }

    fn vantages(count: usize) -> Vec<PlanVantage> {
        let vantage = |n: usize| PlanVantage {
            name: format!("v{n:03}").into(),
            group: format!("g{}", n % 3).into(),
            is_trusted: true,
            allows: (0..4).map(witness).collect(),
        };
        (0..count).map(vantage).collect()
    }

    fn servers(count: u8) -> Vec<PlanServer> {
        let server = |n| PlanServer { witness: witness(n), budget_s: 16.0, is_own: false, poll_s: 16.0 };
        (0..count).map(server).collect()
    }

    fn near(name: &str, _: &Witness) -> Option<f64> {
        name[1..].parse().ok()
    }

    /// The rate that a server sees when every vantage does the fastest of what it may do.
    fn worst_rate(server: &Witness, plans: &[&BTreeMap<Arc<str>, VantagePlan>]) -> f64 {
        let names: BTreeSet<_> = plans.iter().flat_map(|plans| plans.keys()).collect();
        let fastest = |name: &Arc<str>| {
            let plans = plans.iter().filter_map(|plans| plans.get(name));
            let each = plans.flat_map(|plan| {
                let polls = plan.polls.iter().filter(|poll| poll.witness == *server).map(|poll| poll.interval_s);
                polls.chain(plan.fallback.iter().filter(|pace| pace.witness == *server).map(|pace| pace.interval_s))
            });
            1.0 / each.fold(f64::INFINITY, f64::min)
        };
        names.into_iter().map(fastest).sum()
    }

    #[test]
    fn any_mixture_of_plan_and_fallback_stays_within_the_budget() {
        for count in [1, 2, 5, 6, 20, 100] {
            let plans = plan(&vantages(count), &servers(4), &near, 3, &Ledger::default(), &PlanConfig::default());
            for n in 0..4 {
                let rate = worst_rate(&witness(n), &[&plans]);
                assert!(rate <= 1.0 / 16.0 + 1e-12, "{count} vantages: {rate}");
                // What the reserve leaves is used.
                assert!(rate >= 0.99 / 16.0, "{count} vantages: {rate}");
            }
        }
    }

    #[test]
    fn rotation_raises_nobody_before_the_older_plan_expired() {
        let (vantages, servers, config) = (vantages(9), servers(4), PlanConfig::default());
        let mut ledger = Ledger::default();
        let mut older = plan(&vantages, &servers, &near, 0, &ledger, &config);
        let mut worst = 0.0f64;
        for turn in 0..50u64 {
            let now_s = turn as f64 * 50.0;
            ledger.expire(now_s);
            let newer = plan(&vantages, &servers, &near, turn, &ledger, &config);
            for (name, plan) in &newer {
                ledger.publish(name, PlanVersion { lease: 1, number: turn }, plan, now_s + config.validity_s);
            }
            worst = worst.max(worst_rate(&witness(0), &[&older, &newer]));
            older = newer;
        }
        assert!(worst <= 1.0 / 16.0 + 1e-12, "{worst}");
    }

    #[test]
    fn acknowledged_plan_frees_what_the_older_one_allowed() {
        let (vantages, servers, config) = (vantages(9), servers(1), PlanConfig::default());
        let mut ledger = Ledger::default();
        let first = plan(&vantages, &servers, &near, 0, &ledger, &config);
        for (name, plan) in &first {
            ledger.publish(name, PlanVersion { lease: 1, number: 0 }, plan, 120.0);
        }
        let second = plan(&vantages, &servers, &near, 1, &ledger, &config);
        for (name, plan) in &second {
            ledger.publish(name, PlanVersion { lease: 1, number: 1 }, plan, 170.0);
            ledger.acknowledge(name, PlanVersion { lease: 1, number: 1 });
        }
        let third = plan(&vantages, &servers, &near, 1, &ledger, &config);
        let fastest = |plans: &BTreeMap<Arc<str>, VantagePlan>, name: &str| plans[name].polls[0].interval_s;
        let new = second.iter().find(|(name, plan)| !plan.polls.is_empty() && first[*name].polls.is_empty()).unwrap().0;
        assert!(fastest(&second, new) > fastest(&third, new), "{} {}", fastest(&second, new), fastest(&third, new));
    }

    #[test]
    fn nearest_vantages_of_different_groups_are_chosen_and_one_place_rotates() {
        let (vantages, servers, config) = (vantages(9), servers(1), PlanConfig::default());
        let chosen = |turn| {
            let plans = plan(&vantages, &servers, &near, turn, &Ledger::default(), &config);
            let names = plans.iter().filter(|(_, plan)| !plan.polls.is_empty()).map(|(name, _)| name.to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(chosen(0), ["v000", "v001", "v002", "v003", "v004"]);
        assert_eq!(chosen(1), ["v000", "v001", "v002", "v003", "v005"]);
        let seen: BTreeSet<_> = (0..5).flat_map(chosen).collect();
        assert_eq!(seen.len(), 9);
    }

    #[test]
    fn untested_vantage_and_forbidden_server_get_no_plan() {
        let (mut vantages, servers) = (vantages(3), servers(4));
        vantages[0].is_trusted = false;
        vantages[1].allows.remove(&witness(2));
        let plans = plan(&vantages, &servers, &near, 0, &Ledger::default(), &PlanConfig::default());
        assert!(plans["v000"].polls.is_empty() && plans["v000"].fallback.len() == 4);
        assert!(plans["v001"].polls.iter().all(|poll| poll.witness != witness(2)));
    }

    #[test]
    fn own_server_is_polled_by_all_at_its_own_interval() {
        let mut servers = servers(1);
        servers[0] = PlanServer { is_own: true, poll_s: 1.0, ..servers[0].clone() };
        let plans = plan(&vantages(7), &servers, &near, 0, &Ledger::default(), &PlanConfig::default());
        assert!(plans.values().all(|plan| plan.polls[0].interval_s == 1.0));
    }
}
