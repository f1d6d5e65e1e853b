//! Slack, over an incoming webhook. The text is sent as blocks, and as plain text for desktop notifications.

use serde_json::{Value, json};

use super::http::{Http, Request};
use super::{Notifier, Progress, Sending, signs, words};
use crate::config::{Hidden, Notifier as Config};
use crate::report::message::Report;
use ntp_monitor_core::alert::notification::Notification;

/// Length limits of Slack's blocks; escapes count with their full length.
const HEADER_CHARS: usize = 150;
const SECTION_CHARS: usize = 3000;

pub(super) struct Slack {
    http: Http,
    url: Hidden,
}

impl Slack {
    pub(super) fn new(config: &Config, url: &Hidden) -> Result<Self, String> {
        Ok(Self { http: Http::new(config, [url])?, url: url.clone() })
    }

    async fn post(&self, message: &Value) -> Result<String, super::Failure> {
        self.http.send(Request::json(self.url.expose(), message), signs::slack).await
    }
}

impl Notifier for Slack {
    fn deliver<'a>(&'a self, notification: &'a Notification, _: &'a mut Progress) -> Sending<'a> {
        Box::pin(async { self.post(&message(notification)).await })
    }

    fn send_report<'a>(&'a self, report: &'a Report, _: &'a mut Progress) -> Sending<'a> {
        let text = escaped(&format!("{}\n{}", report.title, report.summary), SECTION_CHARS);
        Box::pin(async move { self.post(&json!({ "text": text })).await })
    }
}

fn message(notification: &Notification) -> Value {
    let title = words::title(notification);
    let mut parts = vec![words::multi_line(&notification.description)];
    parts.extend(words::lines(notification).into_iter().map(|line| format!("• {line}")));
    parts.retain(|part| !part.is_empty());
    let section = escaped(&parts.join("\n"), SECTION_CHARS);
    let facts = words::facts(notification).into_iter();
    let facts: Vec<String> = facts.map(|(name, value)| format!("*{name}:* {}", words::one_line(&value))).collect();
    let context = escaped(&facts.join("   "), SECTION_CHARS);
    json!({
        "text": escaped(&title, SECTION_CHARS),
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

/// Escapes the three characters that are special to Slack, and limits the result to `most` characters. Never cuts an
/// escape.
fn escaped(text: &str, most: usize) -> String {
    let (mut out, mut left) = (String::new(), most);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let mut own = [0; 4];
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => c.encode_utf8(&mut own),
        };
        let length = piece.chars().count();
        // Unless this is the last character, reserve room for the ellipsis.
        if length + usize::from(rest.peek().is_some()) > left {
            out.push('…');
            break;
        }
        out.push_str(piece);
        left -= length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_respects_block_limits_and_mentions_no_user() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.summary = "<!channel> & ".repeat(100);
        news.description = "x".repeat(10_000);
        let message = message(&news);
        let blocks = &message["attachments"][0]["blocks"];
        assert_eq!(blocks[0]["text"]["text"].as_str().unwrap().chars().count(), HEADER_CHARS);
        assert_eq!(blocks[1]["text"]["text"].as_str().unwrap().chars().count(), SECTION_CHARS);
        assert!(blocks.as_array().unwrap().len() <= 50);
        assert!(!message["text"].as_str().unwrap().contains("<!channel>"));
        assert!(blocks[2]["elements"][0]["text"].as_str().unwrap().starts_with("*Alert:* "));
    }

    #[test]
    fn escape_is_never_cut() {
        assert_eq!(escaped("a<b", 6), "a&lt;b");
        assert_eq!(escaped("a<b", 5), "a…");
        assert_eq!(escaped("<<<", 12), "&lt;&lt;&lt;");
        for most in 1..40 {
            let text = escaped(&"&x".repeat(20), most);
            assert!(text.chars().count() <= most && !text.contains("&…") && !text.contains("&amp…"), "{text}");
        }
    }
}
