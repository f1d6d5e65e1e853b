//! Hostile clients: requests generated from the API document, slow request heads, many streams.

// A failed unwrap is a failed test; and a test that is skipped says so.
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::http::Client;
use crate::common::monitor::{Home, Monitor, own};
use crate::common::sim::Playground;
use crate::common::tool;
use crate::common::wait::PATIENCE;
use ntp_monitor::sim::{Script, ScriptedServer};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The name, role and paths of each group of requests. Each group has its own token, because the rate of changes with
/// one token is limited. The last two groups try wrong tokens, which are then refused for a while.
const GROUPS: [(&str, &str, &str); 8] = [
    ("reader", "read", "^/(?!api/v1/session)"),
    ("operator", "operate", "^/(?!api/v1/session)"),
    ("file", "admin", "^/api/v1/(config|audit)"),
    ("servers", "admin", "^/api/v1/servers(/[^/]+)?$"),
    ("server", "admin", "^/api/v1/servers/[^/]+/"),
    ("rest", "admin", "^/(?!api/v1/(config|audit|servers|session|stream))"),
    ("session", "admin", "^/api/v1/session"),
    ("anonymous", "none", "^/(?!api/v1/session)"),
];

fn open(home: &Home, playground: &Playground) -> (Monitor, SocketAddr, Vec<ScriptedServer>) {
    let servers: Vec<_> = (0..3).map(|_| playground.server(Script::good())).collect();
    let with_token = GROUPS.iter().filter(|(_, role, _)| *role != "none");
    let tokens: String = with_token
        .map(|(name, role, _)| {
            let hash: String = Sha256::digest(token(name)).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("[[http.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{hash}\"\n")
        })
        .collect();
    let list: String = servers.iter().enumerate().map(|(n, server)| own(&format!("s{n}"), server.address())).collect();
    home.configure(&(tokens + &list));
    let mut monitor = home.start();
    let address = monitor.http();
    (monitor, address, servers)
}

fn token(name: &str) -> String {
    format!("the token of group {name}")
}

#[test]
fn generated_requests_get_documented_answers_only() {
    let Some(python) = tool::python("schemathesis", "import schemathesis", &[&["schemathesis"]]) else {
        return tool::may_skip("schemathesis");
    };
    let (home, playground) = (Home::with(""), Playground::open());
    let (mut monitor, address, _servers) = open(&home, &playground);
    for (name, role, paths) in GROUPS {
        fuzz(&python, home.path(), address, name, role, paths);
    }
    assert!(!monitor.log().contains("panicked"), "{}", monitor.log());
    assert_eq!(monitor.get("/api/v1/version").0, 200);
}

/// An invalid body may also get 412, because conditions are checked before the content (RFC 9110 §13.2.2).
const SETTINGS: &str = "[checks]\nnegative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 408, 409, 412, \
    413, 415, 422, 428, 429]\n";

fn fuzz(python: &Path, dir: &Path, address: SocketAddr, name: &str, role: &str, paths: &str) {
    let out = dir.join(format!("schemathesis-{name}"));
    std::fs::write(dir.join("schemathesis.toml"), SETTINGS).unwrap();
    let credentials = format!("Authorization: Bearer {}", token(name));
    let credentials = if role == "none" { vec![] } else { vec!["--header", &credentials] };
    let child = Command::new(python)
        .args(["-m", "schemathesis.cli", "run", &format!("http://{address}/api/openapi.json")])
        .args(credentials)
        // A stream does not end. A valid request may still be rejected: a name that exists, an outdated ETag. A client
        // with wrong tokens is blocked, which would end the test; tests/service/writing.rs tests that.
        .args(["--include-path-regex", paths, "--exclude-path", "/api/v1/stream"])
        .args(["--exclude-checks", "positive_data_acceptance,ignored_auth", "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "5", "--seed", "1", "--max-time", "10", "--request-timeout", "30", "--no-color"])
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
fn slow_request_head_delays_no_other_client() {
    let (home, playground) = (Home::with(""), Playground::open());
    let (_monitor, address, _servers) = open(&home, &playground);
    let mut slow: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(b"GET /health HTT").unwrap());
    Client::of(address).get("/api/v1/version", &[]).is(200);
    for stream in &mut slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        // The connection ends with a response or with a reset.
        let end = stream.read_to_end(&mut answer);
        assert!(end.is_err() || answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
        assert!(!end.is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock), "it is still waited for");
    }
}

#[test]
fn stream_limit_rejects_further_streams_only() {
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
    crate::common::wait::until("a place is free again", || {
        first_line(&mut stream(address)).starts_with("HTTP/1.1 200")
    });
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

/// Rules that would overflow a stack, fill the memory or never end, and the expected reasons in the responses.
fn hostile_rules() -> Vec<(Value, &'static str)> {
    let nested = |open: &str, n: usize, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
    let print = |expression: &str| format!("{{{{ {expression} }}}}");
    let doublings = |n: usize| {
        let loops = format!("{{% for a in [alert] %}}{}", "{% for a in [a ~ a ~ a ~ a] %}".repeat(n - 1));
        loops + "{% if a == 'x' %}{% endif %}" + &"{% endfor %}".repeat(n)
    };
    let list = format!("[{}]", "1,".repeat(200));
    let loops = format!("{{% for a in {list} %}}").repeat(5) + &"{% endfor %}".repeat(5);
    let summaries = [
        ("{% set x=namespace() %}{% set x.x=x %}{{ x|tojson }}".to_owned(), "no statement \"set\""),
        ("{% set x=namespace() %}{% set x.x=x %}{{ x ~ x }}".to_owned(), "no statement \"set\""),
        ("{% set a = 'x' %}".to_owned() + &"{% set a = a ~ a %}".repeat(40), "no statement \"set\""),
        ("{% with a = alert %}{% endwith %}".to_owned(), "no statement \"with\""),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(), "no statement \"macro\""),
        ("{% call(x) m() %}{{ caller() }}{% endcall %}".to_owned(), "no statement \"call\""),
        ("{% include \"text\" %}".to_owned(), "no statement \"include\""),
        ("{% extends \"text\" %}".to_owned(), "no statement \"extends\""),
        ("{% block a %}{{ self.a() }}{% endblock %}".to_owned(), "no statement \"block\""),
        ("{% filter upper %}x{% endfilter %}".to_owned(), "no statement \"filter\""),
        ("{% for a in [1] recursive %}{{ loop([a]) }}{% endfor %}".to_owned(), "is expected"),
        (print("[1] * 100000000"), "only numbers"),
        (print("'x' * 100000000"), "only numbers"),
        (print("[1] + [1]"), "only numbers"),
        (print("2 ** 1000000000"), "is expected"),
        (print("range(100000000)|list"), "there are no functions"),
        (print("lipsum(10000)"), "there are no functions"),
        (print("'%1000000000d'|format(1)"), "no filter \"format\""),
        (print("alert|center(1000000000)"), "no filter \"center\""),
        (print("alert|batch(1)"), "no filter \"batch\""),
        (print("alert|slice(1)"), "no filter \"slice\""),
        (print("alert|groupby('a')"), "no filter \"groupby\""),
        (print("[3, 1]|sort|unique|sum"), "no filter \"sort\""),
        (print("alert|urlencode"), "no filter \"urlencode\""),
        (print(&format!("alert{}", "|replace('t', 'tttttttttttttttttttt')".repeat(60))), "too much work"),
        (print(&format!("(alert|tojson){}", "|tojson".repeat(200))), "too much work"),
        (print(&format!("alert{}", "|trim".repeat(700))), "more than 250 parts"),
        (print(&format!("alert{}", " ~ alert".repeat(400))), "more than 250 parts"),
        (print(&format!("alert in {list} or {list} == {list}")), "more than 250 parts"),
        (print("tags == tags"), "cannot be compared"),
        (print(&nested("(", 1900, ")")), "nested deeper"),
        (print(&nested("[", 1900, "]")), "nested deeper"),
        (print(&nested("-", 3900, "")), "nested deeper"),
        (print(&nested("not ", 900, "")), "nested deeper"),
        (print(&nested("a[", 1200, "]")), "nested deeper"),
        (print(&format!("{}e{}", "9".repeat(1000), "9".repeat(1000))), "cannot be read"),
        ("{% if 1 %}".repeat(390), "nested deeper"),
        ("{% for a in [1] %}".repeat(200), "nested deeper"),
        (doublings(15), "too much work"),
        (loops, "too much work"),
        ("{{".repeat(20_000), "longer than"),
        ("{{".repeat(1900), "is not closed"),
        ("{#".repeat(1900), "is not closed"),
    ];
    let expressions = [
        ("'a'.matches('(a+)+$')".to_owned(), "no function \"matches\""),
        ("size([1, 2, 3]) > 1".to_owned(), "a list is only allowed"),
        (nested("[1].map(x, ", 15, ")"), "a list is only allowed"),
        (nested("[1].filter(x, ", 15, ")"), "a list is only allowed"),
        (nested("(", 400, ")"), "nested deeper"),
        (nested("[", 400, "]"), "nested deeper"),
        (nested("{1: ", 150, "}"), "nested deeper"),
        (nested("!", 900, ""), "nested deeper"),
        (nested("(//)\n", 150, ")"), "syntax error"),
        ("stratum == 1".to_owned() + &" + 1".repeat(200), "nested deeper"),
        ("verdict + verdict == verdict".to_owned(), "cannot be applied to"),
        ("stratum in [".to_owned() + &"1, ".repeat(10_000) + "1]", "longer than"),
        ("\"".repeat(1000), "syntax error"),
    ];
    let summaries =
        summaries.into_iter().map(|(text, said)| (json!({ "name": "a", "expr": "provable", "summary": text }), said));
    let expressions = expressions.into_iter().map(|(text, said)| (json!({ "name": "a", "expr": text }), said));
    summaries.chain(expressions).collect()
}

#[test]
fn a_hostile_rule_is_refused_and_the_service_lives() {
    let (home, playground) = (Home::with(""), Playground::open());
    let (mut monitor, address, _servers) = open(&home, &playground);
    let client = Client::of(address);
    // The requests of one token are limited.
    let send = |path: &str, name: &str, body: &str| {
        let headers = [("Authorization", &*format!("Bearer {}", token(name))), ("Content-Type", "application/json")];
        client.send_text(Method::POST, &format!("/api/v1/rules/{path}"), &headers, body)
    };
    for (rule, said) in hostile_rules() {
        let body = json!({ "rule": rule }).to_string();
        let checked = send("check", "servers", &body).is(200).json();
        let message = checked["faults"][0]["message"].as_str().unwrap_or_default();
        assert!(checked["valid"] == false && message.contains(said), "{rule}: {checked}");
        let replayed = send("replay", "server", &body).is(422);
        assert_eq!(replayed.header("Content-Type"), "application/problem+json");
        assert!(replayed.json()["detail"].as_str().unwrap().contains(said), "{replayed:?}");
    }
    for path in ["check", "replay"] {
        send(path, "rest", &format!("{{\"rule\": {}1{}}}", "[".repeat(30_000), "]".repeat(30_000))).is(400);
        send(path, "rest", &format!("{{\"rule\": \"{}\"}}", "{{".repeat(500_000))).is(413);
    }
    client.get("/api/v1/version", &[]).is(200);
    assert!(!monitor.log().contains("panicked"), "{}", monitor.log());
    assert_eq!(monitor.stop(), 0, "{}", monitor.log());
}

#[test]
fn a_hostile_body_template_is_refused_by_the_file_s_check() {
    let (home, playground) = (Home::with(""), Playground::open());
    let (mut monitor, address, _servers) = open(&home, &playground);
    let client = Client::of(address);
    let holder: &[(&str, &str)] = &[("Authorization", &format!("Bearer {}", token("file")))];
    let webhook = "[[notifier]]\nname = \"n\"\ntype = \"webhook\"\nurl = \"https://h.example/\"\nbody_template = ";
    for (rule, said) in hostile_rules() {
        let Some(template) = rule["summary"].as_str().map(|text| text.replace("tags", "alerts")) else { continue };
        let body = json!({ "text": format!("{webhook}{}\n", Value::from(template)) });
        let checked = client.ask(Method::POST, "/api/v1/config/check", holder, Some(&body)).is(200).json();
        assert!(
            checked["valid"] == false
                && checked["faults"].to_string().contains(&Value::from(said).to_string()[1..said.len()]),
            "{rule}: {checked}"
        );
    }
    let deep = [
        format!("a = {}", "[".repeat(1_000_000)),
        format!("a = {}", "{a=".repeat(1_000_000)),
        format!("[{}a]", "a.".repeat(500_000)),
        format!("{}a = 1", "a.".repeat(500_000)),
    ];
    for text in deep {
        let checked =
            client.ask(Method::POST, "/api/v1/config/check", holder, Some(&json!({ "text": text }))).is(200).json();
        assert_eq!(checked["valid"], false);
    }
    client.get("/api/v1/version", holder).is(200);
    assert_eq!(monitor.stop(), 0, "{}", monitor.log());
}
