//! What `/health` says of notifiers.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::report::{Health, Reason, Status};

/// A notification that waits longer than this comes too late to be of use.
const LATE_S: f64 = 600.0;

/// One notifier.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct NotifierHealth {
    /// Its type.
    pub r#type: &'static str,
    /// Whether the last attempts failed.
    pub failing: bool,
    /// Notifications that wait for it.
    pub queued: u64,
    /// How long the oldest of them has waited, in seconds.
    pub oldest_s: f64,
    /// Messages that were taken since start.
    pub delivered: u64,
    /// Attempts that failed since start.
    pub failures: u64,
    /// Notifications given up since start, because they were refused while others were taken.
    pub given_up: u64,
    /// Notifications dropped since start, because they waited too long or were too many.
    pub expired: u64,
    /// Failed attempts since the last good one.
    pub consecutive_failures: u32,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// When a message was taken last, also by an earlier process.
    pub last_success: Option<Timestamp>,
    /// When an attempt failed last.
    pub last_failure: Option<Timestamp>,
    /// The last error, also when it is over.
    pub last_error: Option<String>,
    /// When the next attempt is made, while one is waited for.
    pub paused_until: Option<Timestamp>,
}

impl NotifierHealth {
    /// A notifier that has done nothing yet.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self {
            r#type: kind,
            failing: false,
            queued: 0,
            oldest_s: 0.0,
            delivered: 0,
            failures: 0,
            given_up: 0,
            expired: 0,
            consecutive_failures: 0,
            failing_since: None,
            last_success: None,
            last_failure: None,
            last_error: None,
            paused_until: None,
        }
    }
}

/// Why notifiers are worth a reason.
pub(super) fn reasons(health: &Health) -> Vec<Reason> {
    health.notifiers.iter().flat_map(|(name, notifier)| of_one(notifier).map(|why| reason(name, why))).collect()
}

fn of_one(notifier: &NotifierHealth) -> impl Iterator<Item = String> {
    let why = notifier.last_error.as_deref().unwrap_or("no reason known");
    let failing = notifier.failing.then(|| match notifier.failing_since {
        Some(since) => format!("fails since {}: {why}", since.strftime("%Y-%m-%d %H:%M:%SZ")),
        None => format!("fails: {why}"),
    });
    let late = (!notifier.failing && notifier.oldest_s > LATE_S)
        .then(|| format!("{} notifications wait, the oldest for {:.0} s", notifier.queued, notifier.oldest_s));
    let lost = notifier.given_up + notifier.expired;
    let lost = (lost > 0).then(|| format!("{lost} notifications were lost since start"));
    [failing, late, lost].into_iter().flatten()
}

fn reason(name: &str, reason: String) -> Reason {
    Reason { status: Status::Degraded, about: "notifier", name: name.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::judge::judge;

    fn judged(notifier: NotifierHealth) -> Vec<String> {
        let mut health = Health { notifiers: [("chat".to_owned(), notifier)].into(), ..Health::default() };
        judge(&mut health);
        health
            .reasons
            .into_iter()
            .filter(|reason| reason.about == "notifier")
            .map(|reason| format!("{} {}: {}", reason.about, reason.name, reason.reason))
            .collect()
    }

    #[test]
    fn a_notifier_that_fails_degrades_with_its_reason_and_since_when() {
        let failing = NotifierHealth {
            failing: true,
            failing_since: Some("2026-11-23T01:02:03.456Z".parse().unwrap()),
            last_error: Some("404 Not Found".into()),
            ..NotifierHealth::new("slack")
        };
        assert_eq!(judged(failing), ["notifier chat: fails since 2026-11-23 01:02:03Z: 404 Not Found"]);
        assert!(judged(NotifierHealth::new("slack")).is_empty());
    }

    #[test]
    fn what_was_lost_or_is_late_is_said() {
        let late =
            NotifierHealth { queued: 3, oldest_s: 700.0, given_up: 1, expired: 2, ..NotifierHealth::new("ntfy") };
        let reasons = judged(late);
        assert_eq!(reasons.len(), 2);
        assert!(reasons[0].contains("3 notifications wait") && reasons[1].contains("3 notifications were lost"));
    }
}
