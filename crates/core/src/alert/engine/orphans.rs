//! Ends stored alerts whose rule was removed while the service was not running.

use super::group::{self, Ended};
use super::{Settings, timestamp};
use crate::alert::state::End;
use crate::alert::status::{Memo, Outcome, Past, Saved};
use crate::clock::Stamp;

/// Ends the stored alerts of one removed rule.
pub(super) fn end(now: Stamp, settings: &Settings, alert: &str, all: Vec<Saved>, outcome: &mut Outcome) {
    let Some(rule) = all.first().map(|saved| saved.rule.clone()) else { return };
    let mut over = Vec::new();
    for saved in all {
        outcome.memos.push(Memo { alert: alert.to_owned(), target: saved.target.clone(), saved: None });
        if saved.ended_at.is_none() {
            outcome.history.push(past(now, &saved));
        }
        if saved.told_at.is_some() && rule.notify_resolved {
            let ended_at = saved.ended_at.unwrap_or_else(|| timestamp(now));
            over.push(Ended::restored(saved, ended_at));
        }
    }
    outcome.notifications.extend(group::ended(alert, &rule, settings, now, over));
}

fn past(now: Stamp, saved: &Saved) -> Past {
    Past {
        alert: saved.alert.clone(),
        severity: saved.rule.severity,
        server: (!saved.target.is_empty()).then(|| saved.target.clone()),
        value: saved.value,
        summary: saved.summary.clone(),
        started_at: saved.started_at,
        fired_at: saved.fired_at,
        ended_at: Some(timestamp(now)),
        end: Some(End::Gone),
        held_by: saved.held_by.clone(),
    }
}
