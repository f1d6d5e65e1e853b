//! `doctor`: it finds each fault that it knows, with advice, and reports none on a healthy machine.

use std::ffi::OsString;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::common::faketime;
use crate::common::monitor::{Home, own, program, text};
use crate::common::sim::Playground;
use ntp_monitor::sim::Script;
use ntp_monitor_core::ntp::KissCode;

fn examine(home: &Home, more: &[&str]) -> (i32, Vec<Value>) {
    examine_in(home, more, Vec::new())
}

fn examine_in(home: &Home, more: &[&str], environment: Vec<(&str, OsString)>) -> (i32, Vec<Value>) {
    let config = home.config();
    let mut all = vec!["doctor", "--json", "--config", config.to_str().unwrap()];
    all.extend(more);
    let output = program(home.path()).args(all).envs(environment).output().unwrap();
    let report: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    (output.status.code().unwrap(), report["findings"].as_array().unwrap().clone())
}

#[track_caller]
fn finding<'a>(findings: &'a [Value], area: &str, subject: &str) -> &'a Value {
    let found = findings.iter().find(|f| f["area"] == area && f["subject"].as_str().unwrap().contains(subject));
    found.unwrap_or_else(|| panic!("nothing on {subject} in {findings:#?}"))
}

#[test]
fn valid_configuration_has_no_problem_and_asks_servers_once() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&own("good", server.address()));
    let (code, findings) = examine(&home, &[]);
    assert_eq!(code, 0, "{findings:#?}");
    let good = finding(&findings, "servers", "good");
    assert_eq!((&good["level"], good["what"].as_str().unwrap().contains("kernel")), (&"ok".into(), true), "{good}");
    assert_eq!(finding(&findings, "timestamps", "kernel")["level"], "ok");
    assert_eq!(finding(&findings, "service", "127.0.0.1")["level"], "note");
}

#[test]
fn a_server_polled_a_moment_ago_is_not_asked_again() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let address = server.address();
    let home = Home::with(&format!("[[server]]\nname = \"polite\"\naddress = \"{address}\""));
    let mut service = home.start();
    service.health("a sample", |health| health["servers"][0]["outcomes"]["sample"] == 1);
    assert_eq!(service.stop(), 0);
    let (_, findings) = examine(&home, &[]);
    let seen = finding(&findings, "servers", "polite");
    assert!(seen["what"].as_str().unwrap().contains("by the service"), "{seen}");
    assert_eq!(server.counters().requests, 1);
}

#[test]
fn paused_and_denying_servers_are_not_asked() {
    let playground = Playground::open();
    let [paused, denying] = [Script::good(), Script::good().kissing(KissCode::DENY, 0)].map(|it| playground.server(it));
    let sections = [own("denying", denying.address()), own("paused", paused.address()), "paused = true\n".to_owned()];
    let home = Home::with(&sections.concat());
    let mut service = home.start();
    service.health("the denial", |health| health["servers"][0]["outcomes"]["kiss"] == 1);
    assert_eq!(service.stop(), 0);
    // Ten minutes later: its interval alone would allow a query.
    faketime::set(home.path(), "+600");
    let (_, findings) = examine_in(&home, &[], faketime::environment(home.path()));
    let denied = finding(&findings, "servers", "denying");
    assert!(
        denied["what"].as_str().unwrap().contains("refuses to serve this host (kiss code DENY), asked 60"),
        "{denied}"
    );
    assert!(finding(&findings, "servers", "paused")["what"].as_str().unwrap().contains("paused"));
    assert_eq!((paused.counters().requests, denying.counters().requests), (0, 1));
}

#[test]
fn each_fault_is_found_with_advice() {
    let playground = Playground::open();
    let (silent, lost) = (playground.server(Script::silent()), playground.server(Script::good().unsynchronised()));
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let servers = [("silent", silent.address()), ("refused", nobody), ("lost", lost.address())];
    let servers: String = servers.iter().map(|(name, address)| own(name, *address)).collect();
    let database = "[influxdb]\nurl = \"http://127.0.0.1:9\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"hush\"\n";
    let home = Home::with(&format!("{database}{servers}"));
    fs::create_dir_all(home.data()).unwrap();
    fs::write(home.store(), "no store").unwrap();
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(home.config(), fs::Permissions::from_mode(0o644)).unwrap();
    let (code, findings) = examine(&home, &[]);
    assert_eq!(code, 1);
    for (area, subject, level) in [
        ("configuration", "servers.toml", "ok"),
        ("files", "data", "warning"),
        ("store", "ntp-monitor.db", "problem"),
        ("servers", "silent", "problem"),
        ("servers", "refused", "problem"),
        ("servers", "lost", "problem"),
        ("outputs", "influxdb", "problem"),
    ] {
        let of_level: Vec<Value> = findings.iter().filter(|f| f["level"] == level).cloned().collect();
        let found = finding(&of_level, area, subject);
        assert_eq!(found["advice"].is_string(), level != "ok", "{found}");
    }
    assert!(findings.iter().any(|f| f["what"].as_str().unwrap().contains("holds a secret")), "{findings:#?}");
    assert!(!findings.iter().any(|f| f.to_string().contains("hush")));
}

#[test]
fn invalid_configuration_exits_78_after_checking_the_machine() {
    let home = Home::with("");
    home.write("[log]\nlevel = \"loud\"\n[[server]]\naddress = \"\"\n");
    let (code, findings) = examine(&home, &["--offline"]);
    assert_eq!(code, 78);
    assert_eq!(findings.iter().filter(|f| f["area"] == "configuration" && f["level"] == "problem").count(), 2);
    finding(&findings, "timestamps", "kernel");
}
