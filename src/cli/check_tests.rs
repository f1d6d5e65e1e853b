use clap::Parser;

use super::*;
use crate::probe::ProbeReport;
use ntp_monitor_core::ntp::{KissCode, Leap, RefId};
use ntp_monitor_core::sample::{Measure, Reply};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: CheckArgs,
}

fn args(line: &str) -> CheckArgs {
    Line::parse_from(std::iter::once("check").chain(line.split_whitespace())).args
}

fn sampled(name: &str, offset_s: f64) -> Measured {
    Measured::new(name, "192.0.2.1:123".parse().ok(), report(offset_s))
}

fn report(offset_s: f64) -> ProbeReport {
    let reply = Reply {
        stratum: 2,
        leap: Leap::None,
        refid: RefId([192, 0, 2, 9]),
        precision_log2: -20,
        root_delay_s: 0.0,
        root_dispersion_s: 0.0,
        reference_age_s: None,
    };
    let measure = Some(Measure { offset_s, delay_s: 0.001_2, root_distance_s: 0.002 });
    ProbeReport { measure, reply: Some(reply), ..ProbeReport::failed(crate::clock::now(), Outcome::Sample) }
}

fn failed(name: &str, outcome: Outcome) -> Measured {
    Measured::new(name, "192.0.2.2:123".parse().ok(), ProbeReport::failed(crate::clock::now(), outcome))
}

fn line(args: &CheckArgs, results: &[Measured]) -> (String, u8) {
    let mut out = Vec::new();
    let status = write_line(args, results, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), status)
}

#[test]
fn one_good_server_is_one_line_with_performance_data() {
    let expected = "NTP OK - offset +0.000123s, delay 0.001200s, root distance 0.002000s, stratum 2|\
        offset=0.000123s;0.025;0.1;; delay=0.001200s;;;0; root_distance=0.002000s;;;0; stratum=2;;;1;16 loss=0%;;;0;100\n";
    assert_eq!(line(&args("a"), &[sampled("a", 0.000_123)]), (expected.to_owned(), 0));
}

#[test]
fn thresholds_apply_to_both_signs_and_at_the_exact_value() {
    let args = args("a -w 25ms -c 0.1");
    for (offset_s, status) in [(0.024_9, 0), (0.025, 1), (-0.025, 1), (0.1, 2), (-5.0, 2), (f64::NAN, 3)] {
        assert_eq!(line(&args, &[sampled("a", offset_s)]).1, status, "{offset_s}");
    }
}

#[test]
fn missing_measurement_is_never_ok() {
    let cases = [
        (Outcome::Timeout, 3),
        (Outcome::Refused, 3),
        (Outcome::Dns("no such host".into()), 3),
        (Outcome::Kiss(KissCode::RATE), 3),
        (Outcome::Rejected(Check::Origin), 3),
        (Outcome::Rejected(Check::LocalStep), 3),
        (Outcome::Rejected(Check::RootDistance), 2),
        (Outcome::Rejected(Check::Precision), 2),
        (Outcome::Rejected(Check::Delay), 2),
        (Outcome::Unsynchronised(None), 2),
        (Outcome::Fault("no socket".into()), 3),
        // An engine that claims a sample without numbers.
        (Outcome::Sample, 3),
    ];
    for (outcome, expected) in cases {
        let (text, status) = line(&args("a"), &[failed("a", outcome.clone())]);
        assert_eq!(status, expected, "{outcome:?}: {text}");
        assert!(!text.contains("OK") && !text.contains('='), "{text}");
    }
}

#[test]
fn reference_age_has_limits_of_its_own() {
    let aged = |age_s| {
        let mut report = report(0.0);
        report.reply.as_mut().unwrap().reference_age_s = age_s;
        Measured::new("a", "192.0.2.1:123".parse().ok(), report)
    };
    let days = |n: f64| Some(n * 86_400.0);
    for (options, age_s, expected) in [
        ("", days(400.0), 0),
        ("--reference-age 36h", days(1.4), 0),
        ("--reference-age 36h", days(400.0), 1),
        ("--reference-age 36h,7d", days(1.5), 1),
        ("--reference-age 36h,7d", days(7.0), 2),
        ("--reference-age 36h,7d", None, 3),
    ] {
        let (text, status) = line(&args(&format!("a {options}")), &[aged(age_s)]);
        assert_eq!(status, expected, "{options} {age_s:?}: {text}");
    }
    let (text, _) = line(&args("a --reference-age 36h,7d"), &[aged(days(400.0))]);
    assert!(text.contains(", reference age 34560000s"), "{text}");
    assert!(text.contains(" reference_age=34560000s;129600;604800;0; "), "{text}");
}

#[test]
fn every_limit_is_applied_and_marks_its_value() {
    let leaping = |leap| {
        let mut report = report(0.0);
        report.reply.as_mut().unwrap().leap = leap;
        Measured::new("a", "192.0.2.1:123".parse().ok(), report)
    };
    for (options, leap, expected, says) in [
        ("--stratum 3", Leap::None, 0, "stratum 2"),
        ("--stratum 2", Leap::None, 1, "stratum 2 (WARNING)"),
        ("--stratum 1,2", Leap::None, 2, "stratum 2 (CRITICAL)"),
        ("--root-distance 2ms", Leap::None, 1, "root distance 0.002000s (WARNING)"),
        ("--delay 1ms,1.1ms", Leap::None, 2, "delay 0.001200s (CRITICAL)"),
        ("-n 2 --jitter 1ms", Leap::None, 3, "no jitter"),
        ("", Leap::Insert, 0, "leap second announced (insert)"),
        ("--leap warning", Leap::None, 0, "stratum 2"),
        ("--leap warning", Leap::Insert, 1, "leap second announced (insert) (WARNING)"),
        ("--leap critical --stratum 2", Leap::Delete, 2, "leap second announced (delete) (CRITICAL)"),
    ] {
        let (text, status) = line(&args(&format!("a {options}")), &[leaping(leap)]);
        assert_eq!((status, text.contains(says)), (expected, true), "{options}: {text}");
        let (text, status) = line(&args(&format!("a b {options}")), &[sampled("b", 0.0), leaping(leap)]);
        assert_eq!((status, expected == 0 || text.contains(says)), (expected, true), "{options}: {text}");
    }
}

#[test]
fn labels_depend_on_names_and_not_on_their_addresses() {
    let labels = |options: &str| {
        let (text, _) = line(&args(options), &[sampled("a", 0.0)]);
        text.split_once('|').unwrap().1.split('=').next().unwrap().to_owned()
    };
    assert_eq!(labels("-H a"), "offset");
    assert_eq!(labels("a b"), "'a offset'");
    assert_eq!(labels("--all a"), "'a 192.0.2.1 offset'");
}

#[test]
fn wrong_usage_is_one_line_of_a_plugin() {
    for (line, says) in [
        ("", "required arguments were not provided"),
        ("a -c soon", "invalid value 'soon' for '--critical <TIME>'"),
        ("a --strata 2", "unexpected argument '--strata'"),
        ("a --reference-age 7d,36h", "CRIT must not be below WARN"),
    ] {
        let error = Line::try_parse_from(std::iter::once("check").chain(line.split_whitespace())).unwrap_err();
        let told = usage_line(&error);
        assert!(told.starts_with("NTP UNKNOWN - ") && told.contains(says) && !told.contains('\n'), "{told}");
    }
    assert_eq!(usage_fault(&args("a --jitter 1ms")), Some("--jitter needs at least two requests, for example -n 4"));
    assert_eq!(usage_fault(&args("a --jitter 1ms -n 2")), None);
}

#[test]
fn an_unreachable_server_can_be_made_critical() {
    let args = args("a --unreachable critical");
    assert_eq!(line(&args, &[failed("a", Outcome::Timeout)]).1, 2);
    assert_eq!(line(&args, &[failed("a", Outcome::Kiss(KissCode::DENY))]).1, 3);
}

#[test]
fn worst_of_several_servers_decides_and_is_listed_first() {
    let results = [sampled("a", 0.001), failed("it's b", Outcome::Timeout), sampled("192.0.2.1", 0.03)];
    let (text, status) = line(&args("a b c"), &results);
    assert_eq!(status, 1);
    let (text, performance) = text.split_once('|').unwrap();
    let expected = "NTP WARNING - 1 of 3 servers ok: 192.0.2.1 offset +0.030000s (WARNING), it's b no reply (UNKNOWN), \
         a offset +0.001000s";
    assert_eq!(text, expected);
    assert!(performance.starts_with("'a offset'=0.001000s;0.025;0.1;; "), "{performance}");
    assert!(performance.contains(" '192.0.2.1 offset'=0.030000s;"), "{performance}");
    assert_eq!(line(&args("a b"), &results[..2]).1, 3);
}

#[test]
fn a_bar_in_a_name_cannot_begin_the_performance_data() {
    let (text, _) = line(&args("a"), &[failed("a|b", Outcome::Dns("x|y".into()))]);
    assert!(!text.contains('|'), "{text}");
}

#[test]
fn invalid_arguments_are_rejected_before_any_request() {
    for line in [
        "",
        "a -c soon",
        "a -4 -6",
        "a -n 0",
        "http://a",
        "a --unreachable maybe",
        "a --engine magic",
        "a --reference-age 7d,36h",
    ] {
        let words = std::iter::once("check").chain(line.split_whitespace());
        assert!(Line::try_parse_from(words).is_err(), "{line}");
    }
}
