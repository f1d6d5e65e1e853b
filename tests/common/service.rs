//! A whole service in this process, against scripted servers on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_monitor::app::{Service, Surroundings};
use ntp_monitor::config::{self, Config, Environment};
use ntp_monitor::sim::{Script, ScriptedServer};
use serde_json::{Value, json};
use slog::Logger;
use tempfile::TempDir;

const WITHIN: Duration = Duration::from_secs(30);

/// A running service, its servers and its directory.
pub struct Running {
    pub service: Service,
    pub servers: Vec<ScriptedServer>,
    pub base: String,
    dir: TempDir,
    client: reqwest::Client,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|why| panic!("{why} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Running {
    /// Starts scripted servers under these names and a service that polls them each 100 ms; `more` is merged into the
    /// configuration's top level.
    pub async fn start(scripts: &[(&str, Script)], more: Value) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), scripts, more).await
    }

    /// The same in a directory that may have a store.
    pub async fn start_in(dir: TempDir, scripts: &[(&str, Script)], more: Value) -> Self {
        let mut servers = Vec::new();
        for (_, script) in scripts {
            servers.push(ScriptedServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), script.clone()).await.unwrap());
        }
        let names: Vec<&str> = scripts.iter().map(|(name, _)| *name).collect();
        let config = configuration(&dir, &names, &servers, more);
        let log = Logger::root(slog::Discard, slog::o!());
        let around = Surroundings::real(&log, Arc::new(|| 0));
        let service = Service::start(config, around, &log).await.unwrap();
        let base = format!("http://{}", service.listening()[0]);
        let client = reqwest::Client::builder().timeout(WITHIN).no_proxy().build().unwrap();
        Self { service, servers, base, dir, client }
    }

    /// The configuration with only these of the servers.
    pub fn configuration(&self, names: &[&str], more: Value) -> Config {
        configuration(&self.dir, names, &self.servers, more)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(reqwest::Method::GET, path, headers).await
    }

    pub async fn send(&self, method: reqwest::Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    /// The response at `path`, once `wanted` accepts it.
    pub async fn get_until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + WITHIN;
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} never came to be as wanted: {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until every server has been polled `polls` times and the store has the samples.
    pub async fn polled(&self, polls: u64) {
        let many = |answer: &Answer| {
            let rows = answer.json()["servers"].as_array().unwrap().clone();
            rows.iter().all(|row| row["polls"].as_u64() >= Some(polls))
        };
        self.get_until("/api/v1/servers", many).await;
    }

    pub async fn stop(self) {
        self.service.stop(Instant::now() + Duration::from_secs(5)).await;
    }
}

fn configuration(dir: &TempDir, names: &[&str], servers: &[ScriptedServer], more: Value) -> Config {
    let list: Vec<Value> = names
        .iter()
        .zip(servers)
        .map(|(name, server)| {
            let tags = json!({ "site": if name.len() % 2 == 0 { "even" } else { "odd" } });
            json!({ "name": name, "address": server.address().to_string(), "own": true, "tags": tags })
        })
        .collect();
    let mut all = json!({
        "monitor": { "vantage": "here", "data_dir": dir.path() },
        "http": { "listen": "127.0.0.1:0" },
        "csv": { "enabled": false },
        "defaults": { "poll_interval": "100ms", "timeout": "90ms", "sheet": false },
        "server": list,
    });
    for (section, values) in more.as_object().cloned().unwrap_or_default() {
        if values.is_array() {
            all[&section] = values.clone();
        }
        for (key, value) in values.as_object().cloned().unwrap_or_default() {
            all[&section][&key] = value;
        }
    }
    let file = dir.path().join("servers.json");
    std::fs::write(&file, all.to_string()).unwrap();
    config::load(Some(&file), &Environment::new(), &[]).unwrap().config
}

/// A reader of the stream.
pub struct Events {
    response: reqwest::Response,
    text: String,
}

/// One server-sent event.
#[derive(Debug)]
pub struct Event {
    pub id: String,
    pub event: String,
    pub data: Value,
}

impl Running {
    pub async fn stream(&self, query: &str, last_id: Option<&str>) -> Events {
        let mut request = self.client.get(format!("{}/api/v1/stream{query}", self.base));
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { response, text: String::new() }
    }
}

impl Events {
    /// The next event; comments are skipped.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some((one, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = one.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    lines.next().unwrap_or_default().to_owned()
                };
                let (id, event, data) = (field("id"), field("event"), field("data"));
                self.text = rest.to_owned();
                if !event.is_empty() {
                    return Event { id, event, data: serde_json::from_str(&data).unwrap() };
                }
                continue;
            }
            let chunk = tokio::time::timeout(WITHIN, self.response.chunk()).await.unwrap().unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event of this name.
    pub async fn next_of(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await;
            if event.event == name {
                return event;
            }
        }
    }
}
