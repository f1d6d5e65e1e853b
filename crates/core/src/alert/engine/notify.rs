//! Decides when notifications about the alerts of a rule are sent, and stores the state of the alerts.

use std::sync::Arc;

use super::group::{self, Content};
use super::watch::Watch;
use super::{Evaluation, Settings};
use crate::alert::notification::Status;
use crate::alert::state::Phase;
use crate::alert::status::{Memo, Outcome};
use crate::clock::Stamp;

impl Watch {
    /// Sends the notifications that are due, and stores changed alerts.
    pub(super) fn notify(&mut self, evaluation: &Evaluation<'_>, outcome: &mut Outcome) {
        let (mut told, mut unnotified) = (Vec::new(), Vec::new());
        let mut is_reminder_due = false;
        let quiet = evaluation.quiet.of(self.rule());
        for (id, alert) in self.alerts.iter_mut().filter(|(_, alert)| alert.life.phase() == Phase::Firing) {
            alert.mute = quiet.mute(alert.about());
            match alert.told {
                _ if alert.mute.is_some() => {}
                Some(at) => {
                    is_reminder_due |= evaluation.settings.is_reminder_due(at, evaluation.now);
                    told.push(Arc::clone(id));
                }
                // The first notification is only sent while the condition is true.
                None if alert.life.holds() => unnotified.push(Arc::clone(id)),
                None => {}
            }
        }
        if evaluation.may_fire && self.group.is_due(evaluation.now, evaluation.settings, !unnotified.is_empty()) {
            self.notify_firing(evaluation, false, &unnotified, outcome);
            self.notify_ended(evaluation.now, evaluation.settings, outcome);
        } else if evaluation.may_fire && is_reminder_due {
            self.notify_firing(evaluation, true, &told, outcome);
        }
        self.store_changes(outcome);
    }

    fn notify_firing(&mut self, evaluation: &Evaluation<'_>, reminder: bool, ids: &[Arc<str>], outcome: &mut Outcome) {
        let all: Vec<_> = ids.iter().filter_map(|id| Some((self.alerts.get(id)?, id))).collect();
        let Some((first, _)) = all.first() else { return };
        let instances = all.iter().map(|(alert, id)| alert.instance(id, None)).collect();
        let (status, description) = (Status::Firing, first.description.as_str());
        let content = Content { status, reminder, now: evaluation.now, description, instances };
        let spec = &self.rule().spec;
        outcome.notifications.push(group::addressed(
            &spec.name,
            &self.rule().rule_summary(),
            evaluation.settings,
            content,
        ));
        for id in ids {
            if let Some(alert) = self.alerts.get_mut(id) {
                alert.told = Some(evaluation.now);
            }
            self.touched.insert(Arc::clone(id));
        }
    }

    pub(super) fn notify_ended(&mut self, now: Stamp, settings: &Settings, outcome: &mut Outcome) {
        let over = std::mem::take(&mut self.group.over);
        self.touched.extend(over.keys().map(Arc::clone));
        let (name, rule) = (&self.rule().spec.name, self.rule().rule_summary());
        outcome.notifications.extend(group::ended(name, &rule, settings, now, over.into_values().collect()));
    }

    /// Stores the alerts that changed, so that a restart resumes from there.
    pub(super) fn store_changes(&mut self, outcome: &mut Outcome) {
        for id in std::mem::take(&mut self.touched) {
            let firing = self.alerts.get(&id).filter(|alert| alert.life.phase() == Phase::Firing);
            let saved = match (firing, self.group.over.get(&id)) {
                (Some(alert), _) => Some(alert.saved(self.rule(), &id)),
                (None, Some(over)) => Some(over.saved(self.rule(), &id)),
                (None, None) => None,
            };
            outcome.memos.push(Memo { alert: self.rule().spec.name.clone(), target: id.to_string(), saved });
        }
    }
}
