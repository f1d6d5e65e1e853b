//! One alert of a rule: what is known of it beside where it is in its life.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::quiet::Mute;
use super::{Turn, timestamp};
use crate::alert::facts::View;
use crate::alert::notification::Instance;
use crate::alert::rule::Rule;
use crate::alert::state::{End, Life};
use crate::alert::status::{Past, Saved};
use crate::alert::template::About;
use crate::alert::variables::Source;
use crate::clock::Stamp;
use crate::sample::ServerIdent;

/// Texts have numbers in them; those of an alert that goes on are written anew this often.
const REWRITTEN_AFTER: Duration = Duration::from_secs(60);
/// The label of an alert that is not told each time.
const FLAPPING: &str = "flapping";

/// One alert.
#[derive(Debug)]
pub(super) struct Alert {
    pub life: Life,
    /// `None` for a rule about no server, and for a restored alert until its server is seen.
    pub ident: Option<Arc<ServerIdent>>,
    pub started_at: Timestamp,
    pub fired_at: Timestamp,
    pub value: Option<f64>,
    pub summary: String,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    /// When the texts were written.
    described: Stamp,
    /// When somebody was last told that it fires.
    pub told: Option<Stamp>,
    /// Why nobody is told now.
    pub mute: Option<Mute>,
    /// What kept it quiet when it began to fire.
    pub held_by: Option<String>,
    /// When it was last looked at.
    pub seen: Stamp,
}

impl Alert {
    /// One that does not hold yet.
    pub(super) fn new(now: Stamp) -> Self {
        Self {
            life: Life::new(now),
            ident: None,
            started_at: timestamp(now),
            fired_at: timestamp(now),
            value: None,
            summary: String::new(),
            description: String::new(),
            labels: BTreeMap::new(),
            described: now,
            told: None,
            mute: None,
            held_by: None,
            seen: now,
        }
    }

    /// One that an earlier engine left.
    pub(super) fn restored(now: Stamp, saved: Saved) -> Self {
        Self {
            life: Life::restored(now, saved.labels.contains_key(FLAPPING)),
            ident: None,
            started_at: saved.started_at,
            fired_at: saved.fired_at,
            value: saved.value,
            summary: saved.summary,
            description: saved.description,
            labels: saved.labels,
            described: now,
            told: saved.told_at.map(|told_at| before(now, told_at)),
            mute: None,
            held_by: saved.held_by,
            seen: now,
        }
    }

    pub(super) fn saved(&self, rule: &Rule, target: &str) -> Saved {
        Saved {
            alert: rule.spec.name.clone(),
            target: target.to_owned(),
            started_at: self.started_at,
            fired_at: self.fired_at,
            ended_at: None,
            told_at: self.told.map(timestamp),
            value: self.value,
            summary: self.summary.clone(),
            description: self.description.clone(),
            labels: self.labels.clone(),
            gist: rule.gist(),
            held_by: self.held_by.clone(),
        }
    }

    pub(super) fn instance(&self, id: &str, ended_at: Option<Timestamp>) -> Instance {
        Instance {
            server: (!id.is_empty()).then(|| id.to_owned()),
            value: self.value,
            labels: self.labels.clone(),
            summary: self.summary.clone(),
            started_at: self.started_at,
            ended_at,
        }
    }

    /// As the history has it.
    pub(super) fn past(&self, rule: &Rule, id: &str, end: Option<(Timestamp, End)>) -> Past {
        Past {
            alert: rule.spec.name.clone(),
            severity: rule.spec.severity,
            server: (!id.is_empty()).then(|| id.to_owned()),
            value: self.value,
            summary: self.summary.clone(),
            started_at: self.started_at,
            fired_at: self.fired_at,
            ended_at: end.map(|(at, _)| at),
            end: end.map(|(_, why)| why),
            held_by: self.held_by.clone(),
        }
    }

    /// Notes what the rule looks at.
    pub(super) fn measure(&mut self, rule: &Rule, view: &View<'_>) {
        self.value = match rule.shown().map(|variable| variable.source) {
            Some(Source::Number(value)) => value(view).filter(|value| value.is_finite()),
            _ => None,
        };
    }

    /// Whether the texts have become old.
    pub(super) fn is_stale(&self, now: Stamp) -> bool {
        now.since(self.described) >= REWRITTEN_AFTER
    }

    /// Writes the texts anew.
    pub(super) fn describe(&mut self, rule: &Rule, view: &View<'_>, turn: &Turn<'_>) {
        self.described = turn.now;
        let severity = rule.spec.severity.label();
        let about = About { alert: &rule.spec.name, severity, value: self.value, vantage: &turn.settings.vantage };
        self.summary = rule.summary.render(view, &about);
        if self.summary.is_empty() {
            // A message without words is one that receivers refuse.
            self.summary.clone_from(&rule.spec.name);
        }
        self.description = rule.description.render(view, &about);
        self.labels = self.ident.as_ref().map(|ident| ident.tags.clone()).unwrap_or_default();
        if self.life.is_flapping() {
            self.labels.insert(FLAPPING.to_owned(), "true".to_owned());
        }
    }
}

/// The instant of an earlier wall time. The wall clock may have been set since; what lies in the future was just now.
fn before(now: Stamp, at: Timestamp) -> Stamp {
    let ago = Duration::try_from(timestamp(now).duration_since(at)).unwrap_or_default();
    let ago_ns = i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX);
    Stamp { wall_ns: now.wall_ns.saturating_sub(ago_ns), mono_ns: now.mono_ns.saturating_sub(ago_ns), ..now }
}
