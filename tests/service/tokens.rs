//! Tokens of the running program: guesses, their log entries, and sessions and streams that end with a token.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::http::Client;
use crate::common::monitor::{Home, Monitor, own};
use crate::common::wait::{self, PATIENCE};

const ADMIN: (&str, &str) = ("Authorization", "Bearer the admin's token");
const READER: (&str, &str) = ("Authorization", "Bearer the reader's token");
const WRONG: (&str, &str) = ("Authorization", "Bearer a guess");

struct Scene {
    home: Home,
    monitor: Monitor,
    client: Client,
}

impl Scene {
    fn open() -> Self {
        let home = Home::with("");
        write(&home, &["admin", "read"]);
        let mut monitor = home.start();
        let client = Client::of(monitor.http());
        Self { home, monitor, client }
    }

    fn audit(&self) -> Vec<Value> {
        let reply = self.client.get("/api/v1/audit", &[ADMIN]).is(200);
        reply.json()["entries"].as_array().unwrap().clone()
    }
}

/// A configuration with a token for each role, which trusts proxies on 127.0.0.1.
fn write(home: &Home, roles: &[&str]) {
    let tokens: String = roles
        .iter()
        .map(|role| {
            let name = if *role == "read" { "reader" } else { role };
            let hash = Sha256::digest(format!("the {name}'s token"));
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("[[http.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{hex}\"\n")
        })
        .collect();
    home.write(&format!(
        "[monitor]\nvantage = \"here\"\ndata_dir = {:?}\n[csv]\nenabled = false\n[http]\nlisten = \"127.0.0.1:0\"\n\
         trusted_proxies = [\"127.0.0.1\"]\n{tokens}{}",
        home.data(),
        own("alpha", "127.0.0.1:9".parse().unwrap()),
    ));
}

#[test]
fn token_from_a_renewed_file_is_known_without_a_reload() {
    let home = Home::with("");
    let file = home.path().join("token");
    std::fs::write(&file, "the first robot token\n").unwrap();
    home.write(&format!(
        "[monitor]\ndata_dir = {:?}\n[csv]\nenabled = false\n[http]\nlisten = \"127.0.0.1:0\"\n[[http.tokens]]\n\
         name = \"robot\"\ntoken_file = {file:?}\n{}",
        home.data(),
        own("alpha", "127.0.0.1:9".parse().unwrap()),
    ));
    let mut monitor = home.start();
    let client = Client::of(monitor.http());
    let ask = |token: &str| client.get("/metrics", &[("Authorization", &format!("Bearer the {token} robot token"))]);
    ask("first").is(200);
    std::fs::write(&file, "the second robot token\n").unwrap();
    ask("first").is(200);
    ask("second").is(200);
    ask("first").is(401);
    monitor.logged("a file of [http] has changed");
}

#[test]
fn wrong_tokens_are_counted_everywhere_and_right_ones_pass() {
    let scene = Scene::open();
    let login = |token: &str| {
        let body = json!({ "token": token });
        scene.client.ask(Method::POST, "/api/v1/session", &[], Some(&body))
    };
    for _ in 0..4 {
        scene.client.get("/api/v1/session", &[WRONG]).is(200);
    }
    for _ in 0..3 {
        scene.client.get("/metrics", &[WRONG]).is(401);
        login("a guess").is(401);
    }
    let refused = scene.client.get("/api/v1/session", &[WRONG]).is(429);
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u64>().unwrap()), "{refused:?}");
    scene.client.get("/metrics", &[WRONG]).is(429);
    scene.client.ask(Method::DELETE, "/api/v1/servers/alpha", &[WRONG], None).is(429);
    login("a guess").is(429);
    login("the reader's token").is(200);
    scene.client.get("/metrics", &[READER]).is(200);
    assert_eq!(scene.client.get("/api/v1/session", &[READER]).is(200).json()["name"], "reader");
    scene.client.get("/metrics", &[WRONG]).is(429);
    wait::until("the guesses are noted once", || {
        scene.audit().iter().filter(|entry| entry["action"] == "wrong tokens" && entry["peer"] == "127.0.0.1").count()
            == 1
    });
    assert_eq!(scene.monitor.log().matches("\"wrong tokens\"").count(), 1);
}

#[test]
fn behind_a_trusted_proxy_each_client_is_counted_by_itself() {
    let scene = Scene::open();
    let ask = |token, client: &str| scene.client.get("/metrics", &[token, ("X-Forwarded-For", client)]);
    for n in 0..11 {
        ask(WRONG, &format!("203.0.113.{n}, 2001:db8::{n:x}")).is(if n < 10 { 401 } else { 429 });
    }
    ask(WRONG, "203.0.113.1").is(401);
    ask(READER, "2001:db8::1").is(200);
    let headers = [READER, ("X-Forwarded-For", "203.0.113.7")];
    scene.client.ask(Method::DELETE, "/api/v1/servers/alpha", &headers, None).is(403);
    wait::until("the refusal is noted", || {
        let peer =
            |entry: &Value| entry["peer"].as_str().is_some_and(|it| it.starts_with("203.0.113.7 through 127.0.0.1:"));
        scene.audit().iter().any(|entry| entry["who"] == "reader" && peer(entry))
    });
}

#[test]
fn refusals_are_audited_at_a_limited_rate() {
    let scene = Scene::open();
    scene.client.get("/api/v1/config/file", &[READER]).is(403);
    for _ in 0..30 {
        scene.client.ask(Method::POST, "/api/v1/servers/alpha/pause", &[READER], None).is(403);
    }
    wait::until("the first refusal is noted", || scene.audit().len() >= 10);
    let entries = scene.audit();
    assert_eq!(entries.len(), 10);
    let first = entries.last().unwrap();
    assert_eq!((&first["who"], &first["action"]), (&json!("reader"), &json!("GET /api/v1/config/file")));
    assert!(first["outcome"].as_str().unwrap().starts_with("403 Forbidden: "), "{first}");
}

#[test]
fn event_stream_ends_with_its_token_and_with_its_session() {
    let mut scene = Scene::open();
    let address = scene.monitor.http();
    let open = |header: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n").unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        assert!(lines.any(|line| line == "event: hello"));
        lines
    };
    let bearer = |(name, value): (&str, &str)| format!("{name}: {value}");
    let body = json!({ "token": "the reader's token" });
    let begun = scene.client.ask(Method::POST, "/api/v1/session", &[], Some(&body)).is(200);
    let cookie = format!("Cookie: {}", begun.header("set-cookie").split(';').next().unwrap());
    let ending = [open(&bearer(READER)), open(&cookie)];
    let mut lasting = [open(&bearer(ADMIN)), open("X-Nothing: 1")];
    write(&scene.home, &["admin"]);
    scene.monitor.reload();
    for mut lines in ending {
        // The last chunk of the answer is empty.
        assert!(lines.any(|line| line == "0"));
    }
    for lines in &mut lasting {
        assert!(lines.any(|line| line.starts_with("event: sample")));
    }
}
