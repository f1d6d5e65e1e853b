//! Slack, by an incoming webhook. The text stands in blocks, and once more as plain text for notifications on screens.

use serde_json::{Value, json};

use super::http::{Http, Request};
use super::{Notifier, Sending, words};
use crate::alert::notification::Notification;
use crate::config::{Hidden, Notifier as Config};
use crate::report::message::Report;

/// Limits of Slack's blocks.
const HEADER_CHARS: usize = 150;
const SECTION_CHARS: usize = 2900;

pub(super) struct Slack {
    http: Http,
    url: Hidden,
}

impl Slack {
    pub(super) fn new(config: &Config, url: &Hidden) -> Result<Self, String> {
        Ok(Self { http: Http::new(config, [url])?, url: url.clone() })
    }
}

impl Notifier for Slack {
    fn deliver<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        Box::pin(async { self.http.send(Request::json(self.url.expose(), &message(notification))).await })
    }

    fn send_report<'a>(&'a self, report: &'a Report) -> Sending<'a> {
        let text = escape(&format!("{}\n{}", report.title, report.summary));
        Box::pin(async move { self.http.send(Request::json(self.url.expose(), &json!({ "text": text }))).await })
    }
}

fn message(notification: &Notification) -> Value {
    let title = words::title(notification);
    let mut parts = vec![words::multi_line(&notification.description)];
    parts.extend(words::lines(notification).into_iter().map(|line| format!("• {line}")));
    parts.retain(|part| !part.is_empty());
    let section = words::clip(&escape(&parts.join("\n")), SECTION_CHARS);
    let facts = words::facts(notification).into_iter();
    let facts = facts.map(|(name, value)| format!("*{name}:* {}", escape(&words::one_line(&value))));
    let context = words::clip(&facts.collect::<Vec<_>>().join("   "), SECTION_CHARS);
    json!({
        "text": escape(&title),
        "attachments": [{
            "color": words::colour(notification),
            "blocks": [
                { "type": "header", "text": { "type": "plain_text", "text": words::clip(&title, HEADER_CHARS) } },
                { "type": "section", "text": { "type": "mrkdwn", "text": section } },
                { "type": "context", "elements": [{ "type": "mrkdwn", "text": context }] },
            ],
        }],
    })
}

/// The three characters that mean something to Slack.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::trial::sample;

    #[test]
    fn a_message_keeps_to_the_limits_of_blocks_and_names_nobody_by_accident() {
        let mut news = sample();
        news.summary = "<!channel> & ".repeat(100);
        news.description = "x".repeat(10_000);
        let message = message(&news);
        let blocks = &message["attachments"][0]["blocks"];
        assert_eq!(blocks[0]["text"]["text"].as_str().unwrap().chars().count(), HEADER_CHARS);
        assert_eq!(blocks[1]["text"]["text"].as_str().unwrap().chars().count(), SECTION_CHARS);
        assert!(!message["text"].as_str().unwrap().contains("<!channel>"));
        assert!(blocks[2]["elements"][0]["text"].as_str().unwrap().starts_with("*Alert:* "));
    }
}
