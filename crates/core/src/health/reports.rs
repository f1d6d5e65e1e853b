//! The health of scheduled reports: deliveries, failures, and the report that is still being delivered.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::status::{Reason, Status};

/// The scheduled reports since the service started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct ReportsHealth {
    /// Deliveries of a report to a notifier.
    pub sent: u64,
    /// Failed attempts to create or deliver a report.
    pub failures: u64,
    /// Reports given up, because they could not be created or delivered to every notifier within a day.
    pub given_up: u64,
    /// The report that is being delivered; `null` if there is none.
    pub under_way: Option<UnderWay>,
}

/// A scheduled report that has not been delivered to every notifier yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnderWay {
    /// The scheduled time of the report.
    #[schemars(with = "String")]
    pub due: Timestamp,
    /// The notifiers that have not received the report yet.
    pub missing: Vec<String>,
    /// The number of failed attempts.
    pub attempts: u32,
    /// When the attempts started to fail.
    #[schemars(with = "Option<String>")]
    pub failing_since: Option<Timestamp>,
    /// The error of the last failed attempt.
    pub last_error: Option<String>,
    /// When the next attempt is due, if one is scheduled.
    #[schemars(with = "Option<String>")]
    pub next_attempt: Option<Timestamp>,
}

impl ReportsHealth {
    /// Starts the delivery of the report due at `due` to the notifiers `to`, or resumes it after a restart.
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

    /// Records the delivery to the notifier `name`.
    pub fn sent_to(&mut self, name: &str) {
        self.sent += 1;
        if let Some(it) = &mut self.under_way {
            it.missing.retain(|missing| missing != name);
        }
    }

    /// Records a failed attempt; the next one is due at `next`.
    pub fn failed(&mut self, now: Timestamp, why: &str, next: Option<Timestamp>) {
        self.failures += 1;
        if let Some(it) = &mut self.under_way {
            it.attempts += 1;
            it.failing_since.get_or_insert(now);
            it.last_error = Some(why.to_owned());
            it.next_attempt = next;
        }
    }

    /// Records that the report was given up; no further attempt is made.
    pub fn gave_up(&mut self) {
        self.given_up += 1;
        self.under_way = None;
    }

    /// Records that the report has been delivered to every notifier.
    pub fn done(&mut self) {
        self.under_way = None;
    }

    /// Whether the last attempt failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.under_way.as_ref().is_some_and(|it| it.attempts > 0)
    }
}

/// The reasons why scheduled reports degrade the health.
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
    fn failing_report_degrades_until_sent_and_lost_one_stays() {
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
