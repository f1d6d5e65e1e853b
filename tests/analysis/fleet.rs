//! `ntp-monitor replay` over recordings of several vantages whose truth is known (tests/fixtures/fleet).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use serde_json::Value;

/// The poll interval of the recordings, in seconds.
const POLL_S: f64 = 64.0;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fleet")
}

fn truth() -> BTreeMap<String, Value> {
    serde_json::from_slice(&std::fs::read(fixtures().join("truth.json")).unwrap()).unwrap()
}

fn replay(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ntp-monitor"));
    let output = command.env_clear().current_dir(fixtures()).arg("replay").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(file: &str) -> Value {
    serde_json::from_slice(&replay(&["--json", file]).stdout).unwrap()
}

fn seconds(time: &Value) -> Option<f64> {
    let time: jiff::Timestamp = time.as_str()?.parse().unwrap();
    Some(time.as_nanosecond() as f64 / 1e9)
}

fn texts(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The parties that a verdict names, and those that it calls proven.
fn named(verdict: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut all, mut proven) = (BTreeSet::new(), BTreeSet::new());
    for (list, key) in [("servers", "server"), ("vantages", "vantage")] {
        for it in verdict[list].as_array().unwrap() {
            let party = format!("{key}:{}", it[key].as_str().unwrap());
            if it["proven"].as_bool().unwrap() {
                proven.insert(party.clone());
            }
            all.insert(party);
        }
    }
    for it in verdict["paths"].as_array().unwrap() {
        all.insert(format!("path:{}/{}", it["vantage"].as_str().unwrap(), it["server"].as_str().unwrap()));
    }
    if verdict["state"] == "undecidable" {
        all.insert("undecidable".to_owned());
    }
    (all, proven)
}

#[test]
fn fleet_verdicts_over_recordings_hold_every_condition() {
    for (name, truth) in truth() {
        let report = json(&format!("{name}.csv.gz"));
        let groups: Vec<Vec<String>> = truth["must"].as_array().unwrap().iter().map(texts).collect();
        let (may, never_proven) = (texts(&truth["may"]), texts(&truth["never_proven"]));
        let (onset_s, until_s) = (seconds(&truth["onset"]).unwrap(), seconds(&truth["until"]));
        let is_slow = truth["slow"].as_bool() == Some(true);
        let mut first: Vec<Option<f64>> = vec![None; groups.len()];
        let mut proofs = BTreeSet::new();
        for verdict in report["fleet"]["verdicts"].as_array().unwrap() {
            let since_s = seconds(&verdict["since"]).unwrap();
            let (all, proven) = named(verdict);
            for party in &all {
                let is_allowed = groups.iter().flatten().chain(&may).any(|it| it == party)
                    || (party == "undecidable" && truth["undecidable_ok"].as_bool().unwrap());
                assert!(is_allowed, "{name}: {party} accused: {verdict}");
                assert!(since_s > onset_s - 2.0 * POLL_S, "{name}: {party} before the onset: {verdict}");
                assert!(until_s.is_none_or(|until_s| since_s < until_s + 2.0 * POLL_S), "{name}: too late: {verdict}");
            }
            assert!(never_proven.iter().all(|it| !proven.contains(it)), "{name}: {verdict}");
            for (group, first) in groups.iter().zip(&mut first) {
                if first.is_none() && group.iter().any(|it| all.contains(it)) {
                    *first = Some(since_s);
                }
            }
            proofs.extend(proven);
        }
        for (group, first) in groups.iter().zip(first) {
            let at_s = first.unwrap_or_else(|| panic!("{name}: none of {group:?} was named"));
            let polls = if is_slow { 8.0 } else { 2.0 };
            assert!((at_s - onset_s).abs() <= polls * POLL_S, "{name}: {group:?} is dated {} s late", at_s - onset_s);
            if truth["provable"].as_bool() == Some(true) {
                assert!(group.iter().any(|it| proofs.contains(it)), "{name}: {group:?} was not proven");
            }
        }
    }
}

#[test]
fn skew_of_recorded_vantages_is_within_its_bound() {
    for (name, truth) in truth() {
        let report = json(&format!("{name}.csv.gz"));
        let clock = |vantage: &Value| truth["vantage_clock_end_s"][vantage.as_str().unwrap()].as_f64().unwrap();
        let pairs = report["fleet"]["skew"].as_array().unwrap();
        assert_eq!(pairs.len(), 10, "{name}");
        let mut bounds = Vec::new();
        for pair in pairs {
            let error_s = pair["estimate_s"].as_f64().unwrap() - (clock(&pair["a"]) - clock(&pair["b"]));
            let bound_s = pair["bound_s"].as_f64().unwrap();
            assert!(error_s.abs() <= bound_s, "{name}: {pair}, off by {error_s}");
            bounds.push(bound_s);
        }
        bounds.sort_by(f64::total_cmp);
        let reference_s = truth["reference_bound_s"].as_f64().unwrap();
        assert!(bounds[bounds.len() / 2] <= 3.0 * reference_s, "{name}: {bounds:?}");
    }
}

#[test]
fn json_of_several_vantages_has_each_by_itself_and_the_fleet() {
    let report = json("server_step_20ms.csv.gz");
    let keys = |value: &Value| {
        let keys: BTreeSet<_> = value.as_object().unwrap().keys().cloned().collect();
        keys.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(keys(&report), ["fleet", "vantages"]);
    assert_eq!(keys(&report["vantages"]), ["v1", "v2", "v3", "v4", "v5"]);
    for vantage in report["vantages"].as_object().unwrap().values() {
        assert_eq!(keys(vantage), ["events", "servers", "verdicts"]);
        assert_eq!(keys(&vantage["servers"]).len(), 6);
    }
    assert_eq!(keys(&report["fleet"]), ["skew", "verdicts"]);
    assert_eq!(keys(&report["fleet"]["skew"][0]), ["a", "b", "bound_s", "estimate_s"]);
}

#[test]
fn report_of_several_vantages_says_who_is_wrong_in_a_sentence() {
    let text = String::from_utf8(replay(&["server_step_20ms.csv.gz"]).stdout).unwrap();
    assert!(text.contains("Vantage v1") && text.contains("Fleet"), "{text}");
    let line = text.lines().find(|line| line.contains("n3 jumped and is")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("server_wrong") && line.contains("ahead") && line.contains("places"), "{line}");
}

/// A recording in which two sites have a server `gw` each at the same private address. That of v4 and v5 is 60 ms ahead.
fn two_sites(to: &Path) {
    let archive = File::open(fixtures().join("server_step_20ms.csv.gz")).unwrap();
    let mut text = String::new();
    GzDecoder::new(archive).read_to_string(&mut text).unwrap();
    let mut rows = text.lines();
    let mut out = rows.next().unwrap().to_owned() + "\n";
    for row in rows {
        let mut fields: Vec<String> = row.split(',').map(str::to_owned).collect();
        match &*fields[2] {
            // The server that steps is left out.
            "n3" => continue,
            "n6" => {
                fields[2..4].clone_from_slice(&["gw".to_owned(), "192.168.1.1:123".to_owned()]);
                if fields[1] == "v4" || fields[1] == "v5" {
                    fields[5] = fields[5].parse::<f64>().map_or_else(|_| String::new(), |s| (s + 0.06).to_string());
                }
            }
            _ => {}
        }
        out += &(fields.join(",") + "\n");
    }
    std::fs::write(to, out).unwrap();
}

#[test]
fn private_address_of_two_sites_is_not_a_split_server() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sites.csv");
    two_sites(&file);
    let file = file.to_str().unwrap();
    let wrong = |arguments: &[&str]| {
        let output = replay(&[arguments, &["--json", file]].concat());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = report["fleet"]["verdicts"].as_array().unwrap().iter().map(named);
        let all: BTreeSet<String> = all.flat_map(|(all, _)| all).collect();
        (all, String::from_utf8(output.stderr).unwrap())
    };
    let (all, said) = wrong(&[]);
    assert_eq!(all, ["v4", "v5"].map(|v| format!("server:gw@192.168.1.1:123 of {v}")).into());
    assert!(said.contains("192.168.1.1:123") && said.contains("--group"), "{said}");
    let (all, said) = wrong(&["--group", "v1,v2,v3", "--group", "v4,v5"]);
    assert_eq!(all, ["server:gw@192.168.1.1:123 of v4,v5".to_owned()].into());
    assert!(!said.contains("--group"), "{said}");
    let (_, said) = wrong(&["--group", "v1,v9"]);
    assert!(said.contains("--group names v9, but it has no samples"), "{said}");
}
