//! One alert of a rule: its state machine, texts, value and labels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::quiet::Mute;
use super::{Evaluation, timestamp};
use crate::alert::expression::Answer;
use crate::alert::facts::{ServerView, View};
use crate::alert::notification::Instance;
use crate::alert::rule::Rule;
use crate::alert::state::{End, Life};
use crate::alert::status::{Past, Saved};
use crate::alert::template::About;
use crate::alert::variables::Source;
use crate::clock::Stamp;
use crate::sample::ServerIdent;

/// The texts of an active alert contain numbers, so they are rendered again this often.
const REWRITTEN_AFTER: Duration = Duration::from_secs(60);
/// The label of a flapping alert.
const FLAPPING: &str = "flapping";

/// One alert.
#[derive(Debug)]
pub(super) struct Alert {
    pub life: Life,
    /// The server; `None` if the rule uses no server variable, and for a restored alert before its first evaluation.
    pub ident: Option<Arc<ServerIdent>>,
    /// The series of that server that the alert shows: `name@address`.
    pub series_id: Arc<str>,
    pub started_at: Timestamp,
    pub fired_at: Timestamp,
    pub value: Option<f64>,
    pub summary: String,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    /// When the texts were rendered.
    described: Stamp,
    /// When the last firing notification was sent.
    pub told: Option<Stamp>,
    /// Why notifications are suppressed now.
    pub mute: Option<Mute>,
    /// What suppressed the notification when the alert started to fire.
    pub held_by: Option<String>,
    /// When the alert was last evaluated.
    pub seen: Stamp,
    /// When it was restored.
    restored: Option<Stamp>,
}

impl Alert {
    /// Creates an inactive alert.
    pub(super) fn new(now: Stamp) -> Self {
        Self {
            life: Life::new(now),
            ident: None,
            series_id: Arc::default(),
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
            restored: None,
        }
    }

    /// Restores an alert from its stored state.
    pub(super) fn restored(now: Stamp, saved: Saved) -> Self {
        Self {
            life: Life::restored(now, saved.labels.contains_key(FLAPPING)),
            ident: None,
            series_id: Arc::default(),
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
            restored: Some(now),
        }
    }

    /// Corrects the answer for a restored alert: the store may lack the last polls before a kill, so the alert does not
    /// end before its server was polled again.
    pub(super) fn heed(&mut self, answer: Answer, view: &View<'_>) -> Answer {
        let polled = view.server.as_ref().and_then(ServerView::polled);
        self.restored = self.restored.filter(|since| polled.is_some_and(|at| at.mono_ns < since.mono_ns));
        if self.restored.is_some() && answer == Answer::False { Answer::NoData } else { answer }
    }

    /// The series and the server, for selectors.
    pub(super) fn about(&self) -> Option<(&str, &ServerIdent)> {
        self.ident.as_ref().map(|ident| (&*self.series_id, &**ident))
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
            rule: rule.rule_summary(),
            held_by: self.held_by.clone(),
            vantage: String::new(),
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

    /// The entry for the alert history.
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

    /// Updates the value that is shown with the alert.
    pub(super) fn measure(&mut self, rule: &Rule, view: &View<'_>) {
        self.value = match rule.shown().map(|variable| variable.source) {
            Some(Source::Number(value)) => value(view).filter(|value| value.is_finite()),
            _ => None,
        };
    }

    /// Whether the texts need to be rendered again.
    pub(super) fn is_stale(&self, now: Stamp) -> bool {
        now.since(self.described) >= REWRITTEN_AFTER
    }

    /// Renders the texts.
    pub(super) fn describe(&mut self, rule: &Rule, view: &View<'_>, evaluation: &Evaluation<'_>) {
        self.described = evaluation.now;
        let severity = rule.spec.severity.label();
        let about =
            About { alert: &rule.spec.name, severity, value: self.value, vantage: &evaluation.settings.vantage };
        self.summary = rule.summary.render(view, &about);
        if self.summary.is_empty() {
            // Some receivers reject messages without text.
            self.summary.clone_from(&rule.spec.name);
        }
        self.description = rule.description.render(view, &about);
        self.labels = self.ident.as_ref().map(|ident| ident.tags.clone()).unwrap_or_default();
        if self.life.is_flapping() {
            self.labels.insert(FLAPPING.to_owned(), "true".to_owned());
        }
    }
}

/// The stamp of an earlier wall time. If the wall clock has been set back since, so that `at` is in the future, it is
/// `now`.
fn before(now: Stamp, at: Timestamp) -> Stamp {
    let ago = Duration::try_from(timestamp(now).duration_since(at)).unwrap_or_default();
    let ago_ns = i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX);
    Stamp { wall_ns: now.wall_ns.saturating_sub(ago_ns), mono_ns: now.mono_ns.saturating_sub(ago_ns), ..now }
}
