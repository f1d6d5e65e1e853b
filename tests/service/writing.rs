//! Changes of the configuration through the API of the running program: effects and refusals.

use crate::common::http::{Client, Reply};
use crate::common::monitor::{Home, Monitor, own};
use crate::common::sim::Playground;
use crate::common::wait;
use nix::sys::signal::Signal;
use ntp_monitor::sim::{Script, ScriptedServer};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const ADMIN: &str = "an admin's own token";
const OPERATOR: &str = "an operator's own token";
const READER: &str = "a reader's own token";

fn token(name: &str, role: &str, token: &str) -> String {
    let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[http.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{hash}\"\n")
}

/// A service with one token of each role, two servers and a third that is not configured.
struct Scene {
    home: Home,
    monitor: Monitor,
    client: Client,
    servers: Vec<ScriptedServer>,
    _playground: Playground,
}

impl Scene {
    fn open() -> Self {
        let playground = Playground::open();
        let servers: Vec<ScriptedServer> = (0..3).map(|_| playground.server(Script::good())).collect();
        let home = Home::with("");
        let tokens = token("boss", "admin", ADMIN) + &token("op", "operate", OPERATOR) + &token("eye", "read", READER);
        let two = own("alpha", servers[0].address()) + "# The second one.\n" + &own("beta", servers[1].address());
        home.write(&format!(
            "# Ours, do not touch.\n[monitor]\nvantage = \"here\"\ndata_dir = {:?}\n\n[csv]\nenabled = false\n\n\
             [http]\nlisten = \"127.0.0.1:0\" # anywhere\n{tokens}\n{two}",
            home.data()
        ));
        let mut monitor = home.start();
        let client = Client::of(monitor.http());
        Self { home, monitor, client, servers, _playground: playground }
    }

    #[track_caller]
    fn ask(&self, method: Method, path: &str, token: &str, more: &[(&str, &str)], body: Option<&Value>) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers: Vec<(&str, &str)> = [("Authorization", bearer.as_str())].iter().chain(more).copied().collect();
        self.client.ask(method, &format!("/api/v1{path}"), &headers, body)
    }

    #[track_caller]
    fn file(&self) -> Value {
        self.ask(Method::GET, "/config/file", ADMIN, &[], None).is(200).json()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.home.config()).unwrap()
    }

    #[track_caller]
    fn put(&self, etag: &str, text: &str) -> Reply {
        self.ask(Method::PUT, "/config/file", ADMIN, &[("If-Match", etag)], Some(&json!({ "text": text })))
    }

    fn row(&self, name: &str) -> Option<Value> {
        let body = self.client.get("/api/v1/servers", &[]).json();
        body["servers"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned()
    }

    #[track_caller]
    fn until(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) {
        wait::until(&format!("{name} {what}"), || self.row(name).is_some_and(|row| wanted(&row)));
    }
}

#[test]
fn edited_file_is_reloaded_and_the_previous_one_kept() {
    let mut scene = Scene::open();
    let before = scene.text();
    let file = scene.file();
    assert_eq!((&file["editable"], &file["format"], &file["why_not"]), (&json!(true), &json!("toml"), &json!(null)));
    let (text, etag) = (file["text"].as_str().unwrap(), file["etag"].as_str().unwrap());
    assert_eq!(text.matches("sha256 = \"********\"").count(), 3, "{text}");
    let edited = text.replace("\"here\"", "\"there\" # moved");
    let check = scene.ask(Method::POST, "/config/check", ADMIN, &[], Some(&json!({ "text": edited }))).is(200).json();
    let diff = check["diff"].as_str().unwrap();
    assert!(diff.contains("-vantage = \"here\"\n+vantage = \"there\" # moved\n"), "{diff}");
    assert_eq!((&check["valid"], &check["changes"]["sections"][0]), (&json!(true), &json!("monitor")));
    assert_eq!(scene.text(), before, "a check changes nothing");
    let done = scene.put(etag, &edited).is(200);
    assert_eq!(done.json(), check);
    assert_eq!(scene.text(), before.replace("\"here\"", "\"there\" # moved"), "secrets and comments are as they were");
    assert_eq!(std::fs::read_to_string(scene.home.path().join("servers.toml.previous")).unwrap(), before);
    assert_eq!(scene.file()["etag"], json!(done.header("etag")));
    assert_eq!(scene.client.get("/api/v1/version", &[]).json()["vantage"], "there");
    scene.monitor.stop();
    let mut again = scene.home.start();
    assert_eq!(again.get("/api/v1/version").1["vantage"], "there", "it survives a restart");
}

#[test]
fn edit_that_cannot_be_applied_keeps_the_previous_version() {
    let scene = Scene::open();
    let first = scene.text();
    let put = |from: &str, to: &str| {
        let file = scene.file();
        scene.put(file["etag"].as_str().unwrap(), &file["text"].as_str().unwrap().replace(from, to))
    };
    put("\"here\"", "\"there\"").is(200);
    let second = scene.text();
    // A directory that no user can create.
    let refused = put("[csv]\nenabled = false", "[csv]\ndir = \"/proc/csv\"").is(409);
    assert!(refused.text.contains("/proc/csv"), "{}", refused.text);
    let previous = std::fs::read_to_string(scene.home.path().join("servers.toml.previous")).unwrap();
    assert_eq!((scene.text(), previous), (second, first));
}

#[test]
fn edit_of_an_outdated_version_is_rejected() {
    let scene = Scene::open();
    let file = scene.file();
    let (text, etag) = (file["text"].as_str().unwrap(), file["etag"].as_str().unwrap());
    let body = json!({ "text": text });
    scene.ask(Method::PUT, "/config/file", ADMIN, &[], Some(&body)).is(428);
    scene.home.write(&(scene.text() + "# by hand\n"));
    let hand = scene.text();
    scene.put(etag, text).is(412);
    scene.put(&format!("W/{etag}"), text).is(412);
    scene.ask(Method::DELETE, "/servers/beta", ADMIN, &[("If-Match", etag)], None).is(412);
    assert_eq!(scene.text(), hand);
    scene.put(scene.file()["etag"].as_str().unwrap(), text).is(200);
}

#[test]
fn one_of_two_concurrent_edits_and_a_reload_wins() {
    let scene = Scene::open();
    for round in 0..5 {
        let file = scene.file();
        let (text, etag) = (file["text"].as_str().unwrap(), file["etag"].as_str().unwrap());
        let (_, rest) = text.split_once("vantage = \"").unwrap();
        let (old, _) = rest.split_once('"').unwrap();
        let named = |who: &str| text.replace(&format!("\"{old}\""), &format!("\"{who}-{round}\""));
        let edits = ["left", "right"].map(|who| (format!("{who}-{round}"), named(who)));
        let scene = &scene;
        let statuses = std::thread::scope(|threads| {
            let editors = edits.each_ref().map(|(_, text)| threads.spawn(move || scene.put(etag, text).status));
            scene.monitor.signal(Signal::SIGHUP);
            editors.map(|editor| editor.join().unwrap())
        });
        let winner = statuses.iter().position(|status| *status == 200).unwrap();
        assert_eq!(statuses[1 - winner], 412);
        let name = &edits[winner].0;
        assert!(scene.text().contains(&format!("vantage = \"{name}\"")), "{}", scene.text());
        wait::until("the winner runs", || scene.client.get("/api/v1/version", &[]).json()["vantage"] == json!(name));
    }
}

#[test]
fn invalid_text_changes_nothing_and_names_every_fault() {
    let scene = Scene::open();
    let before = scene.text();
    let file = scene.file();
    let etag = file["etag"].as_str().unwrap();
    let wrong = file["text"].as_str().unwrap().replace("poll_interval = \"100ms\"", "poll_intervall = 5");
    let refused = scene.put(etag, &wrong).is(422).json();
    let faults = refused["faults"].as_array().unwrap();
    assert_eq!((faults.len(), &faults[0]["path"]), (2, &json!("server[0].poll_intervall")), "{refused}");
    let line = wrong.lines().position(|line| line.contains("intervall")).unwrap() + 1;
    assert_eq!(faults[0]["line"], json!(line));
    assert!(faults[0]["message"].as_str().unwrap().contains("did you mean"), "{refused}");
    for text in ["a = \"hunter2", "sha256 = \"********\"", "[http]\nlisten = \"0.0.0.0:80\"", "\u{0}", "[[server]]"] {
        let refused = scene.put(etag, text).is(422);
        assert!(!refused.text.contains("hunter2"), "{refused:?}");
        let check = scene.ask(Method::POST, "/config/check", ADMIN, &[], Some(&json!({ "text": text }))).is(200).json();
        assert_eq!(check["valid"], json!(false), "{text:?}");
    }
    // Valid, but the directory of the CSV files cannot be created.
    let csv = file["text"].as_str().unwrap().replace("enabled = false", "dir = \"/proc/nowhere\"");
    let refused = scene.put(etag, &csv).is(409);
    assert!(refused.text.contains("cannot write the CSV files"), "{refused:?}");
    assert_eq!(scene.text(), before);
}

#[test]
fn single_servers_are_added_changed_paused_and_removed() {
    let scene = Scene::open();
    let admin = |method, path: &str, body: Option<&Value>| scene.ask(method, path, ADMIN, &[], body);
    let address = scene.servers[2].address().to_string();
    let new = json!({ "name": "c/d é", "address": address, "own": true, "poll_interval": "100ms", "timeout": "90ms" });
    let added = admin(Method::POST, "/servers", Some(&new)).is(201);
    assert_eq!(added.json()["changes"]["added"], json!(["c/d é"]));
    let path = added.header("location").replace("/api/v1", "");
    admin(Method::GET, &path, None).is(200);
    scene.until("c/d é", "is polled", |row| row["state"] == "ok" || row["state"] == "unjudged");
    admin(Method::POST, "/servers", Some(&new)).is(422);

    let changed = admin(Method::PATCH, &path, Some(&json!({ "name": "gamma", "tags": { "site": "x" } }))).is(200);
    assert_eq!(
        (&changed.json()["changes"]["added"], &changed.json()["changes"]["removed"]),
        (&json!(["gamma"]), &json!(["c/d é"]))
    );
    assert_eq!(scene.row("gamma").unwrap()["tags"], json!({ "site": "x" }));
    admin(Method::PATCH, "/servers/gamma", Some(&json!({ "poll_interval": "1ms" }))).is(422);
    admin(Method::PATCH, "/servers/nobody", Some(&json!({ "own": true }))).is(404);

    admin(Method::POST, "/servers/gamma/pause", None).is(200);
    assert_eq!(scene.row("gamma").unwrap()["state"], "paused");
    assert!(scene.text().contains("paused = true"));
    wait::until("the verdict no longer names it", || {
        let verdict = scene.client.get("/api/v1/verdict", &[]).json();
        verdict["servers"].as_array().unwrap().iter().all(|server| server["server"] != "gamma")
    });
    let asked = scene.servers[2].arrivals().len();
    scene.until("alpha", "goes on", |row| row["polls"].as_u64() > Some(30));
    assert_eq!(scene.servers[2].arrivals().len(), asked, "a paused server is left alone");
    assert_eq!(scene.client.get("/health", &[]).json()["status"], "ok", "and is no trouble");
    admin(Method::POST, "/servers/gamma/resume", None).is(200);
    scene.until("gamma", "is polled again", |row| row["state"] == "ok" || row["state"] == "unjudged");
    assert!(!scene.text().contains("paused"));

    admin(Method::DELETE, "/servers/gamma", None).is(204);
    admin(Method::DELETE, "/servers/gamma", None).is(404);
    assert!(scene.row("gamma").is_none());
    admin(Method::DELETE, "/servers/beta", None).is(204);
    admin(Method::DELETE, "/servers/alpha", None).is(204);
    assert!(scene.text().starts_with("# Ours, do not touch.\n"), "{}", scene.text());
}

#[test]
fn roles_are_enforced_and_every_attempt_is_audited() {
    let scene = Scene::open();
    let text = json!({ "text": "" });
    for (token, status) in [(READER, 403), (OPERATOR, 403), ("nobody's", 401)] {
        scene.ask(Method::GET, "/config/file", token, &[], None).is(status);
        scene.ask(Method::POST, "/config/check", token, &[], Some(&text)).is(status);
        scene.ask(Method::POST, "/servers/alpha/pause", token, &[], None).is(status);
        scene.ask(Method::GET, "/audit", token, &[], None).is(status);
    }
    scene.client.get("/api/v1/config/file", &[]).is(401);
    scene.client.get(&format!("/api/v1/config/file?token={ADMIN}"), &[]).is(401);
    scene.ask(Method::POST, "/servers/alpha/pause", ADMIN, &[], None).is(200);
    let entries = || scene.ask(Method::GET, "/audit", ADMIN, &[], None).is(200).json()["entries"].clone();
    wait::until("the pause is noted", || entries()[0]["who"] == "boss");
    let last = entries()[0].clone();
    assert_eq!((&last["role"], &last["outcome"]), (&json!("admin"), &json!("200 OK")));
    assert_eq!(last["action"], "POST /api/v1/servers/{id}/pause");
    assert_eq!(last["target"], "/api/v1/servers/alpha/pause: changed alpha");
    assert!(last["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(scene.monitor.log().contains("\"asked for a change\""));
}

#[test]
fn session_replaces_its_token_on_our_page_only() {
    let scene = Scene::open();
    let login = |token: &str, headers: &[(&str, &str)]| {
        scene.client.ask(Method::POST, "/api/v1/session", headers, Some(&json!({ "token": token })))
    };
    let begun = login(ADMIN, &[]).is(200);
    assert_eq!(begun.json(), json!({ "name": "boss", "role": "admin" }));
    let cookie = begun.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let same = ("Sec-Fetch-Site", "same-origin");
    let with = |more: &[(&str, &str)], method: Method, path: &str| {
        let headers: Vec<(&str, &str)> = [("Cookie", cookie.as_str())].iter().chain(more).copied().collect();
        scene.client.ask(method, &format!("/api/v1{path}"), &headers, None)
    };
    let known =
        json!({ "authenticated": true, "name": "boss", "role": "admin", "reading_is_open": true, "setup_link": null });
    assert_eq!(with(&[], Method::GET, "/session").is(200).json(), known);
    assert!(!with(&[], Method::GET, "/config/file").is(200).text.contains("hunter"));
    with(&[same], Method::POST, "/servers/alpha/pause").is(200);
    with(&[], Method::POST, "/servers/alpha/resume").is(403);
    with(&[("Sec-Fetch-Site", "cross-site")], Method::POST, "/servers/alpha/resume").is(403);
    let ours = scene.client.address();
    for foreign in ["http://evil.example".to_owned(), format!("https://{ours}")] {
        with(&[("Origin", foreign.as_str())], Method::POST, "/servers/alpha/resume").is(403);
    }
    with(&[("Origin", &format!("http://{ours}"))], Method::POST, "/servers/alpha/resume").is(200);
    with(&[("Origin", "http://evil.example")], Method::DELETE, "/session").is(403);
    login(ADMIN, &[("Origin", "http://evil.example")]).is(403);
    with(&[same], Method::DELETE, "/session").is(204);
    with(&[], Method::GET, "/config/file").is(401);
    assert_eq!(with(&[], Method::GET, "/session").json()["authenticated"], json!(false));
    for _ in 0..10 {
        login("a guess", &[]).is(401);
    }
    login("a guess", &[]).is(429);
    login(ADMIN, &[]).is(200);
}

#[test]
fn malformed_requests_are_rejected_without_leaks() {
    let scene = Scene::open();
    let raw = |headers: &[(&str, &str)], body: &str| {
        let bearer = format!("Bearer {ADMIN}");
        let headers: Vec<(&str, &str)> = [("Authorization", bearer.as_str())].iter().chain(headers).copied().collect();
        scene.client.send_text(Method::POST, "/api/v1/servers", &headers, body)
    };
    let json_type = ("Content-Type", "application/json");
    raw(&[], "{}").is(415);
    raw(&[("Content-Type", "text/plain")], "{}").is(415);
    raw(&[json_type], "{").is(400);
    raw(&[json_type], "[]").is(400);
    raw(&[json_type], &format!("{{\"address\": \"{}\"}}", "a".repeat(70_000))).is(413);
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    raw(&[json_type], &deep).is(400);
    raw(&[json_type], "{\"address\": null}").is(422);
    raw(&[json_type], "{\"address\": \"a\\u0000b\", \"x\\ny\": 1}").is(422);
    let huge = json!({ "text": "#".repeat(5 << 20) });
    scene.ask(Method::POST, "/config/check", ADMIN, &[], Some(&huge)).is(413);
    let big_login = json!({ "token": "x".repeat(5000) });
    scene.client.ask(Method::POST, "/api/v1/session", &[], Some(&big_login)).is(413);
    let wrong = scene.client.ask(Method::POST, "/api/v1/session", &[], Some(&json!({ "token": 271_828 }))).is(400);
    assert!(!wrong.text.contains("271828"), "{wrong:?}");
    let unnamed = scene.client.get("/api/v1/version", &[("Host", "evil.example")]).is(421);
    assert_eq!(unnamed.header("content-type"), "application/problem+json");
    let refused = scene.ask(Method::PUT, "/servers/alpha", ADMIN, &[], None).is(405);
    assert_eq!(refused.header("allow"), "GET, HEAD, PATCH, DELETE");
}

#[test]
fn manual_poll_never_undercuts_the_minimum_interval() {
    let scene = Scene::open();
    let address = scene.servers[2].address().to_string();
    // With an hour between polls, only the first poll and manual ones are sent.
    let slow = json!({ "name": "slow", "address": address, "own": true, "poll_interval": "1h" });
    let probe = |id: &str, token| scene.ask(Method::POST, &format!("/servers/{id}/probe"), token, &[], None);
    scene.ask(Method::POST, "/servers", ADMIN, &[], Some(&slow)).is(201);
    scene.until("slow", "is polled", |row| row["polls"] == 1);
    let sample = probe("slow", OPERATOR).is(200).json();
    assert_eq!(
        (&sample["name"], &sample["outcome"], &sample["address"]),
        (&json!("slow"), &json!("sample"), &json!(address))
    );
    assert_eq!(scene.servers[2].arrivals().len(), 2);
    let early: Vec<Reply> = (0..8).map(|_| probe("slow", OPERATOR)).filter(|reply| reply.status != 200).collect();
    for reply in early {
        assert_eq!((reply.status, reply.header("retry-after").as_str()), (429, "1"), "{reply:?}");
    }
    let arrivals = scene.servers[2].arrivals();
    for pair in arrivals.windows(2) {
        assert!(pair[1].mono_ns - pair[0].mono_ns >= 99_000_000, "the floor is broken");
    }
    probe(&format!("slow@{address}"), OPERATOR);
    probe("slow", READER).is(403);
    probe("nobody", OPERATOR).is(404);
    scene.ask(Method::POST, "/servers/slow/pause", ADMIN, &[], None).is(200);
    probe("slow", OPERATOR).is(409);
}

#[test]
fn configuration_without_toml_file_cannot_be_edited() {
    let home = Home::with("");
    let mut command = crate::common::monitor::program(home.path());
    command.env("NTP_SERVER", "127.0.0.1:9").env("NTP_MONITOR__MONITOR__DATA_DIR", home.data());
    command.env("NTP_MONITOR__HTTP__LISTEN", "127.0.0.1:0");
    std::fs::write(home.path().join("token"), ADMIN).unwrap();
    std::fs::write(
        home.path().join("servers.json"),
        json!({ "http": { "tokens": [
        { "name": "boss", "role": "admin", "token_file": "token" }
    ] } })
        .to_string(),
    )
    .unwrap();
    command.arg("--config").arg(home.path().join("servers.json"));
    let mut monitor = Monitor::spawn(&mut command, home.path());
    let client = Client::of(monitor.http());
    let bearer = format!("Bearer {ADMIN}");
    let headers = [("Authorization", bearer.as_str())];
    let file = client.get("/api/v1/config/file", &headers).is(200).json();
    assert_eq!((&file["editable"], &file["format"], &file["text"]), (&json!(false), &json!("json"), &json!("")));
    assert!(file["why_not"].as_str().unwrap().contains("not TOML"), "{file}");
    let body = json!({ "text": "" });
    client.ask(Method::POST, "/api/v1/config/check", &headers, Some(&body)).is(409);
    client.ask(Method::DELETE, "/api/v1/servers/127.0.0.1:9", &headers, None).is(409);
}
