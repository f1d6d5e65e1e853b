//! What the service does with those who mean ill: requests made up from its own description, slow heads, many streams.

// A failed unwrap is a failed test; and a test that is skipped says so.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::http::Client;
use common::monitor::{Home, Monitor, own};
use common::sim::Playground;
use common::tool;
use common::wait::PATIENCE;
use ntp_monitor::sim::{Script, ScriptedServer};
use sha2::{Digest, Sha256};

/// Each group of requests has a token of its own, for what one holder may change is limited. That of the sessions comes
/// last: it tries wrong tokens, and who does is not listened to any more.
const GROUPS: [(&str, &str); 5] = [
    ("file", "^/api/v1/(config|audit)"),
    ("servers", "^/api/v1/servers(/[^/]+)?$"),
    ("server", "^/api/v1/servers/[^/]+/"),
    ("rest", "^/(?!api/v1/(config|audit|servers|session|stream))"),
    ("session", "^/api/v1/session"),
];

fn open(home: &Home, playground: &Playground) -> (Monitor, SocketAddr, Vec<ScriptedServer>) {
    let servers: Vec<_> = (0..3).map(|_| playground.server(Script::good())).collect();
    let tokens = GROUPS.map(|(name, _)| {
        let hash: String = Sha256::digest(token(name)).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[http.tokens]]\nname = \"{name}\"\nrole = \"admin\"\nsha256 = \"{hash}\"\n")
    });
    let list: String = servers.iter().enumerate().map(|(n, server)| own(&format!("s{n}"), server.address())).collect();
    home.configure(&(tokens.concat() + &list));
    let mut monitor = home.start();
    let address = monitor.http();
    (monitor, address, servers)
}

fn token(name: &str) -> String {
    format!("the token of group {name}")
}

#[test]
fn requests_made_up_from_the_description_are_answered_as_described_and_never_with_a_fault() {
    let Some(python) = tool::python("schemathesis", "import schemathesis", &[&["schemathesis"]]) else {
        return tool::may_skip("schemathesis");
    };
    let (home, playground) = (Home::with(""), Playground::open());
    let (mut monitor, address, _servers) = open(&home, &playground);
    for (name, paths) in GROUPS {
        fuzz(&python, home.path(), address, name, paths);
    }
    assert!(!monitor.log().contains("panicked"), "{}", monitor.log());
    assert_eq!(monitor.get("/api/v1/version").0, 200);
}

/// What is no sound body may first of all be too late (412): conditions come before content (RFC 9110 §13.2.2).
const SETTINGS: &str = "[checks]\nnegative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 408, 409, 412, \
    413, 415, 422, 428, 429]\n";

fn fuzz(python: &Path, dir: &Path, address: SocketAddr, name: &str, paths: &str) {
    let out = dir.join(format!("schemathesis-{name}"));
    std::fs::write(dir.join("schemathesis.toml"), SETTINGS).unwrap();
    let child = Command::new(python)
        .args(["-m", "schemathesis.cli", "run", &format!("http://{address}/api/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {}", token(name))])
        // A stream has no end. What is sound by itself may still not be: a name that is taken, an ETag of yesterday. And
        // who tries wrong tokens is not listened to any more, which would end the test; tests/writing.rs does that.
        .args(["--include-path-regex", paths, "--exclude-path", "/api/v1/stream"])
        .args(["--exclude-checks", "positive_data_acceptance,ignored_auth", "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "5", "--seed", "1", "--max-time", "20", "--request-timeout", "30", "--no-color"])
        .args(["--suppress-health-check", "all", "--generation-database", "none", "--warnings", "off"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(dir.join("schemathesis.err")).unwrap())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    assert!(tool::ends_well(child, Duration::from_secs(300)), "{name}: {}", said());
    assert!(said().contains("generated"), "{name}: nothing was tried: {}", said());
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for_and_others_are_served_meanwhile() {
    let (home, playground) = (Home::with(""), Playground::open());
    let (_monitor, address, _servers) = open(&home, &playground);
    let mut slow: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(b"GET /health HTT").unwrap());
    Client::of(address).get("/api/v1/version", &[]).is(200);
    for stream in &mut slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        // Its end comes either way: with an answer, or with a reset.
        let end = stream.read_to_end(&mut answer);
        assert!(end.is_err() || answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
        assert!(!end.is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock), "it is still waited for");
    }
}

#[test]
fn a_thousand_streams_are_served_the_next_is_refused_and_others_are_answered() {
    const READERS: usize = 1000;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    if files.split_whitespace().next().unwrap().parse::<usize>().is_ok_and(|files| files < READERS + 200) {
        eprintln!("skipped: this process may not open so many files");
        return;
    }
    let (home, playground) = (Home::with(""), Playground::open());
    let (_monitor, address, _servers) = open(&home, &playground);
    let mut readers: Vec<BufReader<TcpStream>> = (0..READERS).map(|_| stream(address)).collect();
    for reader in &mut readers {
        assert!(first_line(reader).starts_with("HTTP/1.1 200"));
    }
    let mut refused = stream(address);
    assert!(first_line(&mut refused).starts_with("HTTP/1.1 503"));
    Client::of(address).get("/api/v1/servers", &[]).is(200);
    for reader in &mut readers {
        while !first_line(reader).starts_with("event: sample") {}
    }
    drop(readers);
    common::wait::until("a place is free again", || first_line(&mut stream(address)).starts_with("HTTP/1.1 200"));
}

fn stream(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    BufReader::new(stream)
}

fn first_line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}
