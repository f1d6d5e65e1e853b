//! ntfy: publishes a message to a topic as JSON, so that neither topic nor text appears in a URL or a header.

use serde_json::{Value, json};

use super::http::{Http, Request};
use super::{Notifier, Progress, Sending, signs, words};
use crate::config::{Hidden, Notifier as Config};
use crate::report::message::Report;
use ntp_monitor_core::alert::notification::{Notification, Severity, Status};

/// A message of more than 4096 bytes would become an attachment.
const TEXT_BYTES: usize = 4000;

pub(super) struct Ntfy {
    http: Http,
    url: String,
    topic: Hidden,
    token: Option<Hidden>,
}

impl Ntfy {
    pub(super) fn new(config: &Config, url: &str, topic: &Hidden, token: Option<&Hidden>) -> Result<Self, String> {
        let http = Http::new(config, [topic].into_iter().chain(token))?;
        Ok(Self { http, url: url.to_owned(), topic: topic.clone(), token: token.cloned() })
    }

    async fn publish(&self, mut message: Value) -> Result<String, super::Failure> {
        message["topic"] = json!(self.topic.expose());
        let mut request = Request::json(&self.url, &message);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.expose()));
        }
        self.http.send(request, signs::ntfy).await
    }
}

impl Notifier for Ntfy {
    fn deliver<'a>(&'a self, notification: &'a Notification, _: &'a mut Progress) -> Sending<'a> {
        Box::pin(self.publish(message(notification)))
    }

    fn send_report<'a>(&'a self, report: &'a Report, _: &'a mut Progress) -> Sending<'a> {
        let message = words::clip_bytes(&report.summary, TEXT_BYTES);
        Box::pin(self.publish(json!({ "title": words::one_line(&report.title), "message": message })))
    }
}

fn message(notification: &Notification) -> Value {
    let (priority, tag) = match (notification.status, notification.severity) {
        (Status::Resolved, _) => (3, "white_check_mark"),
        (_, Severity::Critical) => (5, "rotating_light"),
        (_, Severity::Warning) => (4, "warning"),
        (_, Severity::Info) => (3, "information_source"),
    };
    let mut message = json!({
        "title": words::title(notification),
        "message": words::clip_bytes(&words::text(notification), TEXT_BYTES),
        "priority": priority,
        "tags": [tag],
    });
    if let Some(url) = &notification.url {
        message["click"] = json!(url);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_stays_below_the_attachment_limit() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.severity = Severity::Critical;
        news.description = "ß".repeat(5000);
        let message = message(&news);
        assert!(message["message"].as_str().unwrap().len() <= TEXT_BYTES);
        assert_eq!(message["priority"], 5);
    }
}
