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
    let lines: Vec<String> = words::lines(notification).iter().map(|line| format!("- {}", escaped(line))).collect();
    body.push(text_block(&lines.join("\n")));
    let facts = [("Alert", &notification.alert), ("Seen from", &notification.vantage)];
    let facts: Vec<Value> =
        facts.iter().map(|(name, value)| json!({ "title": name, "value": escaped(value) })).collect();
    body.push(json!({ "type": "FactSet", "facts": facts }));
    let links = [("Runbook", &notification.runbook_url), ("Details", &notification.url)];
    let actions = links
        .into_iter()
        .filter_map(|(title, url)| Some(json!({ "type": "Action.OpenUrl", "title": title, "url": url.as_ref()? })));
    card(body, actions.collect())
}

fn heading(text: &str, colour: &str) -> Value {
    let text = escaped(text);
    json!({ "type": "TextBlock", "text": text, "size": "Medium", "weight": "Bolder", "wrap": true, "color": colour })
}

fn paragraph(text: &str) -> Value {
    text_block(&escaped(text))
}

fn text_block(markdown: &str) -> Value {
    json!({ "type": "TextBlock", "text": clipped(markdown), "wrap": true })
}

/// Cuts a text that is too long, never within an escape.
fn clipped(markdown: &str) -> String {
    if markdown.len() <= TEXT_BYTES {
        return markdown.to_owned();
    }
    let cut = &markdown[..markdown.floor_char_boundary(TEXT_BYTES - '…'.len_utf8())];
    let backslashes = cut.len() - cut.trim_end_matches('\\').len();
    format!("{}…", &cut[..cut.len() - backslashes % 2])
}

/// Text in which no character has a meaning to Markdown: cards show a subset of it, with links.
fn escaped(text: &str) -> String {
    text.split('\n').map(escaped_line).collect::<Vec<_>>().join("\n")
}

fn escaped_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut at_start = true;
    let mut after_number = false;
    for c in line.chars() {
        let anywhere = matches!(c, '\\' | '*' | '_' | '[' | ']' | '`' | '~' | '<' | '>' | '&' | '|' | '!');
        // A heading, a list, or a numbered list.
        let of_line = at_start && matches!(c, '#' | '-' | '+' | '=') || after_number && matches!(c, '.' | ')');
        if anywhere || of_line {
            out.push('\\');
        }
        out.push(c);
        after_number = (at_start || after_number) && c.is_ascii_digit();
        at_start &= c.is_whitespace();
    }
    out
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
    fn text_of_others_is_no_markdown() {
        assert_eq!(
            escaped("[Sign in](https://evil.example) **now**"),
            "\\[Sign in\\](https://evil.example) \\*\\*now\\*\\*"
        );
        assert_eq!(escaped("# a\n - b\n12. c\n1-2 #d"), "\\# a\n \\- b\n12\\. c\n1-2 #d");
        assert_eq!(escaped("a\\[b](c) <d> `e`"), "a\\\\\\[b\\](c) \\<d\\> \\`e\\`");
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.alert = "[x](y)".into();
        news.summary = "[x](y)".into();
        news.description = "[x](y)".into();
        news.alerts.iter_mut().for_each(|alert| alert.summary = "[x](y)".into());
        assert!(!message(&news).to_string().contains("[x]("));
    }

    #[test]
    fn escape_is_never_cut() {
        for shift in 0..3 {
            let text = clipped(&("x".repeat(shift) + &escaped(&"*\\".repeat(TEXT_BYTES))));
            let end = text.strip_suffix('…').unwrap();
            assert!(text.len() <= TEXT_BYTES && (end.len() - end.trim_end_matches('\\').len()).is_multiple_of(2));
        }
    }

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
