//! Statistics, exports, charts and reports from a store, with the command line.

mod charts;
mod evidence;
mod figures;
mod page;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use jiff::tz::TimeZone;

use crate::common::monitor::{program, run, text};
use crate::common::service::Running;
use crate::common::stored::{self, forget_samples, options, store, week};
use ntp_monitor::history::span::Span;
use ntp_monitor::history::survey::{Request, survey};
use ntp_monitor::report::make::make;
use ntp_monitor::report::material::Order;
use ntp_monitor::sim::Script;
use ntp_monitor::sinks::csv;
use ntp_monitor::sinks::worker::BatchWriter;
use ntp_monitor::store::read::Reader;
use ntp_monitor::store::{AlertCommand, AlertRecord, Command, Store};
use ntp_monitor_core::alert::notification::Severity;
use ntp_monitor_core::alert::state::End;
use ntp_monitor_core::alert::status::Past;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::formats::local::LocalRow;
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Measure, Outcome, Reply, Sample, ServerIdent, Timestamping};
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::local::{KernelState, LocalState};
use serde_json::{Value, json};
use sha2::Digest;

const S: i64 = 1_000_000_000;

/// 2026-11-01T00:00:00Z.
const T0: i64 = 1_793_491_200 * S;

const DAY: [&str; 4] = ["--from", "2026-11-01", "--to", "2026-11-02"];

const KINDS: [&str; 8] = ["offset", "delay", "bound", "scatter", "histogram", "adev", "tdev", "comparison"];

/// A store with a week of five servers, and its directory.
fn a_week() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = store(options(dir.path()), week().samples());
    (dir, path)
}

const WEEK_SPAN: [&str; 4] = ["--from", "2026-02-25", "--to", "2026-03-05"];

fn failed(server: &str, minute: i64) -> Sample {
    let at = Stamp::new(T0 + minute * 60 * S, minute * 60 * S, 0);
    let address = Some("192.0.2.1:123".parse().unwrap());
    let unasked = Sample::unasked(at, ServerIdent::named(server), Outcome::Timeout, 60.0);
    Sample { address, sent: 1, lost: 1, ..unasked }
}

fn measured(server: &str, minute: i64, offset_s: f64, delay_s: f64) -> Sample {
    let reply = Reply {
        stratum: 1,
        leap: Leap::None,
        refid: RefId(*b"GPS\0"),
        precision_log2: -20,
        root_delay_s: 0.0,
        root_dispersion_s: 0.001,
        reference_age_s: None,
    };
    Sample {
        outcome: Outcome::Sample,
        reply: Some(reply),
        measure: Some(Measure { offset_s, delay_s, root_distance_s: delay_s / 2.0 + 0.001 }),
        timestamping: Some(Timestamping::Kernel),
        lost: 0,
        ..failed(server, minute)
    }
}

/// A store with these samples in a temporary directory.
fn small(samples: impl IntoIterator<Item = Sample>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = store(options(dir.path()), samples);
    (dir, path)
}

fn ask(store: &Path, arguments: &[&str]) -> Output {
    let at = store.parent().unwrap();
    let (command, rest) = arguments.split_first().unwrap();
    run(at, &[&[*command, "--store", store.to_str().unwrap()], rest].concat())
}

/// The output of a command that must succeed.
#[track_caller]
fn told(store: &Path, arguments: &[&str]) -> String {
    let output = ask(store, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The error messages of a command that must fail with status 1.
#[track_caller]
fn complaint(store: &Path, arguments: &[&str]) -> String {
    let output = ask(store, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// The offsets 1 to 5 ms, one failure, a minute apart.
fn five() -> Vec<Sample> {
    let mut samples: Vec<_> = (0..5).map(|n| measured("a", n, 1e-3 * (n + 1) as f64, 0.02)).collect();
    samples.push(failed("a", 5));
    samples
}

#[test]
fn unknown_server_bad_file_and_wrong_store_are_plain_errors() {
    let (dir, path) = small(five());
    for command in [&["stats"][..], &["export"], &["report"], &["plot", "offset"]] {
        let said = complaint(&path, &[command, &["--server", "nix"]].concat());
        assert!(said.contains("no server \"nix\" in the store; it has \"a\""), "{said}");
    }
    for command in [&["export"][..], &["report", "--since", "36500d"], &["plot", "offset"]] {
        let said = complaint(&path, &[command, &["-o", "/nowhere/at/all"]].concat());
        assert!(said.contains("cannot write /nowhere/at/all"), "{said}");
    }
    let text_file = dir.path().join("notes.txt");
    std::fs::write(&text_file, "not a store, but longer than nothing").unwrap();
    assert!(complaint(&text_file, &["stats"]).contains("is not a store"));
    let no_store = run(dir.path(), &["stats", "--set", "store.path=missing.db"]);
    assert_eq!(no_store.status.code(), Some(1));
    assert!(text(&no_store.stderr).contains("missing.db: it cannot be opened"), "{}", text(&no_store.stderr));
}

#[test]
fn store_is_readable_while_a_service_writes() {
    let (_dir, path) = small(five());
    let held = ntp_monitor::store::Store::open(
        stored::options(path.parent().unwrap()),
        &slog::Logger::root(slog::Discard, slog::o!()),
    );
    assert!(held.is_ok());
    assert!(told(&path, &[&["stats"], &DAY[..]].concat()).contains("+3.00 ms"));
}

#[actix_rt::test]
async fn api_lists_shows_and_makes_reports() {
    let hash: String = sha2::Sha256::digest(b"a token of ours").iter().map(|byte| format!("{byte:02x}")).collect();
    let tokens = json!([{ "name": "page", "role": "operate", "sha256": hash }]);
    let running = Running::start(&[("alpha", Script::good())], json!({ "http": { "tokens": tokens } })).await;
    running.polled(3).await;
    assert_eq!(running.get("/api/v1/reports").await.json(), json!({ "reports": [], "under_way": null }));
    let post = async |token: &str, body: &str| {
        let request = reqwest::Client::new().post(format!("{}/api/v1/reports", running.base));
        let request = request.header("Authorization", format!("Bearer {token}"));
        let answer = request.header("Content-Type", "application/json").body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    assert_eq!(post("a stranger", r#"{"since": "1h"}"#).await.0, 401);
    for bad in [r#"{"since": "soon"}"#, r#"{"since": "0s"}"#, r#"{"until": "1h"}"#] {
        let (status, problem) = post("a token of ours", bad).await;
        assert_eq!((status, problem["status"].as_u64()), (400, Some(400)), "{bad}");
    }
    let (status, kept) = post("a token of ours", r#"{"since": "1h"}"#).await;
    assert_eq!(status, 201, "{kept}");
    let listed = running.get("/api/v1/reports").await.json();
    assert_eq!(listed["reports"], json!([kept]));
    let page = running.get(&format!("/api/v1/reports/{}", kept["id"].as_str().unwrap())).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'; style-src 'unsafe-inline'") && !policy.contains("script"), "{policy}");
    assert!(page.text.contains("alpha") && page.text.contains("</html>"));
    for missing in ["report-20200101T000000Z", "..%2F..%2Fservers", "x"] {
        assert_eq!(running.get(&format!("/api/v1/reports/{missing}")).await.status, 404);
    }
    running.stop().await;
}
