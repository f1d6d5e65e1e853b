//! A table by service: its responses when it accepts a message, refuses it, limits the rate, is too slow, or is another
//! program.

use super::*;

/// The meaning of a response.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    Taken,
    /// Not accepted, with the retry and a part of the reason.
    Not(Retry, &'static str),
}

use Meaning::{Not, Taken};

type Case = (u16, &'static str, &'static str, Meaning);

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form></form></body></html>";
const SOON: Retry = Retry::After(Duration::from_secs(7));
const FAILED_400: &str = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 400 \
     with ContextId tcid=0,server=DM3PEPF0000";
const FAILED_429: &str = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 \
     with ContextId tcid=0,server=DM3PEPF0000";

/// The keys of a service, and its responses.
const SERVICES: [(&str, &[Case]); 7] = [
    (
        "type = \"slack\"\nurl = \"@/services/T/B/x\"\n",
        &[
            (200, "", "ok", Taken),
            (200, "", "", Not(Retry::Unanswered, "Slack's \"ok\": 200 OK")),
            (200, "", PAGE, Not(Retry::Paused, "a web page titled \"Sign in\"")),
            (200, "", "{\"ok\":false,\"error\":\"channel_is_archived\"}", Not(Retry::Refused, "channel_is_archived")),
            (400, "", "invalid_payload", Not(Retry::Refused, "invalid_payload")),
            (404, "", "no_service", Not(Retry::Paused, "no_service")),
            (429, "Retry-After: 7\r\n", "", Not(SOON, "429")),
            (504, "", "", Not(Retry::Unanswered, "504")),
        ],
    ),
    (
        "type = \"teams\"\nurl = \"@/workflows/1\"\n",
        &[
            (202, "", "", Taken),
            (200, "", "1", Taken),
            (200, "", FAILED_400, Not(Retry::Refused, "HTTP error 400")),
            (200, "", FAILED_429, Not(Retry::Backoff, "HTTP error 429")),
            (200, "", "", Not(Retry::Unanswered, "a Teams workflow (202): 200 OK")),
            (200, "", PAGE, Not(Retry::Paused, "Sign in")),
            (429, "Retry-After: 6.5\r\n", "", Not(Retry::After(Duration::from_millis(6500)), "429")),
            (401, "", "{\"error\":{\"code\":\"DirectApiAuthorizationRequired\"}}", Not(Retry::Paused, "DirectApi")),
        ],
    ),
    (
        "type = \"telegram\"\napi_url = \"@\"\ntoken = \"1:AB\"\nchat_id = \"-100\"\n",
        &[
            (200, "", "{\"ok\":true,\"result\":{\"message_id\":1}}", Taken),
            (
                200,
                "",
                "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: chat not found\"}",
                CHAT_NOT_FOUND,
            ),
            (200, "", "{\"ok\":false,\"description\":\"no\"}", Not(Retry::Refused, "no")),
            (429, "", "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":7}}", Not(SOON, "429")),
            (200, "", "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":7}}", Not(SOON, "429")),
            (403, "", "{\"ok\":false,\"error_code\":403,\"description\":\"bot was kicked\"}", KICKED),
            (200, "", "", Not(Retry::Unanswered, "Telegram")),
            (200, "", PAGE, Not(Retry::Paused, "Sign in")),
        ],
    ),
    (
        "type = \"pagerduty\"\napi_url = \"@\"\nrouting_key = \"rk\"\n",
        &[
            (202, "", "{\"status\":\"success\",\"message\":\"Event processed\",\"dedup_key\":\"k\"}", Taken),
            (400, "", "{\"status\":\"invalid event\",\"errors\":[\"x\"]}", Not(Retry::Refused, "invalid event")),
            (200, "", "{\"status\":\"invalid event\",\"errors\":[\"x\"]}", Not(Retry::Refused, "invalid event")),
            (429, "", "{\"status\":\"throttle exceeded\"}", Not(Retry::Backoff, "throttle")),
            (202, "", "", Not(Retry::Unanswered, "PagerDuty")),
            (200, "", PAGE, Not(Retry::Paused, "Sign in")),
        ],
    ),
    (
        "type = \"ntfy\"\napi_url = \"@\"\ntopic = \"clocks\"\n",
        &[
            (200, "", "{\"id\":\"sPs71M8A2T\",\"time\":1643935928,\"event\":\"message\"}", Taken),
            (
                200,
                "",
                "{\"code\":42901,\"http\":429,\"error\":\"limit reached\"}",
                Not(Retry::Backoff, "limit reached"),
            ),
            (403, "", "{\"code\":40301,\"http\":403,\"error\":\"forbidden\"}", Not(Retry::Paused, "forbidden")),
            (429, "Retry-After: 7\r\n", "{\"code\":42901,\"http\":429}", Not(SOON, "42901")),
            (200, "", "", Not(Retry::Unanswered, "ntfy")),
            (200, "", PAGE, Not(Retry::Paused, "Sign in")),
        ],
    ),
    (
        "type = \"webhook\"\nurl = \"@/hook\"\n",
        &[
            (200, "", "", Taken),
            (204, "", "", Taken),
            (200, "", "{\"errcode\":0,\"errmsg\":\"ok\"}", Taken),
            (200, "", "{\"errcode\":310000,\"errmsg\":\"keywords not in content\"}", Not(Retry::Refused, "keywords")),
            (200, "", "{\"success\":false,\"error\":\"no channel\"}", Not(Retry::Refused, "no channel")),
            (200, "", PAGE, Not(Retry::Paused, "Sign in")),
            (308, "Location: /there\r\n", "", Not(Retry::Paused, "configure the final URL")),
            (503, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:44 GMT\r\n", "", LATER),
        ],
    ),
    (
        "type = \"heartbeat\"\nurl = \"@/ping/uuid\"\n",
        &[
            (200, "", "OK", Taken),
            (200, "", "{\"ok\":true}", Taken),
            (200, "", "OK (not found)", Not(Retry::Paused, "OK (not found)")),
            (200, "", "OK (rate limited)", Not(Retry::Backoff, "OK (rate limited)")),
            (404, "", "{\"ok\":false,\"msg\":\"Monitor not found\"}", Not(Retry::Paused, "Monitor not found")),
            (200, "", PAGE, Not(Retry::Paused, "Sign in")),
        ],
    ),
];

const CHAT_NOT_FOUND: Meaning = Not(Retry::Refused, "Bad Request: chat not found");
const KICKED: Meaning = Not(Retry::Paused, "bot was kicked");
const LATER: Meaning = Not(SOON, "503");

#[tokio::test]
async fn confirmation_of_each_service_is_recognised_and_shown() {
    for (keys, cases) in SERVICES {
        for (status, headers, body, meaning) in cases {
            let receiver = Receiver::scripted([Answer::Status(*status, headers, (*body).to_owned())]);
            let said = attempt(&one(&keys.replace('@', &receiver.url(""))), &news("k", "offset")).await;
            let case = format!("{keys}: {status} {body}: {said:?}");
            match meaning {
                Taken => assert!(said.unwrap().contains(if body.len() < 300 { body } else { "" }), "{case}"),
                Not(retry, part) => {
                    let failure = said.expect_err(&case);
                    assert!(failure.retry == *retry && failure.why.contains(part), "{case}");
                }
            }
            let agent = receiver.seen()[0].header("User-Agent").unwrap();
            assert!(agent.starts_with("ntp-monitor/"), "{agent}");
        }
    }
}

#[tokio::test]
async fn unanswered_message_is_repeated_a_few_times_only() {
    for (keys, _) in &SERVICES[..6] {
        for answer in [Answer::Hang, Answer::Reset, status(504)] {
            let (kept, receiver) = (kept(), Receiver::start(move |_| answer.clone()));
            kept.put("n", news("k", "offset")).await;
            let mut config = one(&keys.replace('@', &receiver.url("")));
            config.timeout = Duration::from_millis(50);
            let running = start(&kept, "n", &config).await;
            eventually("it is given up", || kept.waiting("n") == 0).await;
            assert_eq!((receiver.count(), running.gauge().given_up), (4, 1), "{keys}");
            let why = running.gauge().last_error.unwrap();
            assert!(why.contains("sent 4 times without an answer"), "{why}");
            running.end().await;
        }
    }
}

/// The connection is accepted, but TLS is never established, so nothing was sent.
#[tokio::test]
async fn message_that_was_not_sent_is_retried_without_a_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/hook", listener.local_addr().unwrap());
    let failure = attempt(&one(&format!("type = \"webhook\"\nurl = \"{url}\"\n")), &news("k", "offset")).await;
    assert_eq!(failure.unwrap_err().retry, Retry::Backoff);
}

#[tokio::test]
async fn long_answer_of_a_service_that_repeats_the_message_is_read() {
    let echo = format!("{{\"ok\":true,\"result\":{{\"text\":\"{}\"}}}}", "\\u0436".repeat(4096));
    let receiver = Receiver::scripted([Answer::Status(200, "", echo)]);
    let keys = format!(
        "type = \"telegram\"\napi_url = \"{}\"\ntoken = \"1:AB\"\nchat_id = \"-100\"\nmessage_thread_id = 7\n",
        receiver.url("")
    );
    let said = attempt(&one(&keys), &news("k", "offset")).await.unwrap();
    assert!(said.len() < 400, "{said}");
    assert_eq!(receiver.seen()[0].json()["message_thread_id"], 7);
}

#[tokio::test]
async fn expected_text_decides_whether_a_message_was_accepted() {
    let answer = |body: &str| Answer::Status(200, "", body.to_owned());
    let receiver = Receiver::scripted([answer("<html>stored</html>"), answer("ok")]);
    let config = one(&format!("type = \"webhook\"\nurl = \"{}\"\nexpect = \"stored\"\n", receiver.url("/")));
    attempt(&config, &news("k", "offset")).await.unwrap();
    let failure = attempt(&config, &news("k", "offset")).await.unwrap_err();
    assert!(failure.why.contains("lacks \"stored\": 200 OK: ok"), "{failure}");
}

/// A notification about this many servers.
fn crowd(count: usize, of: fn(&str, &str) -> Notification) -> Notification {
    let mut news = of("k", "offset");
    let one = |n| Instance { server: Some(format!("server-{n}")), ..news.alerts[0].clone() };
    news.alerts = (0..count).map(one).collect();
    news
}

#[tokio::test]
async fn every_incident_of_a_large_group_opens_and_closes_once() {
    let mut requests = 0;
    // The rate limit is reached in the middle of both messages, and one event is refused.
    let receiver = Receiver::start(move |request| {
        requests += 1;
        match requests {
            90 | 200 => status(429),
            _ if request.body.contains("server-7\"") => status(400),
            _ => taken(request),
        }
    });
    let kept = kept();
    kept.put("n", crowd(150, news)).await;
    kept.put("n", crowd(150, |_, alert| resolved("r", alert))).await;
    let keys = format!("type = \"pagerduty\"\napi_url = \"{}\"\nrouting_key = \"rk\"\n", receiver.url(""));
    let running = start(&kept, "n", &one(&keys)).await;
    eventually("delivered", || kept.waiting("n") == 0).await;
    for action in ["trigger", "resolve"] {
        let all: Vec<Value> = receiver.seen().iter().map(Request::json).collect();
        let mut of: Vec<String> = all
            .iter()
            .filter(|event| event["event_action"] == action)
            .map(|event| event["dedup_key"].as_str().unwrap().to_owned())
            .collect();
        let sent = of.len();
        of.sort();
        of.dedup();
        // The limited event and the refused one are sent again after the limit.
        assert!(of.len() == 150 && sent <= 152, "{action}: {sent} events for {} incidents", of.len());
    }
    let gauge = running.gauge();
    assert!(gauge.failing && gauge.last_error.unwrap().contains("alert 8: 400"));
    running.end().await;
}

#[tokio::test]
async fn template_gets_a_large_group_in_parts() {
    let template = "body_template = '''{{ alerts|length }} {{ alerts[0].server }}'''\n";
    let keys = |receiver: &Receiver| format!("type = \"webhook\"\nurl = \"{}\"\n{template}", receiver.url("/"));
    let seen = sent(keys, &crowd(150, news)).await;
    let parts: Vec<_> = seen.iter().map(|part| (part.header("Idempotency-Key").unwrap(), part.body.clone())).collect();
    assert_eq!(parts, [("k/0".to_owned(), "100 server-0".to_owned()), ("k/1".to_owned(), "50 server-100".to_owned())]);
}

/// The receiver is the proxy: a request through it has the whole URL in its first line.
#[tokio::test]
async fn renewed_secret_in_a_file_needs_no_reload() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    let receiver = Receiver::start(|request| status(if request.line() == "POST /new" { 200 } else { 403 }));
    std::fs::write(&file, receiver.url("/old")).unwrap();
    let kept = kept();
    let running = start(&kept, "n", &one(&format!("type = \"webhook\"\nurl_file = {file:?}\n"))).await;
    kept.put("n", news("k", "a")).await;
    eventually("it is rejected", || running.gauge().consecutive_failures > 1).await;
    std::fs::write(&file, "not a URL").unwrap();
    let says = |part: &str| running.gauge().last_error.is_some_and(|error| error.contains(part));
    eventually("the new one is invalid", || says("the URL is invalid")).await;
    std::fs::write(&file, receiver.url("/new")).unwrap();
    eventually("it is delivered", || kept.waiting("n") == 0).await;
    running.task.abort();
}

#[tokio::test]
async fn requests_go_through_the_configured_proxy() {
    let proxy = Receiver::scripted([]);
    let address = proxy.address;
    let keys =
        format!("type = \"webhook\"\nurl = \"http://192.0.2.7/hook\"\nproxy = \"http://ntp:s3cret@{address}\"\n");
    attempt(&one(&keys), &news("k", "offset")).await.unwrap();
    let seen = proxy.seen();
    assert_eq!(seen[0].line(), "POST http://192.0.2.7/hook");
    assert_eq!(seen[0].header("Proxy-Authorization").as_deref(), Some("Basic bnRwOnMzY3JldA=="));
}
