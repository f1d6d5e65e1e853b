//! What `/health` says of scheduled reports: whether one is under way that should have arrived by now.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::report::{Reason, Status};

/// Scheduled reports since the service started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct ReportsHealth {
    /// Reports that a notifier took.
    pub sent: u64,
    /// Attempts to make or to send one that failed.
    pub failures: u64,
    /// Reports given up, because they could not be made or not everybody took them within a day.
    pub given_up: u64,
    /// The one that is under way.
    pub under_way: Option<UnderWay>,
}

/// A scheduled report that is not yet where it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnderWay {
    /// The time for which it is made.
    #[schemars(with = "String")]
    pub due: Timestamp,
    /// Notifiers that have not got it yet.
    pub missing: Vec<String>,
    /// Attempts that failed.
    pub attempts: u32,
    /// Since when they fail.
    #[schemars(with = "Option<String>")]
    pub failing_since: Option<Timestamp>,
    /// Why the last one did.
    pub last_error: Option<String>,
    /// When the next one is made, while it is waited for.
    #[schemars(with = "Option<String>")]
    pub next_attempt: Option<Timestamp>,
}

impl ReportsHealth {
    /// A report is begun, or goes on after a restart.
    pub fn begin(&mut self, due: Timestamp, to: &[String]) {
        self.under_way = Some(UnderWay {
            due,
            missing: to.to_vec(),
            attempts: 0,
            failing_since: None,
            last_error: None,
            next_attempt: None,
        });
    }

    /// `name` has got it.
    pub fn sent_to(&mut self, name: &str) {
        self.sent += 1;
        if let Some(it) = &mut self.under_way {
            it.missing.retain(|missing| missing != name);
        }
    }

    /// An attempt failed; the next is made at `next`.
    pub fn failed(&mut self, now: Timestamp, why: &str, next: Option<Timestamp>) {
        self.failures += 1;
        if let Some(it) = &mut self.under_way {
            it.attempts += 1;
            it.failing_since.get_or_insert(now);
            it.last_error = Some(why.to_owned());
            it.next_attempt = next;
        }
    }

    /// There will be no other attempt.
    pub fn gave_up(&mut self) {
        self.given_up += 1;
        self.under_way = None;
    }

    /// Nothing is under way any more.
    pub fn done(&mut self) {
        self.under_way = None;
    }

    /// Whether the last attempt failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.under_way.as_ref().is_some_and(|it| it.attempts > 0)
    }
}

/// Why reports are worth a reason.
pub(super) fn reasons(health: &ReportsHealth) -> Vec<Reason> {
    let reason = |name: String, reason| Reason { status: Status::Degraded, about: "report", name, reason };
    let late = health.under_way.as_ref().filter(|it| it.attempts > 0).map(|it| {
        let since =
            it.failing_since.map_or_else(String::new, |at| format!(" since {}", at.strftime("%Y-%m-%d %H:%M:%SZ")));
        let why = it.last_error.as_deref().unwrap_or("no reason known");
        reason(it.due.to_string(), format!("cannot be delivered{since}: {why}"))
    });
    let lost = (health.given_up > 0)
        .then(|| reason("schedule".to_owned(), format!("{} reports were given up since start", health.given_up)));
    late.into_iter().chain(lost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_report_that_is_not_taken_is_a_reason_until_it_is_and_one_given_up_stays_one() {
        let due = at("2026-11-23T08:00:00Z");
        let mut health = ReportsHealth::default();
        health.begin(due, &["mail".to_owned(), "chat".to_owned()]);
        health.sent_to("chat");
        assert!(reasons(&health).is_empty() && !health.is_failing());
        health.failed(at("2026-11-23T08:00:05Z"), "mail: 451 later", None);
        health.failed(at("2026-11-23T08:01:05Z"), "mail: 452 much later", None);
        let [reason] = &reasons(&health)[..] else { panic!("{health:?}") };
        assert_eq!((reason.about, reason.name.as_str()), ("report", "2026-11-23T08:00:00Z"));
        assert_eq!(reason.reason, "cannot be delivered since 2026-11-23 08:00:05Z: mail: 452 much later");
        assert_eq!(health.under_way.as_ref().unwrap().missing, ["mail"]);
        health.done();
        assert!(reasons(&health).is_empty());
        health.gave_up();
        assert_eq!(reasons(&health)[0].reason, "1 reports were given up since start");
        assert_eq!((health.sent, health.failures), (1, 2));
    }
}
