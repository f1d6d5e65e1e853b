//! How each service confirms that it has accepted a message. A 2xx status alone is no confirmation: proxies, sign-in
//! pages and some of the services themselves answer 200 when nothing was delivered.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::Retry;
use crate::outbound;

/// A response with a 2xx status.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub status: StatusCode,
    pub text: &'a str,
}

/// The meaning of a 2xx response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// The message was not accepted; the second value says why.
    Not(Retry, String),
}

use Verdict::{Not, Taken};

impl Reply<'_> {
    fn json(&self) -> Option<Value> {
        serde_json::from_str(self.text).ok()
    }

    /// Judges a response that lacks the confirmation of the service. A web page is certainly not from the service. Any
    /// other response may be, so the number of repeats is limited.
    fn foreign(&self, confirmation: &str) -> Verdict {
        let retry = if is_page(self.text) { Retry::Paused } else { Retry::Unanswered };
        Not(retry, format!("the response is not {confirmation}"))
    }

    /// Judges a response whose body contains an HTTP status.
    fn with_code(code: u64, after: Option<Duration>, why: &str) -> Verdict {
        let status = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
        let retry = status.and_then(|status| judge(status, after)).unwrap_or(Retry::Refused);
        Not(retry, why.to_owned())
    }
}

/// When to retry after this status; `None` for success.
pub(super) fn judge(status: StatusCode, after: Option<Duration>) -> Option<Retry> {
    let again = after.map_or(Retry::Backoff, Retry::After);
    match status.as_u16() {
        200..=299 => None,
        408 | 425 | 429 => Some(again),
        // A proxy has sent the request on, and the service behind it did not answer in time.
        504 | 524 => Some(Retry::Unanswered),
        500.. => Some(again),
        400 | 406 | 409 | 411..=415 | 422 => Some(Retry::Refused),
        _ => Some(Retry::Paused),
    }
}

/// An incoming webhook of Slack says `ok`, and so do Mattermost and Discord; others say it in JSON.
pub(super) fn slack(reply: &Reply<'_>) -> Verdict {
    if reply.text.trim().eq_ignore_ascii_case("ok") {
        return Taken;
    }
    match reply.json().as_ref().and_then(success) {
        Some(true) => Taken,
        Some(false) => Not(Retry::Refused, "the service did not accept the message".to_owned()),
        None => reply.foreign("Slack's \"ok\""),
    }
}

/// A workflow answers 202; an older connector 200 with `1`. A connector also reports failures with 200, and the status
/// of the service behind it in the text.
pub(super) fn teams(reply: &Reply<'_>) -> Verdict {
    let text = reply.text.trim();
    if is_page(text) {
        return reply.foreign("that of a Teams workflow");
    }
    let lower = text.to_ascii_lowercase();
    if lower.contains("failed") || lower.contains("error") {
        let code = lower.split_once("http error").and_then(|(_, rest)| number(rest)).or_else(|| number(&lower));
        return Reply::with_code(code.unwrap_or(503), None, "Teams did not deliver the message");
    }
    match reply.status.as_u16() {
        202 => Taken,
        _ if text == "1" => Taken,
        _ => reply.foreign("that of a Teams workflow (202)"),
    }
}

/// The first number of three digits.
fn number(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 3)?.parse().ok()
}

/// The Bot API answers `{"ok":true,…}`, or `{"ok":false,"error_code":…,"description":…}`.
pub(super) fn telegram(reply: &Reply<'_>) -> Verdict {
    let json = reply.json().unwrap_or_default();
    match json["ok"].as_bool() {
        Some(true) => Taken,
        Some(false) => {
            let code = json["error_code"].as_u64().unwrap_or(400);
            Reply::with_code(code, wait_in_body(reply.text), "Telegram did not accept the message")
        }
        None => reply.foreign("that of Telegram's Bot API"),
    }
}

/// Telegram returns the time to wait in the response body.
pub(super) fn wait_in_body(text: &str) -> Option<Duration> {
    let json: Value = serde_json::from_str(text).ok()?;
    outbound::seconds(&json.get("parameters")?.get("retry_after")?.as_f64()?.to_string())
}

/// The Events API answers `{"status":"success",…}`.
pub(super) fn pagerduty(reply: &Reply<'_>) -> Verdict {
    let json = reply.json().unwrap_or_default();
    match json["status"].as_str() {
        Some("success") => Taken,
        Some(said) if said.contains("throttle") => Not(Retry::Backoff, "PagerDuty limits the events".to_owned()),
        Some(_) => Not(Retry::Refused, "PagerDuty did not accept the event".to_owned()),
        None => reply.foreign("that of PagerDuty's Events API"),
    }
}

/// ntfy returns the message that it publishes, with its `id` and `"event":"message"`.
pub(super) fn ntfy(reply: &Reply<'_>) -> Verdict {
    let json = reply.json().unwrap_or_default();
    if json["event"] == "message" && json["id"].is_string() {
        return Taken;
    }
    match json["http"].as_u64() {
        Some(code) => Reply::with_code(code, None, "ntfy did not accept the message"),
        None => reply.foreign("that of ntfy"),
    }
}

/// A generic receiver: any 2xx response, unless it is a web page or reports a failure in JSON. With `expect`, exactly
/// the responses that contain this text.
pub(super) fn webhook(reply: &Reply<'_>, expect: Option<&str>) -> Verdict {
    if let Some(part) = expect {
        let retry = if is_page(reply.text) { Retry::Paused } else { Retry::Refused };
        return if reply.text.contains(part) { Taken } else { Not(retry, format!("the response lacks {part:?}")) };
    }
    if is_page(reply.text) {
        return reply.foreign("from a webhook");
    }
    match reply.json().as_ref().and_then(success) {
        Some(false) => Not(Retry::Refused, "the receiver says that it failed".to_owned()),
        _ => Taken,
    }
}

/// As [`webhook`], and not `OK (not found)` or `OK (rate limited)`, which Healthchecks sends with status 200.
pub(super) fn heartbeat(reply: &Reply<'_>, expect: Option<&str>) -> Verdict {
    let text = reply.text.trim().to_ascii_lowercase();
    match text.strip_prefix("ok (") {
        Some(_) if expect.is_some() => webhook(reply, expect),
        Some(rest) if rest.contains("limit") => Not(Retry::Backoff, "the heartbeat was not counted".to_owned()),
        Some(_) => Not(Retry::Paused, "the heartbeat was not counted: check the URL".to_owned()),
        None => webhook(reply, expect),
    }
}

/// Whether JSON says that a request succeeded; `None` if it does not say.
fn success(json: &Value) -> Option<bool> {
    let said = ["ok", "success"].iter().find_map(|key| json[key].as_bool());
    // DingTalk and WeCom; Feishu names its field `StatusCode` or, beside `msg`, `code`.
    let code = json["errcode"].as_i64().or_else(|| json["StatusCode"].as_i64());
    let code = code.or_else(|| json["msg"].as_str().and(json["code"].as_i64()));
    let said = said.or_else(|| code.map(|code| code == 0 || (200..300).contains(&code)));
    said.or_else(|| names_an_error(json).then_some(false))
}

/// Whether JSON has an error where many APIs have it: in `error` or `errors`, or as its `status`.
fn names_an_error(json: &Value) -> bool {
    let has = |key| match &json[key] {
        Value::Null => false,
        Value::Bool(is_error) => *is_error,
        Value::Number(code) => code.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(errors) => !errors.is_empty(),
        Value::Object(error) => !error.is_empty(),
    };
    let status = json["status"].as_str().unwrap_or_default().to_ascii_lowercase();
    has("error") || has("errors") || matches!(status.as_str(), "error" | "fail" | "failed" | "failure")
}

/// Whether a body is a web page, such as a sign-in page.
fn is_page(text: &str) -> bool {
    let start: String = text.trim_start_matches('\u{feff}').trim_start().chars().take(500).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with('<') && start.contains("<html")
}

/// A response body as a reason: a web page by its title, anything else by its beginning.
pub(super) fn shown(text: &str) -> String {
    if !is_page(text) {
        return outbound::short(text);
    }
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let from = at + lower[at..].find('>')? + 1;
        text.get(from..from + lower[from..].find('<')?)
    });
    match title.map(outbound::short).filter(|title| !title.is_empty()) {
        Some(title) => format!("a web page titled {title:?}"),
        None => "a web page".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_maps_to_a_retry() {
        let minute = Some(Duration::from_secs(60));
        let retry = |status: u16, after| judge(StatusCode::from_u16(status).unwrap(), after);
        for taken in [200, 201, 202, 204] {
            assert_eq!(retry(taken, None), None);
        }
        assert_eq!((retry(504, None), retry(524, minute)), (Some(Retry::Unanswered), Some(Retry::Unanswered)));
        for passing in [408, 429, 500, 502, 503] {
            assert_eq!(retry(passing, None), Some(Retry::Backoff));
            assert_eq!(retry(passing, minute), Some(Retry::After(Duration::from_secs(60))));
        }
        for ours in [301, 302, 307, 308, 401, 403, 404, 405, 407, 410] {
            assert_eq!(retry(ours, minute), Some(Retry::Paused), "{ours}");
        }
        for the_message in [400, 413, 415, 422] {
            assert_eq!(retry(the_message, None), Some(Retry::Refused), "{the_message}");
        }
    }

    const PAGE: &str = "\n<!DOCTYPE html><html><head><title>Sign in to\nAcme</title></head><form></form></html>";

    fn reply(status: u16, text: &str) -> Reply<'_> {
        Reply { status: StatusCode::from_u16(status).unwrap(), text }
    }

    fn retry(verdict: Verdict) -> Option<Retry> {
        match verdict {
            Taken => None,
            Not(retry, _) => Some(retry),
        }
    }

    #[test]
    fn page_of_a_proxy_confirms_nothing() {
        let page = reply(200, PAGE);
        let services = [
            slack,
            teams,
            telegram,
            pagerduty,
            ntfy,
            |r: &Reply<'_>| webhook(r, None),
            |r: &Reply<'_>| heartbeat(r, None),
        ];
        for service in services {
            assert_eq!(retry(service(&page)), Some(Retry::Paused));
        }
        assert_eq!(shown(PAGE), "a web page titled \"Sign in to Acme\"");
        assert_eq!(shown("<html>"), "a web page");
    }

    #[test]
    fn empty_response_is_no_confirmation_where_text_is_expected() {
        for service in [slack, teams, telegram, pagerduty, ntfy] {
            assert_eq!(retry(service(&reply(200, ""))), Some(Retry::Unanswered));
        }
        assert_eq!(webhook(&reply(200, ""), None), Taken);
        assert_eq!(heartbeat(&reply(200, ""), None), Taken);
        assert_eq!(teams(&reply(202, "")), Taken);
    }

    #[test]
    fn failure_inside_a_200_has_the_retry_of_its_own_status() {
        let teams = |code: u16| {
            let text = format!(
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {code} with \
                 ContextId tcid=0"
            );
            retry(super::teams(&reply(200, &text)))
        };
        assert_eq!((teams(400), teams(429)), (Some(Retry::Refused), Some(Retry::Backoff)));
        let limited = r#"{"ok":false,"error_code":429,"parameters":{"retry_after":7}}"#;
        assert_eq!(retry(telegram(&reply(200, limited))), Some(Retry::After(Duration::from_secs(7))));
        let blocked = r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#;
        assert_eq!(retry(telegram(&reply(200, blocked))), Some(Retry::Paused));
        assert_eq!(retry(pagerduty(&reply(200, r#"{"status":"invalid event"}"#))), Some(Retry::Refused));
        assert_eq!(retry(ntfy(&reply(200, r#"{"code":42901,"http":429}"#))), Some(Retry::Backoff));
        assert_eq!(retry(slack(&reply(200, r#"{"ok":false,"error":"no_team"}"#))), Some(Retry::Refused));
        for no in [
            r#"{"ok":false}"#,
            r#"{"errcode":310000,"errmsg":"x"}"#,
            r#"{"code":19024,"msg":"Key Words"}"#,
            r#"{"status":"error","message":"denied"}"#,
            r#"{"error":{"code":5,"message":"no"}}"#,
            r#"{"partial_success":true,"errors":["x failed"]}"#,
            r#"{"took":3,"errors":true,"items":[]}"#,
        ] {
            assert_eq!(retry(webhook(&reply(200, no), None)), Some(Retry::Refused), "{no}");
        }
        for yes in [
            r#"{"ok":true}"#,
            r#"{"errcode":0}"#,
            r#"{"code":0,"msg":"success"}"#,
            "queued",
            r#"{"code":9}"#,
            r#"{"status":"firing","error":null,"errors":[]}"#,
            r#"{"error":"","errors":false}"#,
            r#"{"error":0,"errors":{}}"#,
        ] {
            assert_eq!(webhook(&reply(200, yes), None), Taken, "{yes}");
        }
    }

    #[test]
    fn heartbeat_that_does_not_count_is_no_success() {
        assert_eq!(heartbeat(&reply(200, "OK"), None), Taken);
        assert_eq!(retry(heartbeat(&reply(200, "OK (not found)"), None)), Some(Retry::Paused));
        assert_eq!(retry(heartbeat(&reply(200, "OK (rate limited)\n"), None)), Some(Retry::Backoff));
        assert_eq!(
            retry(heartbeat(&reply(200, r#"{"ok":false,"msg":"Monitor not found"}"#), None)),
            Some(Retry::Refused)
        );
    }

    #[test]
    fn expected_text_decides_alone() {
        assert_eq!(webhook(&reply(200, PAGE), Some("Acme")), Taken);
        assert_eq!(retry(webhook(&reply(200, "fine"), Some("done"))), Some(Retry::Refused));
    }
}
