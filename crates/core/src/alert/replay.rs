//! Runs the alert engine over recorded samples, to show which alerts would have fired.
//!
//! Time advances with the samples; their wall clock takes the place of the monotonic clock. Health is not recorded, so
//! rules about the service never fire.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::engine::{Engine, Rulebook, Settings};
use super::facts::Observation;
use super::inhibit;
use super::notification::Notification;
use super::rule::Rule;
use super::status::{Outcome, Past};
use crate::clock::Stamp;
use crate::health::report::Health;
use crate::sample::{Sample, ServerIdent};
use crate::stats::snapshot::Snapshot;

/// The evaluation interval, in the time of the samples.
const STEP_NS: i64 = 15 * 1_000_000_000;
/// The number of alerts and of notifications that are kept; further ones are only counted.
const KEPT: usize = 10_000;

/// A replay in progress.
#[derive(Debug)]
pub struct AlertReplay {
    engine: Option<Engine>,
    book: Rulebook,
    servers: BTreeMap<Arc<str>, Arc<ServerIdent>>,
    idents: Vec<Arc<ServerIdent>>,
    next_ns: i64,
    health: Health,
    report: AlertReport,
}

/// The alerts that would have fired.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct AlertReport {
    /// The alerts that would have fired, oldest first.
    pub alerts: Vec<Past>,
    /// The notifications that would have been sent, oldest first.
    pub notifications: Vec<Notification>,
    /// The number of alerts and notifications left out beyond the first ten thousand of each.
    pub left_out: u64,
}

/// The rules for a trial run of `rule`: the rule itself, and the rules that enable the inhibition of others.
#[must_use]
pub fn trial_of(rule: Rule, book: &Rulebook) -> Rulebook {
    let others = book.rules.iter().filter(|other| other.spec.name != rule.spec.name && other.spec.enabled);
    let mut rules: Vec<Arc<Rule>> = others.filter(|other| inhibit::watches_a_cause(other)).map(Arc::clone).collect();
    rules.push(Arc::new(rule));
    Rulebook { rules, ..book.clone() }
}

impl AlertReplay {
    /// Creates a replay with these rules. There is no startup grace, because a recording has no start of the service.
    #[must_use]
    pub fn new(book: Rulebook) -> Self {
        let settings = Settings { startup_grace: std::time::Duration::ZERO, ..book.settings };
        Self {
            engine: None,
            book: Rulebook { settings, ..book },
            servers: BTreeMap::new(),
            idents: Vec::new(),
            next_ns: i64::MIN,
            health: Health::default(),
            report: AlertReport::default(),
        }
    }

    /// Registers the server of a sample. Call it for each sample, before [`AlertReplay::is_due`].
    pub fn observe(&mut self, sample: &Sample) {
        if !self.servers.contains_key(&sample.server.name) {
            self.servers.insert(Arc::clone(&sample.server.name), Arc::clone(&sample.server));
            self.idents = self.servers.values().map(Arc::clone).collect();
        }
    }

    /// Whether the next evaluation is due at `wall_ns`. If time goes backwards, evaluations wait.
    #[must_use]
    pub fn is_due(&self, wall_ns: i64) -> bool {
        wall_ns >= self.next_ns
    }

    /// Evaluates the rules over the snapshot of the samples so far.
    pub fn look(&mut self, wall_ns: i64, snapshot: &Snapshot) {
        self.next_ns = wall_ns.saturating_add(STEP_NS);
        let now = Stamp::new(wall_ns, wall_ns, 0);
        let engine = self.engine.get_or_insert_with(|| Engine::new(self.book.clone(), now));
        let observed = Observation { now, servers: &self.idents, snapshot, health: &self.health, fleet: None };
        let outcome = engine.step(&observed, &|| 0);
        self.report.take(outcome);
    }

    /// Takes out the notifications so far, so that a long replay does not keep them all.
    #[must_use]
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        std::mem::take(&mut self.report.notifications)
    }

    /// The notifications that would have been sent, without those that [`Self::take_notifications`] returned.
    #[must_use]
    pub fn finish(self) -> AlertReport {
        self.report
    }
}

impl AlertReport {
    /// Keeps only the alerts and notifications of one rule.
    #[must_use]
    pub fn of(mut self, rule: &str) -> Self {
        self.alerts.retain(|past| past.alert == rule);
        self.notifications.retain(|notification| notification.alert == rule);
        self
    }

    fn take(&mut self, outcome: Outcome) {
        for past in outcome.history {
            let same = |known: &Past| {
                known.alert == past.alert && known.server == past.server && known.started_at == past.started_at
            };
            match self.alerts.iter().rposition(same) {
                Some(at) => self.alerts[at] = past,
                None if self.alerts.len() < KEPT => self.alerts.push(past),
                // The end of an alert comes as a second entry and must not be counted again.
                None => self.left_out += u64::from(past.ended_at.is_none()),
            }
        }
        for addressed in outcome.notifications {
            if self.notifications.len() < KEPT {
                self.notifications.push(addressed.notification);
            } else {
                self.left_out += 1;
            }
        }
    }
}
