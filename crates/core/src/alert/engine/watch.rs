//! One enabled rule and its alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::alert::Alert;
use super::group::{Ended, Group};
use super::{Evaluation, Settings, timestamp};
use crate::alert::expression::Answer;
use crate::alert::facts::{ServerView, View};
use crate::alert::rule::Rule;
use crate::alert::state::{Change, End};
use crate::alert::status::{Outcome, Saved};
use crate::clock::Stamp;

/// An enabled rule with its alerts.
#[derive(Debug)]
pub(super) struct Watch {
    rule: Arc<Rule>,
    /// The alerts by name of the server, independent of the address that they show. The name is empty if the rule uses
    /// no server variable.
    pub alerts: BTreeMap<Arc<str>, Alert>,
    pub group: Group,
    pub last_error: Option<String>,
    /// The duration of the last evaluation over all servers, in microseconds.
    pub cost_us: u64,
    /// The alerts whose stored state must be updated.
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

    /// Restores an alert from its stored state.
    pub(super) fn restore(&mut self, now: Stamp, saved: Saved) {
        let target: Arc<str> = server_of(&saved.target).into();
        if *target != *saved.target {
            // The state was stored by a version that had an alert for each address.
            self.touched.extend([Arc::clone(&target), saved.target.as_str().into()]);
        }
        match saved.ended_at {
            Some(ended_at) => drop(self.group.over.insert(target, Ended::restored(saved, ended_at))),
            None => drop(self.alerts.insert(target, Alert::restored(now, saved))),
        }
    }

    /// Ends all alerts because the rule was removed or changed, and notifies that at once, without `group_wait`.
    pub(super) fn end_all(&mut self, now: Stamp, settings: &Settings, outcome: &mut Outcome) {
        let all: Vec<Arc<str>> = self.alerts.keys().map(Arc::clone).collect();
        self.drop_all(&all, now, outcome);
        self.notify_ended(now, settings, outcome);
        self.store_changes(outcome);
    }

    /// Notifies again about all alerts that fire.
    pub(super) fn forget_notified(&mut self) {
        self.alerts.values_mut().for_each(|alert| alert.told = None);
    }

    /// Evaluates the rule for every server it applies to.
    pub(super) fn judge(&mut self, evaluation: &Evaluation<'_>, outcome: &mut Outcome) {
        self.last_error = None;
        let rule = Arc::clone(&self.rule);
        let common = &evaluation.facts.common;
        if rule.expression.is_about_servers() {
            let meant = |server: &&ServerView<'_>| rule.spec.servers.admits(server.series_id, server.ident);
            let servers: Vec<&ServerView<'_>> = evaluation.facts.servers.iter().filter(meant).collect();
            for series in servers.chunk_by(|a, b| a.ident.name == b.ident.name) {
                let judged = series.iter().map(|server| View { server: Some(**server), common }).map(|view| {
                    let answer = rule.expression.evaluate(&view);
                    (view, answer)
                });
                let told = judged.min_by_key(|(view, answer)| self.rank(view, answer, evaluation));
                if let Some((view, answer)) = told {
                    self.judge_one(evaluation, &view, answer, outcome);
                }
            }
        } else {
            let view = View { server: None, common };
            let answer = rule.expression.evaluate(&view);
            self.judge_one(evaluation, &view, answer, outcome);
        }
        self.end_the_unseen(evaluation, outcome);
    }

    /// The rank of a series; the alert of a server shows the series with the lowest rank. A series ranks low if the
    /// condition is true for it and it is not silenced, and if the alert already shows it.
    fn rank(&self, view: &View<'_>, answer: &Answer, evaluation: &Evaluation<'_>) -> (u8, bool, bool) {
        let Some(server) = &view.server else { return (0, false, false) };
        let truth = match answer {
            Answer::True => 0,
            Answer::Error(_) => 1,
            Answer::False => 2,
            Answer::NoData => 3,
        };
        let about = Some((server.series_id, &**server.ident));
        let is_silenced = truth == 0 && evaluation.quiet.of(&self.rule).mute(about).is_some();
        let shown = self.alerts.get(&server.ident.name).map(|alert| &*alert.series_id);
        (truth, is_silenced, shown != Some(server.series_id))
    }

    fn judge_one(&mut self, evaluation: &Evaluation<'_>, view: &View<'_>, answer: Answer, outcome: &mut Outcome) {
        if let Answer::Error(why) = &answer {
            self.last_error = Some(why.clone());
        }
        let id = view.server.as_ref().map_or("", |server| &server.ident.name);
        if !self.alerts.contains_key(id) {
            if answer != Answer::True {
                return;
            }
            self.alerts.insert(id.into(), Alert::new(evaluation.now));
        }
        let timing = evaluation.settings.timing(&self.rule);
        let Some(alert) = self.alerts.get_mut(id) else { return };
        alert.seen = evaluation.now;
        let answer = alert.heed(answer, view);
        if evaluation.was_unwatched {
            alert.life.was_unwatched(evaluation.now);
        }
        if let Some(server) = &view.server {
            alert.ident = Some(Arc::clone(server.ident));
            if *alert.series_id != *server.series_id {
                alert.series_id = server.series_id.into();
            }
        }
        let change = alert.life.step(evaluation.now, &answer, &timing, evaluation.may_fire);
        if answer == Answer::True {
            alert.measure(&self.rule, view);
        }
        if change == Some(Change::Pending) || (change == Some(Change::Firing) && alert.told.is_none()) {
            alert.started_at = timestamp(alert.life.holds_since());
        }
        match change {
            Some(Change::Firing) => self.fire(id, evaluation, view, outcome),
            Some(Change::Ended(why)) => self.finish(id, evaluation.now, why, outcome),
            Some(Change::Pending) => alert.describe(&self.rule, view, evaluation),
            None if answer == Answer::True && alert.is_stale(evaluation.now) => {
                alert.describe(&self.rule, view, evaluation)
            }
            Some(Change::Dropped) | None => {}
        }
        if self.alerts.get(id).is_some_and(|alert| alert.life.is_forgettable(evaluation.now, &timing)) {
            self.alerts.remove(id);
        }
    }

    fn fire(&mut self, id: &str, evaluation: &Evaluation<'_>, view: &View<'_>, outcome: &mut Outcome) {
        let Some(id) = self.alerts.get_key_value(id).map(|(id, _)| Arc::clone(id)) else { return };
        let Some(alert) = self.alerts.get_mut(&id) else { return };
        alert.describe(&self.rule, view, evaluation);
        alert.mute = evaluation.quiet.of(&self.rule).mute(alert.about());
        alert.held_by = alert.mute.as_ref().map(ToString::to_string);
        alert.fired_at = timestamp(evaluation.now);
        alert.told = None;
        if let Some(over) = self.group.over.remove(&id) {
            // The end of the previous alert has not been notified yet, so the alert continues.
            alert.started_at = over.instance.started_at;
            alert.fired_at = over.fired_at;
            alert.told = Some(evaluation.now);
        }
        outcome.history.push(alert.past(&self.rule, &id, None));
        self.touched.insert(id);
    }

    /// Records the end of an alert that fired.
    fn finish(&mut self, id: &str, now: Stamp, why: End, outcome: &mut Outcome) {
        let Some(id) = self.alerts.get_key_value(id).map(|(id, _)| Arc::clone(id)) else { return };
        let Some(alert) = self.alerts.get_mut(&id) else { return };
        let ended_at = timestamp(now);
        outcome.history.push(alert.past(&self.rule, &id, Some((ended_at, why))));
        if alert.told.take().is_some() && self.rule.spec.notify_resolved {
            let instance = alert.instance(&id, Some(ended_at));
            let over = Ended { instance, description: alert.description.clone(), fired_at: alert.fired_at };
            self.group.over.insert(Arc::clone(&id), over);
        }
        self.touched.insert(id);
    }

    /// Ends and removes these alerts.
    fn drop_all(&mut self, ids: &[Arc<str>], now: Stamp, outcome: &mut Outcome) {
        for id in ids {
            let fired = self.alerts.get_mut(id).is_some_and(|alert| alert.life.end(now, End::Gone) != Change::Dropped);
            if fired {
                self.finish(id, now, End::Gone, outcome);
            }
            self.alerts.remove(id);
        }
    }

    /// Ends the alerts of servers that are no longer configured. Not during the startup grace, when servers may not
    /// have been polled yet.
    fn end_the_unseen(&mut self, evaluation: &Evaluation<'_>, outcome: &mut Outcome) {
        if !evaluation.may_fire {
            return;
        }
        let unseen = |(id, alert): (&Arc<str>, &Alert)| (alert.seen != evaluation.now).then(|| Arc::clone(id));
        let unseen: Vec<Arc<str>> = self.alerts.iter().filter_map(unseen).collect();
        self.drop_all(&unseen, evaluation.now, outcome);
    }
}

/// The name in `name@address`; any other text is returned unchanged.
fn server_of(target: &str) -> &str {
    let series = target.rsplit_once('@').filter(|(_, address)| address.parse::<SocketAddr>().is_ok());
    series.map_or(target, |(name, _)| name)
}
