//! What would have been told: the engine over recorded samples, in their own time.
//!
//! Health is not recorded, so rules about the service find nothing to say. Time steps on with the samples, and the wall
//! clock of the samples takes the place of the monotonic clock.

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

/// How often the rules look, in the time of the samples.
const STEP_NS: i64 = 15 * 1_000_000_000;
/// More alerts than this are counted only.
const KEPT: usize = 10_000;

/// A replay of alerts under way.
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

/// What would have been told.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct AlertReport {
    /// Alerts that would have fired, by the time they did.
    pub alerts: Vec<Past>,
    /// What people would have been told, in order.
    pub notifications: Vec<Notification>,
    /// Alerts or notifications beyond the first ten thousand of each.
    pub left_out: u64,
}

/// The rules by which one is tried out: it, and those that would hold it back because they tell of a cause themselves.
#[must_use]
pub fn trial_of(rule: Rule, book: &Rulebook) -> Rulebook {
    let others = book.rules.iter().filter(|other| other.spec.name != rule.spec.name && other.spec.enabled);
    let mut rules: Vec<Arc<Rule>> = others.filter(|other| inhibit::tells_of_a_cause(other)).map(Arc::clone).collect();
    rules.push(Arc::new(rule));
    Rulebook { rules, ..book.clone() }
}

impl AlertReplay {
    /// A replay by these rules. There is no grace: a recording has no start.
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

    /// Takes note of the server of a sample; to be called for each, before [`AlertReplay::is_due`].
    pub fn observe(&mut self, sample: &Sample) {
        if !self.servers.contains_key(&sample.server.name) {
            self.servers.insert(Arc::clone(&sample.server.name), Arc::clone(&sample.server));
            self.idents = self.servers.values().map(Arc::clone).collect();
        }
    }

    /// Whether the rules are to look again now that the samples have come to `wall_ns`. Time that goes back waits.
    #[must_use]
    pub fn is_due(&self, wall_ns: i64) -> bool {
        wall_ns >= self.next_ns
    }

    /// Looks at the picture that was made of the samples so far.
    pub fn look(&mut self, wall_ns: i64, snapshot: &Snapshot) {
        self.next_ns = wall_ns.saturating_add(STEP_NS);
        let now = Stamp::new(wall_ns, wall_ns, 0);
        let engine = self.engine.get_or_insert_with(|| Engine::new(self.book.clone(), now));
        let observed = Observation { now, servers: &self.idents, snapshot, health: &self.health };
        let outcome = engine.step(&observed, &|| 0);
        self.report.take(outcome);
    }

    /// What would have been told.
    #[must_use]
    pub fn finish(self) -> AlertReport {
        self.report
    }
}

impl AlertReport {
    /// Only what one rule told.
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
                // Its end comes as another entry, and is not another alert.
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
