//! Notifiers with real receivers: every channel, every bad response, a mail server, and kills.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

#[path = "../common/mod.rs"]
mod common;

mod channels;
mod delivery;
mod mail;
mod service;
mod services;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_monitor::config::{self, Environment, Notifier as Config};
use ntp_monitor::notify::dispatcher::{self, Repeats, Settings, Stop};
use ntp_monitor::notify::{self, Failure, NotifierState, Progress, Retry};
use ntp_monitor::report::message::{Picture, Report};
use ntp_monitor::sinks::influx::Pacing;
use ntp_monitor::sinks::queue::SinkQueue;
use ntp_monitor::sinks::worker;
use ntp_monitor::store::{AlertRecord, Options, Store, StoreHandle};
use ntp_monitor_core::alert::notification::{Instance, Notification, Severity, Status};
use ntp_monitor_core::health::notifiers::NotifierHealth;
use serde_json::{Value, json};
use slog::{Discard, Logger, o};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use common::monitor::{Home, own, run, text};
use common::receiver::{Answer, Receiver, Request, status};
use common::sim::Playground;
use common::smtp::{Mail, certificate, with_tls};
use common::wait::{PATIENCE, until};
use ntp_monitor::sim::{Script, ScriptedServer};

const SERVER: &str = "[[server]]\naddress = \"192.0.2.1\"\n";

/// The notifiers of a configuration file.
fn configured(notifiers: &str) -> Vec<Config> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    std::fs::write(&file, format!("{SERVER}{notifiers}")).unwrap();
    config::load(Some(&file), &Environment::new(), &[]).unwrap_or_else(|why| panic!("{why}")).config.notifiers
}

fn one(keys: &str) -> Config {
    configured(&format!("[[notifier]]\nname = \"n\"\ntimeout = \"300ms\"\nrate = 10000\n{keys}")).remove(0)
}

fn webhook(receiver: &Receiver) -> Config {
    one(&format!("type = \"webhook\"\nurl = \"{}\"\n", receiver.url("/hook/hush-hush")))
}

fn news(key: &str, alert: &str) -> Notification {
    let instance = Instance {
        server: Some("office".into()),
        value: Some(72.5),
        labels: [("site".to_owned(), "ams".to_owned())].into(),
        summary: format!("office is 72.5 ms off ({key})"),
        started_at: "2026-11-23T01:02:03Z".parse().unwrap(),
        ended_at: None,
    };
    Notification {
        key: key.to_owned(),
        status: Status::Firing,
        reminder: false,
        alert: alert.to_owned(),
        severity: Severity::Critical,
        summary: format!("office is 72.5 ms off ({key})"),
        description: "The majority disagrees <b>\"&\"</b>.".to_owned(),
        runbook_url: Some("https://example.net/runbook".to_owned()),
        vantage: "here".to_owned(),
        url: Some("https://ntp.example.net/".to_owned()),
        fleet: None,
        alerts: vec![instance],
    }
}

fn resolved(key: &str, alert: &str) -> Notification {
    let mut news = Notification { status: Status::Resolved, ..news(key, alert) };
    news.alerts[0].ended_at = Some("2026-11-23T02:00:00Z".parse().unwrap());
    news
}

/// A store with its thread.
struct Kept {
    handle: StoreHandle,
    store: Store,
    _dir: TempDir,
}

fn log() -> Logger {
    Logger::root(Discard, o!())
}

fn options(path: &Path) -> Options {
    let day = Duration::from_secs(86_400);
    Options {
        path: path.to_owned(),
        raw_for: day,
        others: None,
        rollup_5m_for: day,
        rollup_1h_for: day,
        outbox_max_age: day,
        outbox_max_bytes: 1 << 20,
        vantage: "here".to_owned(),
        max_pages: None,
        keeps_vantage: false,
    }
}

fn open(path: &Path) -> Store {
    let store = Store::open(options(path), &log()).unwrap();
    worker::spawn(store.writer(None), &SinkQueue::new("store", 16), None, store.handle().writer(), &log(), ()).unwrap();
    store
}

/// Queues a notification as the alerter does.
async fn put(store: &StoreHandle, notifier: &str, news: Notification) {
    let notifications = vec![(notifier.to_owned(), news)];
    store.record_alerts(AlertRecord { notifications, ..AlertRecord::default() }).await.unwrap();
}

fn kept() -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("s.db"));
    Kept { handle: store.handle(), store, _dir: dir }
}

impl Kept {
    async fn put(&self, notifier: &str, news: Notification) {
        put(&self.handle, notifier, news).await;
    }

    fn waiting(&self, notifier: &str) -> u64 {
        self.handle.queue_gauge(notifier).waiting
    }
}

/// The store's thread ends with it.
impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.store.handle().writer().drain(Instant::now() + Duration::from_secs(5)).recv();
    }
}

/// Pauses in milliseconds instead of seconds.
fn quick() -> Pacing {
    Pacing {
        first_retry: Duration::from_millis(2),
        longest_retry: Duration::from_millis(20),
        probe: Duration::from_millis(20),
        poll: Duration::from_millis(5),
        longest_retry_after: Duration::from_secs(5),
    }
}

struct Running {
    state: Arc<NotifierState>,
    stop: watch::Sender<Option<Instant>>,
    task: JoinHandle<()>,
}

async fn start(kept: &Kept, name: &str, config: &Config) -> Running {
    let (stop, signal) = watch::channel(None);
    let state = Arc::new(NotifierState::new(config.channel.kind()));
    let repeats = Repeats { first: Duration::from_millis(2), longest: Duration::from_millis(20), most: 4 };
    let settings = Settings { name: name.to_owned(), per_minute: config.per_minute, pacing: quick(), repeats };
    let notifier = notify::set_up(config).await.unwrap();
    let running =
        dispatcher::run(kept.handle.clone(), notifier, settings, Arc::clone(&state), log(), Stop::new(signal));
    Running { state, stop, task: tokio::spawn(running) }
}

impl Running {
    fn gauge(&self) -> NotifierHealth {
        self.state.gauge()
    }

    async fn end(self) {
        self.stop.send_replace(Some(Instant::now() + PATIENCE));
        self.task.await.unwrap();
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The requests for one message to a channel that is configured with `keys`.
async fn sent(keys: impl Fn(&Receiver) -> String, news: &Notification) -> Vec<Request> {
    let receiver = Receiver::start(taken);
    attempt(&one(&keys(&receiver)), news).await.unwrap();
    receiver.seen()
}

/// One attempt to deliver a new message.
async fn attempt(config: &Config, news: &Notification) -> Result<String, Failure> {
    notify::set_up(config).await.unwrap().deliver(news, &mut Progress::default()).await
}

/// The response of each service when it accepts a message.
fn taken(request: &Request) -> Answer {
    let (code, body) = match request.line() {
        line if line.starts_with("POST /services/") => (200, "ok"),
        line if line.starts_with("POST /workflows/") => (202, ""),
        line if line.starts_with("POST /bot") => (200, r#"{"ok":true,"result":{"message_id":1}}"#),
        "POST /v2/enqueue" => (202, r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#),
        "POST /" => (200, r#"{"id":"sPs71M8A2T","time":1643935928,"event":"message","topic":"clocks"}"#),
        _ => (200, ""),
    };
    Answer::Status(code, "", body.to_owned())
}
