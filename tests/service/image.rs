//! The container image without a container: the program with the image's environment and health check.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::common::monitor::{Home, Monitor, own, program, text};
use crate::common::sim::Playground;
use crate::common::wait::find;
use crate::tls::certificate;
use ntp_monitor::sim::Script;

/// The lines of the Dockerfile, with continued lines joined.
fn dockerfile() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile");
    std::fs::read_to_string(path).unwrap().replace("\\\n", " ").lines().map(str::to_owned).collect()
}

fn instruction(name: &str) -> String {
    let found = dockerfile().into_iter().find_map(|line| line.strip_prefix(name).map(str::to_owned));
    found.unwrap_or_else(|| panic!("no {name}"))
}

/// A command in a container of the image that was run with these variables.
fn in_container(home: &Home, variables: &[(&str, &str)]) -> Command {
    let mut command = program(home.path());
    let image = instruction("ENV ");
    command.envs(image.split_whitespace().map(|pair| pair.split_once('=').unwrap()));
    command.envs(variables.iter().copied());
    command
}

/// Runs the image's health check; returns its exit status and output.
fn health_check(home: &Home, variables: &[(&str, &str)]) -> (i32, String) {
    let words: Vec<String> = serde_json::from_str(instruction("HEALTHCHECK ").split_once("CMD ").unwrap().1).unwrap();
    assert_eq!(words[0], "/usr/bin/ntp-monitor", "the program itself, in an image without curl");
    let output = in_container(home, variables).args(&words[1..]).output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[track_caller]
fn becomes_healthy(home: &Home, variables: &[(&str, &str)]) {
    let healthy = || Some(health_check(home, variables)).filter(|(_, said)| said.contains(" OK - version "));
    assert_eq!(find("a healthy container", healthy).0, 0);
}

#[test]
fn health_check_follows_file_with_tls_and_tokens() {
    let (home, playground) = (Home::with(""), Playground::open());
    if !certificate(home.path(), "one", "30") {
        return;
    }
    let server = playground.server(Script::good());
    // Each test sets a variable of its own, as each container does.
    let variables = [("NTP_MONITOR__MONITOR__VANTAGE", home.path().to_str().unwrap())];
    home.write(&format!(
        "[monitor]\ndata_dir = {:?}\n[http]\nlisten = \"0.0.0.0:0\"\n[http.tls]\ncertificate = \"one.pem\"\n\
         key = \"one.key\"\n[[http.tokens]]\nname = \"a\"\nsha256 = \"{}\"\n{}",
        home.data(),
        "0".repeat(64),
        own("good", server.address())
    ));
    let mut command = in_container(&home, &variables);
    let mut service = Monitor::spawn(command.arg("--config").arg(home.config()), home.path());
    assert_ne!(service.http().port(), 8080, "the file is stronger than the image");
    becomes_healthy(&home, &variables);
    // A file that has become invalid does not harm the running service, and the health check works after a reload.
    home.write("[http\n");
    service.reload();
    becomes_healthy(&home, &variables);
    service.signal(Signal::SIGTERM);
    service.end();
    let (code, said) = health_check(&home, &variables);
    assert_eq!((code, said.contains("CRITICAL - no service runs here")), (2, true), "{said}");
}

#[test]
fn health_check_needs_no_file() {
    let (home, playground) = (Home::with(""), Playground::open());
    let (data, address) = (home.data(), playground.server(Script::good()).address().to_string());
    let variables = [
        ("NTP_SERVER", address.as_str()),
        ("NTP_MONITOR__MONITOR__DATA_DIR", data.to_str().unwrap()),
        ("NTP_MONITOR__HTTP__LISTEN", "127.0.0.1:0"),
    ];
    assert_eq!(health_check(&home, &variables).0, 2, "not running");
    let mut service = Monitor::spawn(&mut in_container(&home, &variables), home.path());
    service.http();
    // The first poll may be late, so the service is degraded at first.
    let (code, said) = health_check(&home, &variables);
    assert!(code == 0 && (said.contains(" OK - ") || said.contains(" WARNING - ")), "{said}");
    assert_eq!(health_check(&home, &[("NTP_SERVER", "another container")]).0, 2);
}

#[test]
fn health_exits_as_plugins_do() {
    let playground = Playground::open();
    let (good, silent) = (playground.server(Script::good()), playground.server(Script::silent()));
    for (servers, code, word) in [
        (own("good", good.address()) + &own("silent", silent.address()), 1, "WARNING - "),
        (own("silent", silent.address()), 2, "CRITICAL - none of the 1 servers"),
    ] {
        let home = Home::with(&servers);
        let mut service = home.start();
        service.http();
        let check = |more: &[&str]| {
            let output = home.command().arg("health").args(more).output().unwrap();
            (output.status.code().unwrap(), text(&output.stdout))
        };
        let (found, _) = find(word, || Some(check(&[])).filter(|(_, said)| said.contains(word)));
        assert_eq!(found, code);
        assert_eq!(check(&["--accept-degraded"]).0, if code == 1 { 0 } else { code });
    }
}

#[test]
fn container_created_again_keeps_its_name() {
    let (home, playground) = (Home::with(""), Playground::open());
    let server = own("good", playground.server(Script::good()).address());
    let write = |vantage: &str| {
        home.write(&format!(
            "[monitor]\n{vantage}data_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n{server}",
            home.data()
        ));
    };
    // To the store, this is the host name of the first container.
    write("vantage = \"3f2a9c1b7d04\"\n");
    let mut first = home.start();
    first.http();
    assert_eq!(first.stop(), 0);
    write("");
    let mut second = home.start();
    let warning = second.logged("monitor.vantage is not set");
    assert!(warning.contains("\"warning\"") && warning.contains("3f2a9c1b7d04"), "{warning}");
    assert_eq!(second.get("/api/v1/version").1["vantage"], "3f2a9c1b7d04");
    assert_eq!(second.get("/api/v1/config").1["values"]["monitor"]["vantage"], "3f2a9c1b7d04");
    assert!(second.reload().contains("configuration reloaded"));
    assert_eq!(second.get("/api/v1/version").1["vantage"], "3f2a9c1b7d04");
    write("vantage = \"ams-1\"\n");
    second.reload();
    assert_eq!(second.get("/api/v1/version").1["vantage"], "ams-1");
}
