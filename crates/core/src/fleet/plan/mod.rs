//! Which vantage polls which server how often, so that no server ever sees more than its budget from the whole fleet.
//!
//! The time of each server is cut into slots that are a little longer than its budget ([`slots`]). Each slot belongs to
//! at most one vantage, in every mixture of vantages that follow the newest plan, an older plan, or no valid plan:
//!
//! - Slots repeat in a cycle of `vantages_per_server` plus one. The chosen vantages share all slots of a cycle but the
//!   last, which is reserved for vantages without a valid plan.
//! - Every vantage that may poll a server has a *spare* slot for the time after its plan expired: the last slot of some
//!   cycles. It keeps this slot.
//! - A slot is given to another vantage only when its former holder follows a newer plan, or when the former plan expired
//!   ([`Ledger`]).
//!
//! A plan is valid for a duration after the agent *sent* the message that the plan answers (`answers`), on the agent's
//! monotonic clock. Even a late plan expires no later than the hub assumes, because the hub counts the same duration
//! from when it received that message.

mod ledger;
pub mod slots;

pub use ledger::Ledger;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::witness::Witness;
use ledger::Held;
use slots::{Class, slot_s};

/// Settings of the planner, with the documented defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanConfig {
    /// How many vantages poll each server.
    pub vantages_per_server: usize,
    /// How long a plan is valid, in seconds.
    pub validity_s: f64,
    /// After how many seconds one of the vantages of each server is replaced by the next one.
    pub rotation_s: f64,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self { vantages_per_server: 5, validity_s: 120.0, rotation_s: 3600.0 }
    }
}

/// A vantage as the planner knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanVantage {
    /// Its name.
    pub name: Arc<str>,
    /// The group that it belongs to, for spreading; empty when it belongs to none.
    pub group: Arc<str>,
    /// Whether it is heard and was tested. Others keep their spare slots and get no polls.
    pub is_trusted: bool,
    /// The servers that its own configuration allows it to poll.
    pub allows: BTreeSet<Witness>,
}

/// A server as the planner knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanServer {
    /// Its identity.
    pub witness: Witness,
    /// The shortest time between two polls from the whole fleet, in seconds; 16 s unless configured.
    pub budget_s: f64,
    /// Whether it is our own server: every vantage polls it at the configured interval, and no budget applies.
    pub is_own: bool,
    /// The poll interval that the configuration asks for, in seconds. A plan never polls faster.
    pub poll_s: f64,
}

/// One server in the plan of a vantage.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The server.
    pub witness: Witness,
    /// The mean interval between two polls, in seconds.
    pub interval_s: f64,
    /// The length of the slots, in seconds.
    pub slot_s: f64,
    /// The slots in which it is polled; empty for our own servers, which have no budget.
    pub slots: Vec<Class>,
}

/// How one server is polled without a valid plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Fallback {
    /// The server.
    pub witness: Witness,
    /// The interval between two polls, in seconds.
    pub interval_s: f64,
    /// The length of the slots, in seconds.
    pub slot_s: f64,
    /// The slots in which it is polled; `None` while none is free.
    pub spare: Option<Class>,
}

/// The plan of one vantage.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VantagePlan {
    /// What to poll while the plan is valid.
    pub polls: Vec<Assignment>,
    /// What to poll after it expired, so that all agents together stay within every budget.
    pub fallback: Vec<Fallback>,
}

/// The version of a plan. The one with the higher lease revision is newer, then the one with the higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct PlanVersion {
    /// The revision of the lease of the hub that wrote it.
    pub lease: u64,
    /// Counts the plans of that hub.
    pub number: u64,
}

/// Makes the plan of every vantage. `delay_s` is the median round trip of a vantage to a server, if it was measured;
/// `turn` counts rotations (time divided by [`PlanConfig::rotation_s`]); `in_force` has the slots that older plans may
/// still use.
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
    // Once for all servers, so that the time grows with the number of pairs of vantage and server, not with its square.
    let (may_poll, held) = (vantages_by_server(vantages), in_force.held());
    let (no_vantage, none) = (Vec::new(), Vec::new());
    for (at, server) in servers.iter().enumerate() {
        let allowed = may_poll.get(&server.witness).unwrap_or(&no_vantage);
        if server.is_own {
            own(server, allowed, &mut plans);
            continue;
        }
        let held = held.get(&server.witness).map_or(none.as_slice(), Vec::as_slice);
        let cycle = Cycle::of(server, allowed.len(), config);
        let spare = cycle.spare(allowed, held);
        let delay = |vantage: &PlanVantage| delay_s(&vantage.name, &server.witness);
        let mut chosen = choose(allowed, &delay, turn.wrapping_add(at as u64), config.vantages_per_server);
        // Each keeps its place in the cycle while the same vantages are chosen.
        chosen.sort_by(|a, b| a.name.cmp(&b.name));
        for (vantage, mut slots) in chosen.iter().zip(cycle.share(&chosen, held)) {
            // Until a slot is free, the vantage uses its spare slot.
            if slots.is_empty() {
                slots.extend(spare.get(&*vantage.name));
            }
            let interval_s = cycle.interval_s(&slots).max(server.poll_s);
            let poll = Assignment { witness: server.witness.clone(), interval_s, slot_s: cycle.slot_s, slots };
            if !poll.slots.is_empty() {
                plans.entry(Arc::clone(&vantage.name)).or_default().polls.push(poll);
            }
        }
        let interval_s = (cycle.slot_s * f64::from(cycle.slots * cycle.rows)).max(server.poll_s);
        for vantage in allowed {
            let spare = spare.get(&*vantage.name).copied();
            let fallback = Fallback { witness: server.witness.clone(), interval_s, slot_s: cycle.slot_s, spare };
            plans.entry(Arc::clone(&vantage.name)).or_default().fallback.push(fallback);
        }
    }
    plans
}

/// The vantages whose own configuration allows them to poll a server, by server.
fn vantages_by_server(vantages: &[PlanVantage]) -> HashMap<&Witness, Vec<&PlanVantage>> {
    let mut all: HashMap<&Witness, Vec<&PlanVantage>> = HashMap::new();
    for vantage in vantages {
        for witness in &vantage.allows {
            all.entry(witness).or_default().push(vantage);
        }
    }
    all
}

/// Plans one of our own servers: every trusted vantage that may poll it does so at the configured interval.
fn own(server: &PlanServer, allowed: &[&PlanVantage], plans: &mut BTreeMap<Arc<str>, VantagePlan>) {
    for vantage in allowed {
        let plan = plans.entry(Arc::clone(&vantage.name)).or_default();
        let (witness, interval_s) = (server.witness.clone(), server.poll_s);
        plan.fallback.push(Fallback { witness: witness.clone(), interval_s, slot_s: 0.0, spare: None });
        if vantage.is_trusted {
            plan.polls.push(Assignment { witness, interval_s, slot_s: 0.0, slots: Vec::new() });
        }
    }
}

/// The nearest trusted vantages, one of each group first. The last place rotates among all others.
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
    // By name and not by delay, which scatters, so that every vantage gets its turn.
    rest.sort_by(|a, b| a.name.cmp(&b.name));
    order.push(rest[(turn % rest.len() as u64) as usize]);
    order
}

struct Cycle {
    slot_s: f64,
    /// Slots of a cycle, including the last one, which is reserved for spare slots.
    slots: u32,
    /// Each spare slot repeats once in so many cycles.
    rows: u32,
}

impl Cycle {
    fn of(server: &PlanServer, allowed: usize, config: &PlanConfig) -> Self {
        let slots = u32::try_from(config.vantages_per_server.clamp(1, 1000)).unwrap_or(1) + 1;
        let rows = u32::try_from(allowed.clamp(1, 1 << 16).next_power_of_two()).unwrap_or(1);
        Self { slot_s: slot_s(server.budget_s), slots, rows }
    }

    fn column(&self, at: u32) -> Class {
        Class { cycle: self.slots, at }
    }

    /// Whether they are slots of this length; the number may have been rounded in a message.
    fn is_of(&self, held: &Held) -> bool {
        (held.slot_s - self.slot_s).abs() < 1e-9
    }

    /// Whether slots in use may coincide with those of a class. Slots of another length, from before the budget
    /// changed, may coincide with any; spare ones of another length are ignored, because they could be held for ever.
    fn meets(&self, held: &Held, class: Class) -> bool {
        if self.is_of(held) { held.class.overlaps(class) } else { !held.is_spare }
    }

    fn row(&self, row: u32) -> Class {
        Class { cycle: self.slots * self.rows, at: self.slots * row + self.slots - 1 }
    }

    /// The spare slot of each vantage. A vantage keeps its spare slot, or a part of it if there are more vantages now.
    /// A new vantage gets one as soon as one is free.
    fn spare<'a>(&self, allowed: &[&'a PlanVantage], held: &[Held]) -> BTreeMap<&'a str, Class> {
        let mut had = BTreeMap::new();
        for held in held.iter().filter(|held| held.is_spare && held.is_latest && self.is_of(held)) {
            if held.class.cycle.is_multiple_of(self.slots) && held.class.at % self.slots == self.slots - 1 {
                let cycle = held.class.cycle.max(self.slots * self.rows);
                had.insert(held.owner, Class { cycle, at: held.class.at });
            }
        }
        let known = |vantage: &&'a PlanVantage| Some((&*vantage.name, *had.get(&*vantage.name)?));
        let mut spare: BTreeMap<_, _> = allowed.iter().filter_map(known).collect();
        if spare.len() < allowed.len() {
            let mut free: Vec<u32> = (0..self.rows).collect();
            free.retain(|row| !held.iter().any(|held| self.meets(held, self.row(*row))));
            let new = allowed.iter().filter(|vantage| !had.contains_key(&*vantage.name));
            spare.extend(new.zip(free).map(|(vantage, row)| (&*vantage.name, self.row(row))));
        }
        spare
    }

    /// The slots of each chosen vantage: equally many, and as far as possible those that it had.
    fn share(&self, chosen: &[&PlanVantage], held: &[Held]) -> Vec<Vec<Class>> {
        let mut shares = vec![Vec::new(); chosen.len()];
        let (columns, many) = (self.slots as usize - 1, chosen.len().max(1));
        let wants = |n: usize| columns / many + usize::from(n < columns % many);
        let all = || (0..self.slots - 1).map(|at| self.column(at));
        for class in all() {
            let is_had = |held: &&Held| held.is_latest && !held.is_spare && self.is_of(held);
            let had = held.iter().filter(is_had).find(|held| held.class == class);
            let keeper = had.and_then(|held| chosen.iter().position(|vantage| *vantage.name == *held.owner));
            if let Some(n) = keeper.filter(|n| shares[*n].len() < wants(*n)) {
                shares[n].push(class);
            }
        }
        for class in all() {
            if shares.iter().flatten().any(|taken| *taken == class) {
                continue;
            }
            let is_free = |n: usize| {
                let others = held.iter().filter(|held| *held.owner != *chosen[n].name);
                !others.clone().any(|held| self.meets(held, class))
            };
            let mut in_turn = (0..chosen.len()).map(|n| (n + class.at as usize) % many);
            if let Some(n) = in_turn.find(|n| shares[*n].len() < wants(*n) && is_free(*n)) {
                shares[n].push(class);
            }
        }
        shares
    }

    fn interval_s(&self, slots: &[Class]) -> f64 {
        let rate: f64 = slots.iter().map(|class| 1.0 / f64::from(class.cycle)).sum();
        self.slot_s / rate.max(f64::MIN_POSITIVE)
    }
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

    type Plans = BTreeMap<Arc<str>, VantagePlan>;

    fn publish(ledger: &mut Ledger, plans: &Plans, number: u64, until_s: f64) {
        for (name, plan) in plans {
            ledger.publish(name, PlanVersion { lease: 1, number }, plan, until_s);
        }
    }

    /// The slots that each vantage may use at one server, while its plan is valid or afterwards.
    fn classes(plans: &Plans, server: &Witness) -> Vec<(Arc<str>, Class)> {
        let each = plans.iter().flat_map(|(name, plan)| {
            let polls = plan.polls.iter().filter(|poll| poll.witness == *server).flat_map(|poll| poll.slots.clone());
            let spare = plan.fallback.iter().filter(|pace| pace.witness == *server).filter_map(|pace| pace.spare);
            polls.chain(spare).map(|class| (Arc::clone(name), class))
        });
        each.collect()
    }

    /// Whether two vantages may use the same slot if each follows any of these plans.
    fn collide(server: &Witness, plans: &[&Plans]) -> bool {
        let all: Vec<_> = plans.iter().flat_map(|plans| classes(plans, server)).collect();
        all.iter().any(|(a, class)| all.iter().any(|(b, other)| a != b && class.overlaps(*other)))
    }

    /// The part of the slots that the newest plan uses.
    fn used(plans: &Plans) -> f64 {
        let polls = plans.values().flat_map(|plan| &plan.polls).filter(|poll| poll.witness == witness(0));
        polls.flat_map(|poll| &poll.slots).map(|class| 1.0 / f64::from(class.cycle)).sum()
    }

    #[test]
    fn no_slot_belongs_to_two_vantages_with_or_without_plan() {
        for count in [1, 2, 3, 5, 6, 20, 100] {
            let plans = plan(&vantages(count), &servers(4), &near, 3, &Ledger::default(), &PlanConfig::default());
            assert!((0..4).all(|n| !collide(&witness(n), &[&plans])), "{count}");
            assert!((used(&plans) - 5.0 / 6.0).abs() < 1e-9, "{count} vantages: {}", used(&plans));
            assert!(plans.values().all(|plan| plan.fallback.iter().all(|pace| pace.spare.is_some())));
        }
    }

    #[test]
    fn rotation_gives_a_slot_away_only_after_the_plan_expired() {
        let (vantages, servers, config) = (vantages(9), servers(4), PlanConfig::default());
        let mut ledger = Ledger::default();
        let mut older: Vec<Plans> = Vec::new();
        for turn in 0..50u64 {
            let now_s = turn as f64 * 50.0;
            ledger.expire(now_s);
            let newer = plan(&vantages, &servers, &near, turn / 6, &ledger, &config);
            publish(&mut ledger, &newer, turn, now_s + config.validity_s);
            older.push(newer);
            let latest = older.len().saturating_sub(3);
            assert!((0..4).all(|n| !collide(&witness(n), &older[latest..].iter().collect::<Vec<_>>())), "{turn}");
        }
        let of = |plans: &Plans| classes(plans, &witness(0)).into_iter().collect::<BTreeSet<_>>();
        assert_ne!(of(&older[5]), of(&older[11]));
        assert!((used(&older[11]) - 5.0 / 6.0).abs() < 1e-9, "{}", used(&older[11]));
    }

    #[test]
    fn acknowledged_plan_frees_the_slots_of_the_older_one() {
        let (vantages, servers, config) = (vantages(9), servers(1), PlanConfig::default());
        let mut ledger = Ledger::default();
        let first = plan(&vantages, &servers, &near, 0, &ledger, &config);
        publish(&mut ledger, &first, 0, 120.0);
        let second = plan(&vantages, &servers, &near, 1, &ledger, &config);
        publish(&mut ledger, &second, 1, 170.0);
        let new = second.iter().find(|(name, plan)| !plan.polls.is_empty() && first[*name].polls.is_empty()).unwrap().0;
        assert_eq!(second[new].polls[0].slots, [second[new].fallback[0].spare.unwrap()], "its spare slot");
        first.keys().for_each(|name| ledger.acknowledge(name, PlanVersion { lease: 1, number: 1 }));
        let third = plan(&vantages, &servers, &near, 1, &ledger, &config);
        assert_eq!(third[new].polls[0].slots[0].cycle, 6);
    }

    #[test]
    fn spare_slots_are_kept_when_vantages_come() {
        let (servers, config) = (servers(1), PlanConfig::default());
        let mut ledger = Ledger::default();
        let few = plan(&vantages(4), &servers, &near, 0, &ledger, &config);
        publish(&mut ledger, &few, 0, 120.0);
        // Their plans expire while they are cut off; then five more come.
        ledger.expire(1000.0);
        let many = plan(&vantages(9), &servers, &near, 0, &ledger, &config);
        assert!(!collide(&witness(0), &[&many]));
        let spare = |plans: &Plans, n: usize| plans[format!("v{n:03}").as_str()].fallback[0].spare;
        assert!((0..4).all(|n| spare(&many, n).unwrap().at == spare(&few, n).unwrap().at));
        assert!((4..9).all(|n| spare(&many, n).is_none()), "the four have all of them");
        publish(&mut ledger, &many, 1, 1120.0);
        few.keys().for_each(|name| ledger.acknowledge(name, PlanVersion { lease: 1, number: 1 }));
        let later = plan(&vantages(9), &servers, &near, 0, &ledger, &config);
        assert!((0..9).all(|n| spare(&later, n).is_some()) && !collide(&witness(0), &[&many, &later]));
    }

    #[test]
    fn nearest_vantages_are_chosen_and_one_place_rotates() {
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
    fn slots_of_another_length_wait_for_the_former_ones() {
        let (vantages, config) = (vantages(5), PlanConfig::default());
        let mut ledger = Ledger::default();
        let before = plan(&vantages, &servers(1), &near, 0, &ledger, &config);
        publish(&mut ledger, &before, 0, 120.0);
        let changed = [PlanServer { budget_s: 32.0, ..servers(1)[0].clone() }];
        let during = plan(&vantages, &changed, &near, 0, &ledger, &config);
        assert!(classes(&during, &witness(0)).is_empty());
        publish(&mut ledger, &during, 1, 170.0);
        before.keys().for_each(|name| ledger.acknowledge(name, PlanVersion { lease: 1, number: 1 }));
        let after = plan(&vantages, &changed, &near, 0, &ledger, &config);
        assert!((used(&after) - 5.0 / 6.0).abs() < 1e-9);
    }

    #[test]
    fn own_server_is_polled_by_all_at_its_own_interval() {
        let mut servers = servers(1);
        servers[0] = PlanServer { is_own: true, poll_s: 1.0, ..servers[0].clone() };
        let plans = plan(&vantages(7), &servers, &near, 0, &Ledger::default(), &PlanConfig::default());
        assert!(plans.values().all(|plan| plan.polls[0].interval_s == 1.0));
    }
}
