//! The responses of a database, or of something else at its address, to a write, and the effect on the lines.

use std::sync::Arc;
use std::time::Duration;

use crate::common::receiver::{Answer, status};
use crate::influx_status::{Fake, Memory, config, lines, start, until};
use ntp_monitor::config::Influx;
use ntp_monitor::outbound::Proxy;
use ntp_monitor::sinks::influx::{InfluxClient, LineWriter, Rejection, WriteOutcome};

const LINE: &[u8] = b"m v=1 1\n";

/// The effect on the lines while the response stays the same.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// They leave the outbox.
    Taken,
    /// They stay in it, and health contains this text.
    Kept(&'static str),
}

use Fate::{Kept, Taken};

/// Case, status, headers, body, fate.
const TABLE: [(&str, u16, &str, &str, Fate); 27] = [
    ("takes", 204, "", "", Taken),
    (
        "refuses the token",
        401,
        "",
        r#"{"code":"unauthorized","message":"unauthorized access"}"#,
        Kept("check the token"),
    ),
    ("refuses the write", 403, "", r#"{"code":"forbidden","message":"insufficient permissions"}"#, Kept("its rights")),
    (
        "has no bucket",
        404,
        "",
        r#"{"code":"not found","message":"bucket \"ntp\" not found"}"#,
        Kept("check org and bucket"),
    ),
    (
        "has no organisation",
        404,
        "",
        r#"{"code":"not found","message":"organization name \"o\" not found"}"#,
        Kept("organization"),
    ),
    ("limits", 429, "Retry-After: 0\r\n", "", Kept("429")),
    ("limits by a fraction", 429, "Retry-After: 0.01\r\n", "", Kept("429")),
    ("limits by a date", 503, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "", Kept("503")),
    ("starts", 503, "", "", Kept("503")),
    (
        "is broken",
        500,
        "",
        r#"{"code":"internal error","message":"unexpected error writing points"}"#,
        Kept("unexpected"),
    ),
    ("is slow", 408, "", "", Kept("408")),
    ("is slow behind a proxy", 504, "", "<html>504</html>", Kept("504")),
    ("is away behind a proxy", 502, "", "<html>502</html>", Kept("502")),
    ("accepts without writing", 202, "", "", Kept("answers a write with 204")),
    ("a proxy without the route", 200, "", "", Kept("answers a write with 204")),
    ("a sign-in page", 200, "Content-Type: text/html\r\n", "<html>Sign in</html>", Kept("Sign in")),
    ("a page without a type", 203, "", "<!doctype html>", Kept("check url")),
    ("a page that says 204", 204, "Content-Type: text/html\r\n", "", Kept("check url")),
    ("another API", 200, "", r#"{"ok":true}"#, Kept("check url")),
    ("moved", 301, "Location: https://h/\r\n", "", Kept("final URL")),
    ("moved for good", 308, "Location: https://h/\r\n", "", Kept("final URL")),
    ("another server", 404, "", "404 page not found", Kept("check url")),
    ("a server of pages", 405, "", "", Kept("check url")),
    ("a page of refusal", 400, "Content-Type: text/html\r\n", "<html>400</html>", Kept("check url")),
    ("an address for HTTPS", 400, "", "Client sent an HTTP request to an HTTPS server.", Kept("https://")),
    ("a proxy with a password", 407, "", "", Kept("check proxy")),
    ("a legal matter", 451, "", "", Kept("451")),
];

#[tokio::test]
async fn only_a_successful_write_removes_lines_from_the_outbox() {
    for (case, code, headers, body, fate) in TABLE {
        let (outbox, fake) =
            (Memory::of(lines(35)), Fake::judging(move |_| Answer::Status(code, headers, body.to_owned())));
        let running = start(&outbox, &config(&fake.url));
        let left = || (outbox.left(), outbox.quarantine.lock().unwrap().len());
        match fate {
            Taken => until(case, || left() == (0, 0)).await,
            Kept(part) => {
                until(case, || running.state.gauge().consecutive_failures > 1).await;
                let gauge = running.state.gauge();
                assert_eq!((left(), gauge.sent_lines), ((4, 0), 0), "{case}");
                assert!(gauge.last_error.as_deref().is_some_and(|error| error.contains(part)), "{case}: {gauge:?}");
            }
        }
        running.task.abort();
    }
}

/// The responses that are about the lines.
#[tokio::test]
async fn rejections_of_lines_say_how_many_and_why() {
    let conflict = "failure writing points to database: partial write: field type conflict: input field \"v\" on \
                    measurement \"m\" is type float, already exists as type integer dropped=1";
    let too_old = "failure writing points to database: partial write: points beyond retention policy dropped=1";
    let answer = |message: &str| {
        let message = message.to_owned();
        let body = serde_json::json!({ "code": "unprocessable entity", "message": message }).to_string();
        Fake::judging(move |_| Answer::Status(422, "", body.clone()))
    };
    let write = async |fake: &Fake| InfluxClient::new(&config(&fake.url)).unwrap().write(LINE.to_vec()).await;
    let WriteOutcome::Invalid(Rejection { reason, dropped, conflict }) = write(&answer(conflict)).await else {
        panic!("it was taken")
    };
    assert_eq!((dropped, conflict), (Some(1), Some(("m".to_owned(), "v".to_owned()))));
    assert!(reason.contains("already exists as type integer") && reason.contains("another bucket"), "{reason}");
    assert!(matches!(write(&answer(too_old)).await, WriteOutcome::TooOld { lines: 1, .. }));
}

/// 4764 points, of which 4000 are too old, as a bucket with a short retention answers.
#[tokio::test]
async fn backlog_beyond_retention_is_one_request_with_exact_count() {
    let fake = Fake::judging(|request| match request.body.lines().filter(|line| !line.contains("fresh")).count() {
        0 => status(204),
        old => {
            let message = format!("partial write: points beyond retention policy dropped={old}");
            Answer::Status(
                422,
                "",
                serde_json::json!({ "code": "unprocessable entity", "message": message }).to_string(),
            )
        }
    });
    let outbox = Memory::of((0..4764).map(|n| format!("m {}={n} {n}", if n < 4000 { "old" } else { "fresh" })));
    let running = start(&outbox, &Influx { batch: 5000, ..config(&fake.url) });
    until("the outbox is empty", || outbox.left() == 0).await;
    let gauge = running.state.gauge();
    assert_eq!((gauge.sent_lines, gauge.too_old_lines, fake.seen(|seen| seen.heads.len())), (764, 4000, 1));
    running.task.abort();
}

/// Nothing larger than 8 kB arrives within the time-out.
#[tokio::test]
async fn slow_connection_delivers_the_backlog_in_smaller_requests() {
    let carried = Arc::new(std::sync::Mutex::new(Vec::new()));
    let shared = Arc::clone(&carried);
    let fake = Fake::judging(move |request| {
        let bytes: usize = request.header("content-length").unwrap().parse().unwrap();
        if bytes > 8000 {
            return Answer::Hang;
        }
        shared.lock().unwrap().extend(request.body.lines().map(str::to_owned));
        status(204)
    });
    let backlog: Vec<String> = (0..5000).map(|n| format!("m v={} {n}", rand::random::<f64>())).collect();
    let outbox = Memory::of(backlog.clone());
    let config = Influx { batch: 5000, timeout: Duration::from_millis(100), ..config(&fake.url) };
    let running = start(&outbox, &config);
    until("the outbox is empty", || outbox.left() == 0).await;
    // A request that a busy machine answers too late is sent again: the same points.
    let mut seen = std::collections::HashSet::new();
    let carried: Vec<String> = carried.lock().unwrap().iter().filter(|line| seen.insert(*line)).cloned().collect();
    assert!(carried == backlog, "{} of {} lines arrived in order", carried.len(), backlog.len());
    running.task.abort();
}

#[tokio::test]
async fn bodies_are_compressed_unless_the_server_rejects_that() {
    let body: Vec<u8> = LINE.repeat(1000);
    let sent = |fake: &Fake| -> Vec<(bool, usize)> {
        let one = |head: &String| {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            (head.contains("content-encoding: gzip"), length.unwrap())
        };
        fake.seen(|seen| seen.heads.iter().map(one).collect())
    };
    // A database on this host gets plain bodies.
    let client = |fake: &Fake| {
        let proxy = Proxy::parse(&fake.url.as_str().into(), |_| None).unwrap();
        InfluxClient::new(&Influx { proxy, ..config("http://influx.invalid:8086") }).unwrap()
    };
    let fake = Fake::judging(|_| status(204));
    assert_eq!(client(&fake).write(body.clone()).await, WriteOutcome::Done);
    assert!(sent(&fake)[0].0 && sent(&fake)[0].1 < 500, "{:?}", sent(&fake));

    for code in [415, 400] {
        let fake =
            Fake::judging(move |request| status(if request.header("content-encoding").is_some() { code } else { 204 }));
        let client = client(&fake);
        for _ in 0..2 {
            assert_eq!(client.write(body.clone()).await, WriteOutcome::Done, "{code}");
        }
        assert_eq!(sent(&fake).iter().map(|(gzip, _)| *gzip).collect::<Vec<_>>(), [true, false, false], "{code}");
    }
}

#[tokio::test]
async fn token_that_an_answer_repeats_is_masked() {
    let fake = Fake::judging(|_| Answer::Status(401, "", r#"{"message":"no token hush"}"#.to_owned()));
    let why = InfluxClient::new(&config(&fake.url)).unwrap().may_write().await.unwrap_err();
    assert!(why.contains("no token ********"), "{why}");
}

#[tokio::test]
async fn right_to_write_is_tested_without_a_point() {
    let needs_points = r#"{"code":"invalid","message":"writing requires points"}"#;
    for (code, body, is_right) in [
        (204, "", true),
        (400, needs_points, true),
        (400, "<html>", false),
        (401, r#"{"code":"unauthorized","message":"unauthorized access"}"#, false),
        (403, r#"{"code":"forbidden","message":"insufficient permissions for write"}"#, false),
        (404, r#"{"code":"not found","message":"bucket not found"}"#, false),
        (200, "", false),
        (503, "", false),
    ] {
        let fake = Fake::judging(move |request| {
            assert_eq!(request.body, "");
            Answer::Status(code, "", body.to_owned())
        });
        let answer = InfluxClient::new(&config(&fake.url)).unwrap().may_write().await;
        assert_eq!(answer.is_ok(), is_right, "{code} {body}: {answer:?}");
        assert!(fake.seen(|seen| seen.heads[0].starts_with("POST /api/v2/write?")));
    }
}
