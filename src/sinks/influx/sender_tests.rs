//! Tests the sender in simulated time, with a scripted database.

use std::collections::VecDeque;
use std::sync::Mutex;

use slog::{Discard, o};
use tokio::time::{advance, timeout};

use super::*;
use crate::sinks::influx::outbox::{OutboxGauge, OutboxRow};

#[derive(Default)]
struct Memory {
    rows: Mutex<Vec<OutboxRow>>,
    quarantine: Mutex<Vec<(String, String)>>,
}

impl Memory {
    fn with(rows: &[&str]) -> Arc<Self> {
        let memory = Self::default();
        rows.iter().for_each(|row| memory.push(row));
        Arc::new(memory)
    }

    fn push(&self, lines: &str) {
        let mut rows = self.rows.lock().unwrap();
        let id = rows.last().map_or(1, |row| row.id + 1);
        let count = u32::try_from(lines.lines().count()).unwrap();
        rows.push(OutboxRow { id, created_ns: 0, lines: count, body: lines.as_bytes().to_vec() });
    }

    fn left(&self) -> usize {
        self.rows.lock().unwrap().len()
    }

    fn quarantined(&self) -> Vec<(String, String)> {
        self.quarantine.lock().unwrap().clone()
    }
}

impl Outbox for Memory {
    async fn oldest(&self, max_lines: usize, _: usize) -> Result<Vec<OutboxRow>, OutboxError> {
        let rows = self.rows.lock().unwrap();
        let mut lines = 0;
        let fits = |row: &&OutboxRow| {
            lines += row.lines as usize;
            lines <= max_lines
        };
        let fitting = rows.iter().take_while(fits).count().max(1);
        Ok(rows.iter().take(fitting).cloned().collect())
    }

    async fn done(&self, ids: Vec<i64>) -> Result<(), OutboxError> {
        self.rows.lock().unwrap().retain(|row| !ids.contains(&row.id));
        Ok(())
    }

    async fn quarantine(&self, line: Vec<u8>, reason: String) -> Result<(), OutboxError> {
        self.quarantine.lock().unwrap().push((String::from_utf8(line).unwrap(), reason));
        Ok(())
    }

    async fn gauge(&self) -> Result<OutboxGauge, OutboxError> {
        let rows = self.rows.lock().unwrap();
        let lines = rows.iter().map(|row| u64::from(row.lines)).sum();
        Ok(OutboxGauge { rows: rows.len() as u64, lines, ..OutboxGauge::default() })
    }
}

/// Answers from a script, then rejects lines that start with `bad` and accepts all others.
#[derive(Default, Clone)]
struct Database {
    script: Arc<Mutex<VecDeque<WriteOutcome>>>,
    requests: Arc<Mutex<Vec<(Instant, String)>>>,
    hangs: bool,
}

impl Database {
    fn scripted(script: impl IntoIterator<Item = WriteOutcome>) -> Self {
        Self { script: Arc::new(Mutex::new(script.into_iter().collect())), ..Self::default() }
    }

    fn times_s(&self, since: Instant) -> Vec<u64> {
        self.requests.lock().unwrap().iter().map(|(at, _)| at.duration_since(since).as_secs()).collect()
    }
}

impl LineWriter for Database {
    async fn write(&self, lines: Vec<u8>) -> WriteOutcome {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let lines = String::from_utf8(lines).unwrap();
        self.requests.lock().unwrap().push((Instant::now(), lines.clone()));
        let scripted = self.script.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| match lines.lines().any(|line| line.starts_with("bad")) {
            true => WriteOutcome::Invalid("bad line".to_owned()),
            false => WriteOutcome::Done,
        })
    }
}

struct Running {
    state: Arc<SenderState>,
    stop: watch::Sender<Option<std::time::Instant>>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn stop_within(self, time: Duration) {
        self.stop.send(Some((Instant::now() + time).into_std())).unwrap();
        timeout(time + Duration::from_secs(1), self.task).await.expect("ends by its deadline").unwrap();
    }
}

fn start(outbox: &Arc<Memory>, database: &Database) -> Running {
    let config = SenderConfig { batch: 100, flush_interval: Duration::from_secs(10), pacing: Pacing::default() };
    let (stop, shutdown) = watch::channel(None);
    let state = Arc::new(SenderState::default());
    let log = Logger::root(Discard, o!());
    let task = tokio::spawn(run(Arc::clone(outbox), database.clone(), config, Arc::clone(&state), log, shutdown));
    Running { state, stop, task }
}

async fn seconds(seconds: u64) {
    for _ in 0..seconds * 4 {
        advance(Duration::from_millis(250)).await;
        tokio::task::yield_now().await;
    }
}

fn unavailable(after_s: Option<u64>) -> WriteOutcome {
    WriteOutcome::Retry { reason: "503".to_owned(), after: after_s.map(Duration::from_secs) }
}

#[tokio::test(start_paused = true)]
async fn lines_are_batched_and_a_full_batch_is_sent_at_once() {
    let (outbox, database) = (Memory::with(&["a 1\n"]), Database::default());
    let running = start(&outbox, &database);
    seconds(9).await;
    assert_eq!(database.requests.lock().unwrap().len(), 0);
    outbox.push("b 2\n");
    seconds(2).await;
    assert_eq!(database.requests.lock().unwrap().iter().map(|r| r.1.clone()).collect::<Vec<_>>(), ["a 1\nb 2\n"]);
    outbox.push(&"c 3\n".repeat(100));
    seconds(2).await;
    assert_eq!((outbox.left(), running.state.gauge().sent_lines), (0, 102));
    assert_eq!(running.state.gauge().state, SenderLabel::Idle);
}

#[tokio::test(start_paused = true)]
async fn unavailable_database_is_retried_and_gets_every_line() {
    let (outbox, database) = (Memory::with(&["a 1\n"]), Database::scripted(vec![unavailable(None); 9]));
    let began = Instant::now();
    let running = start(&outbox, &database);
    seconds(60).await;
    assert_eq!(running.state.gauge().state, SenderLabel::Retrying);
    assert!(running.state.gauge().next_attempt_in.is_some());
    seconds(900).await;
    let times = database.times_s(began);
    assert_eq!(times.len(), 10, "{times:?}");
    for (n, pair) in times.windows(2).enumerate() {
        let full = 1 << n;
        assert!(((full / 2)..=full + 1).contains(&(pair[1] - pair[0])), "wait {n}: {times:?}");
    }
    assert_eq!((outbox.left(), running.state.gauge().consecutive_failures), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let (outbox, database) = (Memory::with(&["a 1\n"]), Database::scripted([unavailable(Some(120))]));
    let began = Instant::now();
    let _running = start(&outbox, &database);
    seconds(140).await;
    let times = database.times_s(began);
    assert!(times.len() == 2 && times[1] - times[0] >= 120, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn bad_lines_are_quarantined_and_good_ones_sent() {
    let lines: String = (0..100).map(|n| format!("{} {n}\n", if n % 33 == 1 { "bad" } else { "good" })).collect();
    let (outbox, database) = (Memory::with(&[&lines]), Database::default());
    let running = start(&outbox, &database);
    seconds(2).await;
    let expected: Vec<_> = [1, 34, 67].map(|n| (format!("bad {n}"), "bad line".to_owned())).into();
    assert_eq!(outbox.quarantined(), expected);
    assert_eq!((outbox.left(), running.state.gauge().sent_lines), (0, 97));
    assert_eq!(running.state.gauge().quarantined_lines, 3);
}

#[tokio::test(start_paused = true)]
async fn batch_without_a_good_line_is_retried_first() {
    let (outbox, database) = (Memory::with(&["bad 1\nbad 2\n"]), Database::default());
    let running = start(&outbox, &database);
    seconds(30).await;
    assert_eq!((outbox.left(), outbox.quarantined().len()), (1, 0));
    assert_eq!(running.state.gauge().state, SenderLabel::Paused);
    seconds(35).await;
    assert_eq!(running.state.gauge().state, SenderLabel::Paused, "also while the next batch fills");
    seconds(115).await;
    assert_eq!((outbox.left(), outbox.quarantined().len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn too_large_request_is_halved_and_size_remembered() {
    let script = [WriteOutcome::TooLarge, WriteOutcome::Done, WriteOutcome::Done];
    let (outbox, database) = (Memory::with(&[&"a 1\n".repeat(100)]), Database::scripted(script));
    let _running = start(&outbox, &database);
    seconds(2).await;
    outbox.push(&"b 2\n".repeat(100));
    seconds(2).await;
    let sizes: Vec<_> = database.requests.lock().unwrap().iter().map(|(_, lines)| lines.lines().count()).collect();
    assert_eq!(sizes, [100, 50, 50, 50, 50]);
    assert_eq!(outbox.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn rejected_token_pauses_with_one_probe_per_minute() {
    let script = vec![WriteOutcome::Paused("401 Unauthorized".to_owned()); 3];
    let (outbox, database) = (Memory::with(&["a 1\n"]), Database::scripted(script));
    let began = Instant::now();
    let running = start(&outbox, &database);
    seconds(100).await;
    let gauge = running.state.gauge();
    assert_eq!((gauge.state, gauge.last_error.as_deref()), (SenderLabel::Paused, Some("401 Unauthorized")));
    seconds(150).await;
    let times = database.times_s(began);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 60), "{times:?}");
    assert_eq!((times.len(), outbox.left()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn shutdown_empties_the_outbox_without_batching() {
    let (outbox, database) = (Memory::with(&["a 1\n", "b 2\n"]), Database::default());
    let running = start(&outbox, &database);
    seconds(1).await;
    running.stop_within(Duration::from_secs(5)).await;
    assert_eq!(outbox.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_by_its_deadline_and_keeps_the_rest() {
    let (outbox, database) = (Memory::with(&["a 1\n"]), Database { hangs: true, ..Database::default() });
    let running = start(&outbox, &database);
    seconds(20).await;
    running.stop_within(Duration::from_secs(5)).await;
    assert_eq!(outbox.left(), 1);

    let database = Database::scripted(vec![unavailable(None); 100]);
    let running = start(&outbox, &database);
    seconds(200).await;
    running.stop_within(Duration::from_secs(5)).await;
    assert_eq!(outbox.left(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_tries_an_unavailable_database_a_few_times() {
    let (outbox, database) = (Memory::with(&["a 1\n"]), Database::scripted(vec![unavailable(None); 100]));
    let running = start(&outbox, &database);
    seconds(200).await;
    let (before, began) = (database.requests.lock().unwrap().len(), Instant::now());
    running.stop_within(Duration::from_secs(60)).await;
    assert_eq!(database.requests.lock().unwrap().len() - before, LAST_ATTEMPTS as usize);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(outbox.left(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_shutdown_channel_means_stop_now() {
    let (outbox, database) = (Memory::with(&["a 1\n"]), Database { hangs: true, ..Database::default() });
    let Running { stop, task, .. } = start(&outbox, &database);
    seconds(1).await;
    drop(stop);
    timeout(Duration::from_secs(1), task).await.expect("ends").unwrap();
    assert_eq!(outbox.left(), 1);
}
