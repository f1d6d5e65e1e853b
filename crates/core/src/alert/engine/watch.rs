//! One rule being watched: the lives of its alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::alert::Alert;
use super::group::{Group, Over};
use super::{Settings, Turn, timestamp};
use crate::alert::expression::Answer;
use crate::alert::facts::{ServerView, View};
use crate::alert::rule::Rule;
use crate::alert::state::{Change, End};
use crate::alert::status::{Outcome, Saved};
use crate::clock::Stamp;

/// A rule in force.
#[derive(Debug)]
pub(super) struct Watch {
    rule: Arc<Rule>,
    /// By server; the empty name is that of a rule about no server.
    pub alerts: BTreeMap<Arc<str>, Alert>,
    pub group: Group,
    pub last_error: Option<String>,
    /// What the last look at all servers cost, in microseconds.
    pub cost_us: u64,
    /// Alerts of which something else is to be remembered.
    pub touched: BTreeSet<Arc<str>>,
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
        match saved.ended_at {
            Some(ended_at) => drop(self.group.over.insert(target, Over::restored(saved, ended_at))),
            None => drop(self.alerts.insert(target, Alert::restored(now, saved))),
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
            self.alerts.insert(id.into(), Alert::new(turn.now));
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
            alert.measure(&self.rule, view);
        }
        if change == Some(Change::Pending) || (change == Some(Change::Firing) && alert.told.is_none()) {
            alert.started_at = timestamp(alert.life.holds_since());
        }
        match change {
            Some(Change::Firing) => self.fire(id, turn, view, outcome),
            Some(Change::Ended(why)) => self.finish(id, turn.now, why, outcome),
            Some(Change::Pending) => alert.describe(&self.rule, view, turn),
            None if answer == Answer::True && alert.is_stale(turn.now) => alert.describe(&self.rule, view, turn),
            Some(Change::Dropped) | None => {}
        }
        if self.alerts.get(id).is_some_and(|alert| alert.life.is_forgettable(turn.now, &timing)) {
            self.alerts.remove(id);
        }
    }

    fn fire(&mut self, id: &str, turn: &Turn<'_>, view: &View<'_>, outcome: &mut Outcome) {
        let Some(id) = self.alerts.get_key_value(id).map(|(id, _)| Arc::clone(id)) else { return };
        let Some(alert) = self.alerts.get_mut(&id) else { return };
        alert.describe(&self.rule, view, turn);
        alert.mute = turn.quiet.of(&self.rule).mute(alert.ident.as_ref().map(|ident| (&*id, &**ident)));
        alert.held_by = alert.mute.as_ref().map(ToString::to_string);
        alert.fired_at = timestamp(turn.now);
        alert.told = None;
        if let Some(over) = self.group.over.remove(&id) {
            // Nobody has been told that it was over: it goes on.
            alert.started_at = over.instance.started_at;
            alert.fired_at = over.fired_at;
            alert.told = Some(turn.now);
        }
        outcome.history.push(alert.past(&self.rule, &id, None));
        self.touched.insert(id);
    }

    /// An alert that fired is over.
    fn finish(&mut self, id: &str, now: Stamp, why: End, outcome: &mut Outcome) {
        let Some(id) = self.alerts.get_key_value(id).map(|(id, _)| Arc::clone(id)) else { return };
        let Some(alert) = self.alerts.get_mut(&id) else { return };
        let ended_at = timestamp(now);
        outcome.history.push(alert.past(&self.rule, &id, Some((ended_at, why))));
        if alert.told.take().is_some() && self.rule.spec.notify_resolved {
            let instance = alert.instance(&id, Some(ended_at));
            let over = Over { instance, description: alert.description.clone(), fired_at: alert.fired_at };
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
}
