//! The health of notifiers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::status::{Reason, Status};

/// A notification that has been queued for longer than this, in seconds, degrades the health.
const LATE_S: f64 = 600.0;

/// The health of one notifier.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct NotifierHealth {
    /// The type of the notifier, such as `email` or `slack`.
    pub r#type: &'static str,
    /// Whether the last delivery attempts failed.
    pub failing: bool,
    /// The number of queued notifications.
    pub queued: u64,
    /// The age of the oldest queued notification, in seconds.
    pub oldest_s: f64,
    /// Messages delivered since start.
    pub delivered: u64,
    /// Failed delivery attempts since start.
    pub failures: u64,
    /// Notifications given up since start: the receiver rejected them while it accepted others, or it never answered.
    pub given_up: u64,
    /// Notifications dropped since start: they were queued for too long, or the queue was full.
    pub expired: u64,
    /// Failed attempts since the last successful one.
    pub consecutive_failures: u32,
    /// When the attempts started to fail; `null` while they succeed.
    pub failing_since: Option<Timestamp>,
    /// When a message was last delivered; includes deliveries before a restart.
    pub last_success: Option<Timestamp>,
    /// When an attempt last failed.
    pub last_failure: Option<Timestamp>,
    /// The last error; kept after the notifier has recovered.
    pub last_error: Option<String>,
    /// When the next attempt is due, if the notifier is backing off.
    pub paused_until: Option<Timestamp>,
}

impl NotifierHealth {
    /// A notifier of type `kind` that has not sent anything yet.
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

/// The reasons why notifiers degrade the health.
pub(super) fn reasons(notifiers: &BTreeMap<String, NotifierHealth>) -> Vec<Reason> {
    notifiers.iter().flat_map(|(name, notifier)| of_one(notifier).map(|why| reason(name, why))).collect()
}

fn of_one(notifier: &NotifierHealth) -> impl Iterator<Item = String> {
    let why = notifier.last_error.as_deref().unwrap_or("no reason known");
    let failing = notifier.failing.then(|| match notifier.failing_since {
        Some(since) => format!("failing since {}: {why}", since.strftime("%Y-%m-%d %H:%M:%SZ")),
        None => format!("failing: {why}"),
    });
    let late = (!notifier.failing && notifier.oldest_s > LATE_S)
        .then(|| format!("{} notifications are queued, the oldest for {:.0} s", notifier.queued, notifier.oldest_s));
    let lost = notifier.given_up + notifier.expired;
    let lost = (lost > 0).then(|| format!("{lost} notifications were dropped since start"));
    [failing, late, lost].into_iter().flatten()
}

fn reason(name: &str, reason: String) -> Reason {
    Reason { status: Status::Degraded, about: "notifier", name: name.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::judge::judge;
    use crate::health::report::Health;

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
    fn failing_notifier_degrades_with_reason_and_start() {
        let failing = NotifierHealth {
            failing: true,
            failing_since: Some("2026-11-23T01:02:03.456Z".parse().unwrap()),
            last_error: Some("404 Not Found".into()),
            ..NotifierHealth::new("slack")
        };
        assert_eq!(judged(failing), ["notifier chat: failing since 2026-11-23 01:02:03Z: 404 Not Found"]);
        assert!(judged(NotifierHealth::new("slack")).is_empty());
    }

    #[test]
    fn late_and_dropped_notifications_degrade_the_health() {
        let late =
            NotifierHealth { queued: 3, oldest_s: 700.0, given_up: 1, expired: 2, ..NotifierHealth::new("ntfy") };
        let reasons = judged(late);
        assert_eq!(reasons.len(), 2);
        assert!(
            reasons[0].contains("3 notifications are queued") && reasons[1].contains("3 notifications were dropped")
        );
    }
}
