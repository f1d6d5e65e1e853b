//! Which rates may be polled at the moment, by plans that were written and neither replaced nor expired.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{PlanVersion, VantagePlan};
use crate::fleet::witness::Witness;

/// A plan that a vantage may be following.
#[derive(Debug, Clone, PartialEq)]
struct InForce {
    version: PlanVersion,
    /// When it expires at the latest, in seconds on the hub's monotonic clock.
    until_s: f64,
    rates: BTreeMap<Witness, f64>,
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

    /// The fastest rate at which `vantage` may be polling `witness` by a plan, in polls a second; 0 without one.
    #[must_use]
    pub fn rate(&self, vantage: &str, witness: &Witness) -> f64 {
        let plans = self.plans.get(vantage).into_iter().flatten();
        plans.filter_map(|plan| plan.rates.get(witness).copied()).fold(0.0, f64::max)
    }

    /// The vantages that may be polling `witness` by a plan, with their rates.
    pub fn rates(&self, witness: &Witness) -> impl Iterator<Item = (&Arc<str>, f64)> {
        self.plans.keys().map(|vantage| (vantage, self.rate(vantage, witness))).filter(|(_, rate)| *rate > 0.0)
    }
}
