//! NTS with chronyd: the service with `nts = true`, `query --nts` and `check --nts`.

use std::fs;

use nix::sys::signal::Signal;
use ntp_monitor::sim::Script;
use serde_json::Value;

use crate::common::authority::Authority;
use crate::common::chronyd::{Chronyd, NtsServer};
use crate::common::monitor::{Home, Monitor, program, run, text};
use crate::common::sim::Playground;
use crate::common::wait::{find, until};

fn section(server: &NtsServer, ca: &std::path::Path) -> String {
    format!(
        "[[server]]\nname = \"lab\"\naddress = \"{}\"\nown = true\npoll_interval = \"200ms\"\nnts = true\n\
         nts_ke = \"localhost:{}\"\nnts_ca = {ca:?}\n",
        server.chronyd.address,
        server.key_exchange.port()
    )
}

/// A server with NTS, and the home of a service that polls it.
fn with_nts(authority: &Authority) -> (NtsServer, Home) {
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", authority);
    let home = Home::with("");
    let ca = home.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    home.configure(&section(&server, &ca));
    (server, home)
}

/// The row of the only server, once `wanted` accepts it.
fn row_when(monitor: &mut Monitor, wanted: impl Fn(&Value) -> bool) -> Value {
    find("a row of the server", || {
        let (_, page) = monitor.get("/api/v1/servers");
        Some(page["servers"][0].clone()).filter(|row| wanted(row))
    })
}

#[test]
fn service_polls_authentically_and_shows_the_certificate() {
    let authority = Authority::new();
    let (server, home) = with_nts(&authority);
    let mut monitor = home.start();
    let row = row_when(&mut monitor, |row| row["outcome"] == "sample" && row["nts"]["cookies"] == 8);
    assert_eq!((&row["authentication"], &row["timestamping"]), (&"nts".into(), &"kernel".into()), "{row}");
    assert_eq!((&row["nts"]["aead"], &row["nts"]["exchanges"]), (&"AES-SIV-CMAC-256".into(), &1.into()), "{row}");
    assert_eq!(row["nts"]["certificates"][0]["issuer"], "CN=Authority of a test", "{row}");
    // A reload that changes nothing about the server keeps its keys.
    home.configure(&(section(&server, &home.path().join("ca.pem")) + "[alerting]\n"));
    monitor.reload();
    let polls = row["polls"].as_u64().unwrap();
    let row = row_when(&mut monitor, |row| row["polls"].as_u64().unwrap() > polls + 5);
    assert_eq!(row["nts"]["exchanges"], 1, "{row}");
}

#[test]
fn query_and_check_authenticate_and_judge_the_certificate() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
    let (host, key_server) = (server.chronyd.address.to_string(), format!("localhost:{}", server.key_exchange.port()));
    let nts = |command: &str, more: &[&str]| {
        let usual = [command, "--nts", "--nts-ke", &key_server, "--nts-ca", "ca.pem", &host];
        let output = run(dir.path(), &[&usual[..], more].concat());
        (text(&output.stdout), output.status.code().unwrap())
    };
    let (shown, status) = nts("query", &["-n", "3"]);
    assert_eq!(status, 0, "{shown}");
    assert!(shown.contains("NTS with AES-SIV-CMAC-256") && shown.contains("CN=Authority of a test"), "{shown}");
    let (shown, _) = nts("query", &["--json"]);
    let result = &serde_json::from_str::<Value>(&shown).unwrap()["results"][0];
    assert_eq!((&result["authentication"], &result["nts"]["fault"]), (&"nts".into(), &Value::Null), "{result}");
    let (shown, status) = nts("check", &["--nts-certificate", "30d,2d"]);
    assert_eq!(status, 0, "{shown}");
    let (shown, status) = nts("check", &["--nts-certificate", "90000d,2d"]);
    assert_eq!(status, 1, "{shown}");
    assert!(shown.contains("more days (WARNING)"), "{shown}");
    let untrusted = run(dir.path(), &["query", "--nts", "--nts-ke", &key_server, &host]);
    assert!(text(&untrusted.stdout).contains("does not trust"), "{}", text(&untrusted.stdout));
    assert_eq!(untrusted.status.code(), Some(1));
}

#[test]
fn watch_says_of_each_poll_whether_it_was_authenticated() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
    let (host, key_server) = (server.chronyd.address.to_string(), format!("localhost:{}", server.key_exchange.port()));
    let mut command = program(dir.path());
    command.args(["query", "--watch=1s", "--nts", "--nts-ke", &key_server, "--nts-ca", "ca.pem", &host]);
    let mut watch = Monitor::spawn(&mut command, dir.path());
    let lines = |watch: &Monitor, wanted: &str| watch.out().lines().filter(|line| line.contains(wanted)).count();
    // All use the keys of one key exchange, which must not be repeated within a minute.
    until("three authenticated polls", || lines(&watch, "s, authenticated, 8 cookies") >= 3);
    drop(server);
    until("a poll that is not", || lines(&watch, ", not authenticated: ") > 0);
    let out = watch.out();
    assert!(out.lines().all(|line| line.contains(&host) && line.contains(" authenticated")), "{out}");
    watch.signal(Signal::SIGINT);
    assert_eq!(watch.end(), 1);
}

#[test]
fn reports_show_how_a_server_was_authenticated() {
    let authority = Authority::new();
    let (server, home) = with_nts(&authority);
    let mut monitor = home.start();
    row_when(&mut monitor, |row| row["polls"].as_u64() > Some(5));
    // As with an attacker or a wrong configuration, the server answers without NTS from now on.
    let address = server.chronyd.address;
    drop(server);
    let playground = Playground::open();
    let _plain = playground.server_at(address, Script::good());
    row_when(&mut monitor, |row| row["nts"]["downgrades"].as_u64() > Some(0));
    assert_eq!(monitor.stop(), 0);

    let report = |name: &str| {
        let output = home.command().args(["report", "--output", name]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(home.path().join(name)).unwrap()
    };
    let json: Value = serde_json::from_str(&report("all.json")).unwrap();
    let nts = &json["servers"]["lab"]["nts"];
    let (polls, authenticated) = (nts["polls"].as_u64().unwrap(), nts["authenticated"].as_u64().unwrap());
    assert!(authenticated > 0 && authenticated < polls, "{nts}");
    assert_eq!((&nts["exchanges"], &nts["aead"]), (&1.into(), &"AES-SIV-CMAC-256".into()), "{nts}");
    assert!(nts["downgrades"].as_u64() > Some(0) && nts["exchange_s"].as_f64() > Some(0.0), "{nts}");
    assert!(nts["fewest_cookies"].as_u64() < Some(8) && nts["days_left"].as_f64() > Some(1000.0), "{nts}");
    assert_eq!(nts["certificate"]["issuer"], "CN=Authority of a test", "{nts}");
    for name in ["all.html", "all.txt"] {
        let text = report(name);
        assert!(text.contains("Authentication (NTS)") && text.contains("CN=Authority of a test"), "{text}");
    }
    let csv = report("all.csv");
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let row = rows.iter().find(|row| row[0] == "lab").unwrap();
    // Counted from the end, because a sentence before it may have commas.
    let cell = |name: &str| row[row.len() - (rows[0].len() - rows[0].iter().position(|it| *it == name).unwrap())];
    assert_eq!((cell("nts_exchanges"), cell("nts_issuer")), ("1", "CN=Authority of a test"), "{csv}");
}
