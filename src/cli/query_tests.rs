use ntp_monitor_core::clock::Stamp;
use std::sync::Arc;

use super::*;
use crate::probe::ProbeReport;
use ntp_monitor_core::ntp::{Check, CheckRow, KissCode, Leap, NtpTimestamp, RefId};
use ntp_monitor_core::sample::{Evidence, Measure, Reply, Timestamping};

const AT: Stamp = Stamp::new(1_800_000_000_000_000_000, 1, 0);

fn reply(stratum: u8, refid: [u8; 4]) -> Reply {
    Reply {
        stratum,
        leap: Leap::None,
        refid: RefId(refid),
        precision_log2: -20,
        root_delay_s: 0.0,
        root_dispersion_s: 0.000_1,
        reference_age_s: None,
    }
}

fn sampled(offset_s: f64, delay_s: f64, root_distance_s: f64, reply: Reply) -> ProbeReport {
    ProbeReport {
        measure: Some(Measure { offset_s, delay_s, root_distance_s }),
        reply: Some(reply),
        timestamping: Some(Timestamping::Kernel),
        ..ProbeReport::failed(AT, Outcome::Sample)
    }
}

fn forged() -> Arc<Evidence> {
    let mut checks = CheckRow::default();
    checks.record(Check::Length, true);
    checks.record(Check::Origin, false);
    let [t1, t2, t3, t4] = [1, 2, 3, 4].map(|s| NtpTimestamp(s << 32));
    Arc::new(Evidence { at: AT, checks, t1, t2, t3, t4, sender: None, hop_limit: None, datagram: Box::default() })
}

fn failed(name: &str, address: &str, outcome: Outcome) -> Measured {
    Measured::new(name, address.parse().ok(), ProbeReport::failed(AT, outcome))
}

fn results() -> Vec<Measured> {
    let mut good = Measured::new(
        "time.example.net",
        "192.0.2.1:123".parse().ok(),
        sampled(0.003_21, 0.012, 0.006_1, reply(1, *b"GPS\0")),
    );
    good.push(sampled(0.003_41, 0.013, 0.006_6, reply(1, *b"GPS\0")));
    good.push(ProbeReport::failed(AT, Outcome::Timeout));
    let six = sampled(-0.000_045, 0.000_4, 0.000_3, reply(2, [192, 0, 2, 1]));
    let mut lied = ProbeReport::failed(AT, Outcome::Rejected(Check::Origin));
    lied.rejected = vec![forged()];
    vec![
        good,
        Measured::new("six", "[2001:db8::1]:1123".parse().ok(), six),
        Measured::new("forger", "192.0.2.3:123".parse().ok(), lied),
        failed("busy", "192.0.2.4:123", Outcome::Kiss(KissCode::RATE)),
        failed("typo.invalid", "", Outcome::Dns("there is no such host".into())),
    ]
}

fn text(results: &[Measured]) -> String {
    let mut out = Vec::new();
    write_text(results, Terminal::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn table_lists_every_server_and_explains_failures() {
    let expected = "\
server            address               offset     bound    delay  jitter  stratum  refid      leap  stamps  state
time.example.net  192.0.2.1           +3.21 ms  ±6.10 ms  12.0 ms  200 µs        1  GPS        none  kernel  ok, 1 of 3 lost
six               [2001:db8::1]:1123  -45.0 µs   ±300 µs   400 µs                2  192.0.2.1  none  kernel  ok
forger            192.0.2.3                                                                                  rejected: origin
busy              192.0.2.4                                                                                  kiss RATE
typo.invalid                                                                                                 not resolved

forger: every reply was rejected
  refused: the reply does not match the request: its origin field is not the cookie that was sent (stale or forged)
  tests:   1 passed, failed: origin
busy: the server asks for fewer requests (kiss code RATE): wait some minutes, then ask less often
typo.invalid: there is no such host

Local clock agrees with both servers: wrong by at most 345 µs, if most of the servers are right.
";
    assert_eq!(text(&results()), expected);
}

#[test]
fn narrow_terminal_drops_columns_and_names_them() {
    let mut out = Vec::new();
    write_text(&results(), Terminal { width: Some(80), ..Terminal::default() }, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let table: Vec<&str> = text.lines().take_while(|line| !line.starts_with('(')).collect();
    assert!(table.iter().all(|line| line.chars().count() <= 80), "{text}");
    assert!(table[0].contains("offset") && table[0].ends_with("state"), "{text}");
    assert!(text.contains("(no room for: stamps, leap, refid"), "{text}");
}

#[test]
fn outlier_disagrees_and_address_is_not_repeated() {
    let at = |offset_s, address: &str| {
        Measured::new(address, address.parse().ok(), sampled(offset_s, 0.01, 0.005, reply(1, *b"GPS\0")))
    };
    let shown = text(&[at(0.0, "192.0.2.1:1123"), at(0.001, "192.0.2.2:1123"), at(0.08, "192.0.2.3:1123")]);
    let states: Vec<&str> = shown.lines().skip(1).take(3).filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(states, ["ok", "ok", "disagrees"], "{shown}");
    assert!(!shown.contains("address"), "{shown}");
}

#[test]
fn two_servers_that_disagree_are_not_called_ok() {
    let at = |offset_s, address: &str| {
        Measured::new(address, address.parse().ok(), sampled(offset_s, 0.01, 0.005, reply(1, *b"GPS\0")))
    };
    let shown = text(&[at(0.0, "192.0.2.1:123"), at(0.08, "192.0.2.2:123"), failed("gone", "", Outcome::Timeout)]);
    let states: Vec<&str> = shown.lines().skip(1).take(3).filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(states, ["undecided", "undecided", "reply"], "{shown}");
    assert!(
        shown.ends_with("is right; ask a third one.\n") && shown.contains("\nThe two servers differ by 80.0 ms"),
        "{shown}"
    );
}

#[test]
fn refused_replies_of_a_good_server_are_shown_too() {
    let mut report = sampled(0.001, 0.01, 0.005, reply(1, *b"GPS\0"));
    report.rejected = vec![forged()];
    let shown = text(&[Measured::new("a", "192.0.2.1:123".parse().ok(), report)]);
    assert!(shown.contains("a: other replies also arrived and were rejected\n  refused: the reply"), "{shown}");
}

#[test]
fn two_names_of_one_address_are_one_witness() {
    let same = |name| Measured::new(name, "192.0.2.1:123".parse().ok(), sampled(1.0, 0.01, 0.005, reply(1, *b"GPS\0")));
    assert_eq!(claims(&[same("a"), same("b")]).len(), 1);
}

#[test]
fn json_has_all_measurements_and_null_for_missing_ones() {
    let mut out = Vec::new();
    query_json::write(&results(), AT, &mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["time"], "2027-01-15T08:00:00.000000000Z");
    assert_eq!(json["conclusion"]["state"], "agrees");
    let first = &json["results"][0];
    assert_eq!((&first["server"], &first["address"]), (&"time.example.net".into(), &"192.0.2.1:123".into()));
    assert_eq!((&first["offset_s"], &first["sent"], &first["lost"]), (&0.003_21.into(), &3.into(), &1.into()));
    assert_eq!(first["samples"][2]["outcome"], "timeout");
    assert_eq!(first["timestamping"], "kernel");
    let forger = &json["results"][2];
    assert_eq!((&forger["outcome"], &forger["reason"]), (&"rejected".into(), &"origin".into()));
    assert_eq!(forger["checks"][1], serde_json::json!({"check": "origin", "passed": false}));
    assert_eq!(forger["rejected"][0]["t2"], "00000002.00000000");
    assert!(forger["offset_s"].is_null() && forger["jitter_s"].is_null());
    assert_eq!(json["results"][4]["explanation"], "there is no such host");
    assert_eq!(json["results"][4]["sent"], 0);
}
