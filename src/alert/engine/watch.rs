//! One rule being watched: the lives of its alerts, and when somebody is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::group::{self, Group};
use super::{Settings, Turn, timestamp};
use crate::alert::expression::Answer;
use crate::alert::facts::{ServerView, View};
use crate::alert::inhibit::Cause;
use crate::alert::notification::{self, Status};
use crate::alert::rule::Rule;
use crate::alert::state::{Change, End, Life, Phase};
use crate::alert::status::{Memo, Outcome, Past, Saved};
use crate::alert::template::About;
use crate::alert::variables::Source;
use crate::clock::Stamp;
use crate::sample::ServerIdent;

/// A rule in force.
#[derive(Debug)]
pub(super) struct Watch {
    rule: Arc<Rule>,
    /// By server; the empty name is that of a rule about no server.
    pub(super) alerts: BTreeMap<Arc<str>, Alert>,
    group: Group,
    pub(super) last_error: Option<String>,
    /// What the last look at all servers cost, in microseconds.
    pub(super) cost_us: u64,
    /// Alerts of which something else is to be remembered.
    touched: BTreeSet<Arc<str>>,
}

/// One alert.
#[derive(Debug)]
pub(super) struct Alert {
    pub(super) life: Life,
    /// `None` for a rule about no server, and for a restored alert until its server is seen.
    ident: Option<Arc<ServerIdent>>,
    pub(super) started_at: Timestamp,
    pub(super) fired_at: Timestamp,
    pub(super) value: Option<f64>,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) labels: BTreeMap<String, String>,
    /// When somebody was told that it fires.
    told_at: Option<Timestamp>,
    pub(super) mute: Option<Mute>,
    /// When it was last looked at.
    seen: Stamp,
}

/// Why nobody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mute {
    /// Somebody said so: which silence or window.
    Silenced(String),
    /// Something else explains it.
    Inhibited(Cause),
}

impl Alert {
    pub(super) fn instance(&self, id: &str, ended_at: Option<Timestamp>) -> notification::Instance {
        notification::Instance {
            server: (!id.is_empty()).then(|| id.to_owned()),
            value: self.value,
            labels: self.labels.clone(),
            summary: self.summary.clone(),
            started_at: self.started_at,
            ended_at,
        }
    }
}

impl Watch {
    pub(super) fn new(rule: Arc<Rule>) -> Self {
        Self {
            rule,
            alerts: BTreeMap::new(),
            group: Group::default(),
            last_error: None,
            cost_us: 0,
            touched: BTreeSet::new(),
        }
    }

    pub(super) fn rule(&self) -> &Rule {
        &self.rule
    }

    pub(super) fn set_rule(&mut self, rule: Arc<Rule>) {
        self.rule = rule;
    }

    /// Takes up an alert that an earlier engine left.
    pub(super) fn restore(&mut self, now: Stamp, saved: Saved) {
        let target: Arc<str> = saved.target.as_str().into();
        if let Some(told_at) = saved.told_at {
            self.group.told_before(now, told_at);
        }
        let alert = Alert {
            life: Life::restored(now),
            ident: None,
            started_at: saved.started_at,
            fired_at: saved.fired_at,
            value: saved.value,
            summary: saved.summary,
            description: saved.description,
            labels: saved.labels,
            told_at: saved.told_at,
            mute: None,
            seen: now,
        };
        match saved.ended_at {
            Some(ended_at) => {
                let instance = alert.instance(&target, Some(ended_at));
                self.group
                    .over
                    .insert(target, group::Over { instance, description: alert.description, fired_at: alert.fired_at });
            }
            None => drop(self.alerts.insert(target, alert)),
        }
    }

    /// Ends all alerts, for the rule is no longer there. Who was told that they fire is told at once that they do not.
    pub(super) fn end_all(&mut self, now: Stamp, settings: &Settings, outcome: &mut Outcome) {
        let all: Vec<Arc<str>> = self.alerts.keys().map(Arc::clone).collect();
        self.drop_all(&all, now, outcome);
        self.tell_end(now, settings, outcome);
        self.remember(outcome);
    }

    /// Looks at every server the rule is about.
    pub(super) fn judge(&mut self, turn: &Turn<'_>, outcome: &mut Outcome) {
        self.last_error = None;
        let rule = Arc::clone(&self.rule);
        let common = &turn.facts.common;
        if rule.expression.is_about_servers() {
            let meant = |server: &&ServerView<'_>| rule.spec.servers.admits(server.id, server.ident);
            for server in turn.facts.servers.iter().filter(meant) {
                self.judge_one(turn, &View { server: Some(*server), common }, outcome);
            }
        } else {
            self.judge_one(turn, &View { server: None, common }, outcome);
        }
        self.end_the_unseen(turn, outcome);
    }

    fn judge_one(&mut self, turn: &Turn<'_>, view: &View<'_>, outcome: &mut Outcome) {
        let answer = self.rule.expression.evaluate(view);
        if let Answer::Error(why) = &answer {
            self.last_error = Some(why.clone());
        }
        let id = view.server.as_ref().map_or("", |server| server.id);
        if !self.alerts.contains_key(id) {
            if answer != Answer::True {
                return;
            }
            self.alerts.insert(id.into(), fresh(turn.now));
        }
        let timing = turn.settings.timing(&self.rule);
        let Some(alert) = self.alerts.get_mut(id) else { return };
        alert.seen = turn.now;
        if turn.was_unwatched {
            alert.life.was_unwatched(turn.now);
        }
        if let Some(server) = &view.server {
            alert.ident = Some(Arc::clone(server.ident));
        }
        let change = alert.life.step(turn.now, &answer, &timing, turn.may_fire);
        if answer == Answer::True {
            alert.value = value_of(&self.rule, view);
        }
        if change == Some(Change::Pending) || (change == Some(Change::Firing) && alert.told_at.is_none()) {
            alert.started_at = timestamp(alert.life.holds_since());
        }
        match change {
            Some(Change::Firing) => self.fire(id, turn, view, outcome),
            Some(Change::Ended(why)) => self.finish(id, turn.now, why, outcome),
            Some(Change::Pending) => describe(&self.rule, alert, view, turn),
            Some(Change::Dropped) | None => {}
        }
        if self.alerts.get(id).is_some_and(|alert| alert.life.is_forgettable(turn.now, &timing)) {
            self.alerts.remove(id);
        }
    }

    fn fire(&mut self, id: &str, turn: &Turn<'_>, view: &View<'_>, outcome: &mut Outcome) {
        let mute = self.mute_of(id, turn);
        let Some(id) = self.alerts.get_key_value(id).map(|(id, _)| Arc::clone(id)) else { return };
        let Some(alert) = self.alerts.get_mut(&id) else { return };
        describe(&self.rule, alert, view, turn);
        alert.mute = mute;
        alert.fired_at = timestamp(turn.now);
        alert.told_at = None;
        if let Some(over) = self.group.over.remove(&id) {
            // Nobody has been told that it was over: it goes on.
            alert.started_at = over.instance.started_at;
            alert.fired_at = over.fired_at;
            alert.told_at = Some(timestamp(turn.now));
        }
        outcome.history.push(past(&self.rule, &id, alert, None));
        self.touched.insert(id);
    }

    /// An alert that fired is over.
    fn finish(&mut self, id: &str, now: Stamp, why: End, outcome: &mut Outcome) {
        let Some(id) = self.alerts.get_key_value(id).map(|(id, _)| Arc::clone(id)) else { return };
        let Some(alert) = self.alerts.get_mut(&id) else { return };
        let ended_at = timestamp(now);
        outcome.history.push(past(&self.rule, &id, alert, Some((ended_at, why))));
        if alert.told_at.take().is_some() && self.rule.spec.notify_resolved {
            let instance = alert.instance(&id, Some(ended_at));
            let over = group::Over { instance, description: alert.description.clone(), fired_at: alert.fired_at };
            self.group.over.insert(Arc::clone(&id), over);
        }
        self.touched.insert(id);
    }

    /// Ends these alerts whatever they are, and lets go of them.
    fn drop_all(&mut self, ids: &[Arc<str>], now: Stamp, outcome: &mut Outcome) {
        for id in ids {
            let fired = self.alerts.get_mut(id).is_some_and(|alert| alert.life.end(now, End::Gone) != Change::Dropped);
            if fired {
                self.finish(id, now, End::Gone, outcome);
            }
            self.alerts.remove(id);
        }
    }

    /// Servers that are no longer configured have no alerts. During the grace they may just not have been seen yet.
    fn end_the_unseen(&mut self, turn: &Turn<'_>, outcome: &mut Outcome) {
        if !turn.may_fire {
            return;
        }
        let unseen = |(id, alert): (&Arc<str>, &Alert)| (alert.seen != turn.now).then(|| Arc::clone(id));
        let unseen: Vec<Arc<str>> = self.alerts.iter().filter_map(unseen).collect();
        self.drop_all(&unseen, turn.now, outcome);
    }

    fn mute_of(&self, id: &str, turn: &Turn<'_>) -> Option<Mute> {
        let alert = self.alerts.get(id)?;
        let name = self.rule.spec.name.as_str();
        let about = alert.ident.as_ref().map(|ident| (id, &**ident));
        let now = timestamp(turn.now);
        let silence = turn.silences.iter().find(|it| it.is_in_force(now) && it.matcher().admits(name, about));
        if let Some(silence) = silence {
            return Some(Mute::Silenced(silence.id.to_string()));
        }
        let is_open = |window: &&crate::alert::silence::Window| {
            window.matcher.admits(name, about) && window.times.open_until(now).is_some()
        };
        if let Some(window) = turn.windows.iter().find(is_open) {
            return Some(Mute::Silenced(window.comment.clone()));
        }
        turn.inhibitor.cause(&self.rule).map(Mute::Inhibited)
    }

    /// Says what is to be said now.
    pub(super) fn speak(&mut self, turn: &Turn<'_>, outcome: &mut Outcome) {
        let firing: Vec<Arc<str>> = self
            .alerts
            .iter()
            .filter(|(_, alert)| alert.life.phase() == Phase::Firing)
            .map(|(id, _)| Arc::clone(id))
            .collect();
        for id in &firing {
            let mute = self.mute_of(id, turn);
            if let Some(alert) = self.alerts.get_mut(id) {
                alert.mute = mute;
            }
        }
        let audible = |id: &&Arc<str>| self.alerts.get(&**id).is_some_and(|alert| alert.mute.is_none());
        // Nobody is told for the first time of what has ceased to hold.
        let holds = |id: &&Arc<str>| self.alerts.get(&**id).is_some_and(|alert| alert.life.holds());
        let is_told = |id: &&Arc<str>| self.alerts.get(&**id).is_some_and(|alert| alert.told_at.is_some());
        let (told, untold): (Vec<&Arc<str>>, Vec<&Arc<str>>) = firing.iter().filter(audible).partition(is_told);
        let told: Vec<Arc<str>> = told.into_iter().map(Arc::clone).collect();
        let untold: Vec<Arc<str>> = untold.into_iter().filter(holds).map(Arc::clone).collect();
        let is_time = turn.may_fire && self.group.is_due(turn.now, turn.settings, !untold.is_empty());
        if is_time {
            self.tell(turn, Status::Firing, false, &untold, outcome);
            self.tell_end(turn.now, turn.settings, outcome);
        } else if turn.may_fire && !told.is_empty() && self.group.is_reminder_due(turn.now, turn.settings) {
            self.tell(turn, Status::Firing, true, &told, outcome);
        }
        self.remember(outcome);
    }

    fn tell(&mut self, turn: &Turn<'_>, status: Status, reminder: bool, ids: &[Arc<str>], outcome: &mut Outcome) {
        if ids.is_empty() {
            return;
        }
        let all: Vec<_> = ids.iter().filter_map(|id| Some((self.alerts.get(id)?, id))).collect();
        let instances: Vec<_> = all.iter().map(|(alert, id)| alert.instance(id, None)).collect();
        let description = all.first().map_or("", |(alert, _)| alert.description.as_str());
        let said = group::Said { status, reminder, now: turn.now, description, instances };
        outcome.notifications.push(group::addressed(&self.rule, turn.settings, said));
        self.group.was_told(turn.now);
        for id in ids {
            if let Some(alert) = self.alerts.get_mut(id) {
                alert.told_at = Some(timestamp(turn.now));
            }
            self.touched.insert(Arc::clone(id));
        }
    }

    fn tell_end(&mut self, now: Stamp, settings: &Settings, outcome: &mut Outcome) {
        let over = std::mem::take(&mut self.group.over);
        if over.is_empty() {
            return;
        }
        self.touched.extend(over.keys().map(Arc::clone));
        let description = over.values().next().map_or(String::new(), |over| over.description.clone());
        let instances = over.into_values().map(|over| over.instance).collect();
        let said = group::Said { status: Status::Resolved, reminder: false, now, description: &description, instances };
        outcome.notifications.push(group::addressed(&self.rule, settings, said));
    }

    /// Notes what changed, so that a restart goes on from there.
    fn remember(&mut self, outcome: &mut Outcome) {
        for id in std::mem::take(&mut self.touched) {
            let memo = |saved| Memo { alert: self.rule.spec.name.clone(), target: id.to_string(), saved };
            let firing = self.alerts.get(&id).filter(|alert| alert.life.phase() == Phase::Firing);
            let saved = match (firing, self.group.over.get(&id)) {
                (Some(alert), _) => Some(self.saved(&id, alert)),
                (None, Some(over)) => Some(over.saved(&self.rule.spec.name, &id)),
                (None, None) => None,
            };
            outcome.memos.push(memo(saved));
        }
    }

    fn saved(&self, id: &str, alert: &Alert) -> Saved {
        Saved {
            alert: self.rule.spec.name.clone(),
            target: id.to_owned(),
            started_at: alert.started_at,
            fired_at: alert.fired_at,
            ended_at: None,
            told_at: alert.told_at,
            value: alert.value,
            summary: alert.summary.clone(),
            description: alert.description.clone(),
            labels: alert.labels.clone(),
        }
    }
}

fn fresh(now: Stamp) -> Alert {
    Alert {
        life: Life::new(now),
        ident: None,
        started_at: timestamp(now),
        fired_at: timestamp(now),
        value: None,
        summary: String::new(),
        description: String::new(),
        labels: BTreeMap::new(),
        told_at: None,
        mute: None,
        seen: now,
    }
}

fn value_of(rule: &Rule, view: &View<'_>) -> Option<f64> {
    match rule.shown()?.source {
        Source::Number(value) => value(view).filter(|value| value.is_finite()),
        Source::Truth(_) | Source::Text(_) => None,
    }
}

/// Writes the texts anew.
fn describe(rule: &Rule, alert: &mut Alert, view: &View<'_>, turn: &Turn<'_>) {
    let severity = rule.spec.severity.label();
    let about = About { alert: &rule.spec.name, severity, value: alert.value, vantage: &turn.settings.vantage };
    alert.summary = rule.summary.render(view, &about);
    alert.description = rule.description.render(view, &about);
    alert.labels = alert.ident.as_ref().map(|ident| ident.tags.clone()).unwrap_or_default();
    if alert.life.is_flapping(turn.now, &turn.settings.timing(rule)) {
        alert.labels.insert("flapping".to_owned(), "true".to_owned());
    }
}

fn past(rule: &Rule, id: &str, alert: &Alert, end: Option<(Timestamp, End)>) -> Past {
    Past {
        alert: rule.spec.name.clone(),
        severity: rule.spec.severity,
        server: (!id.is_empty()).then(|| id.to_owned()),
        value: alert.value,
        summary: alert.summary.clone(),
        started_at: alert.started_at,
        fired_at: alert.fired_at,
        ended_at: end.map(|(at, _)| at),
        end: end.map(|(_, why)| why),
        held_by: alert.mute.as_ref().map(|mute| match mute {
            Mute::Silenced(by) => by.clone(),
            Mute::Inhibited(cause) => cause.label().to_owned(),
        }),
    }
}
