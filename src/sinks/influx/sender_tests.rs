//! Tests the sender in simulated time, with a scripted database.

use std::collections::VecDeque;
use std::sync::Mutex;

use slog::{Discard, o};
use tokio::time::{advance, timeout};

use super::*;
use crate::sinks::influx::answer::Rejection;
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

/// Answers from a script, then rejects lines with `bad` and accepts all others.
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
        scripted.unwrap_or_else(|| match lines.contains("bad") {
            true => WriteOutcome::Invalid(Rejection { reason: "bad line".to_owned(), ..Rejection::default() }),
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
    let (flush_interval, timeout) = (Duration::from_secs(10), Duration::from_secs(10));
    let config = SenderConfig { batch: 100, flush_interval, timeout, pacing: Pacing::default() };
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
    let lines: String = (0..100).map(|n| format!("m {} {n}\n", if n % 33 == 1 { "bad" } else { "good" })).collect();
    let (outbox, database) = (Memory::with(&[&lines]), Database::default());
    let running = start(&outbox, &database);
    seconds(2).await;
    let expected: Vec<_> = [1, 34, 67].map(|n| (format!("m bad {n}"), "bad line".to_owned())).into();
    assert_eq!(outbox.quarantined(), expected);
    assert_eq!((outbox.left(), running.state.gauge().sent_lines), (0, 97));
    assert_eq!(running.state.gauge().quarantined_lines, 3);
}

#[tokio::test(start_paused = true)]
async fn lines_are_held_while_all_of_their_kind_are_rejected() {
    let (outbox, database) = (Memory::with(&["m bad 1\nm bad 2\n"]), Database::default());
    let running = start(&outbox, &database);
    seconds(600).await;
    assert_eq!((outbox.left(), outbox.quarantined().len()), (1, 0));
    assert_eq!(running.state.gauge().state, SenderLabel::Paused);
    // One request and two lines alone, ten times.
    assert!(database.requests.lock().unwrap().len() <= 33);
    outbox.push("other 3\n");
    seconds(61).await;
    assert_eq!(outbox.left(), 1, "lines of other measurements pass");
    outbox.push("m good 4\n");
    seconds(61).await;
    assert_eq!((outbox.left(), outbox.quarantined().len()), (0, 2));
    assert_eq!(running.state.gauge().state, SenderLabel::Idle);
}

#[tokio::test(start_paused = true)]
async fn conflict_of_the_whole_bucket_is_one_request_a_minute() {
    let conflict = |dropped| {
        WriteOutcome::Invalid(Rejection {
            reason: "type conflict".to_owned(),
            dropped: Some(dropped),
            conflict: Some(("m".to_owned(), "v".to_owned())),
        })
    };
    let lines: String = (0..100).map(|n| format!("m v={n} {n}\n")).collect();
    let (outbox, database) = (Memory::with(&[&lines]), Database::scripted(vec![conflict(100); 10]));
    let running = start(&outbox, &database);
    seconds(570).await;
    assert_eq!((database.requests.lock().unwrap().len(), outbox.left()), (10, 1));
    assert!(running.state.gauge().last_error.unwrap().contains("type conflict"));
    seconds(60).await;
    assert_eq!(
        (outbox.left(), running.state.gauge().sent_lines),
        (0, 100),
        "nothing is lost once the bucket is repaired"
    );
}

#[tokio::test(start_paused = true)]
async fn points_beyond_the_retention_are_counted_in_one_request() {
    let too_old = WriteOutcome::TooOld { lines: 97, reason: "dropped=97".to_owned() };
    let (outbox, database) = (Memory::with(&[&"m v=1 1\n".repeat(100)]), Database::scripted([too_old]));
    let running = start(&outbox, &database);
    seconds(2).await;
    let gauge = running.state.gauge();
    assert_eq!((outbox.left(), gauge.sent_lines, gauge.too_old_lines), (0, 3, 97));
    assert_eq!(database.requests.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn too_large_request_is_halved_and_size_remembered() {
    let (outbox, database) = (Memory::with(&[&"a 1\n".repeat(100)]), Database::scripted([WriteOutcome::TooLarge]));
    let _running = start(&outbox, &database);
    seconds(2).await;
    outbox.push(&"b 2\n".repeat(100));
    seconds(2).await;
    let sizes: Vec<_> = database.requests.lock().unwrap().iter().map(|(_, lines)| lines.lines().count()).collect();
    assert_eq!(sizes, [100, 50, 50, 55, 45]);
    assert_eq!(outbox.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn slow_way_gets_smaller_requests_and_keeps_progress() {
    let slow = || WriteOutcome::TooSlow { reason: "no response in time".to_owned(), after: None };
    let rows: Vec<String> = (0..20).map(|row| format!("m row={row} 1\n").repeat(5)).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let script = [slow(), slow(), WriteOutcome::Done, slow()];
    let (outbox, database) = (Memory::with(&rows), Database::scripted(script));
    let _running = start(&outbox, &database);
    seconds(30).await;
    let sizes: Vec<_> = database.requests.lock().unwrap().iter().map(|(_, lines)| lines.lines().count()).collect();
    assert_eq!(sizes[..5], [100, 50, 25, 50, 25], "what was accepted is not sent again");
    assert_eq!((outbox.left(), sizes[4..].iter().sum::<usize>()), (0, 75));
}

#[tokio::test(start_paused = true)]
async fn accepted_rows_leave_the_outbox_before_the_batch_is_over() {
    let slow = || WriteOutcome::TooSlow { reason: "no response in time".to_owned(), after: None };
    let rows: Vec<String> = (0..20).map(|row| format!("m row={row} 1\n").repeat(5)).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let script = [vec![slow(), WriteOutcome::Done], vec![unavailable(None); 99]].concat();
    let (outbox, database) = (Memory::with(&rows), Database::scripted(script));
    let running = start(&outbox, &database);
    seconds(30).await;
    running.stop_within(Duration::from_secs(5)).await;
    assert_eq!(outbox.left(), 10);
}

#[tokio::test(start_paused = true)]
async fn rejected_client_sends_one_line_until_it_is_accepted() {
    let script = vec![WriteOutcome::Paused("404 bucket not found".to_owned()); 20];
    let (outbox, database) = (Memory::with(&["a 1\na 2\na 3\n"]), Database::scripted(script));
    let began = Instant::now();
    let running = start(&outbox, &database);
    seconds(100).await;
    let gauge = running.state.gauge();
    assert_eq!((gauge.state, gauge.last_error.as_deref()), (SenderLabel::Paused, Some("404 bucket not found")));
    seconds(150).await;
    let times = database.times_s(began);
    assert!(times.windows(2).skip(4).take(14).all(|pair| pair[1] - pair[0] == 10), "{times:?}");
    let sizes: Vec<_> = database.requests.lock().unwrap().iter().map(|(_, lines)| lines.lines().count()).collect();
    assert!(sizes[1..21].iter().all(|lines| *lines == 1), "{sizes:?}");
    assert_eq!((sizes[21..].to_vec(), outbox.left()), (vec![2], 0));
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
