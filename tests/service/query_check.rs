//! `query` and `check` as functions: exit statuses, output and request intervals with a fake engine; then the real
//! engine with scripted servers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{CommandFactory, Parser};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ntp_monitor::cli::check::{self, CheckArgs};
use ntp_monitor::cli::clock::{self, ClockArgs};
use ntp_monitor::cli::measure::Tools;
use ntp_monitor::cli::query::{self, QueryArgs};
use ntp_monitor::cli::sheet;
use ntp_monitor::cli::table::Terminal;
use ntp_monitor::cli::watch;
use ntp_monitor::config::{EngineChoice, Family, Inputs};
use ntp_monitor::probe::resolve::{Address, Resolution, Resolve, ResolveError};
use ntp_monitor::probe::{Engines, ProbeEngine, ProbeFuture, ProbeReport, Query};
use ntp_monitor::sim::{Header, ReplyKind, Script, ScriptedServer};
use ntp_monitor_core::ntp::KissCode;
use ntp_monitor_core::sample::{Measure, Outcome};
use tokio::time::Instant;

#[derive(Parser)]
enum Line {
    Query(QueryArgs),
    Check(CheckArgs),
    Clock(ClockArgs),
}

/// A fake engine with answers by address; it records the time of each request.
#[derive(Default)]
struct Canned {
    answers: HashMap<IpAddr, Answer>,
    asked: Mutex<Vec<(IpAddr, Instant)>>,
}

#[derive(Clone)]
enum Answer {
    Offset(f64),
    /// An offset this many times, and then a kiss DENY.
    OffsetUntil(usize),
    Fails(Outcome),
    Hangs,
    Panics,
}

impl Canned {
    /// The times of the requests to `server`.
    fn times(&self, server: IpAddr) -> Vec<Instant> {
        self.asked.lock().unwrap().iter().filter(|(who, _)| *who == server).map(|(_, at)| *at).collect()
    }
}

impl ProbeEngine for Canned {
    fn probe(&self, query: Query) -> ProbeFuture {
        let ip = query.address.ip();
        self.asked.lock().unwrap().push((ip, Instant::now()));
        let answer = match self.answers[&ip].clone() {
            Answer::OffsetUntil(times) if self.times(ip).len() > times => Answer::Fails(Outcome::Kiss(KissCode::DENY)),
            Answer::OffsetUntil(_) => Answer::Offset(0.001),
            answer => answer,
        };
        Box::pin(async move {
            match answer {
                Answer::Offset(offset_s) => {
                    let measure = Some(Measure { offset_s, delay_s: 0.01, root_distance_s: 0.006 });
                    ProbeReport { measure, ..ProbeReport::failed(ntp_monitor::clock::now(), Outcome::Sample) }
                }
                Answer::Fails(outcome) => ProbeReport::failed(ntp_monitor::clock::now(), outcome),
                Answer::OffsetUntil(_) => unreachable!("it is one of the others by now"),
                Answer::Hangs => std::future::pending().await,
                Answer::Panics => panic!("made up"),
            }
        })
    }
}

/// A resolver that knows `pool` and literals.
struct Names;

impl Resolve for Names {
    fn resolve(&self, host: &str, _family: Family) -> BoxFuture<'static, Result<Resolution, ResolveError>> {
        let found: Vec<IpAddr> = match host {
            "pool" => vec![ip(1), ip(2)],
            literal => literal.parse().into_iter().collect(),
        };
        let answer = if found.is_empty() {
            Err(ResolveError::NoSuchName { host: host.into() })
        } else {
            Ok(Resolution {
                addresses: found.into_iter().map(Address::from).collect(),
                expires: Duration::from_secs(60),
                silent: None,
            })
        };
        std::future::ready(answer).boxed()
    }
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn engine(answers: &[(u8, Answer)]) -> Arc<Canned> {
    let answers = answers.iter().map(|(last, answer)| (ip(*last), answer.clone())).collect();
    Arc::new(Canned { answers, ..Canned::default() })
}

/// Runs a command line; returns its output and exit status.
async fn run(line: &str, engine: &Arc<Canned>) -> (String, u8) {
    run_with(line, Arc::clone(engine) as Arc<dyn ProbeEngine>).await
}

async fn run_with(line: &str, engine: Arc<dyn ProbeEngine>) -> (String, u8) {
    let tools = Tools { engine, resolver: Arc::new(Names) };
    let mut out = Vec::new();
    let status = match Line::parse_from(std::iter::once("x").chain(line.split_whitespace())) {
        Line::Query(args) if args.watch.is_some() => {
            watch::run(&args, args.watch.unwrap(), &tools, Terminal::default(), &mut out).await.unwrap()
        }
        Line::Query(args) if args.sheet => sheet::run(&args, &tools, Terminal::default(), &mut out).await.unwrap(),
        Line::Query(args) => query::run(&args, &tools, Terminal::default(), &mut out).await.unwrap(),
        Line::Check(args) => check::run(&args, &tools, &mut out).await.unwrap(),
        Line::Clock(args) => clock::run(&args, &Inputs::default(), &tools, &mut out).await.unwrap(),
    };
    (String::from_utf8(out).unwrap(), status)
}

#[tokio::test(start_paused = true)]
async fn query_succeeds_only_when_every_server_gave_a_time() {
    let engine = engine(&[(1, Answer::Offset(0.001)), (2, Answer::Fails(Outcome::Timeout))]);
    assert_eq!(run("query 192.0.2.1", &engine).await.1, 0);
    let (text, status) = run("query 192.0.2.1 192.0.2.2 nowhere", &engine).await;
    assert_eq!(status, 1);
    assert!(text.contains("+1.00 ms") && text.contains("no reply") && text.contains("NXDOMAIN"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn one_server_that_hangs_or_panics_spoils_no_other() {
    let engine = engine(&[(1, Answer::Hangs), (2, Answer::Panics), (3, Answer::Offset(0.001))]);
    let (text, status) = run("query --json 192.0.2.1 192.0.2.2 192.0.2.3", &engine).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let outcomes: Vec<&str> = (0..3).map(|n| json["results"][n]["outcome"].as_str().unwrap()).collect();
    assert_eq!((outcomes.as_slice(), status), (["fault", "fault", "sample"].as_slice(), 1));
}

#[tokio::test(start_paused = true)]
async fn servers_are_asked_at_once_but_each_every_two_seconds() {
    // The first answers at once, the second never; neither may cause requests that are too close.
    let engine = engine(&[(1, Answer::Offset(0.001)), (2, Answer::Hangs)]);
    let start = Instant::now();
    // The pool's first address is also named directly.
    run("query -n 3 -i 1ms pool 192.0.2.1 192.0.2.2", &engine).await;
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    for (server, requests) in [(1, 6), (2, 3)] {
        let times = engine.times(ip(server));
        assert_eq!(times.len(), requests);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(2)), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kiss_ends_the_requests_to_that_server() {
    let engine = engine(&[(1, Answer::Fails(Outcome::Kiss(KissCode::RATE)))]);
    let (text, status) = run("query -n 5 192.0.2.1", &engine).await;
    assert_eq!((engine.asked.lock().unwrap().len(), status), (1, 1));
    assert!(text.contains("kiss RATE") && text.contains("ask less often"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn watch_keeps_the_floor_and_ends_when_all_refuse() {
    let engine = engine(&[(1, Answer::OffsetUntil(5)), (2, Answer::OffsetUntil(2))]);
    let (text, status) = run("query --watch=3s 192.0.2.1 192.0.2.2", &engine).await;
    assert_eq!((engine.times(ip(1)).len(), engine.times(ip(2)).len(), status), (6, 3, 1));
    let times = engine.times(ip(1));
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(16)), "{times:?}");
    assert_eq!(text.lines().filter(|line| line.contains(" 192.0.2.1 ok +1.00 ms")).count(), 5, "{text}");
    assert!(text.ends_with("Every server has sent a kiss-o'-death, so none is asked any more.\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn clock_is_judged_by_the_servers_that_are_named() {
    let fails = Answer::Fails(Outcome::Timeout);
    let engine = engine(&[
        (1, Answer::Offset(0.3)),
        (2, Answer::Offset(0.301)),
        (3, fails),
        (4, Answer::Offset(0.05)),
        (5, Answer::Offset(0.05)),
    ]);
    for (line, begins, expected) in [
        ("clock 192.0.2.1 192.0.2.2 192.0.2.3", "wrong by more than 100 ms: local clock is 300 ms slow", 1),
        ("clock --within 1s 192.0.2.1 192.0.2.2", "right within 1.00 s: local clock is 300 ms slow", 0),
        ("clock 192.0.2.1", "cannot be determined: ", 3),
        ("clock 192.0.2.3", "cannot be determined: no server gave a time (1 asked)", 3),
        ("clock 192.0.2.1 192.0.2.4", "cannot be determined: the two servers differ by 250 ms", 3),
        (
            "clock --within 49ms 192.0.2.4 192.0.2.5",
            "cannot be determined within 49.0 ms: local clock is 50.0 ms slow",
            3,
        ),
        ("clock --within 40ms 192.0.2.4 192.0.2.5", "wrong by more than 40.0 ms: local clock is 50.0 ms slow", 1),
        (
            "clock 192.0.2.4 192.0.2.5 192.0.2.1",
            "right within 100 ms: local clock is 50.0 ms slow by 2 of 3 servers",
            0,
        ),
    ] {
        let (text, status) = run(line, &engine).await;
        assert!(text.starts_with(begins) && text.lines().count() == 1, "{text}");
        assert_eq!(status, expected, "{text}");
    }
    let (text, _) = run("clock --json 192.0.2.1 192.0.2.2", &engine).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((json["state"].as_str(), json["source"].as_str()), (Some("wrong"), Some("query")));
    assert!((json["low_s"].as_f64().unwrap() - 0.295).abs() < 1e-9, "{text}");
}

#[tokio::test(start_paused = true)]
async fn every_address_of_a_name_is_measured_on_demand() {
    let engine = engine(&[(1, Answer::Offset(0.001)), (2, Answer::Offset(0.002))]);
    let (text, _) = run("query --all --json pool", &engine).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let addresses: Vec<&str> = (0..2).map(|n| json["results"][n]["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["192.0.2.1:123", "192.0.2.2:123"]);
    assert_eq!(json["conclusion"]["state"], "agrees");
}

#[tokio::test(start_paused = true)]
async fn another_address_of_the_name_is_asked_when_one_is_silent() {
    let asked_of = |json: &str| {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        json["results"][0]["address"].as_str().unwrap().to_owned()
    };
    for silent in [Answer::Hangs, Answer::Fails(Outcome::Timeout), Answer::Fails(Outcome::Fault("no route".into()))] {
        let engine = engine(&[(1, silent), (2, Answer::Offset(0.001))]);
        let began = Instant::now();
        let (text, status) = run("query --json pool", &engine).await;
        assert_eq!((asked_of(&text).as_str(), status), ("192.0.2.2:123", 0), "{text}");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    let prompt = engine(&[(1, Answer::Offset(0.001)), (2, Answer::Offset(0.002))]);
    let (text, _) = run("query --json pool", &prompt).await;
    assert_eq!((asked_of(&text).as_str(), prompt.asked.lock().unwrap().len()), ("192.0.2.1:123", 1));
}

#[tokio::test(start_paused = true)]
async fn check_speaks_the_language_of_plugins() {
    let cases = [
        (Answer::Offset(0.001), "", "NTP OK - ", 0),
        (Answer::Offset(-0.05), "", "NTP WARNING - ", 1),
        (Answer::Offset(0.05), "-c 50ms", "NTP CRITICAL - ", 2),
        (Answer::Fails(Outcome::Timeout), "", "NTP UNKNOWN - ", 3),
        (Answer::Fails(Outcome::Timeout), "--unreachable critical", "NTP CRITICAL - ", 2),
        (Answer::Fails(Outcome::Unsynchronised(None)), "", "NTP CRITICAL - ", 2),
        (Answer::Hangs, "", "NTP UNKNOWN - ", 3),
        (Answer::Offset(0.0), "-w 2s -c 1s", "NTP UNKNOWN - --critical must not be below --warning", 3),
    ];
    for (answer, options, beginning, expected) in cases {
        let (text, status) = run(&format!("check 192.0.2.1 {options}"), &engine(&[(1, answer)])).await;
        assert!(text.starts_with(beginning) && text.lines().count() == 1, "{text}");
        assert_eq!(status, expected, "{text}");
    }
}

#[test]
fn help_shows_purpose_and_examples() {
    let mut command = Line::command();
    for (name, purpose, example) in [
        ("query", "Measure servers now", "ntp-monitor query time.example.net"),
        ("clock", "Say whether the clock of this host is right", "ntp-monitor clock --within 1ms"),
        ("check", "Monitoring plugin", "ntp-monitor check -H time.example.net"),
    ] {
        let help = command.find_subcommand_mut(name).unwrap().render_long_help().to_string();
        assert!(help.starts_with(purpose) && help.contains(example), "{help}");
        assert!(help.contains("--timeout <TIME>"), "{help}");
    }
}

/// Runs a command line with the real engine; `HOSTS` is replaced by the scripted servers, in order.
async fn run_against(line: &str, scripts: &[Script]) -> (String, u8) {
    let mut servers = Vec::new();
    for script in scripts {
        servers.push(ScriptedServer::start("127.0.0.1:0".parse().unwrap(), script.clone()).await.unwrap());
    }
    let hosts: Vec<String> = servers.iter().map(|server| server.address().to_string()).collect();
    let engine = Engines::new(&slog::Logger::root(slog::Discard, slog::o!())).choose(EngineChoice::Kernel);
    run_with(&line.replace("HOSTS", &hosts.join(" ")), engine).await
}

fn ahead(offset_ms: i64) -> Script {
    Script::good().offset_ns(offset_ms * 1_000_000)
}

#[tokio::test]
async fn query_finds_the_one_of_three_servers_that_is_wrong() {
    let (text, status) = run_against("query --json HOSTS", &[ahead(0), ahead(80), ahead(0)]).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["conclusion"]["state"], status), (&"agrees".into(), 0), "{text}");
    assert_eq!(json["conclusion"]["excluded"], serde_json::json!([json["results"][1]["server"]]), "{text}");
    let offset_s = json["results"][1]["offset_s"].as_f64().unwrap();
    assert!((offset_s - 0.080).abs() < json["results"][1]["root_distance_s"].as_f64().unwrap(), "{text}");
    assert!(json["results"][1]["checks"].as_array().unwrap().iter().all(|check| check["passed"] == true), "{text}");
}

#[tokio::test]
async fn query_explains_each_reply_that_it_refused() {
    let forged_first = Script::good().replying([ReplyKind::WrongOrigin, ReplyKind::Good]);
    let (text, status) = run_against("query HOSTS", &[forged_first]).await;
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("other replies also arrived and were rejected"), "{text}");
    assert!(
        text.contains("its origin field is not the cookie that was sent") && text.contains("failed: origin"),
        "{text}"
    );
}

#[tokio::test]
async fn check_distinguishes_scripted_servers() {
    let cases = [
        (ahead(0), 0),
        (ahead(50), 1),
        (ahead(-500), 2),
        (Script::good().unsynchronised(), 2),
        (Script::good().starting(), 2),
        (Script::good().header(Header { precision_log2: 32, ..Header::default() }), 2),
        (Script::good().replying([ReplyKind::ReceiveTooEarly]), 2),
        (Script::good().kissing(KissCode::RATE, 0), 3),
        (Script::good().replying([ReplyKind::WrongOrigin]), 3),
        (Script::silent(), 3),
    ];
    for (script, expected) in cases {
        let (text, status) = run_against("check -t 1s HOSTS", std::slice::from_ref(&script)).await;
        assert_eq!(status, expected, "{script:?}: {text}");
    }
}

#[tokio::test]
async fn starting_server_is_unsynchronised_with_its_code() {
    let (text, _) = run_against("query --json HOSTS", &[Script::good().starting()]).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let server = &json["results"][0];
    assert_eq!((&server["outcome"], &server["reason"]), (&"unsynchronised".into(), &"INIT".into()), "{text}");
    assert_eq!((&server["stratum"], &server["refid"]), (&0.into(), &"INIT".into()), "{text}");
    assert!(server["explanation"].as_str().unwrap().contains("INIT"), "{text}");
}

#[tokio::test]
async fn stale_reference_is_shown_and_can_be_refused() {
    let stale = Header { reference_age_s: Some(400 * 86_400), ..Header::default() };
    let stale = [Script::good().header(stale)];
    let (text, _) = run_against("query HOSTS", &stale).await;
    assert!(text.contains("its clock was last set 400 d ago"), "{text}");
    let (text, _) = run_against("query --json HOSTS", &stale).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["results"][0]["reference_age_s"].as_f64().unwrap().round(), 400.0 * 86_400.0);
    for (options, expected) in [("", 0), ("--reference-age 36h", 1), ("--reference-age 36h,7d", 2)] {
        let (text, status) = run_against(&format!("check {options} HOSTS"), &stale).await;
        assert_eq!(status, expected, "{text}");
    }
}

#[tokio::test]
async fn answer_from_another_address_is_named() {
    let multihomed = Script::good().replying([ReplyKind::OtherAddress([127, 0, 0, 9].into())]);
    let (text, status) = run_against("check -t 1s HOSTS", std::slice::from_ref(&multihomed)).await;
    assert!(text.contains("rejected: sender") && text.contains("the answer came from 127.0.0.9"), "{text}");
    assert_eq!(status, 3, "{text}");
    let (text, _) = run_against("query -t 1s --json HOSTS", &[multihomed]).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let server = &json["results"][0];
    assert_eq!((&server["outcome"], &server["reason"]), (&"rejected".into(), &"sender".into()), "{text}");
    let refused = &server["rejected"][0];
    assert!(refused["sender"].as_str().unwrap().starts_with("127.0.0.9:"), "{text}");
    assert_eq!(refused["failed"], "sender");
}

/// The traits of each server as `query --sheet --json` shows them, with the number of requests.
async fn sheets(scripts: &[Script]) -> Vec<(HashMap<String, String>, u64)> {
    let (text, _) = run_against("query --sheet --json --timeout 400ms HOSTS", scripts).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let known = |sheet: &serde_json::Value| {
        let rows = sheet["traits"].as_array().unwrap().iter();
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().map(ToOwned::to_owned);
        rows.filter_map(|row| Some((text(row, "trait")?, text(row, "value")?))).collect()
    };
    json["sheets"].as_array().unwrap().iter().map(|it| (known(it), it["sent"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn sheet_shows_the_behaviour_of_scripted_servers() {
    let other_address = ReplyKind::OtherAddress("127.0.0.2".parse().unwrap());
    let scripts = [
        Script::good(),
        Script::good().ticking(1_000_000_000),
        Script::good().ticking(1_000),
        Script::good().replying([other_address]),
        Script::good().kissing(KissCode::RATE, 2),
        Script::good().replying([ReplyKind::Version(3)]),
        Script::good().replying([ReplyKind::Version(4)]),
        Script::good().plain_only(),
        Script::good().header(Header { precision_log2: -6, ..Header::default() }),
    ];
    let sheets = sheets(&scripts).await;
    type Expected = (usize, u64, &'static [(&'static str, &'static str)]);
    let expected: [Expected; 9] = [
        (
            0,
            6,
            &[
                ("version_3", "version-3"),
                ("version_4", "version-4"),
                ("version_5", "version-5"),
                ("nts", "absent"),
                ("precision", "0.00000095367431640625"),
                ("reference", "clock"),
                ("sender", "asked"),
                ("rate_limit", "none"),
                ("extension_fields", "ignored"),
                ("hop_limit", "64"),
            ],
        ),
        (1, 6, &[("receive_grain", "1"), ("transmit_grain", "1"), ("one_stamp", "true")]),
        (2, 6, &[("receive_grain", "0.000001"), ("transmit_grain", "0.000001")]),
        (3, 6, &[("sender", "other-address")]),
        (4, 3, &[("rate_limit", "RATE")]),
        (5, 6, &[("version_3", "version-3"), ("version_4", "version-3"), ("version_5", "version-3")]),
        (6, 6, &[("version_5", "version-4")]),
        // The request of version 5 has an extension field too.
        (7, 6, &[("version_3", "version-3"), ("version_5", "silent"), ("extension_fields", "silent")]),
        (8, 6, &[("precision", "0.015625")]),
    ];
    for (nth, sent, traits) in expected {
        let (found, count) = &sheets[nth];
        assert_eq!(*count, sent, "{nth}: {found:?}");
        for (name, value) in traits {
            assert_eq!(found.get(*name).map(String::as_str), Some(*value), "{nth} {name}: {found:?}");
        }
    }
}

#[tokio::test]
async fn sheet_is_readable_and_lists_unknowns() {
    let (text, status) = run_against("query --sheet --timeout 300ms HOSTS", &[Script::good(), Script::silent()]).await;
    assert_eq!(status, 1, "{text}");
    for line in ["NTP version 3", "answered", "not known yet", "from 6 requests", "from 2 requests"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("draft-ietf-ntp-ntpv5-09") && text.contains("hop limit of replies"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn sheet_asks_six_times_two_seconds_apart() {
    let engine = engine(&[(1, Answer::Offset(0.001)), (2, Answer::OffsetUntil(3))]);
    // The key exchange stays on this host.
    let line = "query --sheet --nts --nts-ke 127.0.0.1:9 192.0.2.1 192.0.2.2 192.0.2.1";
    let (_, status) = run(line, &engine).await;
    assert_eq!(status, 1, "one of them asked not to be asked");
    let times = engine.times(ip(1));
    assert_eq!(times.len(), 6, "an address with two names is asked once");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(2)), "{times:?}");
    assert_eq!(engine.times(ip(2)).len(), 4, "a kiss-o'-death is heeded");
}
