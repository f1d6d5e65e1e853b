//! The content of the minutely lines. tests/databases/dashboards.rs checks that docs/DATA_MODEL.md lists their fields.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::nts::{Certificate, LastExchange};
use ntp_monitor_core::sample::Sample;
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::local::{DaemonView, KernelState};
use ntp_monitor_core::stats::verdict::Kind;
use ntp_monitor_core::stats::window::Window;
use ntp_monitor_core::world::World;

/// A snapshot with every optional value present.
fn full() -> Snapshot {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
    let samples: Vec<_> = World::ordinary(1, 3, 16.0, 3600.0).samples().map(Arc::new).collect();
    samples.iter().for_each(|sample| analysis.observe(sample));
    let mut snapshot = analysis.snapshot(samples.last().unwrap().at);
    let mut judged = (*snapshot.verdict).clone();
    Arc::make_mut(&mut judged.servers)[0].blamed = true;
    Arc::make_mut(&mut judged.servers)[0].gap_s = Some(0.1);
    judged.local.kind = Some(Kind::Step);
    snapshot.verdict = Arc::new(judged);
    snapshot.local = LocalState {
        kernel: Some(KernelState {
            synchronised: true,
            max_error_s: 0.01,
            est_error_s: 0.001,
            frequency_ppm: -3.0,
            tai_offset_s: Some(37),
            leap_pending: 0,
        }),
        daemon: Some(DaemonView {
            name: "chronyd".to_owned(),
            synchronised: true,
            stratum: Some(2),
            offset_s: Some(-1e-6),
            bound_s: Some(0.001),
        }),
    };
    snapshot
}

#[test]
fn service_without_samples_sends_only_health() {
    let at = ntp_monitor_core::clock::Stamp::new(5, 5, 0);
    let lines = Lines::of_all("here", 5, &Snapshot::empty(at), &Health::default());
    let text = String::from_utf8(lines.body).unwrap();
    assert_eq!((lines.count, text.lines().count()), (3, 3));
    assert!(text.lines().all(|line| line.contains(",vantage=here ") && line.ends_with(" 5")), "{text}");
}

#[test]
fn configured_tags_are_sent_but_never_replace_built_in_ones() {
    let mut snapshot = full();
    let (key, picture) = snapshot.series.pop_first().unwrap();
    let mut picture = (*picture).clone();
    let mut last = (*picture.last).clone();
    let mut ident = (*last.server).clone();
    ident.tags = [("site", "x"), ("window", "9y"), ("server", "y")].map(|(k, v)| (k.into(), v.into())).into();
    last.server = Arc::new(ident);
    picture.last = Arc::new(last);
    let mut line = Vec::new();
    stats("here", 1, &key, &picture).append_to(&mut line);
    let line = String::from_utf8(line).unwrap();
    let head = line.split(' ').next().unwrap();
    assert!(head.contains("site=x") && head.contains("window=1h") && head.contains("server=ntp1"), "{head}");
}

#[test]
fn statistics_include_the_verdict_on_the_series() {
    let mut snapshot = full();
    let mut judged = (*snapshot.verdict).clone();
    Arc::make_mut(&mut judged.servers)[0].class = Class::Falseticker;
    snapshot.verdict = Arc::new(judged);
    let body = String::from_utf8(Lines::of_all("here", 1, &snapshot, &Health::default()).body).unwrap();
    let said =
        |server: &str| body.lines().find(|l| l.starts_with("ntp_stats") && l.contains(server)).unwrap().to_owned();
    let accused = said(&format!("server={}", snapshot.verdict.servers[0].server));
    assert!(["class=\"falseticker\"", "blamed=1i", "gap_s=0.1"].iter().all(|it| accused.contains(it)), "{accused}");
    let other = said(&format!("server={}", snapshot.verdict.servers[1].server));
    assert!(other.contains("blamed=0i") && !other.contains("gap_s"), "{other}");
}

#[test]
fn statistics_of_a_server_with_nts_name_its_certificate() {
    let certificate = Certificate {
        subject: "CN=ntp1".into(),
        issuer: "CN=A, \"B\"".into(),
        serial: "0a".into(),
        not_before: jiff::Timestamp::from_second(10).unwrap(),
        not_after: jiff::Timestamp::from_second(20).unwrap(),
    };
    let status = Status {
        key_server: "ntp1:4460".into(),
        asked: ([192, 0, 2, 1], 123).into(),
        aead: Some(Aead::AesSivCmac256),
        cookies: 8,
        cookie_len: Some(100),
        last: Some(LastExchange {
            at: Stamp::new(1, 1, 0),
            took: Duration::from_millis(3),
            fault: None,
            chain: [certificate].into(),
        }),
        exchanges: 1,
        failures: 0,
        failures_in_row: 0,
        naks: 0,
        downgrades: 0,
    };
    let (key, picture) = full().series.pop_first().unwrap();
    let line = |last: Sample| {
        let mut line = Vec::new();
        stats("here", 1, &key, &SeriesSnapshot { last: Arc::new(last), ..(*picture).clone() }).append_to(&mut line);
        String::from_utf8(line).unwrap()
    };
    let with = line(Sample { nts: Some(Arc::new(status)), ..(*picture.last).clone() });
    for field in [
        "nts_aead=\"AES-SIV-CMAC-256\"",
        "nts_cookie_octets=100i",
        "nts_subject=\"CN=ntp1\"",
        "nts_issuer=\"CN=A, \\\"B\\\"\"",
        "nts_serial=\"0a\"",
        "nts_certificate_start=10i",
        "nts_certificate_end=20i",
    ] {
        assert!(with.contains(field), "{field} in {with}");
    }
    assert!(!line((*picture.last).clone()).contains("nts_"));
}
