//! The protocol sheet with chronyd: the service and `query --sheet`, across a restart.

use ntp_monitor::sim::Script;
use serde_json::Value;

use crate::common::chronyd::Chronyd;
use crate::common::monitor::{Home, Monitor, run, text};
use crate::common::sim::Playground;
use crate::common::wait::find;

/// The trait `name` of the only server once it is known.
fn known(monitor: &mut Monitor, name: &str) -> Value {
    find("a trait of the sheet", || {
        let (_, body) = monitor.get("/api/v1/servers/lab/sheet");
        trait_of(&body["sheets"][0], name).filter(|row| !row["value"].is_null())
    })
}

fn trait_of(sheet: &Value, name: &str) -> Option<Value> {
    sheet["traits"].as_array()?.iter().find(|row| row["trait"] == name).cloned()
}

fn configuration(address: &str, more: &str) -> String {
    format!("[[server]]\nname = \"lab\"\naddress = \"{address}\"\nown = true\npoll_interval = \"200ms\"\n{more}")
}

#[test]
fn service_learns_the_sheet_of_chronyd_and_keeps_it() {
    let server = Chronyd::start("127.0.0.1");
    let home = Home::with(&configuration(&server.address.to_string(), ""));
    let mut monitor = home.start();
    let version_3 = known(&mut monitor, "version_3");
    assert_eq!((&version_3["value"], &version_3["text"]), (&"version-3".into(), &"answered".into()));
    assert_eq!(known(&mut monitor, "version_4")["value"], "version-4");
    assert_eq!(known(&mut monitor, "hop_limit")["value"], "64");
    assert_eq!(known(&mut monitor, "sender")["value"], "asked");
    assert_eq!(known(&mut monitor, "receive_grain")["value"], "fine");
    monitor.stop();

    let mut monitor = home.start();
    assert_eq!(known(&mut monitor, "version_3"), version_3, "it is not asked again, and known");
    known(&mut monitor, "sender");
    let (_, body) = monitor.get("/api/v1/servers/lab/sheet");
    assert_eq!(trait_of(&body["sheets"][0], "version_5").unwrap()["value"], Value::Null, "one question a day");
}

#[test]
fn change_of_a_property_is_an_event() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&configuration(&server.address().to_string(), "sheet = false\n"));
    let mut monitor = home.start();
    known(&mut monitor, "precision");
    let header = ntp_monitor::sim::Header { precision_log2: -6, ..ntp_monitor::sim::Header::default() };
    server.set_script(Script::good().header(header));
    let event = find("the event", || {
        let (_, body) = monitor.get("/api/v1/events?kind=protocol_sheet");
        body["events"].as_array()?.first().cloned()
    });
    assert_eq!((&event["server"], &event["end"]), (&"lab".into(), &event["start"]), "{event}");
    let detail = event["detail"].as_str().unwrap();
    assert!(detail.contains("precision: 2^-20 s (954 ns) -> 2^-6 s (15.6 ms)"), "{event}");
    let (_, body) = monitor.get("/api/v1/servers/lab/sheet");
    assert_eq!(trait_of(&body["sheets"][0], "version_3").unwrap()["value"], Value::Null, "no question is wanted");
}

#[test]
fn query_shows_the_sheet_of_chronyd() {
    let server = Chronyd::start("127.0.0.1");
    let dir = tempfile::tempdir().unwrap();
    let host = server.address.to_string();
    let output = run(dir.path(), &["query", "--sheet", "--json", "--timeout", "500ms", &host]);
    let json: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let sheet = &json["sheets"][0];
    assert_eq!((&sheet["sent"], &sheet["outcome"]), (&6.into(), &"sample".into()), "{sheet}");
    let value = |name: &str| trait_of(sheet, name).unwrap()["value"].clone();
    assert_eq!((value("version_3"), value("version_4")), ("version-3".into(), "version-4".into()), "{sheet}");
    assert_eq!((value("nts"), value("reference")), ("absent".into(), "own-clock".into()), "{sheet}");
    assert_eq!((value("hop_limit"), value("extension_fields")), ("64".into(), "ignored".into()), "{sheet}");
    assert!(["version-4", "silent"].map(Value::from).contains(&value("version_5")), "{sheet}");
}
