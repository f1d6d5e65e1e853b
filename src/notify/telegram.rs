//! Telegram, over the Bot API. The token is part of the URL, so errors never contain the URL.

use serde_json::json;

use super::http::{Http, Request};
use super::{Failure, Notifier, Progress, Sending, signs, words};
use crate::config::{Chat, Hidden, Notifier as Config};
use crate::report::message::Report;
use ntp_monitor_core::alert::notification::Notification;
use ntp_monitor_core::text::html::Text;

/// A message has at most 4096 UTF-16 code units, not counting markup; the title uses the rest.
const TEXT_UNITS: usize = 3500;
const TITLE_UNITS: usize = 500;

pub(super) struct Telegram {
    http: Http,
    url: Hidden,
    chat_id: String,
    topic: Option<i64>,
}

impl Telegram {
    pub(super) fn new(config: &Config, api_url: &str, token: &Hidden, chat: &Chat) -> Result<Self, String> {
        let url = Hidden::from(format!("{api_url}/bot{}/sendMessage", token.expose()).as_str());
        Ok(Self { http: Http::new(config, [token])?, url, chat_id: chat.id.clone(), topic: chat.topic })
    }

    async fn say(&self, title: &str, text: &str) -> Result<String, Failure> {
        let mut body = json!({
            "chat_id": self.chat_id,
            "text": html(title, text),
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
        });
        if let Some(topic) = self.topic {
            body["message_thread_id"] = json!(topic);
        }
        self.http.send(Request::json(self.url.expose(), &body), signs::telegram).await
    }
}

impl Notifier for Telegram {
    fn deliver<'a>(&'a self, notification: &'a Notification, _: &'a mut Progress) -> Sending<'a> {
        Box::pin(async { self.say(&words::title(notification), &words::text(notification)).await })
    }

    fn send_report<'a>(&'a self, report: &'a Report, _: &'a mut Progress) -> Sending<'a> {
        Box::pin(self.say(&report.title, &report.summary))
    }
}

fn html(title: &str, text: &str) -> String {
    let text = words::clip_utf16(text, TEXT_UNITS);
    let lines: Vec<String> = text.lines().map(|line| Text(line).to_string()).collect();
    format!("<b>{}</b>\n{}", Text(&words::clip_utf16(title, TITLE_UNITS)), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_within_the_length_limit() {
        for c in ["x", "ß", "😀", "<"] {
            let message = html(&c.repeat(5000), &c.repeat(5000));
            let shown = message.replace("<b>", "").replace("</b>", "").replace("&lt;", "<");
            assert!(shown.encode_utf16().count() <= 4096, "{c}");
        }
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(html("a < b", "x & y\n<b>"), "<b>a &lt; b</b>\nx &amp; y\n&lt;b&gt;");
    }
}
