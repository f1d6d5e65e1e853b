//! The HTTP API over a real socket: formats, filters, limits and errors.

mod history;
mod protocol;
mod servers;
mod stream;

use crate::common::service::{Answer, Running};
use ntp_monitor::sim::{ReplyKind, Script};
use serde_json::{Value, json};

const NASTY: &str = "<script>alert('1')</script> a/b?c#d%2F@é";

async fn three() -> Running {
    let scripts = [
        ("alpha", Script::good()),
        ("beta", Script::good().replying([ReplyKind::WrongOrigin, ReplyKind::Good])),
        ("gamma", Script::good()),
        ("liar", Script::good().offset_ns(80_000_000)),
        ("silent", Script::silent()),
        (NASTY, Script::good()),
    ];
    let running = Running::start(&scripts, json!({})).await;
    running.polled(4).await;
    running
}

/// The fields of a sample.
const SAMPLE: [&str; 15] = [
    "time",
    "address",
    "outcome",
    "reason",
    "offset_s",
    "delay_s",
    "root_distance_s",
    "stratum",
    "leap",
    "refid",
    "poll_s",
    "timestamping",
    "authentication",
    "reference_age_s",
    "mode",
];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    body["servers"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

/// Checks the media type and the content of a problem document (RFC 9457).
fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body = answer.json();
    assert_eq!((keys(&body), &body["status"]), (vec!["type", "title", "status", "detail"], &json!(status)));
}
