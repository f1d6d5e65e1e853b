//! Alerts of one rule that change together are told together: when something is to be said, it waits a little for more.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Settings;
use crate::alert::notification::{Instance, Notification, Status};
use crate::alert::rule::Rule;
use crate::alert::status::{Addressed, Gist, Saved};
use crate::clock::Stamp;

/// A message lists so many alerts and counts the rest.
const LISTED: usize = 100;
/// A summary names so many servers.
const NAMED: usize = 5;

/// What is to be said of the alerts of one rule, and when.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Alerts that are over, which is still to be told.
    pub over: BTreeMap<Arc<str>, Over>,
    waits_since: Option<Stamp>,
}

/// An alert that is over.
#[derive(Debug)]
pub(super) struct Over {
    pub instance: Instance,
    pub description: String,
    pub fired_at: Timestamp,
}

impl Over {
    pub(super) fn restored(saved: Saved, ended_at: Timestamp) -> Self {
        let instance = Instance {
            server: (!saved.target.is_empty()).then_some(saved.target),
            value: saved.value,
            labels: saved.labels,
            summary: saved.summary,
            started_at: saved.started_at,
            ended_at: Some(ended_at),
        };
        Self { instance, description: saved.description, fired_at: saved.fired_at }
    }

    pub(super) fn saved(&self, rule: &Rule, target: &str) -> Saved {
        Saved {
            alert: rule.spec.name.clone(),
            target: target.to_owned(),
            started_at: self.instance.started_at,
            fired_at: self.fired_at,
            ended_at: self.instance.ended_at,
            told_at: Some(self.fired_at),
            value: self.instance.value,
            summary: self.instance.summary.clone(),
            description: self.description.clone(),
            labels: self.instance.labels.clone(),
            gist: rule.gist(),
            held_by: None,
        }
    }
}

impl Group {
    /// Whether it is time to say what there is to say: somebody waits, and has waited for long enough.
    pub(super) fn is_due(&mut self, now: Stamp, settings: &Settings, is_untold: bool) -> bool {
        if !is_untold && self.over.is_empty() {
            self.waits_since = None;
            return false;
        }
        let since = *self.waits_since.get_or_insert(now);
        let is_due = now.since(since) >= settings.group_wait;
        if is_due {
            self.waits_since = None;
        }
        is_due
    }
}

/// What is said at once.
pub(super) struct Said<'a> {
    pub status: Status,
    pub reminder: bool,
    pub now: Stamp,
    pub description: &'a str,
    /// At least one.
    pub instances: Vec<Instance>,
}

/// That these alerts are over; nothing when there are none.
pub(super) fn ended(alert: &str, gist: &Gist, settings: &Settings, now: Stamp, over: Vec<Over>) -> Option<Addressed> {
    let description = over.first()?.description.clone();
    let instances = over.into_iter().map(|over| over.instance).collect();
    let said = Said { status: Status::Resolved, reminder: false, now, description: &description, instances };
    Some(addressed(alert, gist, settings, said))
}

/// Puts it into words.
pub(super) fn addressed(alert: &str, gist: &Gist, settings: &Settings, said: Said<'_>) -> Addressed {
    let Said { status, reminder, now, description, mut instances } = said;
    let summary = match instances.as_slice() {
        [only] => only.summary.clone(),
        several => summary_of(alert, several),
    };
    let description = if instances.len() == 1 { description.to_owned() } else { lines(&instances) };
    instances.truncate(LISTED);
    let kind = match (status, reminder) {
        (Status::Firing, false) => "firing",
        (Status::Firing, true) => "reminder",
        (Status::Resolved, _) => "resolved",
    };
    let notification = Notification {
        key: format!("{alert}-{kind}-{}", now.wall_ns),
        status,
        reminder,
        alert: alert.to_owned(),
        severity: gist.severity,
        summary,
        description,
        runbook_url: gist.runbook_url.clone(),
        vantage: settings.vantage.clone(),
        url: settings.url.clone(),
        alerts: instances,
    };
    Addressed { notify: gist.notify.clone(), notification }
}

fn summary_of(name: &str, instances: &[Instance]) -> String {
    let names: Vec<&str> = instances.iter().take(NAMED).filter_map(|instance| instance.server.as_deref()).collect();
    let rest = instances.len().saturating_sub(NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{name}: {} servers: {}{more}", instances.len(), names.join(", "))
}

fn lines(instances: &[Instance]) -> String {
    let mut lines: Vec<String> = instances.iter().take(LISTED).map(|instance| instance.summary.clone()).collect();
    if instances.len() > LISTED {
        lines.push(format!("… and {} more", instances.len() - LISTED));
    }
    lines.join("\n")
}
