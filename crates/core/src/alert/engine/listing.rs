//! Builds the status of alerts and rules for display.

use std::collections::HashMap;

use super::alert::Alert;
use super::quiet::Mute;
use super::watch::Watch;
use super::{Rulebook, timestamp};
use crate::alert::rule::Rule;
use crate::alert::silence::Silence;
use crate::alert::state::Phase;
use crate::alert::status::{Active, AlertState, AlertStatus, RuleStatus};

pub(super) fn status(book: &Rulebook, watches: &[Watch], silences: &[Silence]) -> AlertStatus {
    let mut active: Vec<Active> = watches.iter().flat_map(active_of).collect();
    active.sort_by(|a, b| (a.state, b.severity, a.started_at).cmp(&(b.state, a.severity, b.started_at)));
    let by_name: HashMap<&str, &Watch> = watches.iter().map(|watch| (watch.rule().spec.name.as_str(), watch)).collect();
    let rules =
        book.rules.iter().map(|rule| rule_status(rule, by_name.get(rule.spec.name.as_str()).copied())).collect();
    AlertStatus { active, rules, silences: silences.to_vec(), not_recorded: None }
}

fn active_of(watch: &Watch) -> impl Iterator<Item = Active> {
    watch.alerts.iter().filter_map(|(id, alert)| active(watch.rule(), id, alert))
}

fn active(rule: &Rule, id: &str, alert: &Alert) -> Option<Active> {
    let state = match (alert.life.phase(), &alert.mute) {
        (Phase::Inactive, _) => return None,
        (Phase::Pending, _) => AlertState::Pending,
        (Phase::Firing, None) => AlertState::Firing,
        (Phase::Firing, Some(Mute::Silenced(_))) => AlertState::Silenced,
        (Phase::Firing, Some(Mute::Inhibited(_))) => AlertState::Inhibited,
    };
    let name = &rule.spec.name;
    let fires = alert.life.phase() == Phase::Firing;
    Some(Active {
        id: if id.is_empty() { name.clone() } else { format!("{name}:{id}") },
        alert: name.clone(),
        severity: rule.spec.severity,
        state,
        server: (!id.is_empty()).then(|| id.to_owned()),
        value: alert.value,
        unit: rule.shown().map_or("", |variable| variable.unit),
        summary: alert.summary.clone(),
        description: alert.description.clone(),
        labels: alert.labels.clone(),
        runbook_url: rule.spec.runbook_url.clone(),
        started_at: alert.started_at,
        since_state: if fires { alert.fired_at } else { timestamp(alert.life.since()) },
        silenced_by: match &alert.mute {
            Some(Mute::Silenced(by)) if fires => Some(by.clone()),
            _ => None,
        },
        inhibited_by: match &alert.mute {
            Some(Mute::Inhibited(cause)) if fires => Some(cause.label()),
            _ => None,
        },
    })
}

fn rule_status(rule: &Rule, watch: Option<&Watch>) -> RuleStatus {
    let spec = &rule.spec;
    let count = |phase| watch.map_or(0, |it| it.alerts.values().filter(|alert| alert.life.phase() == phase).count());
    let (firing, pending) = (count(Phase::Firing), count(Phase::Pending));
    let last_error = watch.and_then(|watch| watch.last_error.clone());
    let span = |span| humantime::format_duration(span).to_string();
    RuleStatus {
        name: spec.name.clone(),
        expr: spec.expr.clone(),
        r#for: span(spec.held_for),
        keep_firing_for: span(spec.keep_firing_for),
        severity: spec.severity,
        servers: spec.servers.0.clone(),
        notify: spec.notify.clone(),
        summary: spec.summary.clone(),
        description: spec.description.clone(),
        runbook_url: spec.runbook_url.clone(),
        notify_resolved: spec.notify_resolved,
        inhibit: spec.inhibit,
        source: spec.origin,
        enabled: spec.enabled,
        state: match (&last_error, firing, pending) {
            (Some(_), _, _) => "error",
            (None, 1.., _) => "firing",
            (None, 0, 1..) => "pending",
            (None, 0, 0) => "inactive",
        },
        firing,
        pending,
        last_error,
        eval_us: watch.map_or(0, |watch| watch.cost_us),
    }
}
