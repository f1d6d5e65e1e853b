//! When somebody is told of the alerts of a rule, and what is to be remembered of it.

use std::sync::Arc;

use super::group::{self, Said};
use super::watch::Watch;
use super::{Settings, Turn};
use crate::alert::notification::Status;
use crate::alert::state::Phase;
use crate::alert::status::{Memo, Outcome};
use crate::clock::Stamp;

impl Watch {
    /// Says what is to be said now.
    pub(super) fn speak(&mut self, turn: &Turn<'_>, outcome: &mut Outcome) {
        let (mut told, mut untold) = (Vec::new(), Vec::new());
        let mut is_reminder_due = false;
        let quiet = turn.quiet.of(self.rule());
        for (id, alert) in self.alerts.iter_mut().filter(|(_, alert)| alert.life.phase() == Phase::Firing) {
            alert.mute = quiet.mute(alert.ident.as_ref().map(|ident| (&**id, &**ident)));
            match alert.told {
                _ if alert.mute.is_some() => {}
                Some(at) => {
                    is_reminder_due |= turn.settings.is_reminder_due(at, turn.now);
                    told.push(Arc::clone(id));
                }
                // Nobody is told for the first time of what has ceased to hold.
                None if alert.life.holds() => untold.push(Arc::clone(id)),
                None => {}
            }
        }
        if turn.may_fire && self.group.is_due(turn.now, turn.settings, !untold.is_empty()) {
            self.tell(turn, false, &untold, outcome);
            self.tell_end(turn.now, turn.settings, outcome);
        } else if turn.may_fire && is_reminder_due {
            self.tell(turn, true, &told, outcome);
        }
        self.remember(outcome);
    }

    fn tell(&mut self, turn: &Turn<'_>, reminder: bool, ids: &[Arc<str>], outcome: &mut Outcome) {
        let all: Vec<_> = ids.iter().filter_map(|id| Some((self.alerts.get(id)?, id))).collect();
        let Some((first, _)) = all.first() else { return };
        let instances = all.iter().map(|(alert, id)| alert.instance(id, None)).collect();
        let (status, description) = (Status::Firing, first.description.as_str());
        let said = Said { status, reminder, now: turn.now, description, instances };
        let spec = &self.rule().spec;
        outcome.notifications.push(group::addressed(&spec.name, &self.rule().gist(), turn.settings, said));
        for id in ids {
            if let Some(alert) = self.alerts.get_mut(id) {
                alert.told = Some(turn.now);
            }
            self.touched.insert(Arc::clone(id));
        }
    }

    pub(super) fn tell_end(&mut self, now: Stamp, settings: &Settings, outcome: &mut Outcome) {
        let over = std::mem::take(&mut self.group.over);
        self.touched.extend(over.keys().map(Arc::clone));
        let (name, gist) = (&self.rule().spec.name, self.rule().gist());
        outcome.notifications.extend(group::ended(name, &gist, settings, now, over.into_values().collect()));
    }

    /// Notes what changed, so that a restart goes on from there.
    pub(super) fn remember(&mut self, outcome: &mut Outcome) {
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
