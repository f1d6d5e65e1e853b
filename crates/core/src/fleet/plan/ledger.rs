//! The slots that vantages may be using at the moment, by plans that were neither replaced nor expired.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::slots::Class;
use super::{PlanVersion, VantagePlan};
use crate::fleet::witness::Witness;

/// A plan that a vantage may be following.
#[derive(Debug, Clone, PartialEq)]
struct InForce {
    version: PlanVersion,
    /// When it expires at the latest, in seconds on the hub's monotonic clock.
    until_s: f64,
    polls: Vec<(Witness, Class, f64)>,
    /// The slots that are used after it expired, until the vantage follows another plan.
    spare: Vec<(Witness, Class, f64)>,
}

/// Slots that a vantage may be using.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held<'a> {
    pub owner: &'a str,
    pub class: Class,
    /// The length of the slots, in seconds.
    pub slot_s: f64,
    /// Whether the latest plan of the vantage has this slot.
    pub is_latest: bool,
    pub is_spare: bool,
}

/// The plans that may still be followed. The hub's monotonic clock drives it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    plans: BTreeMap<Arc<str>, VecDeque<InForce>>,
}

impl Ledger {
    /// Notes that `plan` was written for `vantage`, which follows it until `until_s` at the latest. A hub that takes
    /// over notes the plans that it finds in the same way, with the full validity.
    pub fn publish(&mut self, vantage: &Arc<str>, version: PlanVersion, plan: &VantagePlan, until_s: f64) {
        let plans = self.plans.entry(Arc::clone(vantage)).or_default();
        if let Some(same) = plans.back_mut().filter(|last| last.version == version) {
            same.until_s = same.until_s.max(until_s);
            return;
        }
        let slots = |poll: &super::Assignment| {
            let each = |class: &Class| (poll.witness.clone(), *class, poll.slot_s);
            poll.slots.iter().map(each).collect::<Vec<_>>()
        };
        let polls = plan.polls.iter().flat_map(slots).collect();
        let spare = |pace: &super::Fallback| Some((pace.witness.clone(), pace.spare?, pace.slot_s));
        let spare = plan.fallback.iter().filter_map(spare).collect();
        plans.push_back(InForce { version, until_s, polls, spare });
    }

    /// Notes that `vantage` follows the plan of this version, and therefore no older one.
    pub fn acknowledge(&mut self, vantage: &str, version: PlanVersion) {
        if let Some(plans) = self.plans.get_mut(vantage) {
            plans.retain(|plan| plan.version >= version);
        }
    }

    /// Forgets the polls of plans that have expired at `now_s`. Their spare slots stay.
    pub fn expire(&mut self, now_s: f64) {
        for plans in self.plans.values_mut() {
            for plan in plans.iter_mut().filter(|plan| plan.until_s <= now_s) {
                plan.polls = Vec::new();
            }
            // Of expired plans with equal spare slots, the latest is enough.
            let (older, newer): (Vec<_>, Vec<_>) = (plans.drain(..).collect(), Vec::new());
            *plans = older
                .into_iter()
                .fold(newer, |mut kept: Vec<InForce>, plan| {
                    kept.pop_if(|last| last.polls.is_empty() && last.spare == plan.spare);
                    kept.push(plan);
                    kept
                })
                .into();
        }
    }

    /// The slots of each server that may be in use.
    #[must_use]
    pub(super) fn held(&self) -> HashMap<&Witness, Vec<Held<'_>>> {
        let mut all: HashMap<&Witness, Vec<Held<'_>>> = HashMap::new();
        for (owner, plans) in &self.plans {
            for (n, plan) in plans.iter().enumerate() {
                let is_latest = n + 1 == plans.len();
                for (slots, is_spare) in [(&plan.polls, false), (&plan.spare, true)] {
                    for (witness, class, slot_s) in slots {
                        let held = Held { owner, class: *class, slot_s: *slot_s, is_latest, is_spare };
                        all.entry(witness).or_default().push(held);
                    }
                }
            }
        }
        all
    }
}
