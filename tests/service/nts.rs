//! NTS as a user has it: the service with `nts = true`, `query --nts` and `check --nts`, with chronyd.

use std::fs;

use serde_json::Value;

use crate::common::authority::Authority;
use crate::common::chronyd::{Chronyd, NtsServer};
use crate::common::monitor::{Home, Monitor, run, text};
use crate::common::wait::find;

fn section(server: &NtsServer, ca: &std::path::Path) -> String {
    format!(
        "[[server]]\nname = \"lab\"\naddress = \"{}\"\nown = true\npoll_interval = \"200ms\"\nnts = true\n\
         nts_ke = \"localhost:{}\"\nnts_ca = {ca:?}\n",
        server.chronyd.address,
        server.key_exchange.port()
    )
}

/// The row of the only server, once it is as `wanted` says.
fn row_when(monitor: &mut Monitor, wanted: impl Fn(&Value) -> bool) -> Value {
    find("a row of the server", || {
        let (_, page) = monitor.get("/api/v1/servers");
        Some(page["servers"][0].clone()).filter(|row| wanted(row))
    })
}

#[test]
fn service_polls_authentically_and_shows_the_certificate() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let home = Home::with("");
    let ca = home.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    home.configure(&section(&server, &ca));
    let mut monitor = home.start();
    let row = row_when(&mut monitor, |row| row["outcome"] == "sample" && row["nts"]["cookies"] == 8);
    assert_eq!((&row["authentication"], &row["timestamping"]), (&"nts".into(), &"kernel".into()), "{row}");
    assert_eq!((&row["nts"]["aead"], &row["nts"]["exchanges"]), (&"AES-SIV-CMAC-256".into(), &1.into()), "{row}");
    assert_eq!(row["nts"]["certificates"][0]["issuer"], "CN=Authority of a test", "{row}");
    // A reload that changes nothing about the server keeps its keys.
    home.configure(&(section(&server, &ca) + "[alerting]\n"));
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
