//! Recordings with a known truth: every fault is named and dated, no other party is ever blamed, and events agree with
//! verdicts.

use std::process::Command;

use jiff::Timestamp;
use serde_json::Value;

/// The truth of a recording. Times are RFC 3339; an empty one is the beginning or the end.
struct Truth {
    file: &'static str,
    poll_s: f64,
    /// Servers at fault; `own` for this host's clock.
    guilty: &'static [&'static str],
    states: &'static [&'static str],
    kinds: &'static [&'static str],
    onset: &'static str,
    until: &'static str,
    /// The accuracy of the onset in polls: two, or more if noise hides it.
    onset_polls: f64,
}

const RIGHT: Truth =
    Truth { file: "", poll_s: 64.0, guilty: &[], states: &[], kinds: &[], onset: "", until: "", onset_polls: 2.0 };

const SERVER: Truth = Truth { guilty: &["n2"], states: &["server_wrong"], ..RIGHT };
const OWN: Truth = Truth { guilty: &["own"], states: &["local_wrong"], ..RIGHT };

const TRUTHS: &[Truth] = &[
    Truth { file: "route_swap_direction_40min", ..RIGHT },
    Truth { file: "suspend", ..RIGHT },
    Truth { file: "leap_all_insert", ..RIGHT },
    Truth {
        file: "vm_migration",
        states: &["undecidable", "local_wrong"],
        kinds: &["step"],
        onset: "2026-02-25T09:36:36Z",
        until: "2026-02-25T10:06:40Z",
        ..OWN
    },
    Truth { file: "early_repair", kinds: &["constant"], until: "2026-02-25T06:18:50Z", ..OWN },
    Truth { file: "missed_leap", kinds: &["step"], onset: "2017-01-01T00:00:00Z", ..OWN },
    Truth { file: "early_makestep_k5_small", kinds: &["constant"], until: "2026-02-25T06:19:00Z", ..OWN },
    Truth {
        file: "alternating_100ms",
        poll_s: 16.0,
        kinds: &["intermittent"],
        onset: "2026-02-25T07:06:15Z",
        ..SERVER
    },
    Truth { file: "drift_1ppm_day", kinds: &["frequency"], onset: "2026-02-25T09:49:20Z", onset_polls: 10.0, ..SERVER },
    Truth { file: "lan_100us", poll_s: 16.0, kinds: &["step"], onset: "2026-02-25T07:06:53Z", ..SERVER },
    Truth { file: "gps_18s_start", poll_s: 16.0, kinds: &["constant"], until: "2026-02-25T07:04:09Z", ..SERVER },
    Truth { file: "rare_bad_server", poll_s: 1024.0, kinds: &["step"], onset: "2026-02-25T15:06:40Z", ..SERVER },
    Truth { file: "wrong_from_start_repaired", kinds: &["constant"], until: "2026-02-25T11:03:42Z", ..SERVER },
    Truth {
        file: "all_step_raw",
        guilty: &["n1", "n2", "n3", "n4", "n5"],
        states: &["undecidable"],
        onset: "2026-02-25T09:54:42Z",
        ..RIGHT
    },
    Truth {
        file: "common_upstream_3of5_drift_slow",
        guilty: &["n1", "n3", "n5"],
        states: &["undecidable", "server_wrong"],
        kinds: &["frequency"],
        onset: "2026-02-25T11:01:20Z",
        onset_polls: 10.0,
        ..RIGHT
    },
];

fn replayed(file: &str) -> Value {
    let path = format!("{}/tests/fixtures/verdict/{file}.csv.gz", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ntp-monitor"));
    let output = command.env_clear().args(["replay", "--json", &path]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Unix seconds; `otherwise` for an absent time.
fn seconds(time: Option<&str>, otherwise: f64) -> f64 {
    let parse = |text: &str| text.parse::<Timestamp>().unwrap().as_nanosecond() as f64 / 1e9;
    time.filter(|text| !text.is_empty()).map_or(otherwise, parse)
}

/// A span in which a party is blamed, with the stated onset.
#[derive(Debug, PartialEq)]
struct Span {
    party: String,
    since_s: f64,
    until_s: f64,
}

/// The parties that verdicts blame, each once for each uninterrupted span.
fn accusations(verdicts: &[Value]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for verdict in verdicts {
        let state = verdict["state"].as_str().unwrap();
        let (from_s, until_s) = span_of(verdict);
        let blamed = verdict["blamed"].as_array().unwrap().iter().filter(|_| state != "path");
        let servers = blamed.map(|b| (b["server"].as_str().unwrap(), seconds(b["since"].as_str(), from_s)));
        let own = (state == "local_wrong").then(|| ("own", seconds(verdict["local"]["since"].as_str(), from_s)));
        for (party, since_s) in servers.chain(own) {
            match spans.iter_mut().find(|s| s.party == party && s.until_s == from_s) {
                Some(span) => (span.until_s, span.since_s) = (until_s, since_s),
                None => spans.push(Span { party: party.to_owned(), since_s, until_s }),
            }
        }
    }
    spans
}

fn span_of(verdict: &Value) -> (f64, f64) {
    (seconds(verdict["since"].as_str(), f64::NAN), seconds(verdict["until"].as_str(), f64::INFINITY))
}

/// The spans of events that call a clock wrong. An event from this host's raw clock alone blames no party.
fn events(report: &Value, accused: &[Span]) -> Vec<Span> {
    let of = |event: &Value| {
        let party = event["server"].as_str().unwrap_or("own").to_owned();
        let (since_s, until_s) =
            (seconds(event["start"].as_str(), f64::NAN), seconds(event["end"].as_str(), f64::INFINITY));
        Span { party, since_s, until_s }
    };
    let clocks = ["server_step", "server_drift", "clock_drift", "clock_step"];
    let all = report["events"].as_array().unwrap().iter();
    let of_clocks = all.filter(|e| clocks.contains(&e["kind"].as_str().unwrap())).map(of);
    of_clocks.filter(|span| span.party != "own" || accused.contains(span)).collect()
}

/// The faults of the report on one recording.
fn faults(truth: &Truth, report: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let verdicts = report["verdicts"].as_array().unwrap();
    let (first_s, near_s) = (span_of(&verdicts[0]).0, 2.0 * truth.poll_s + 1.0);
    let (onset_s, end_s) = (seconds(Some(truth.onset), first_s), seconds(Some(truth.until), f64::INFINITY));
    let early_s = truth.onset_polls * truth.poll_s + 1.0;
    for verdict in verdicts {
        let (since_s, until_s) = span_of(verdict);
        let state = verdict["state"].as_str().unwrap();
        let is_quiet = matches!(state, "consistent" | "path");
        if !is_quiet && (truth.guilty.is_empty() || since_s < onset_s - early_s || until_s > end_s + near_s) {
            faults.push(format!("{state} outside of the fault: {}", verdict["sentence"]));
        }
        let is_within = since_s < onset_s + early_s && until_s > end_s.min(f64::MAX) - near_s;
        if is_quiet && !truth.guilty.is_empty() && is_within {
            faults.push("the fault is not named".into());
        }
        if !is_quiet && !truth.states.contains(&state) {
            faults.push(format!("the state must not be {state}"));
        }
    }
    let accused = accusations(verdicts);
    for span in &accused {
        if !truth.guilty.contains(&&*span.party) {
            faults.push(format!("{} is innocent", span.party));
        } else if (span.since_s - onset_s).abs() > early_s {
            faults.push(format!("{} since {:+.0} s from the onset", span.party, span.since_s - onset_s));
        } else if end_s.is_finite() && (span.until_s - end_s).abs() > near_s {
            faults.push(format!("{} until {:+.0} s from the end", span.party, span.until_s - end_s));
        }
    }
    let is_named = truth.guilty.iter().all(|g| accused.iter().any(|span| span.party == *g));
    if !is_named && !truth.states.contains(&"undecidable") {
        faults.push("not every guilty party is named".into());
    }
    let kinds = verdicts.iter().flat_map(|v| {
        let of_servers = v["blamed"].as_array().unwrap().iter().map(|b| &b["kind"]);
        of_servers.chain([&v["local"]["kind"]]).filter_map(Value::as_str)
    });
    faults.extend(kinds.filter(|kind| !truth.kinds.contains(kind)).map(|kind| format!("no fault is of kind {kind}")));
    let recorded = events(report, &accused);
    if recorded.len() != accused.len() || !accused.iter().all(|span| recorded.contains(span)) {
        faults.push(format!("verdicts say {accused:?} and events {recorded:?}"));
    }
    faults
}

#[test]
fn recordings_with_known_truth_are_judged_right() {
    for truth in TRUTHS {
        let report = replayed(truth.file);
        let faults = faults(truth, &report);
        assert!(faults.is_empty(), "{}: {faults:#?}\n{:#}", truth.file, report["verdicts"]);
    }
}
