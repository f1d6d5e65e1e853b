//! Tests `/metrics` with promtool, a real Prometheus and the documentation.
use std::path::Path;

use crate::common::prometheus::{Prometheus, complaints};
use crate::common::service::Running;
use ntp_monitor::sim::Script;
use ntp_monitor::web::metrics::markdown;
use serde_json::{Value, json};

const NASTY: &str = "a \"b\" \\ c {d=\"e\"} é";

async fn running() -> Running {
    let scripts = [
        ("alpha", Script::good()),
        ("beta", Script::good()),
        ("liar", Script::good().offset_ns(80_000_000)),
        ("silent", Script::silent()),
        (NASTY, Script::good()),
    ];
    let running = Running::start(&scripts, json!({})).await;
    running.polled(10).await;
    running
}

fn value_of(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(series))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[actix_rt::test]
async fn promtool_finds_no_fault() {
    let running = running().await;
    let answer = running.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(complaints(&answer.text), "");
    running.stop().await;
}

#[actix_rt::test]
async fn an_unreachable_server_is_visible_and_shows_no_stale_offset() {
    let running = running().await;
    let text = running.get_until("/metrics", |a| a.text.contains("ntp_monitor_falseticker{server=\"liar\"")).await.text;
    assert_eq!(value_of(&text, "ntp_monitor_up{server=\"silent\""), Some(0.0));
    assert_eq!(value_of(&text, "ntp_monitor_up{server=\"alpha\""), Some(1.0));
    assert_eq!(value_of(&text, "ntp_monitor_offset_seconds{server=\"silent\""), None);
    assert!(value_of(&text, "ntp_monitor_offset_seconds{server=\"liar\"").unwrap() > 0.06, "ahead is positive");
    let lost = text.lines().find(|l| l.contains("polls_total{server=\"silent\"") && l.contains("outcome=\"timeout\""));
    assert!(lost.unwrap().rsplit_once(' ').unwrap().1.parse::<u64>().unwrap() >= 8);
    running.stop().await;
}

#[actix_rt::test]
async fn a_removed_server_is_gone_at_once() {
    let mut running = running().await;
    assert!(running.get("/metrics").await.text.contains("server=\"beta\""));
    let fewer = running.configuration(&["alpha"], json!({}));
    running.service.reload(fewer).await.unwrap();
    let text = running.get("/metrics").await.text;
    assert!(!text.contains("server=\"beta\"") && text.contains("server=\"alpha\""));
    running.stop().await;
}

#[actix_rt::test]
async fn a_real_prometheus_scrapes_it() {
    let running = running().await;
    let prometheus = Prometheus::scraping(running.base.strip_prefix("http://").unwrap());
    let label = |series: &Value, name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
    let all = |series: &[Value]| series.len() == 5;
    let up = prometheus.query_until("ntp_monitor_up", all).await;
    assert!(up.iter().any(|series| label(series, "server") == NASTY), "{up:?}");
    let silent = up.iter().find(|series| label(series, "server") == "silent").unwrap();
    assert_eq!(silent["value"][1], "0");
    let proven = |series: &[Value]| series.len() == 1 && series[0]["metric"]["server"] == "liar";
    prometheus.query_until("ntp_monitor_falseticker > 0", proven).await;
    let typed = |series: &[Value]| series.len() == 1 && series[0]["metric"]["version"] == env!("CARGO_PKG_VERSION");
    prometheus.query_until("ntp_monitor_build_info", typed).await;
    running.stop().await;
}

#[test]
fn the_table_in_the_documentation_is_the_one_in_the_code() {
    const MARKS: (&str, &str) = ("<!-- metrics -->\n", "<!-- /metrics -->");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(MARKS.0).unwrap();
    let (table, after) = rest.split_once(MARKS.1).unwrap();
    if std::env::var_os("NTP_MONITOR_WRITE_DOCS").is_some() {
        std::fs::write(&path, [before, MARKS.0, &markdown(), MARKS.1, after].concat()).unwrap();
        return;
    }
    assert!(
        table == markdown(),
        "docs/METRICS.md is out of date: NTP_MONITOR_WRITE_DOCS=1 cargo test --test databases prometheus"
    );
}

#[actix_rt::test]
async fn a_probe_answers_from_the_last_poll_and_sends_nothing() {
    let running = running().await;
    let answer = running.get("/probe?target=alpha&module=ntp").await;
    assert_eq!((answer.status, complaints(&answer.text)), (200, String::new()));
    assert_eq!(value_of(&answer.text, "probe_success"), Some(1.0));
    assert!(value_of(&answer.text, "probe_duration_seconds").unwrap() < 5.0);
    assert!(value_of(&answer.text, "ntp_monitor_offset_seconds{server=\"alpha\"").is_some());
    assert!(!answer.text.contains("server=\"beta\""));
    assert_eq!(value_of(&running.get("/probe?target=silent").await.text, "probe_success"), Some(0.0));
    let explained = running.get_with("/probe?target=liar&debug=true", &[("X-Prometheus-Scrape-Timeout-Seconds", "1")]);
    assert!(explained.await.text.starts_with("Nothing was sent"));
    for (path, status) in [("?target=203.0.113.1", 404), ("?target=alpha&module=icmp", 400), ("", 400)] {
        assert_eq!(running.get(&format!("/probe{path}")).await.status, status, "{path}");
    }
    running.stop().await;
}
