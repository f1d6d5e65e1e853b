//! The sender to InfluxDB over real sockets: every response of a database, and a real database.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::receiver::{Answer, Receiver, Request, status};
use crate::common::victoria::Victoria;
use ntp_monitor::config::Influx;
use ntp_monitor::sinks::influx::outbox::{Outbox, OutboxError, OutboxGauge, OutboxRow};
use ntp_monitor::sinks::influx::{
    InfluxClient, LineWriter, Pacing, SampleLines, SenderConfig, SenderState, WriteOutcome, run,
};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};
use slog::{Discard, Logger, o};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const PARTIAL: &str = r#"{"code":"invalid","message":"unable to parse"}"#;
/// The deadline of every wait; beyond it the test fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A database that answers from a script, then refuses lines with `bad` and accepts the others.
pub(super) struct Fake {
    pub url: String,
    seen: Arc<Mutex<Seen>>,
    _server: Receiver,
}

#[derive(Default)]
pub(super) struct Seen {
    script: VecDeque<Answer>,
    pub heads: Vec<String>,
    at: Vec<Instant>,
    pub taken: BTreeMap<String, usize>,
}

impl Fake {
    pub(super) fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { script: script.into_iter().collect(), ..Seen::default() }));
        let shared = Arc::clone(&seen);
        let server = Receiver::start(move |request| judge(&mut shared.lock().unwrap(), request));
        Self { url: server.url(""), seen, _server: server }
    }

    /// Answers each request as `judge` says.
    pub(super) fn judging(mut judge: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let server = Receiver::start(move |request| {
            shared.lock().unwrap().heads.push(request.head.clone());
            judge(request)
        });
        Self { url: server.url(""), seen, _server: server }
    }

    pub(super) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }
}

fn judge(seen: &mut Seen, request: &Request) -> Answer {
    seen.heads.push(request.head.clone());
    seen.at.push(request.at);
    if let Some(answer) = seen.script.pop_front() {
        return answer;
    }
    // Like InfluxDB, it accepts the good lines of a request even if it refuses the request because of bad ones.
    for line in request.body.lines().filter(|line| !line.contains("bad")) {
        *seen.taken.entry(line.to_owned()).or_default() += 1;
    }
    let refused = request.body.lines().any(|line| line.contains("bad"));
    if refused { Answer::Status(400, "", PARTIAL.to_owned()) } else { status(204) }
}

#[derive(Default)]
pub(super) struct Memory {
    rows: Mutex<Vec<OutboxRow>>,
    pub quarantine: Mutex<Vec<(String, String)>>,
}

impl Memory {
    pub(super) fn of(lines: impl IntoIterator<Item = String>) -> Arc<Self> {
        let lines: Vec<_> = lines.into_iter().collect();
        let rows = lines.chunks(10).zip(1..).map(|(lines, id)| {
            let body = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
            OutboxRow { id, created_ns: 0, lines: lines.len() as u32, body }
        });
        Arc::new(Self { rows: Mutex::new(rows.collect()), quarantine: Mutex::default() })
    }

    pub(super) fn left(&self) -> usize {
        self.rows.lock().unwrap().len()
    }
}

impl Outbox for Memory {
    async fn oldest(&self, max_lines: usize, _: usize) -> Result<Vec<OutboxRow>, OutboxError> {
        Ok(self.rows.lock().unwrap().iter().take((max_lines / 10).max(1)).cloned().collect())
    }

    async fn done(&self, ids: Vec<i64>) -> Result<(), OutboxError> {
        self.rows.lock().unwrap().retain(|row| !ids.contains(&row.id));
        Ok(())
    }

    async fn quarantine(&self, lines: Vec<(Vec<u8>, String)>) -> Result<(), OutboxError> {
        let lines = lines.into_iter().map(|(line, reason)| (String::from_utf8(line).unwrap(), reason));
        self.quarantine.lock().unwrap().extend(lines);
        Ok(())
    }

    async fn gauge(&self) -> Result<OutboxGauge, OutboxError> {
        let rows = self.rows.lock().unwrap();
        let lines = rows.iter().map(|row| u64::from(row.lines)).sum();
        Ok(OutboxGauge { rows: rows.len() as u64, lines, ..OutboxGauge::default() })
    }
}

pub(super) fn config(url: &str) -> Influx {
    Influx {
        url: url.to_owned(),
        org: "my org".to_owned(),
        bucket: "ntp".to_owned(),
        token: "hush".into(),
        batch: 100,
        flush_interval: Duration::from_millis(10),
        timeout: Duration::from_millis(300),
        ca_pem: None,
        proxy: None,
        outbox_max_age: Duration::from_secs(3600),
        outbox_max_bytes: 1 << 20,
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

pub(super) struct Running {
    pub state: Arc<SenderState>,
    stop: watch::Sender<Option<Instant>>,
    pub task: JoinHandle<()>,
}

pub(super) fn start(outbox: &Arc<Memory>, config: &Influx) -> Running {
    let client = InfluxClient::new(config).unwrap();
    let sender = SenderConfig { pacing: quick(), ..SenderConfig::from(config) };
    let (stop, shutdown) = watch::channel(None);
    let state = Arc::new(SenderState::default());
    let log = Logger::root(Discard, o!());
    let task = tokio::spawn(run(Arc::clone(outbox), client, sender, Arc::clone(&state), log, shutdown));
    Running { state, stop, task }
}

pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) fn lines(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("m v={n} {n}")).collect()
}

/// Checks that every line is accepted in the end and none is quarantined, after any first responses.
async fn survives(script: Vec<Answer>) -> (Fake, SenderState) {
    let (outbox, fake) = (Memory::of(lines(35)), Fake::start(script));
    let running = start(&outbox, &config(&fake.url));
    until("the outbox is empty", || outbox.left() == 0).await;
    assert_eq!(fake.seen(|seen| seen.taken.keys().cloned().collect::<std::collections::BTreeSet<_>>()).len(), 35);
    assert!(outbox.quarantine.lock().unwrap().is_empty());
    running.stop.send(Some(Instant::now() + PATIENCE)).unwrap();
    running.task.await.unwrap();
    (fake, Arc::into_inner(running.state).unwrap())
}

#[tokio::test]
async fn temporary_failure_is_retried_until_accepted() {
    for answer in [status(429), status(503), status(500), status(408), Answer::Hang, Answer::Reset] {
        let (fake, state) = survives(vec![answer.clone(); 2]).await;
        // After a request that was too slow, the next ones are smaller.
        let is_slow = matches!(answer, Answer::Hang | Answer::Status(408, ..));
        let requests = fake.seen(|seen| seen.heads.len());
        assert!(if is_slow { requests > 3 } else { requests == 3 }, "{answer:?}: {requests}");
        assert_eq!((state.gauge().consecutive_failures, state.gauge().sent_lines), (0, 35));
        assert!(state.gauge().last_error.is_some() && state.gauge().last_success.is_some());
    }
}

#[tokio::test]
async fn a_success_needs_one_request() {
    let head = survives(vec![]).await.0.seen(|seen| seen.heads.clone());
    assert_eq!(head.len(), 1);
    assert!(head[0].starts_with("POST /api/v2/write?org=my+org&bucket=ntp&precision=ns HTTP/1.1\r\n"), "{head:?}");
    assert!(head[0].contains("authorization: Token hush\r\n"), "{head:?}");
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let limited = Answer::Status(429, "Retry-After: 1\r\n", String::new());
    let at = survives(vec![limited]).await.0.seen(|seen| seen.at.clone());
    // A lower bound is not a race: only a bug makes the sender retry too early.
    assert!(at[1] - at[0] >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_request_too_large_is_halved() {
    let (fake, _) = survives(vec![status(413), status(413)]).await;
    assert!(fake.seen(|seen| seen.taken.values().all(|times| *times == 1)));
}

#[tokio::test]
async fn a_refused_token_or_bucket_pauses_and_says_why() {
    for (code, reason) in [(401, "unauthorized access"), (403, "forbidden"), (404, "bucket not found"), (307, "")] {
        let body = format!(r#"{{"code":"x","message":"{reason}"}}"#);
        let (outbox, fake) = (Memory::of(lines(5)), Fake::start(vec![Answer::Status(code, "", body); 2]));
        let running = start(&outbox, &config(&fake.url));
        until("paused", || running.state.gauge().failures > 0).await;
        let error = running.state.gauge().last_error.unwrap();
        assert!(error.starts_with(&code.to_string()) && error.contains(reason), "{error}");
        assert!(!error.contains("hush"));
        until("the outbox is empty", || outbox.left() == 0).await;
        assert!(outbox.quarantine.lock().unwrap().is_empty());
        running.task.abort();
    }
}

#[tokio::test]
async fn a_partial_write_quarantines_the_bad_lines_alone() {
    let mut lines = lines(95);
    lines.insert(17, "m bad=1 1".to_owned());
    lines.insert(60, "m bad=2 2".to_owned());
    let (outbox, fake) = (Memory::of(lines), Fake::start([]));
    let running = start(&outbox, &config(&fake.url));
    until("the outbox is empty", || outbox.left() == 0).await;
    let reason = "400 Bad Request: unable to parse".to_owned();
    let expected = [("m bad=1 1".to_owned(), reason.clone()), ("m bad=2 2".to_owned(), reason)];
    assert_eq!(*outbox.quarantine.lock().unwrap(), expected);
    assert_eq!(fake.seen(|seen| seen.taken.len()), 95);
    running.task.abort();
}

#[tokio::test]
async fn an_answer_of_a_megabyte_becomes_a_short_reason() {
    let fake = Fake::start([Answer::Status(500, "", "x".repeat(1 << 20))]);
    match InfluxClient::new(&config(&fake.url)).unwrap().write(b"m v=1 1\n".to_vec()).await {
        WriteOutcome::Retry { reason, after: None } => assert!(reason.len() < 400, "{}", reason.len()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn refused_connection_is_retried_and_the_reason_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    match InfluxClient::new(&config(&url)).unwrap().write(b"m v=1 1\n".to_vec()).await {
        WriteOutcome::Retry { reason, .. } => assert!(reason.contains("refused"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn shutdown_keeps_the_lines_while_the_database_hangs() {
    let (outbox, fake) = (Memory::of(lines(5)), Fake::start(vec![Answer::Hang; 1000]));
    let running = start(&outbox, &Influx { timeout: PATIENCE, ..config(&fake.url) });
    until("a request hangs", || fake.seen(|seen| !seen.heads.is_empty())).await;
    running.stop.send(Some(Instant::now() + Duration::from_millis(50))).unwrap();
    tokio::time::timeout(PATIENCE / 2, running.task).await.expect("ends before the request does").unwrap();
    assert_eq!(outbox.left(), 1);
}

fn measured(wall_ns: i64) -> Sample {
    let tags = [("rack", "a b,c=d\\"), ("evil", "x 1\nforged v=1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    Sample {
        at: Stamp::new(wall_ns, 5_000_000_000, 0),
        server: Arc::new(ServerIdent { vantage: "".into(), name: "time zürich".into(), tags: tags.into() }),
        address: Some("192.0.2.1:123".parse().unwrap()),
        outcome: Outcome::Sample,
        reply: Some(Reply {
            stratum: 2,
            leap: Leap::None,
            refid: RefId([192, 0, 2, 9]),
            precision_log2: -20,
            root_delay_s: 0.001,
            root_dispersion_s: 0.002,
            reference_age_s: None,
        }),
        measure: Some(Measure { offset_s: -0.000_125, delay_s: 0.03, root_distance_s: 0.02 }),
        poll_s: 64.0,
        timestamping: Some(Timestamping::Kernel),
        authentication: Authentication::None,
        mode: Mode::Basic,
        sent: 1,
        lost: 0,
        evidence: None,
        rejected: Vec::new(),
        nts: None,
        rejected_count: 0,
    }
}

/// Runs `work` where blocking is allowed: the database is asked with plain sockets.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn real_database_gets_every_line_once_after_an_outage() {
    let mut victoria = blocking(Victoria::start).await;
    let now_ns = ntp_monitor::clock::now().wall_ns / 1_000_000_000 * 1_000_000_000;
    let stamps: Vec<i64> = (0..50).map(|n| now_ns - n * 1_000_000_000).collect();
    let mut body = Vec::new();
    let mut lines = SampleLines::new("ams-1".to_owned());
    stamps.iter().for_each(|stamp| lines.append(&mut body, &measured(*stamp)));
    let outbox = Memory::of(String::from_utf8(body).unwrap().lines().map(str::to_owned));

    let config = Influx { timeout: Duration::from_secs(5), ..config(&victoria.url()) };
    victoria.stop();
    let running = start(&outbox, &config);
    until("it is missed", || running.state.gauge().consecutive_failures > 3).await;
    let victoria = blocking(move || {
        victoria.start_again();
        victoria
    })
    .await;
    until("the outbox is empty", || outbox.left() == 0).await;
    assert_eq!(InfluxClient::new(&config).unwrap().may_write().await, Ok(()));

    let (offsets, forged) =
        blocking(move || (victoria.export("ntp_sample_offset_s"), victoria.export("forged_v"))).await;
    assert!(forged.is_empty() && offsets.len() == 1, "{offsets:?}");
    let series = &offsets[0];
    let metric = &series["metric"];
    assert_eq!(metric["server"], "time zürich");
    assert_eq!(metric["vantage"], "ams-1");
    assert_eq!(metric["address"], "192.0.2.1:123");
    assert_eq!(metric["rack"], "a b,c=d/");
    assert_eq!(metric["evil"], "x 1_forged v=1");
    assert!(series["values"].as_array().unwrap().iter().all(|value| value.as_f64() == Some(-0.000_125)));
    let mut times: Vec<i64> =
        series["timestamps"].as_array().unwrap().iter().map(|ms| ms.as_i64().unwrap() * 1_000_000).collect();
    times.sort_unstable_by_key(|time| std::cmp::Reverse(*time));
    assert_eq!(times, stamps);
    running.task.abort();
}
