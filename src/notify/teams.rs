//! Microsoft Teams, over the webhook of a workflow ("when a Teams webhook request is received"), which takes an
//! Adaptive Card.

use serde_json::{Value, json};

use super::http::{Http, Request};
use super::{Notifier, Progress, Sending, signs, words};
use crate::config::{Hidden, Notifier as Config};
use crate::report::message::Report;
use ntp_monitor_core::alert::notification::{Notification, Severity, Status};

/// Teams accepts 28 KB in total. A card has two texts, and JSON may double each byte of them.
const TEXT_BYTES: usize = 5000;

pub(super) struct Teams {
    http: Http,
    url: Hidden,
}

impl Teams {
    pub(super) fn new(config: &Config, url: &Hidden) -> Result<Self, String> {
        Ok(Self { http: Http::new(config, [url])?, url: url.clone() })
    }

    async fn post(&self, message: &Value) -> Result<String, super::Failure> {
        self.http.send(Request::json(self.url.expose(), message), signs::teams).await
    }
}

impl Notifier for Teams {
    fn deliver<'a>(&'a self, notification: &'a Notification, _: &'a mut Progress) -> Sending<'a> {
        Box::pin(async { self.post(&message(notification)).await })
    }

    fn send_report<'a>(&'a self, report: &'a Report, _: &'a mut Progress) -> Sending<'a> {
        let body = vec![heading(&report.title, "default"), paragraph(&report.summary)];
        Box::pin(async move { self.post(&card(body, Vec::new())).await })
    }
}

fn message(notification: &Notification) -> Value {
    let colour = match (notification.status, notification.severity) {
        (Status::Resolved, _) => "good",
        (_, Severity::Critical) => "attention",
        (_, Severity::Warning) => "warning",
        (_, Severity::Info) => "accent",
    };
    let mut body = vec![heading(&words::title(notification), colour)];
    if !notification.description.is_empty() {
        body.push(paragraph(&words::multi_line(&notification.description)));
    }
    let lines: Vec<String> = words::lines(notification).into_iter().map(|line| format!("- {line}")).collect();
    body.push(paragraph(&lines.join("\n")));
    let facts = [("Alert", &notification.alert), ("Seen from", &notification.vantage)];
    let facts: Vec<Value> = facts.iter().map(|(name, value)| json!({ "title": name, "value": value })).collect();
    body.push(json!({ "type": "FactSet", "facts": facts }));
    let links = [("Runbook", &notification.runbook_url), ("Details", &notification.url)];
    let actions = links
        .into_iter()
        .filter_map(|(title, url)| Some(json!({ "type": "Action.OpenUrl", "title": title, "url": url.as_ref()? })));
    card(body, actions.collect())
}

fn heading(text: &str, colour: &str) -> Value {
    json!({ "type": "TextBlock", "text": text, "size": "Medium", "weight": "Bolder", "wrap": true, "color": colour })
}

fn paragraph(text: &str) -> Value {
    json!({ "type": "TextBlock", "text": words::clip_bytes(text, TEXT_BYTES), "wrap": true })
}

fn card(body: Vec<Value>, actions: Vec<Value>) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": body,
                "actions": actions,
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_has_the_form_that_a_workflow_accepts() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.alerts = vec![news.alerts[0].clone(); 500];
        news.alert = "\"".repeat(128);
        news.vantage = "\\".repeat(128);
        news.url = Some(format!("https://{}", "u".repeat(990)));
        news.runbook_url.clone_from(&news.url);
        for c in ["d", "😀", "\"", "\\"] {
            news.summary = c.repeat(100_000);
            news.description = c.repeat(100_000);
            news.alerts.iter_mut().for_each(|alert| alert.summary = c.repeat(500));
            assert!(message(&news).to_string().len() < 28_000, "{c}");
        }
        let message = message(&news);
        let attachment = &message["attachments"][0];
        assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!(attachment["content"]["type"], "AdaptiveCard");
    }
}
