//! Notifiers against real receivers: every channel, every bad answer, a mail server, and kills.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_monitor::alert::notification::{Instance, Notification, Severity, Status};
use ntp_monitor::config::{self, Environment, Notifier as Config};
use ntp_monitor::health::notifiers::NotifierHealth;
use ntp_monitor::notify::dispatcher::{self, Settings, Stop};
use ntp_monitor::notify::{self, NotifierState, Retry};
use ntp_monitor::report::message::{Picture, Report};
use ntp_monitor::sinks::influx::Pacing;
use ntp_monitor::sinks::queue::SinkQueue;
use ntp_monitor::sinks::worker;
use ntp_monitor::store::{Options, Store, StoreHandle};
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

fn open(path: &Path) -> Store {
    let day = Duration::from_secs(86_400);
    let options = Options {
        path: path.to_owned(),
        raw_for: day,
        rollup_5m_for: day,
        rollup_1h_for: day,
        outbox_max_age: day,
        outbox_max_bytes: 1 << 20,
        vantage: "here".to_owned(),
        max_pages: None,
    };
    let store = Store::open(options, &log()).unwrap();
    worker::spawn(store.writer(None), &SinkQueue::new("store", 16), None, store.handle().writer(), &log(), ()).unwrap();
    store
}

fn kept() -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("s.db"));
    Kept { handle: store.handle(), store, _dir: dir }
}

impl Kept {
    async fn put(&self, notifier: &str, news: Notification) {
        self.handle.queue_notification(notifier, news).await.unwrap();
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

/// Milliseconds where the service takes seconds.
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
    let settings = Settings { name: name.to_owned(), per_minute: config.per_minute, pacing: quick() };
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

/// What a receiver saw of one message to a channel that is configured with `keys`.
async fn sent(keys: impl Fn(&Receiver) -> String, news: &Notification) -> Vec<Request> {
    let receiver = Receiver::scripted([]);
    let notifier = notify::set_up(&one(&keys(&receiver))).await.unwrap();
    notifier.deliver(news).await.unwrap();
    receiver.seen()
}

#[tokio::test]
async fn a_webhook_gets_the_promised_body_its_key_its_headers_and_a_signature_that_holds() {
    let seen = sent(
        |receiver| {
            let url = receiver.url("/hook?a=b");
            format!("type = \"webhook\"\nurl = \"{url}\"\nsecret = \"s3cret\"\nheaders = {{ X-Site = \"ams\" }}\n")
        },
        &resolved("k1", "offset"),
    )
    .await;
    let [request] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(request.line(), "POST /hook?a=b");
    assert_eq!(
        request.json(),
        json!({
            "status": "resolved", "alert": "offset", "severity": "critical", "server": "office", "value": 72.5,
            "summary": "office is 72.5 ms off (k1)", "description": "The majority disagrees <b>\"&\"</b>.",
            "labels": { "site": "ams" }, "started_at": "2026-11-23T01:02:03Z", "ended_at": "2026-11-23T02:00:00Z",
            "vantage": "here", "url": "https://ntp.example.net/",
        })
    );
    assert_eq!(request.header("Idempotency-Key").as_deref(), Some("k1"));
    assert_eq!(request.header("X-Site").as_deref(), Some("ams"));
    assert_eq!(request.header("Content-Type").as_deref(), Some("application/json"));
    let signature = request.header(notify::SIGNATURE).unwrap();
    let (time, mac) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert_eq!(openssl_hmac("s3cret", &format!("{time}.{}", request.body)), mac);
}

/// The HMAC as another program computes it.
fn openssl_hmac(key: &str, text: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    out.trim().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_webhook_gets_each_alert_of_a_group_with_a_key_of_its_own_or_one_body_from_a_template() {
    let mut group = news("g", "offset");
    group.alerts.push(Instance { server: None, value: None, ..group.alerts[0].clone() });
    let seen = sent(|receiver| format!("type = \"webhook\"\nurl = \"{}\"\n", receiver.url("/")), &group).await;
    let keys: Vec<_> = seen.iter().map(|request| request.header("Idempotency-Key").unwrap()).collect();
    assert_eq!(keys, ["g/0", "g/1"]);
    assert_eq!((&seen[1].json()["server"], &seen[1].json()["value"]), (&Value::Null, &Value::Null));

    let template = "body_template = '''{{ status }} {{ alerts|length }} {{ alerts[0].server }}'''\n";
    let keys = |receiver: &Receiver| {
        format!("type = \"webhook\"\nurl = \"{}\"\ncontent_type = \"text/plain\"\n{template}", receiver.url("/"))
    };
    let seen = sent(keys, &group).await;
    assert_eq!((seen.len(), seen[0].body.as_str()), (1, "firing 2 office"));
    assert_eq!(seen[0].header("Content-Type").as_deref(), Some("text/plain"));
}

#[tokio::test]
async fn chats_get_what_happened_where_and_what_to_do_in_their_own_form() {
    type Look = fn(&Request) -> String;
    let chats: [(&str, &str, &str, Look); 5] = [
        ("type = \"slack\"\nurl = \"@/services/T/B/x\"\n", "POST /services/T/B/x", "&lt;b&gt;", |request| {
            request.json()["attachments"][0]["blocks"].to_string()
        }),
        ("type = \"teams\"\nurl = \"@/workflows/1\"\n", "POST /workflows/1", "<b>", |request| {
            request.json()["attachments"][0]["content"].to_string()
        }),
        ("type = \"ntfy\"\napi_url = \"@\"\ntopic = \"clocks\"\ntoken = \"tk_1\"\n", "POST /", "<b>", |request| {
            assert_eq!(request.header("Authorization").as_deref(), Some("Bearer tk_1"));
            assert_eq!((&request.json()["topic"], &request.json()["priority"]), (&json!("clocks"), &json!(5)));
            request.json().to_string()
        }),
        (
            "type = \"telegram\"\napi_url = \"@\"\ntoken = \"1:AB\"\nchat_id = \"-100\"\n",
            "POST /bot1:AB/sendMessage",
            "&lt;b&gt;",
            |request| {
                assert_eq!(request.json()["chat_id"], "-100");
                request.json()["text"].to_string()
            },
        ),
        ("type = \"pagerduty\"\napi_url = \"@\"\nrouting_key = \"rk\"\n", "POST /v2/enqueue", "<b>", |request| {
            let event = request.json();
            assert_eq!((&event["routing_key"], &event["event_action"]), (&json!("rk"), &json!("trigger")));
            assert_eq!(event["payload"]["severity"], "critical");
            event.to_string()
        }),
    ];
    for (keys, line, escaped, look) in chats {
        let seen = sent(|receiver| keys.replace('@', &receiver.url("")), &news("k", "offset")).await;
        assert_eq!((seen.len(), seen[0].line()), (1, line));
        let shown = look(&seen[0]);
        for part in ["office is 72.5 ms off", "https://example.net/runbook", "The majority disagrees", escaped] {
            assert!(shown.contains(part), "{line}: {part} in {shown}");
        }
    }
}

#[tokio::test]
async fn what_passes_is_retried_until_the_receiver_takes_it_with_the_same_key() {
    let huge = Answer::Status(500, "", "x".repeat(1 << 20));
    for answer in [status(500), status(503), status(429), status(408), huge, Answer::Hang, Answer::Reset] {
        let (kept, receiver) = (kept(), Receiver::scripted([answer.clone(), answer.clone()]));
        kept.put("n", news("k", "offset")).await;
        let running = start(&kept, "n", &webhook(&receiver)).await;
        eventually("delivered", || kept.waiting("n") == 0).await;
        let keys: Vec<_> = receiver.seen().iter().map(|request| request.header("Idempotency-Key").unwrap()).collect();
        assert_eq!(keys, ["k", "k", "k"]);
        let gauge = running.gauge();
        assert_eq!((gauge.delivered, gauge.failures, gauge.failing), (1, 2, false));
        assert!(gauge.last_error.as_ref().is_some_and(|why| why.len() < 400 && !why.contains("hush")), "{gauge:?}");
        running.end().await;
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let (kept, receiver) = (kept(), Receiver::scripted([Answer::Status(429, "Retry-After: 1\r\n", String::new())]));
    kept.put("n", news("k", "offset")).await;
    let running = start(&kept, "n", &webhook(&receiver)).await;
    eventually("delivered", || kept.waiting("n") == 0).await;
    let seen = receiver.seen();
    // A lower bound is no race: nothing makes it come back too early but a fault of its own.
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
    running.end().await;
}

#[tokio::test]
async fn a_receiver_that_refuses_us_is_said_and_nothing_is_lost_or_shown() {
    let elsewhere = Receiver::scripted([]);
    let location: &'static str = Box::leak(format!("Location: {}\r\n", elsewhere.url("/")).into_boxed_str());
    for code in [301, 307, 401, 403, 404, 410] {
        let echo = Answer::Status(code, location, "no /hook/hush-hush\nhere".to_owned());
        let (kept, receiver) = (kept(), Receiver::scripted([echo.clone(), echo]));
        kept.put("n", news("k", "offset")).await;
        let running = start(&kept, "n", &webhook(&receiver)).await;
        eventually("delivered in the end", || kept.waiting("n") == 0).await;
        let gauge = running.gauge();
        let why = gauge.last_error.unwrap();
        assert!(why.starts_with(&code.to_string()) && why.contains("no ") && !why.contains('\n'), "{why}");
        assert_eq!((gauge.failures, gauge.given_up), (2, 0));
        running.end().await;
    }
    assert_eq!(elsewhere.count(), 0, "a redirect was followed");
}

#[tokio::test]
async fn a_receiver_that_is_away_gets_everything_in_order_when_it_is_back() {
    let kept = kept();
    let gone = Receiver::scripted([]);
    let (address, config) = (gone.address, webhook(&gone));
    drop(gone);
    for n in 0..5 {
        kept.put("n", news(&format!("f{n}"), "offset")).await;
        kept.put("n", resolved(&format!("r{n}"), "offset")).await;
    }
    kept.put("n", news("other", "reach")).await;
    let running = start(&kept, "n", &config).await;
    eventually("failing", || running.gauge().consecutive_failures > 3).await;
    assert!(running.gauge().failing && running.gauge().last_error.unwrap().contains("refused"));
    let receiver = Receiver::at(address, |_| status(200));
    eventually("delivered", || kept.waiting("n") == 0).await;
    let keys: Vec<String> =
        receiver.seen().iter().map(|r| r.header("Idempotency-Key").unwrap()).filter(|key| key != "other").collect();
    assert_eq!(keys, ["f0", "r0", "f1", "r1", "f2", "r2", "f3", "r3", "f4", "r4"]);
    running.end().await;
}

#[tokio::test]
async fn a_notifier_that_hangs_does_not_hold_up_another() {
    let (kept, deaf, good) = (kept(), Receiver::start(|_| Answer::Hang), Receiver::scripted([]));
    for n in 0..10 {
        for name in ["deaf", "good"] {
            kept.put(name, news(&n.to_string(), "offset")).await;
        }
    }
    let mut config = webhook(&deaf);
    config.timeout = Duration::from_secs(60);
    let hanging = start(&kept, "deaf", &config).await;
    eventually("one hangs", || deaf.count() == 1).await;
    let running = start(&kept, "good", &webhook(&good)).await;
    eventually("the other delivers", || kept.waiting("good") == 0).await;
    assert_eq!((kept.waiting("deaf"), good.count()), (10, 10));
    running.end().await;
    hanging.task.abort();
}

#[tokio::test]
async fn a_message_that_is_refused_is_given_up_only_once_others_are_taken() {
    let receiver = Receiver::start(|request| if request.body.contains("(bad)") { status(400) } else { status(200) });
    let kept = kept();
    kept.put("n", news("bad", "one")).await;
    kept.put("n", resolved("after the bad", "one")).await;
    let running = start(&kept, "n", &webhook(&receiver)).await;
    eventually("it is tried again and again", || receiver.count() > 6).await;
    assert_eq!((running.gauge().given_up, kept.waiting("n")), (0, 2));
    kept.put("n", news("good", "two")).await;
    eventually("the queue is empty", || kept.waiting("n") == 0).await;
    assert_eq!((running.gauge().given_up, running.gauge().delivered), (1, 2));
    running.end().await;
}

#[tokio::test]
async fn an_attempt_under_way_at_the_end_is_waited_for_until_the_deadline_and_then_kept() {
    let (kept, receiver) = (kept(), Receiver::start(|_| Answer::Hang));
    kept.put("n", news("k", "offset")).await;
    let mut config = webhook(&receiver);
    config.timeout = Duration::from_secs(60);
    let running = start(&kept, "n", &config).await;
    eventually("an attempt is under way", || receiver.count() == 1).await;
    running.stop.send_replace(Some(Instant::now() + Duration::from_millis(50)));
    running.task.await.unwrap();
    assert_eq!(kept.waiting("n"), 1);
}

#[tokio::test]
async fn what_was_delivered_is_remembered_by_the_next_process() {
    let (kept, receiver) = (kept(), Receiver::scripted([]));
    kept.put("n", news("k", "offset")).await;
    let running = start(&kept, "n", &webhook(&receiver)).await;
    eventually("delivered", || kept.waiting("n") == 0).await;
    running.end().await;
    kept.put("n", news("k", "offset")).await;
    let running = start(&kept, "n", &webhook(&receiver)).await;
    eventually("recalled", || running.gauge().last_success.is_some()).await;
    assert_eq!((receiver.count(), running.gauge().delivered), (1, 0), "the same notification was sent twice");
    running.end().await;
}

fn mail_config(mail: &Mail, more: &str) -> String {
    format!(
        "type = \"email\"\nhost = \"127.0.0.1\"\nport = {}\nfrom = \"NTP <ntp@example.net>\"\n\
         to = [\"ops@example.net\", \"Boss <boss@example.net>\"]\n{more}",
        mail.port
    )
}

fn with_seconds(mut config: Config) -> Config {
    config.timeout = Duration::from_secs(20);
    config
}

#[tokio::test]
async fn mail_goes_to_everybody_as_text_and_html_over_starttls_with_a_login() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path());
    let Some(mail) = Mail::start(&with_tls(json!({ "password": "hush" }), &files)) else { return };
    let login = format!("username = \"ntp\"\npassword = \"hush\"\nca_file = {:?}\n", files.0);
    let config = with_seconds(one(&mail_config(&mail, &login)));
    let notifier = notify::set_up(&config).await.unwrap();
    notifier.deliver(&news("k", "offset")).await.unwrap();
    let taken = mail.first();
    assert_eq!((&taken["tls"], &taken["from"]), (&json!(true), &json!("ntp@example.net")));
    assert_eq!(taken["to"], json!(["ops@example.net", "boss@example.net"]));
    let text = taken["mail"].as_str().unwrap();
    for part in
        ["Subject: CRITICAL: office is 72.5 ms off (k) (here)", "text/plain", "text/html", "Message-ID: <", "&lt;b&gt;"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }

    let wrong = one(&mail_config(&mail, &login.replace("hush", "wrong")));
    let failure = notify::set_up(&with_seconds(wrong)).await.unwrap().deliver(&news("k", "o")).await.unwrap_err();
    assert_eq!(failure.retry, Retry::Paused);
    assert!(failure.why.starts_with("535") && !failure.why.contains("wrong"), "{failure}");

    let stranger = one(&mail_config(&mail, "username = \"ntp\"\npassword = \"hush\"\n"));
    let failure = notify::set_up(&with_seconds(stranger)).await.unwrap().deliver(&news("k", "o")).await.unwrap_err();
    assert_eq!(
        (failure.retry, mail.taken().len()),
        (Retry::Paused, 1),
        "an unknown certificate was trusted: {failure}"
    );
}

#[tokio::test]
async fn mail_is_not_sent_in_the_clear_where_starttls_is_wanted() {
    let Some(mail) = Mail::start(&json!({})) else { return };
    let notifier = notify::set_up(&with_seconds(one(&mail_config(&mail, "")))).await.unwrap();
    let failure = notifier.deliver(&news("k", "offset")).await.unwrap_err();
    assert!(failure.retry == Retry::Paused && mail.taken().is_empty(), "{failure}");
}

#[tokio::test]
async fn a_mail_server_that_drops_hangs_is_busy_or_refuses_gets_the_mail_in_the_end_with_the_same_id() {
    let Some(mail) = Mail::start(&json!({ "trouble": ["drop", "busy", "hang", "drop", "refused"] })) else { return };
    let kept = kept();
    kept.put("n", news("k", "offset")).await;
    let mut config = one(&mail_config(&mail, "tls = \"none\"\n"));
    config.timeout = Duration::from_secs(3);
    let running = start(&kept, "n", &config).await;
    eventually("delivered", || kept.waiting("n") == 0).await;
    let trouble: Vec<Value> = mail.said().iter().filter_map(|said| said.get("trouble").cloned()).collect();
    assert_eq!(trouble, ["drop", "busy", "hang", "drop", "refused"]);
    assert!(mail.first()["mail"].as_str().unwrap().contains("@example.net>"));
    assert_eq!(mail.taken().len(), 1);
    assert_eq!((running.gauge().failures, running.gauge().given_up), (5, 0));
    running.end().await;
}

#[tokio::test]
async fn a_report_goes_by_mail_with_its_pictures_and_to_a_chat_as_its_summary() {
    let report = Report {
        key: "report/here/now".into(),
        title: "Week 47".into(),
        summary: "All is well.".into(),
        text: "In full.".into(),
        html: "<img src=\"cid:plot\">".into(),
        pictures: vec![Picture { id: "plot".into(), png: b"\x89PNG\r\n\x1a\n".to_vec() }],
    };
    let chat = Receiver::scripted([]);
    let slack = one(&format!("type = \"slack\"\nurl = \"{}\"\n", chat.url("/x")));
    notify::set_up(&slack).await.unwrap().send_report(&report).await.unwrap();
    assert_eq!(chat.seen()[0].json()["text"], "Week 47\nAll is well.");
    notify::set_up(&webhook(&chat)).await.unwrap().send_report(&report).await.unwrap();
    let expected = json!({ "status": "report", "title": "Week 47", "summary": "All is well.", "text": "In full." });
    assert_eq!(chat.seen()[1].json(), expected);
    assert_eq!(chat.seen()[1].header("Idempotency-Key").unwrap(), "report/here/now");
    let pager = one(&format!("type = \"pagerduty\"\nrouting_key = \"k\"\napi_url = \"{}\"\n", chat.url("")));
    let refused = notify::set_up(&pager).await.unwrap().send_report(&report).await;
    assert_eq!(refused.unwrap_err().retry, Retry::Refused);

    let Some(mail) = Mail::start(&json!({})) else { return };
    let notifier = notify::set_up(&with_seconds(one(&mail_config(&mail, "tls = \"none\"\n")))).await.unwrap();
    notifier.send_report(&report).await.unwrap();
    let taken = mail.first();
    let text = taken["mail"].as_str().unwrap();
    for part in ["multipart/alternative", "multipart/related", "Content-ID: <plot>", "image/png", "In full."] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// A home with a server that answers, which is there as long as what comes with it.
fn home_with(notifiers: &str) -> ((Playground, ScriptedServer), Home) {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&format!("{}{notifiers}", own("a", server.address())));
    ((playground, server), home)
}

fn section(name: &str, url: &str) -> String {
    format!("[[notifier]]\nname = {name:?}\ntype = \"webhook\"\nurl = {url:?}\nrate = 1000\n")
}

/// The service is killed while it tries in vain, and while it delivers: nothing is lost, everything is in order, and what
/// is repeated is recognised by its key.
#[test]
fn kills_lose_no_notification_and_repeats_carry_the_same_key() {
    const ALERTS: usize = 40;
    let gone = Receiver::scripted([]);
    let (address, url) = (gone.address, gone.url("/hook"));
    drop(gone);
    let (_servers, home) = home_with(&section("chat", &url));
    std::fs::create_dir_all(home.data()).unwrap();
    fill(&home.store(), ALERTS);

    for _ in 0..3 {
        let mut monitor = home.start();
        monitor.logged("a notification is not taken");
        monitor.kill();
    }
    // It answers slowly enough that kills come in between.
    let receiver = Receiver::at(address, |_| {
        std::thread::sleep(Duration::from_millis(10));
        status(200)
    });
    for n in 1..=4 {
        let monitor = home.start();
        until("some are delivered", || receiver.count() >= n * 2 * ALERTS / 8);
        monitor.kill();
    }
    let mut monitor = home.start();
    let queued = |health: &Value| health["notifiers"]["chat"]["queued"] == 0;
    monitor.health("an empty queue", |health| health["notifiers"]["chat"].is_object() && queued(health));
    assert_eq!(monitor.stop(), 0, "{}", monitor.log());

    let mut order: Vec<String> = Vec::new();
    for request in receiver.seen() {
        let key = request.header("Idempotency-Key").unwrap();
        if !order.contains(&key) {
            order.push(key);
        }
    }
    let expected: Vec<String> = (0..ALERTS).flat_map(|n| [format!("f{n}"), format!("r{n}")]).collect();
    assert_eq!(order, expected);
    assert!(receiver.count() <= expected.len() + 4, "each kill may repeat one: {}", receiver.count());
}

/// Puts beginnings and ends of one alert into the queue of `chat`, as the service would.
fn fill(store: &Path, alerts: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = open(store);
    runtime.block_on(async {
        for n in 0..alerts {
            store.handle().queue_notification("chat", news(&format!("f{n}"), "offset")).await.unwrap();
            store.handle().queue_notification("chat", resolved(&format!("r{n}"), "offset")).await.unwrap();
        }
    });
    store.handle().writer().drain(Instant::now() + PATIENCE).recv().unwrap();
}

#[test]
fn a_notifier_that_fails_is_seen_in_health_metrics_and_api_and_a_reload_repairs_it() {
    let bad = Receiver::start(|_| status(404));
    let (_servers, home) = home_with(&section("chat", &bad.url("/hush")));
    std::fs::create_dir_all(home.data()).unwrap();
    fill(&home.store(), 1);
    let mut monitor = home.start();
    let of_notifier = |health: &Value| {
        let reasons = health["reasons"].as_array().unwrap();
        reasons.iter().find(|reason| reason["about"] == "notifier").cloned()
    };
    let (code, health) = monitor.health("a reason", |health| of_notifier(health).is_some());
    let reason = of_notifier(&health).unwrap();
    assert_eq!((code, &health["status"], &reason["name"]), (200, &json!("degraded"), &json!("chat")));
    assert!(reason["reason"].as_str().unwrap().starts_with("fails since 20"), "{reason}");

    let (_, list) = monitor.get("/api/v1/notifiers");
    let chat = &list["notifiers"][0];
    assert_eq!((&chat["name"], &chat["type"], &chat["queued"]), (&json!("chat"), &json!("webhook"), &json!(2)));
    assert!(chat["last_error"].as_str().unwrap().starts_with("404") && chat["paused_until"].is_string(), "{chat}");
    assert!(!list.to_string().contains("/hush"));

    let good = Receiver::scripted([]);
    home.configure(&format!("{}{}", first_server(&home), section("chat", &good.url("/"))));
    assert!(monitor.reload().contains("configuration reloaded"), "{}", monitor.log());
    monitor
        .health("no reason", |health| of_notifier(health).is_none() && health["notifiers"]["chat"]["delivered"] == 2);
    assert_eq!(good.count(), 2);
    assert_eq!(monitor.stop(), 0);
    assert!(!monitor.log().contains("/hush"));
}

/// The `[[server]]` of the configuration, as it is.
fn first_server(home: &Home) -> String {
    let all = std::fs::read_to_string(home.config()).unwrap();
    let from = all.find("[[server]]").unwrap();
    let to = all[from..].find("[[notifier]]").unwrap() + from;
    all[from..to].to_owned()
}

#[test]
fn a_test_by_the_api_needs_an_operator_and_says_what_came_of_it() {
    const HASH: &str = "87120b8c498206655fef464defd2976378ef6cbed49201fd43166fcea8fac9ef";
    let (good, bad) = (Receiver::scripted([]), Receiver::start(|_| Answer::Hang));
    let deaf = section("deaf", &bad.url("/hush")) + "timeout = \"200ms\"\n";
    let (_servers, home) = home_with(&format!(
        "{}{deaf}[[http.tokens]]\nname = \"op\"\nrole = \"operate\"\nsha256 = {HASH:?}\n",
        section("good chat", &good.url("/"))
    ));
    let mut monitor = home.start();
    let base = format!("http://{}/api/v1/notifiers", monitor.http());
    let post = |name: &str, token: &str| {
        let url = format!("{base}/{name}/test");
        let output = std::process::Command::new("curl")
            .args(["-s", "-X", "POST", "-H", &format!("Authorization: Bearer {token}"), &url])
            .output();
        serde_json::from_slice::<Value>(&output.unwrap().stdout).unwrap()
    };
    assert_eq!(post("good%20chat", "stranger-to-this-house")["status"], 401);
    assert_eq!(post("nobody", "operator-of-this-test")["status"], 404);
    let answer = post("good%20chat", "operator-of-this-test");
    assert_eq!((&answer["delivered"], &answer["name"]), (&json!(true), &json!("good chat")), "{answer}");
    assert_eq!(good.count(), 1);
    let answer = common::wait::find("a turn for the other", || {
        Some(post("deaf", "operator-of-this-test")).filter(|answer| answer["status"] != 429)
    });
    assert_eq!((&answer["delivered"], &answer["detail"]), (&json!(false), &json!("no answer in time")), "{answer}");
    assert_eq!(monitor.stop(), 0);
}

#[test]
fn the_command_says_what_came_of_a_test_and_lists_notifiers() {
    let (good, bad) = (Receiver::scripted([]), Receiver::start(|_| status(401)));
    let home = Home::with(&format!("{SERVER}{}{}", section("good", &good.url("/")), section("bad", &bad.url("/hush"))));
    let config = home.config();
    let notify = |arguments: &[&str]| {
        let all = [&["--config", config.to_str().unwrap(), "notify"], arguments].concat();
        let output = run(home.path(), &all);
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    assert_eq!(notify(&["list"]), (0, "good  webhook\nbad   webhook\n".to_owned()));
    let (code, said) = notify(&["test", "good"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("good (webhook): delivered in ") && said.contains("200"), "{said}");
    assert!(good.seen()[0].json()["summary"].as_str().unwrap().contains("nothing is wrong"));
    let (code, said) = notify(&["test", "bad"]);
    assert!(code == 1 && said.contains("NOT delivered") && said.contains("401") && !said.contains("hush"), "{said}");
    let (code, said) = notify(&["test", "nobody"]);
    assert!(code == 1 && said.contains("there are good, bad"), "{said}");
}

#[test]
fn the_heartbeat_is_heard_while_the_service_does_its_job() {
    let (beats, alarms) = (Receiver::scripted([]), Receiver::scripted([]));
    let (_servers, home) = home_with(&format!(
        "[[notifier]]\nname = \"dead man\"\ntype = \"heartbeat\"\nurl = {:?}\nfail_url = {:?}\ninterval = \"15s\"\n",
        beats.url("/uuid"),
        alarms.url("/uuid/fail")
    ));
    let mut monitor = home.start();
    monitor.health("the beat is known", |health| health["notifiers"]["dead man"]["delivered"].as_u64() >= Some(1));
    assert_eq!((beats.seen()[0].line(), alarms.count()), ("GET /uuid", 0));
    assert_eq!(monitor.stop(), 0);
}

#[test]
fn the_heartbeat_of_a_service_that_is_failing_says_so() {
    let (beats, alarms) = (Receiver::scripted([]), Receiver::scripted([]));
    let lost = own("lost", "127.0.0.1:9".parse().unwrap());
    let home = Home::with(&format!(
        "{lost}[[notifier]]\nname = \"d\"\ntype = \"heartbeat\"\nurl = {:?}\nfail_url = {:?}\ninterval = \"15s\"\n",
        beats.url("/uuid"),
        alarms.url("/uuid/fail")
    ));
    let mut monitor = home.start();
    until("an alarm", || alarms.count() > 0);
    assert_eq!(alarms.seen()[0].line(), "GET /uuid/fail");
    assert_eq!(monitor.stop(), 0);
}
