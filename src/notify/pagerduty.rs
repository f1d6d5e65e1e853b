//! PagerDuty, over the Events API v2: one event per alert, identified by its dedup_key, so that repeats have no effect
//! and the end of an alert resolves its own incident only.

use serde_json::{Value, json};

use super::fingerprint::fingerprint;
use super::http::{Http, Request};
use super::{Notifier, Progress, Sending, signs, words};
use crate::config::{Hidden, Notifier as Config};
use ntp_monitor_core::alert::notification::{Instance, Notification, Status};

/// Limit of the API, which says 1024 characters; applied to bytes to be safe.
const SUMMARY_BYTES: usize = 1024;

pub(super) struct Pagerduty {
    http: Http,
    url: String,
    routing_key: Hidden,
}

impl Pagerduty {
    pub(super) fn new(config: &Config, api_url: &str, routing_key: &Hidden) -> Result<Self, String> {
        let url = format!("{api_url}/v2/enqueue");
        Ok(Self { http: Http::new(config, [routing_key])?, url, routing_key: routing_key.clone() })
    }

    /// Sends the event of the alert with this number.
    async fn one(&self, notification: &Notification, n: usize) -> Result<String, super::Failure> {
        let event = event(notification, &notification.alerts[n], self.routing_key.expose());
        self.http.send(Request::json(&self.url, &event), signs::pagerduty).await
    }
}

impl Notifier for Pagerduty {
    fn deliver<'a>(&'a self, notification: &'a Notification, progress: &'a mut Progress) -> Sending<'a> {
        Box::pin(progress.each(notification.alerts.len(), move |n| Box::pin(self.one(notification, n))))
    }
}

fn event(notification: &Notification, instance: &Instance, routing_key: &str) -> Value {
    let action = match notification.status {
        Status::Firing => "trigger",
        Status::Resolved => "resolve",
    };
    let links = [("Runbook", &notification.runbook_url), ("Details", &notification.url)];
    let links = links.into_iter().filter_map(|(text, url)| Some(json!({ "href": url.as_ref()?, "text": text })));
    json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key(notification, instance),
        "client": "ntp-monitor",
        "client_url": notification.url,
        "links": links.collect::<Vec<_>>(),
        "payload": {
            "summary": words::clip_bytes(&words::one_line(&instance.summary), SUMMARY_BYTES),
            "source": instance.server.as_ref().unwrap_or(&notification.vantage),
            "severity": words::severity(notification),
            "timestamp": instance.started_at,
            "component": "ntp",
            "group": notification.vantage,
            "class": notification.alert,
            "custom_details": {
                "description": notification.description,
                "value": instance.value,
                "labels": instance.labels,
            },
        },
    })
}

/// The same key for the start and the end of an alert; hashed, because a key is limited to 255 characters.
fn dedup_key(notification: &Notification, instance: &Instance) -> String {
    format!("ntp-monitor/{}", fingerprint(notification, instance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolved_alert_closes_its_own_incident() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        let begun = event(&news, &news.alerts[0], "k");
        news.status = Status::Resolved;
        news.alerts[0].labels.insert("flapping".into(), "true".into());
        let ended = event(&news, &news.alerts[0], "k");
        assert_eq!((&begun["event_action"], &ended["event_action"]), (&json!("trigger"), &json!("resolve")));
        assert_eq!(begun["dedup_key"], ended["dedup_key"]);
    }

    #[test]
    fn event_respects_the_api_limits() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.vantage = "v".repeat(128);
        news.alert = "ä".repeat(64);
        news.alerts[0].server = Some("\u{202e}\"\n".repeat(1000));
        news.alerts[0].summary = "ß\n".repeat(5000);
        let event = event(&news, &news.alerts[0], "k");
        let summary = event["payload"]["summary"].as_str().unwrap();
        assert!(summary.len() <= 1024 && !summary.contains('\n') && summary.ends_with('…'), "{summary}");
        assert!(event["dedup_key"].as_str().unwrap().len() <= 255);
        assert!(["info", "warning", "error", "critical"].contains(&event["payload"]["severity"].as_str().unwrap()));
        assert!(event.to_string().len() < 512 << 10);
    }

    #[test]
    fn each_server_has_its_own_incident() {
        let news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        let mut other = news.alerts[0].clone();
        other.server = Some("another".into());
        assert_ne!(dedup_key(&news, &news.alerts[0]), dedup_key(&news, &other));
    }
}
