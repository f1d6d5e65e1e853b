//! Which rates may be polled at the moment, by plans that were written and neither replaced nor expired.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::{PlanVersion, VantagePlan};
use crate::fleet::witness::Witness;

/// A plan that a vantage may be following.
#[derive(Debug, Clone, PartialEq)]
struct InForce {
    version: PlanVersion,
    /// When it expires at the latest, in seconds on the hub's monotonic clock.
    until_s: f64,
    rates: Vec<(Witness, f64)>,
}

/// The plans that may still be followed. The hub's monotonic clock drives it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    plans: BTreeMap<Arc<str>, VecDeque<InForce>>,
}

impl Ledger {
    /// Notes that `plan` was written for `vantage`; it is followed until `until_s` at the latest. A hub that takes over
    /// notes the documents that it finds in the same way, with the full validity.
    pub fn publish(&mut self, vantage: &Arc<str>, version: PlanVersion, plan: &VantagePlan, until_s: f64) {
        let rates = plan.polls.iter().map(|poll| (poll.witness.clone(), 1.0 / poll.interval_s)).collect();
        self.plans.entry(Arc::clone(vantage)).or_default().push_back(InForce { version, until_s, rates });
    }

    /// Notes that `vantage` follows the plan of this version, and therefore none that is older.
    pub fn acknowledge(&mut self, vantage: &str, version: PlanVersion) {
        if let Some(plans) = self.plans.get_mut(vantage) {
            plans.retain(|plan| plan.version >= version);
        }
    }

    /// Forgets what has expired at `now_s`.
    pub fn expire(&mut self, now_s: f64) {
        for plans in self.plans.values_mut() {
            plans.retain(|plan| plan.until_s > now_s);
        }
        self.plans.retain(|_, plans| !plans.is_empty());
    }

    /// For each server the vantages that may be polling it by a plan, with the fastest rate that each may have, in polls a
    /// second.
    #[must_use]
    pub(super) fn rates(&self) -> HashMap<&Witness, BTreeMap<&str, f64>> {
        let mut all: HashMap<&Witness, BTreeMap<&str, f64>> = HashMap::new();
        for (vantage, plans) in &self.plans {
            for (witness, rate) in plans.iter().flat_map(|plan| &plan.rates) {
                let known = all.entry(witness).or_default().entry(vantage).or_default();
                *known = rate.max(*known);
            }
        }
        all
    }
}
