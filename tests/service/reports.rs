//! Statistics, exports, pictures and reports of a store, as a user gets them.

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
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Measure, Outcome, Reply, Sample, ServerIdent, Timestamping};
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

/// A store of these samples in a directory of its own.
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

/// What a command printed when it had to succeed.
#[track_caller]
fn told(store: &Path, arguments: &[&str]) -> String {
    let output = ask(store, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command complained of when it had to fail with 1.
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
fn stats_of_five_samples_are_exact() {
    let (_dir, path) = small(five());
    let found: Value = serde_json::from_str(&told(&path, &[&["stats", "--json"], &DAY[..]].concat())).unwrap();
    let a = &found["servers"]["a"];
    assert_eq!((a["n"].as_u64(), a["polls"].as_u64(), a["from"].as_str()), (Some(5), Some(6), Some("samples")));
    let close = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-12;
    assert!(close(&a["loss"], 1.0 / 6.0) && close(&a["offset"]["mean"], 3e-3) && close(&a["offset"]["median"], 3e-3));
    assert!(close(&a["offset"]["stddev"], 2.5e-6_f64.sqrt()) && close(&a["offset"]["max"], 5e-3));
    assert!(a["offset"].get("p99").is_none(), "five values have no p99");
    assert_eq!(found["judged_from"], "2026-11-01T00:00:00Z");
    let table = told(&path, &[&["stats"], &DAY[..]].concat());
    assert!(table.contains("16.67 %") && table.contains("+3.00 ms") && table.contains("samples"), "{table}");
}

#[test]
fn stats_and_replay_agree_on_the_same_samples() {
    let (_dir, path) = &a_week();
    let export = tempfile::tempdir().unwrap();
    let file = export.path().join("week.csv.gz");
    told(path, &["export", "-o", file.to_str().unwrap()]);
    let replayed = run(export.path(), &["replay", "--json", file.to_str().unwrap()]);
    let replayed: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    let found: Value = serde_json::from_str(&told(path, &[&["stats", "--json"], &WEEK_SPAN[..]].concat())).unwrap();
    assert_eq!(found["verdicts"], replayed["verdicts"]);
    for (name, expected) in replayed["servers"].as_object().unwrap() {
        let mut got = found["servers"][name].clone();
        for key in ["from", "standing"] {
            got.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(&got, expected, "{name}");
    }
    let sentences = |events: &Value| -> Vec<Value> {
        events.as_array().unwrap().iter().map(|event| event["sentence"].clone()).collect()
    };
    assert_eq!(sentences(&found["events"]), sentences(&replayed["events"]));
}

#[test]
fn rollup_figures_agree_with_samples_within_their_accuracy() {
    let (_dir, path) = &a_week();
    let dir = tempfile::tempdir().unwrap();
    let rolled = store(options(dir.path()), week().samples());
    forget_samples(options(dir.path()));
    let both = [path, &rolled].map(|path| {
        let told = told(path, &[&["stats", "--json"], &WEEK_SPAN[..]].concat());
        serde_json::from_str::<Value>(&told).unwrap()
    });
    let [exact, sums] = &both;
    for name in ["ntp1", "ntp2", "ntp3", "ntp4", "ntp5"] {
        let (exact, sums) = (&exact["servers"][name], &sums["servers"][name]);
        assert_eq!((exact["from"].as_str(), sums["from"].as_str()), (Some("samples"), Some("rollups")));
        assert_eq!((&exact["n"], &exact["outcomes"], &exact["loss"]), (&sums["n"], &sums["outcomes"], &sums["loss"]));
        for (part, figure) in [("offset", "p95"), ("offset", "p5"), ("delay", "p50"), ("offset_abs", "p99")] {
            let value = |of: &Value| of[part][figure].as_f64().unwrap();
            assert!((value(exact) - value(sums)).abs() <= 0.0203 * value(exact).abs() + 2e-9, "{name} {part} {figure}");
        }
        assert_eq!((&exact["offset"]["min"], &exact["delay"]["max"]), (&sums["offset"]["min"], &sums["delay"]["max"]));
    }
    assert!(sums["judged_from"].is_null() && sums["verdicts"].as_array().unwrap().is_empty());
    assert!(told(&rolled, &[&["stats"], &WEEK_SPAN[..]].concat()).contains("no verdicts: they need samples"));
    assert!(complaint(&rolled, &["export"]).contains("no samples are kept"));
    // Pictures and reports are made of what is left.
    let svg = told(&rolled, &[&["plot", "histogram", "--server", "ntp1"], &WEEK_SPAN[..]].concat());
    assert!(svg.contains("n = 9366"), "the sketches of all hours");
    assert!(told(&rolled, &[&["report"], &WEEK_SPAN[..]].concat()).contains("Verdicts and stability need samples"));
}

#[test]
fn export_is_lossless_with_one_line_a_poll() {
    let (_dir, path) = &a_week();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.csv");
    told(path, &["export", "-o", file.to_str().unwrap()]);
    let exported: Vec<Sample> = csv::read_file(&file).unwrap().map(|row| row.unwrap()).collect();
    let kept: Vec<Sample> = week().samples().collect();
    assert_eq!(exported.len(), kept.len());
    let same = |a: &Sample, b: &Sample| {
        (a.at, a.address, &a.outcome, a.measure, a.reply) == (b.at, b.address, &b.outcome, b.measure, b.reply)
    };
    // The store sorts by the wall clock.
    let mut kept = kept;
    kept.sort_by_key(|sample| sample.at.wall_ns);
    assert!(exported.iter().zip(&kept).all(|(a, b)| same(a, b)));

    let lines = told(path, &["export", "--format", "jsonl", "--server", "ntp3", "--since", "9000d"]);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((first["server"].as_str(), first["vantage"].as_str()), (Some("ntp3"), Some("ams-1")));
    let of_ntp3 = kept.iter().filter(|sample| &*sample.server.name == "ntp3");
    assert_eq!(lines.lines().count(), of_ntp3.clone().count());
    assert_eq!(first["raw_ns"].as_i64(), of_ntp3.clone().next().map(|sample| sample.at.raw_ns));

    let lines = told(path, &["export", "--format", "influx", "--from", "2026-02-26", "--to", "2026-02-27"]);
    assert!(lines.lines().all(|line| line.starts_with("ntp_sample,address=198.18.")), "line protocol");
}

#[test]
fn export_to_a_closed_pipe_is_no_error() {
    let (dir, path) = &a_week();
    let mut child = program(dir.path())
        .args(["export", "--store", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((first.as_str(), text(&output.stderr).as_str()), (ntp_monitor_core::formats::csv::HEADER, ""));
}

#[test]
fn every_chart_is_valid_xml_with_its_labels() {
    let (_dir, path) = &a_week();
    let marks = [
        (
            "offset",
            vec![
                "offset (ms)",
                "Feb 27",
                "true offset range, if the claim holds",
                "ticks: failed polls",
                "heads: events",
            ],
        ),
        ("delay", vec!["delay (ms)", "smallest to largest"]),
        ("bound", vec!["|offset| + root distance", "limit", "100 ms"]),
        ("scatter", vec!["delay (ms)", "effect of a queue in one direction"]),
        ("histogram", vec!["samples", "n = 9345"]),
        ("adev", vec!["ADEV (overlapping)", "10⁻⁶", "95 % confidence intervals"]),
        ("tdev", vec!["TDEV", "1 ms", "averaging time τ"]),
        ("comparison", vec!["p5 to p95"]),
    ];
    for (kind, words) in marks {
        let svg = told(path, &[&["plot", kind, "--server", "ntp5"], &WEEK_SPAN[..]].concat());
        resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
        for word in words.into_iter().chain(["ntp5", "seen from ams-1"]) {
            assert!(svg.contains(word), "{kind} lacks {word:?}");
        }
    }
    let one = tempfile::tempdir().unwrap();
    let png = one.path().join("a.png");
    told(path, &[&["plot", "comparison", "-o", png.to_str().unwrap()], &WEEK_SPAN[..]].concat());
    assert_eq!(&std::fs::read(png).unwrap()[1..4], b"PNG");
}

#[test]
fn sparse_stores_and_long_spans_have_charts_and_answers() {
    let (_a, empty) = small([]);
    let (_b, one) = small([measured("a", 0, 1e-3, 0.02)]);
    let (_c, dead) = small((0..100).map(|n| failed("a", n)));
    for arguments in [&["stats"][..], &["export"], &["report"], &["plot", "offset"]] {
        let said = complaint(&empty, arguments);
        assert!(said.starts_with("ntp-monitor: ") && !said.contains("panicked"), "{said}");
    }
    for kind in KINDS {
        for path in [&one, &dead] {
            let svg = told(path, &[&["plot", kind], &DAY[..]].concat());
            resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
        }
    }
    for path in [&one, &dead] {
        assert!(told(path, &[&["report"], &DAY[..]].concat()).contains("</html>"));
        assert!(told(path, &["stats", "--since", "36500d"]).contains("Monitored for"));
        assert!(told(path, &["plot", "offset", "--since", "36500d"]).contains("</svg>"));
    }
    assert!(told(&dead, &[&["stats"], &DAY[..]].concat()).contains("100.00 %"));
    assert!(told(&dead, &[&["plot", "offset"], &DAY[..]].concat()).contains("no measurements"));
    assert!(complaint(&one, &["stats", "--from", "2026-11-02", "--to", "2026-11-01"]).contains("is empty"));
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
fn markup_in_a_name_is_escaped_everywhere() {
    let name = "<script>alert('x')</script>&\"\u{1b}[2J";
    let (_dir, path) = small((0..120).map(|n| measured(name, n, 1e-3, 0.02)));
    for kind in KINDS {
        let svg = told(&path, &[&["plot", kind], &DAY[..]].concat());
        resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
        assert!(!svg.contains("<script") && !svg.contains('\u{1b}'), "{kind}");
    }
    let html = told(&path, &[&["report"], &DAY[..]].concat());
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;") && !html.contains('\u{1b}'));
    assert!(!told(&path, &[&["stats"], &DAY[..]].concat()).contains('\u{1b}'));
}

#[test]
fn report_is_self_contained_and_names_wrong_servers() {
    let (_dir, path) = &a_week();
    let html = told(path, &[&["report"], &WEEK_SPAN[..]].concat());
    for forbidden in ["<script", "src=", "<link", "@import", "url("] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    let elsewhere = html.split("http").skip(1).filter(|rest| !rest.starts_with("://www.w3.org/2000/svg"));
    assert_eq!(elsewhere.count(), 0, "nothing is fetched");
    for said in [
        "5 servers, ",
        "ntp2 is wrong by at least",
        "clock within 100 ms",
        "clock: step, by at least",
        "path: asymmetry",
        "more than half of the servers",
        "loss burst",
        "How each number is defined",
        "prefers-color-scheme:dark",
    ] {
        assert!(html.contains(said), "{said}");
    }
    // Six of all servers, two of each.
    assert_eq!(html.matches("<svg ").count(), 16);
    let strict = told(path, &[&["report", "--limit", "1ms"], &WEEK_SPAN[..]].concat());
    assert!(strict.contains("for 0.00 % of the time"));
}

/// Records alerts as the alerter does: one in the middle of the week, one that lasts, and one long before.
fn with_alerts(dir: &Path, world: &ntp_monitor_core::world::World) {
    let at = |hours: i64| jiff::Timestamp::from_second(world.start_unix_s + hours * 3600).unwrap();
    let past = |server: &str, from: i64, until: Option<i64>| Past {
        alert: "failing-queries".to_owned(),
        severity: Severity::Warning,
        server: Some(server.to_owned()),
        value: Some(5.0),
        summary: format!("{server} gives no time <&>"),
        started_at: at(from),
        fired_at: at(from),
        ended_at: until.map(at),
        end: until.map(|_| End::Clear),
        held_by: None,
    };
    let history = vec![past("ntp4", 120, Some(132)), past("ntp2", 150, None), past("ntp1", -100, Some(-99))];
    let record = AlertRecord { history, ..AlertRecord::default() };
    let store = Store::open(options(dir), &slog::Logger::root(slog::Discard, slog::o!())).unwrap();
    let command = AlertCommand::Record(Box::new(record));
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    store.writer(None).command(Command::Alerts { command, reply });
    answer.try_recv().unwrap().unwrap();
}

#[test]
fn report_lists_the_alerts_of_its_span() {
    let dir = tempfile::tempdir().unwrap();
    let world = week();
    let path = store(options(dir.path()), world.samples());
    with_alerts(dir.path(), &world);
    let html = told(&path, &[&["report"], &WEEK_SPAN[..]].concat());
    let table = html.split("<h2>Alerts</h2>").nth(1).unwrap().split("</table>").next().unwrap();
    let rows: Vec<&str> = table.split("<tr>").skip(1).collect();
    assert_eq!(rows.len(), 2, "{table}");
    for (row, server, from, until) in [
        (rows[0], "ntp4", "2026-03-02 06:13", "2026-03-02 18:13"),
        (rows[1], "ntp2", "2026-03-03 12:13", "still firing"),
    ] {
        for said in [&format!("{server} gives no time &lt;&amp;&gt;"), "failing-queries", "warning", from, until] {
            assert!(row.contains(said), "{said} in {row}");
        }
    }
    assert!(html.contains("2 alerts,"));
    let before = told(&path, &["report", "--from", "2026-02-26", "--to", "2026-02-27"]);
    assert!(before.contains("No alert,") && !before.contains("gives no time"));
}

#[test]
fn mail_has_an_image_for_every_reference_and_no_svg() {
    let (_dir, path) = &a_week();
    let reader = Reader::open(path).unwrap();
    let span = Span { from_ns: 1_771_977_600 * S, to_ns: 1_772_668_800 * S };
    let order = Order { span, servers: vec!["ntp1".to_owned()], limit_s: 0.1, vantage: None, zone: TimeZone::UTC };
    let report = make(&reader, order, T0, &mut |_, _| ()).unwrap().report("k".to_owned());
    let ids: Vec<&str> = report.html.split("cid:").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids, report.pictures.iter().map(|picture| picture.id.as_str()).collect::<Vec<_>>());
    assert!(ids.len() == 8 && report.pictures.iter().all(|picture| picture.png.starts_with(b"\x89PNG")));
    assert!(!report.html.contains("<svg") && report.text.contains("ntp1:") && report.summary.contains("1 server, "));
}

#[test]
fn report_has_its_times_in_the_configured_zone() {
    let (dir, path) = &a_week();
    let config = dir.path().join("c.toml");
    let text = "[[server]]\naddress = \"192.0.2.1\"\n[report]\ntimezone = \"Asia/Tokyo\"\n";
    std::fs::write(&config, text).unwrap();
    let html = told(path, &[&["report", "--config", config.to_str().unwrap()], &WEEK_SPAN[..]].concat());
    let reader = Reader::open(path).unwrap();
    let span = Span { from_ns: 1_771_977_600 * S, to_ns: 1_772_668_800 * S };
    let zone = TimeZone::get("Asia/Tokyo").unwrap();
    let order = Order { span, servers: Vec::new(), limit_s: 0.1, vantage: None, zone };
    let mail = make(&reader, order, T0, &mut |_, _| ()).unwrap().report("k".to_owned());
    for text in [&html, &mail.html, &mail.text] {
        assert!(text.contains("Times are in Asia/Tokyo") && text.contains(" JST ("), "{text}");
        assert!(!text.contains(":00 UTC to"), "a time without the zone");
    }
}

/// An hour of three servers that agree, one that is 40 ms off, and one that is never synchronised.
fn hour_of_five() -> Vec<Sample> {
    let polls = |minute: i64| {
        let good = ["a", "b", "c"].map(|name| measured(name, minute, 1e-4, 0.004));
        let address = |n: u8| Some(format!("192.0.2.{n}:123").parse().unwrap());
        let good = good.into_iter().zip(2..).map(move |(sample, n)| Sample { address: address(n), ..sample });
        let wrong = Sample { address: address(6), ..measured("wrong", minute, 0.04, 0.004) };
        let unset = Sample { outcome: Outcome::Unsynchronised(None), lost: 0, ..failed("unset", minute) };
        good.chain([wrong, Sample { address: address(7), ..unset }]).collect::<Vec<_>>()
    };
    (0..60).flat_map(polls).collect()
}

#[test]
fn wrong_and_unsynchronised_servers_are_no_evidence() {
    let (_dir, path) = small(hour_of_five());
    let span = ["--from", "2026-11-01", "--to", "2026-11-01T01:00:00Z"];
    let report = |form: &str| told(&path, &[&["report", "--format", form], &span[..]].concat());
    let json: Value = serde_json::from_str(&report("json")).unwrap();
    let standing = |name: &str| json["servers"][name]["standing"]["state"].as_str().unwrap().to_owned();
    assert_eq!(["a", "wrong", "unset"].map(standing), ["not_found_wrong", "wrong", "unsynchronised"]);
    let shares = &json["traceability"]["servers"]["wrong"];
    assert!(shares["within"].as_f64() < Some(0.2) && shares["found_wrong"].as_f64() > Some(0.8), "{shares}");
    assert_eq!(json["traceability"]["servers"]["unset"]["unshown"], 1.0);
    assert!(json["traceability"]["majority"]["within"].as_f64() > Some(0.5), "three of five agree");
    for form in ["html", "text", "csv"] {
        let told = report(form);
        assert!(told.contains("unsynchronised in all 60 polls, so it was not judged"), "{form}: {told}");
        assert!(told.contains("proven") && !told.contains("not blamed"), "{form}: {told}");
    }
    let stats = told(&path, &[&["stats"], &span[..]].concat());
    assert!(stats.contains("unset: unsynchronised in all 60 polls"), "{stats}");
}

#[test]
fn unmonitored_days_are_reported() {
    let (_dir, path) = small(hour_of_five());
    let span = ["--from", "2026-10-05", "--to", "2026-11-01T01:00:00Z"];
    let found: Value = serde_json::from_str(&told(&path, &[&["stats", "--json"], &span[..]].concat())).unwrap();
    let coverage = |key: &str| found["coverage"][key].as_f64().unwrap();
    assert_eq!((found["from"].as_str(), coverage("unmonitored_s")), (Some("2026-10-05T00:00:00Z"), 27.0 * 86_400.0));
    assert_eq!((coverage("monitored_s"), coverage("future_s")), (3600.0, 0.0));
    for form in ["html", "text"] {
        let told = told(&path, &[&["report", "--format", form], &span[..]].concat());
        assert!(told.contains("Monitored for 1 h of 27 d 1 h (0.15 %); no server was polled for 27 d (99.85 %)."));
        assert!(told.contains("2026-10-05 00:00 UTC to 2026-11-01 01:00 UTC"), "{form}");
        assert!(told.contains("99.85 %"), "{form}");
    }
}

#[test]
fn future_is_not_expected() {
    let (_dir, path) = small(hour_of_five());
    let reader = Reader::open(&path).unwrap();
    let span = Span { from_ns: T0, to_ns: T0 + 20 * 3600 * S };
    let request = Request { now_ns: T0 + 3600 * S, ..Request::default() };
    let found = survey(&reader, span, &request, &mut |_, _| ()).unwrap();
    assert_eq!((found.coverage.expected_s, found.coverage.unmonitored_s), (3600.0, 0.0));
    assert_eq!(found.coverage.future_s, 19.0 * 3600.0);
    let order = Order { span, servers: Vec::new(), limit_s: 0.1, vantage: None, zone: TimeZone::UTC };
    let text = make(&reader, order, T0 + 3600 * S, &mut |_, _| ()).unwrap().text();
    assert!(text.contains("Monitored for all of 1 h. 19 h of the period are in the future."), "{text}");
    let said = complaint(&path, &["report", "--from", "2126-01-01", "--to", "2126-01-02"]);
    assert!(said.contains("1 d of the period are in the future"), "{said}");
}

#[test]
fn single_server_is_not_shown_right_by_a_majority() {
    let (_dir, path) = small((0..120).map(|n| measured("a", n, 1e-4, 0.004)));
    let span = ["--from", "2026-11-01", "--to", "2026-11-01T02:00:00Z"];
    let text = told(&path, &[&["report", "--format", "text"], &span[..]].concat());
    assert!(text.contains("not shown: a majority needs three servers"), "{text}");
    assert!(text.contains("a: not judged") || text.contains("not judged: there was no majority"), "{text}");
    assert!(text.contains("No clock was judged"), "{text}");
}

#[test]
fn selected_server_is_judged_with_all_servers() {
    let (_dir, path) = &a_week();
    let reader = Reader::open(path).unwrap();
    let span = Span { from_ns: 0, to_ns: i64::MAX };
    let request = Request { servers: vec!["ntp2".to_owned()], taus_s: None, now_ns: T0 };
    let found = survey(&reader, span, &request, &mut |_, _| ()).unwrap();
    assert_eq!(found.servers.keys().collect::<Vec<_>>(), ["ntp2"]);
    assert!(found.accuses("ntp2") && !found.accuses("ntp5"));
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
