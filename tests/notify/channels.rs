//! The messages of each channel.

use super::*;

#[tokio::test]
async fn webhook_has_body_key_headers_and_valid_signature() {
    let seen = sent(
        |receiver| {
            let url = receiver.url("/hook?a=b");
            format!("type = \"webhook\"\nurl = \"{url}\"\nsecret = \"s3cret\"\nheaders = {{ X-Site = \"ams\" }}\n")
        },
        &resolved("k1", "offset"),
    )
    .await;
    let [request] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(request.line(), "POST /hook?a=b");
    assert_eq!(
        request.json(),
        json!({
            "status": "resolved", "alert": "offset", "severity": "critical", "server": "office", "value": 72.5,
            "summary": "office is 72.5 ms off (k1)", "description": "The majority disagrees <b>\"&\"</b>.",
            "labels": { "site": "ams" }, "started_at": "2026-11-23T01:02:03Z", "ended_at": "2026-11-23T02:00:00Z",
            "vantage": "here", "url": "https://ntp.example.net/",
        })
    );
    assert_eq!(request.header("Idempotency-Key").as_deref(), Some("k1"));
    assert_eq!(request.header("X-Site").as_deref(), Some("ams"));
    assert_eq!(request.header("Content-Type").as_deref(), Some("application/json"));
    let signature = request.header(notify::SIGNATURE).unwrap();
    let (time, mac) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert_eq!(openssl_hmac("s3cret", &format!("{time}.{}", request.body)), mac);
}

/// The HMAC as another program computes it.
fn openssl_hmac(key: &str, text: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    out.trim().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn webhook_sends_alerts_with_own_keys_or_one_templated_body() {
    let mut group = news("g", "offset");
    group.alerts.push(Instance { server: None, value: None, ..group.alerts[0].clone() });
    let seen = sent(|receiver| format!("type = \"webhook\"\nurl = \"{}\"\n", receiver.url("/")), &group).await;
    let keys: Vec<_> = seen.iter().map(|request| request.header("Idempotency-Key").unwrap()).collect();
    assert_eq!(keys, ["g/0", "g/1"]);
    assert_eq!((&seen[1].json()["server"], &seen[1].json()["value"]), (&Value::Null, &Value::Null));

    let template = "body_template = '''{{ status }} {{ alerts|length }} {{ alerts[0].server }}'''\n";
    let keys = |receiver: &Receiver| {
        format!("type = \"webhook\"\nurl = \"{}\"\ncontent_type = \"text/plain\"\n{template}", receiver.url("/"))
    };
    let seen = sent(keys, &group).await;
    assert_eq!((seen.len(), seen[0].body.as_str()), (1, "firing 2 office"));
    assert_eq!(seen[0].header("Content-Type").as_deref(), Some("text/plain"));
}

#[tokio::test]
async fn chats_get_event_place_and_advice_in_their_own_format() {
    type Look = fn(&Request) -> String;
    let chats: [(&str, &str, &str, Look); 5] = [
        ("type = \"slack\"\nurl = \"@/services/T/B/x\"\n", "POST /services/T/B/x", "&lt;b&gt;", |request| {
            request.json()["attachments"][0]["blocks"].to_string()
        }),
        ("type = \"teams\"\nurl = \"@/workflows/1\"\n", "POST /workflows/1", r"\\<b\\>", |request| {
            request.json()["attachments"][0]["content"].to_string()
        }),
        ("type = \"ntfy\"\napi_url = \"@\"\ntopic = \"clocks\"\ntoken = \"tk_1\"\n", "POST /", "<b>", |request| {
            assert_eq!(request.header("Authorization").as_deref(), Some("Bearer tk_1"));
            assert_eq!((&request.json()["topic"], &request.json()["priority"]), (&json!("clocks"), &json!(5)));
            request.json().to_string()
        }),
        (
            "type = \"telegram\"\napi_url = \"@\"\ntoken = \"1:AB\"\nchat_id = \"-100\"\n",
            "POST /bot1:AB/sendMessage",
            "&lt;b&gt;",
            |request| {
                assert_eq!(request.json()["chat_id"], "-100");
                request.json()["text"].to_string()
            },
        ),
        ("type = \"pagerduty\"\napi_url = \"@\"\nrouting_key = \"rk\"\n", "POST /v2/enqueue", "<b>", |request| {
            let event = request.json();
            assert_eq!((&event["routing_key"], &event["event_action"]), (&json!("rk"), &json!("trigger")));
            assert_eq!(event["payload"]["severity"], "critical");
            event.to_string()
        }),
    ];
    for (keys, line, escaped, look) in chats {
        let seen = sent(|receiver| keys.replace('@', &receiver.url("")), &news("k", "offset")).await;
        assert_eq!((seen.len(), seen[0].line()), (1, line));
        let shown = look(&seen[0]);
        for part in ["office is 72.5 ms off", "https://example.net/runbook", "The majority disagrees", escaped] {
            assert!(shown.contains(part), "{line}: {part} in {shown}");
        }
    }
}
