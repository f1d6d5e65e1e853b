//! Groups the alerts of one rule: a notification waits for `group_wait`, so that alerts that change together share it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Settings;
use crate::alert::notification::{Instance, Notification, Status};
use crate::alert::rule::Rule;
use crate::alert::rule::RuleSummary;
use crate::alert::status::{Addressed, Saved};
use crate::clock::Stamp;

/// The maximum number of alerts that a description lists; further ones are only counted. The notification contains all
/// alerts, because some receivers open and close an incident for each.
const LISTED: usize = 100;
/// The maximum number of servers named in a summary.
const NAMED: usize = 5;

/// The pending notification of one rule.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The alerts that have ended, but whose end has not been notified yet.
    pub over: BTreeMap<Arc<str>, Ended>,
    waits_since: Option<Stamp>,
}

/// An alert that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub instance: Instance,
    pub description: String,
    pub fired_at: Timestamp,
}

impl Ended {
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
            rule: rule.rule_summary(),
            held_by: None,
            vantage: String::new(),
        }
    }
}

impl Group {
    /// Whether the group has waited for `group_wait`. `has_unnotified` says whether there are firing alerts to notify.
    pub(super) fn is_due(&mut self, now: Stamp, settings: &Settings, has_unnotified: bool) -> bool {
        if !has_unnotified && self.over.is_empty() {
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

/// The content of one notification.
pub(super) struct Content<'a> {
    pub status: Status,
    pub reminder: bool,
    pub now: Stamp,
    pub description: &'a str,
    /// The alerts, at least one.
    pub instances: Vec<Instance>,
}

/// The notification that these alerts have resolved; `None` if the list is empty.
pub(super) fn ended(
    alert: &str,
    rule: &RuleSummary,
    settings: &Settings,
    now: Stamp,
    over: Vec<Ended>,
) -> Option<Addressed> {
    let description = over.first()?.description.clone();
    let instances = over.into_iter().map(|over| over.instance).collect();
    let content = Content { status: Status::Resolved, reminder: false, now, description: &description, instances };
    Some(addressed(alert, rule, settings, content))
}

/// Builds the notification.
pub(super) fn addressed(alert: &str, rule: &RuleSummary, settings: &Settings, content: Content<'_>) -> Addressed {
    let Content { status, reminder, now, description, instances } = content;
    let summary = match instances.as_slice() {
        [only] => only.summary.clone(),
        several => summary_of(alert, several),
    };
    let description = if instances.len() == 1 { description.to_owned() } else { lines(&instances) };
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
        severity: rule.severity,
        summary,
        description,
        runbook_url: rule.runbook_url.clone(),
        vantage: settings.vantage.clone(),
        url: settings.url.clone(),
        fleet: None,
        alerts: instances,
    };
    Addressed { notify: rule.notify.clone(), notification }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notification_of_a_large_group_has_every_alert() {
        let one = |n| Instance {
            server: Some(format!("server-{n}")),
            value: None,
            labels: BTreeMap::new(),
            summary: format!("server-{n} is off"),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
        };
        let instances: Vec<_> = (0..3 * LISTED / 2).map(one).collect();
        let now = Stamp::new(0, 0, 0);
        let content = Content { status: Status::Resolved, reminder: false, now, description: "", instances };
        let addressed = addressed("offset", &RuleSummary::default(), &Settings::default(), content);
        let notification = addressed.notification;
        assert_eq!(notification.alerts.len(), 3 * LISTED / 2);
        assert_eq!(notification.description.lines().count(), LISTED + 1);
        assert!(notification.description.ends_with("… and 50 more"));
    }
}
