//! The first start without any configuration: the page, the one-time link, the file that is written.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::http::{Client, Reply};
use crate::common::monitor::{Monitor, own, program, text};
use crate::common::sim::Playground;
use crate::common::wait;
use ntp_monitor::sim::{Script, ScriptedServer};
use reqwest::Method;
use serde_json::{Value, json};

const HEALTH: &str = "no server is configured: add one on the page or to the configuration";

/// A user without a configuration.
struct Newcomer {
    home: tempfile::TempDir,
}

impl Newcomer {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.home.path().join(".config/ntp-monitor/servers.toml")
    }

    fn data(&self) -> PathBuf {
        self.home.path().join(".local/state/ntp-monitor")
    }

    fn command(&self) -> Command {
        let mut command = program(self.home.path());
        command.env("HOME", self.home.path()).env("NTP_MONITOR__HTTP__LISTEN", "127.0.0.1:0");
        command
    }

    fn start(&self) -> Monitor {
        Monitor::spawn(&mut self.command(), self.home.path())
    }
}

/// The code of the link that was printed.
fn code(monitor: &mut Monitor) -> String {
    let address = monitor.http();
    let line = monitor.logged("#/?setup=");
    assert!(line.starts_with(&format!("  http://{address}/#/?setup=")), "unbroken, on a line of its own: {line:?}");
    line.split("setup=").nth(1).unwrap().to_owned()
}

fn set_up(client: &Client, code: &str, headers: &[(&str, &str)]) -> Reply {
    client.ask(Method::POST, "/api/v1/session/setup", headers, Some(&json!({ "code": code })))
}

fn asked(client: &Client, token: &str, method: Method, path: &str, body: Option<&Value>) -> Reply {
    client.ask(method, &format!("/api/v1{path}"), &[("Authorization", &format!("Bearer {token}"))], body)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn first_server_is_added_by_link_and_last_one_removed() {
    let (newcomer, playground) = (Newcomer::new(), Playground::open());
    let server: ScriptedServer = playground.server(Script::good());
    let mut monitor = newcomer.start();
    let client = Client::of(monitor.http());
    wait::until("it is ready without servers", || client.get("/ready", &[]).status == 200);
    let (status, health) = monitor.health("it is degraded", |health| health["reasons"][0]["reason"] == HEALTH);
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    assert_eq!(client.get("/api/v1/session", &[]).json()["setup_link"], "waiting");

    let code = code(&mut monitor);
    let done = set_up(&client, &code, &[]).is(200);
    assert!(done.header("set-cookie").contains("HttpOnly; SameSite=Strict"), "{done:?}");
    let token = done.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(done.json()["file"], newcomer.file().canonicalize().unwrap().to_str().unwrap());
    set_up(&client, &code, &[]).is(401);
    assert_eq!(client.get("/api/v1/session", &[]).json()["setup_link"], Value::Null);
    let written = std::fs::read_to_string(newcomer.file()).unwrap();
    assert!(written.contains("role = \"admin\"\nsha256 = \""), "{written}");
    assert!(!written.contains(&token) && !written.contains(&code), "{written}");
    assert_eq!(mode(&newcomer.file()) & 0o137, 0, "other users cannot read it");
    for dir in [newcomer.file().parent().unwrap().to_owned(), newcomer.data()] {
        assert_eq!(mode(&dir) & 0o027, 0, "{dir:?}");
    }

    let keys =
        json!({ "address": server.address().to_string(), "name": "first", "own": true, "poll_interval": "100ms" });
    asked(&client, &token, Method::POST, "/servers", Some(&keys)).is(201);
    wait::until("it is polled", || {
        let body = client.get("/api/v1/servers", &[]).json();
        body["servers"][0]["name"] == "first" && body["servers"][0]["offset_s"].is_number()
    });
    asked(&client, &token, Method::DELETE, "/servers/first", None).is(204);
    monitor.health("it is as at first", |health| health["reasons"][0]["reason"] == HEALTH);
    assert_eq!(client.get("/ready", &[]).status, 200);
    monitor.stop();
    let log = monitor.log();
    assert!(!log.contains(&token), "the token is nowhere in the log");
    assert_eq!(log.matches(&code).count(), 1, "the code is printed once");

    let mut again = newcomer.start();
    let client = Client::of(again.http());
    asked(&client, &token, Method::GET, "/config/file", None).is(200);
    assert_eq!(client.get("/api/v1/session", &[]).json()["setup_link"], Value::Null);
    again.stop();
    assert!(!again.log().contains("setup="), "there is an administrator");
}

#[test]
fn link_is_refused_to_other_sites_other_names_and_guesses() {
    let newcomer = Newcomer::new();
    let mut monitor = newcomer.start();
    let client = Client::of(monitor.http());
    let code = code(&mut monitor);
    set_up(&client, &code, &[("Origin", "http://evil.example")]).is(403);
    set_up(&client, &code, &[("Sec-Fetch-Site", "cross-site")]).is(403);
    set_up(&client, &code, &[("Host", "evil.example")]).is(421);
    let guess = "0".repeat(code.len());
    for _ in 0..10 {
        set_up(&client, &guess, &[]).is(401);
    }
    let refused = set_up(&client, &guess, &[]).is(429);
    assert!(!refused.header("retry-after").is_empty());
    set_up(&client, &code, &[]).is(200);
    let written = std::fs::read_to_string(newcomer.file()).unwrap();
    assert_eq!(written.matches("[[http.tokens]]").count(), 1, "{written}");
}

#[test]
fn server_is_tested_before_it_is_added_at_most_every_16_s() {
    let (newcomer, playground) = (Newcomer::new(), Playground::open());
    let server: ScriptedServer = playground.server(Script::good().offset_ns(80_000_000));
    let mut monitor = newcomer.start();
    let client = Client::of(monitor.http());
    let token = set_up(&client, &code(&mut monitor), &[]).is(200).json()["token"].as_str().unwrap().to_owned();
    let test = |address: &str| asked(&client, &token, Method::POST, "/test", Some(&json!({ "address": address })));
    let address = server.address().to_string();
    let tested = test(&address).is(200).json();
    assert_eq!((&tested["address"], &tested["poll"]["outcome"]), (&json!(address), &json!("sample")));
    let poll = |key: &str| tested["poll"][key].as_f64().unwrap();
    assert!((poll("offset_s") - 0.08).abs() <= poll("root_distance_s"), "{tested}");
    assert!(!test(&address).is(429).header("retry-after").is_empty());
    assert_eq!(server.counters().requests, 1);
    test("a b").is(422);
    client.ask(Method::POST, "/api/v1/test", &[], Some(&json!({ "address": address }))).is(401);
    client.get("/api/v1/known-servers", &[]).is(401);
    let known = asked(&client, &token, Method::GET, "/known-servers", None).is(200).json();
    assert!(known["servers"].is_array());
}

#[test]
fn service_without_a_place_for_its_file_gives_advice() {
    let dir = tempfile::tempdir().unwrap();
    let output = program(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = text(&output.stderr);
    assert!(said.contains("no home directory") && said.contains("--config"), "{said}");
}

#[test]
fn under_systemd_the_file_is_in_the_state_directory() {
    let newcomer = Newcomer::new();
    let state = newcomer.home.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let mut monitor = Monitor::spawn(newcomer.command().env("STATE_DIRECTORY", &state), newcomer.home.path());
    code(&mut monitor);
    assert!(state.join("servers.d/servers.toml").is_file() && state.join("ntp-monitor.db").is_file());
    assert!(!newcomer.home.path().join(".config").exists());
}

#[test]
fn commands_find_the_file_of_a_service_without_configuration() {
    let newcomer = Newcomer::new();
    let mut monitor = newcomer.start();
    monitor.http();
    let stats = newcomer.command().args(["config", "show"]).output().unwrap();
    let shown = text(&stats.stdout);
    assert!(shown.contains(newcomer.data().to_str().unwrap()), "{shown}{}", text(&stats.stderr));
}

/// Makes this directory read-only for the service. For root, it is given to another user, because root does not write
/// there.
fn make_foreign(dir: &Path) {
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(dir, Some(65_534), None).unwrap();
    } else {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
}

#[test]
fn servers_go_to_servers_d_when_the_configuration_is_read_only() {
    let (newcomer, playground) = (Newcomer::new(), Playground::open());
    let servers = [playground.server(Script::good()), playground.server(Script::good())];
    let (etc, state) = (newcomer.home.path().join("etc"), newcomer.home.path().join("state"));
    [&etc, &state].iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
    let config = etc.join("servers.toml");
    let given = format!("[monitor]\ndata_dir = {state:?}\n{}", own("given", servers[0].address()));
    std::fs::write(&config, &given).unwrap();
    make_foreign(&etc);
    let start = || {
        let mut command = newcomer.command();
        Monitor::spawn(command.env("STATE_DIRECTORY", &state).arg("--config").arg(&config), newcomer.home.path())
    };
    let mut monitor = start();
    let client = Client::of(monitor.http());
    let token = set_up(&client, &code(&mut monitor), &[]).is(200).json()["token"].as_str().unwrap().to_owned();
    let file = asked(&client, &token, Method::GET, "/config/file", None).is(200).json();
    let additions = state.join("servers.d/servers.toml");
    assert_eq!((&file["editable"], &file["adds_to"]), (&json!(false), &json!(additions)));
    let keys = json!({ "address": servers[1].address().to_string(), "name": "added", "own": true });
    let etag = file["etag"].as_str().unwrap();
    let headers = [("Authorization", &*format!("Bearer {token}")), ("If-Match", etag)];
    let done = client.ask(Method::POST, "/api/v1/servers", &headers, Some(&keys)).is(201);
    assert_eq!(asked(&client, &token, Method::GET, "/config/file", None).json()["etag"], done.header("etag"));
    client.ask(Method::POST, "/api/v1/servers", &headers, Some(&keys)).is(412);
    let names = |client: &Client| {
        let body = client.get("/api/v1/servers", &[]).json();
        body["servers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    wait::until("both are polled", || names(&client) == ["added", "given"] || names(&client) == ["given", "added"]);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), given);
    assert!(std::fs::read_to_string(&additions).unwrap().contains("name = \"added\""));
    asked(&client, &token, Method::PATCH, "/servers/added", Some(&json!({ "tags": { "site": "here" } }))).is(200);
    asked(&client, &token, Method::DELETE, "/servers/given", None).is(409);
    monitor.stop();

    let mut again = start();
    let client = Client::of(again.http());
    assert_eq!(names(&client).len(), 2);
    asked(&client, &token, Method::DELETE, "/servers/added", None).is(204);
    again.stop();
    assert!(!again.log().contains("setup="), "it is not the first start any more");
}
