//! The sender: takes the oldest lines from the outbox, sends them until acknowledged, and only then deletes them.
//!
//! - Lines are batched for up to `flush_interval` on the monotonic clock, or until a batch is full.
//! - Temporary failures are retried with jittered, doubling waits, never before the server's `Retry-After`. After a
//!   request that was too slow or too large, the next one has half as many lines ([`Size`]). What was accepted is not
//!   sent again.
//! - A rejected request is taken apart to isolate the rejected lines ([`Batch`]). They are moved to quarantine with the
//!   database's reason if it accepts other lines of their measurement. Otherwise the bucket may be at fault: they are
//!   held in the outbox and retried once a minute, with the lines that came meanwhile.
//! - Lines that are older than the bucket keeps points are counted and not retried.
//! - If the database rejects the client (token, bucket), or is something else, a single line is sent now and then.
//!
//! At shutdown the sender empties the outbox as far as the deadline and the database allow. The rest stays on disk for
//! the next start.

use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::answer::WriteOutcome;
use super::batch::{Batch, Conclusion};
use super::client::LineWriter;
use super::outbox::{Outbox, OutboxError};
use super::pacing::Pacing;
use super::size::Size;
use super::state::{SenderLabel, SenderState};
use crate::config::Influx;

/// Maximum size of a batch, well below the default limits of servers (InfluxDB Cloud: 50 MB).
const MAX_BATCH_BYTES: usize = 4 << 20;
/// Maximum number of lines, and of bytes, of a batch while lines are held.
const MAX_HELD: (usize, usize) = (65_536, 4 * MAX_BATCH_BYTES);
/// Number of attempts at shutdown if the database is unavailable; no data is lost, so the shutdown need not wait.
const LAST_ATTEMPTS: u32 = 3;

/// Settings of the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderConfig {
    /// Maximum number of lines per request.
    pub batch: usize,
    /// Maximum time for which lines are batched.
    pub flush_interval: Duration,
    /// Deadline of one request.
    pub timeout: Duration,
    /// The waits between attempts.
    pub pacing: Pacing,
}

impl From<&Influx> for SenderConfig {
    fn from(config: &Influx) -> Self {
        let (flush_interval, timeout) = (config.flush_interval, config.timeout);
        Self { batch: config.batch.max(1), flush_interval, timeout, pacing: Pacing::default() }
    }
}

/// Sends until `shutdown` carries a deadline (a dropped sender counts as an expired one); then tries to empty the
/// outbox until that deadline, and returns.
pub async fn run<O: Outbox, W: LineWriter>(
    outbox: Arc<O>,
    writer: W,
    config: SenderConfig,
    state: Arc<SenderState>,
    log: Logger,
    shutdown: watch::Receiver<Option<std::time::Instant>>,
) {
    let shutdown = Shutdown { signal: shutdown, deadline: None };
    let size = Size::new(config.batch);
    Sender {
        outbox,
        writer,
        config,
        state,
        log,
        shutdown,
        size,
        waiting_since: None,
        is_paused: false,
        held: 0,
        turn: 0,
        last_attempts: 0,
    }
    .run()
    .await;
}

/// The sender must end.
struct Ended;

struct Sender<O, W> {
    outbox: Arc<O>,
    writer: W,
    config: SenderConfig,
    state: Arc<SenderState>,
    log: Logger,
    shutdown: Shutdown,
    /// Maximum lines per request.
    size: Size,
    /// Since when lines are being batched.
    waiting_since: Option<Instant>,
    /// Whether the database rejects the client.
    is_paused: bool,
    /// Number of rejected lines that are held in the outbox.
    held: usize,
    /// Number of consecutive batches with held lines.
    turn: usize,
    /// Number of failed attempts since the shutdown began.
    last_attempts: u32,
}

impl<O: Outbox, W: LineWriter> Sender<O, W> {
    async fn run(mut self) {
        loop {
            let step = match self.fetch().await {
                Ok(Some(batch)) => self.deliver(batch).await,
                Ok(None) => self.rest().await,
                Err(why) => self.retry(&why.to_string(), None).await,
            };
            if step.is_err() {
                return;
            }
        }
    }

    /// The next batch, if it is due.
    async fn fetch(&mut self) -> Result<Option<Batch>, OutboxError> {
        let now = Instant::now();
        let gauge = self.outbox.gauge().await?;
        if gauge.rows == 0 {
            self.waiting_since = None;
            self.held = 0;
            return Ok(None);
        }
        let since = *self.waiting_since.get_or_insert(now);
        let is_full = gauge.lines >= self.config.batch as u64 || gauge.bytes >= MAX_BATCH_BYTES as u64;
        let is_due = is_full || self.held > 0 || now >= since + self.config.flush_interval;
        if !is_due && self.shutdown.deadline.is_none() {
            return Ok(None);
        }
        let (lines, bytes) = match self.held {
            0 => (self.size.limit(), MAX_BATCH_BYTES),
            // Others follow the held lines.
            held => ((2 * held + self.config.batch).min(MAX_HELD.0), MAX_HELD.1),
        };
        let rows = self.outbox.oldest(lines, bytes).await?;
        // The remaining lines keep the time since when they wait.
        self.waiting_since = (gauge.rows > rows.len() as u64).then_some(since);
        Ok((!rows.is_empty()).then(|| Batch::new(rows, self.turn)))
    }

    /// Waits for lines, or until the batch is due.
    async fn rest(&mut self) -> Result<(), Ended> {
        self.state.idle(self.waiting_since.is_none());
        if self.shutdown.deadline.is_some() {
            return Err(Ended);
        }
        let poll = Instant::now() + self.config.pacing.poll;
        let due = self.waiting_since.map_or(poll, |since| poll.min(since + self.config.flush_interval));
        self.shutdown.sleep_until(due).await
    }

    /// Sends a batch until every line is accepted or rejected.
    async fn deliver(&mut self, mut batch: Batch) -> Result<(), Ended> {
        loop {
            let limit = if self.is_paused { 1 } else { self.size.limit() };
            let Some(lines) = batch.next(limit) else { break };
            let began = Instant::now();
            let outcome = self.send(lines).await?;
            self.judge(&mut batch, outcome, began.elapsed()).await?;
        }
        self.conclude(batch.conclude()).await
    }

    /// Makes one request. It is aborted at the shutdown deadline; its lines stay in the outbox.
    async fn send(&mut self, lines: Vec<u8>) -> Result<WriteOutcome, Ended> {
        tokio::select! {
            outcome = self.writer.write(lines) => Ok(outcome),
            () = self.shutdown.expired() => Err(Ended),
        }
    }

    /// Applies the result of a request to the batch, and waits if necessary.
    async fn judge(&mut self, batch: &mut Batch, outcome: WriteOutcome, took: Duration) -> Result<(), Ended> {
        let lines = batch.next_lines();
        match outcome {
            WriteOutcome::Done => self.accepted(batch, 0, took).await,
            WriteOutcome::TooOld { lines: dropped, reason } => {
                let dropped = dropped.min(lines);
                self.state.too_old(dropped, &reason);
                warn!(self.log, "influxdb dropped lines that are older than its bucket keeps points";
                    "lines" => dropped, "reason" => reason);
                self.accepted(batch, dropped, took).await
            }
            WriteOutcome::Retry { reason, after } => self.retry(&reason, after).await,
            WriteOutcome::TooSlow { reason, after } => {
                self.size.too_slow(lines);
                self.retry(&reason, after).await
            }
            WriteOutcome::Paused(reason) => self.pause(&reason).await,
            WriteOutcome::Invalid(why) => {
                self.is_paused = false;
                batch.reject(&why);
                Ok(())
            }
            WriteOutcome::TooLarge => {
                self.size.too_large(lines);
                batch.too_large();
                Ok(())
            }
        }
    }

    /// The database took the lines of a request, except for those that are too old. Rows that are finished leave the
    /// outbox at once, so that a restart does not send them again.
    async fn accepted(&mut self, batch: &mut Batch, too_old: usize, took: Duration) -> Result<(), Ended> {
        let lines = batch.accept();
        self.is_paused = false;
        self.size.accepted(lines, took, self.config.timeout);
        if self.state.sent(lines - too_old, crate::clock::now()) && self.held == 0 {
            info!(self.log, "influxdb accepts lines again"; "lines" => lines);
        }
        self.finish(batch.finished_rows(), Vec::new()).await
    }

    /// Finishes a batch: gives up the lines that are at fault, and retries after a pause if others are held.
    async fn conclude(&mut self, conclusion: Conclusion) -> Result<(), Ended> {
        let Conclusion { ids, rejected, held } = conclusion;
        if let Some((_, reason)) = rejected.last() {
            self.state.quarantined(rejected.len(), reason);
            // One log record per batch, regardless of the number of bad lines.
            warn!(self.log, "influxdb rejected lines, moved them to quarantine";
                "lines" => rejected.len(), "reason" => reason);
        }
        self.finish(ids, rejected).await?;
        let Some((lines, reason)) = held else {
            (self.held, self.turn) = (0, 0);
            return Ok(());
        };
        (self.held, self.turn) = (lines, self.turn + 1);
        self.state.failed(SenderLabel::Paused, &format!("every line of a measurement is rejected: {reason}"));
        if self.turn == 1 {
            warn!(self.log, "influxdb rejects every line of a measurement, holding them in the outbox";
                "lines" => lines, "reason" => reason);
        }
        if self.shutdown.deadline.is_some() {
            return Err(Ended);
        }
        self.wait(self.config.pacing.probe).await
    }

    /// Moves rejected lines to quarantine, then deletes rows from the outbox. In this order, a crash in between repeats
    /// the work and loses no line.
    async fn finish(&mut self, ids: Vec<i64>, rejected: Vec<(Vec<u8>, String)>) -> Result<(), Ended> {
        while let Err(why) = self.settle(&ids, &rejected).await {
            self.retry(&why.to_string(), None).await?;
        }
        Ok(())
    }

    async fn settle(&self, ids: &[i64], rejected: &[(Vec<u8>, String)]) -> Result<(), OutboxError> {
        if !rejected.is_empty() {
            self.outbox.quarantine(rejected.to_vec()).await?;
        }
        if ids.is_empty() { Ok(()) } else { self.outbox.done(ids.to_vec()).await }
    }

    async fn retry(&mut self, why: &str, after: Option<Duration>) -> Result<(), Ended> {
        let failures = self.failed(SenderLabel::Retrying, why);
        if self.shutdown.deadline.is_none() {
            let wait = self.config.pacing.retry(failures, rand::random(), after);
            return self.wait(wait).await;
        }
        self.last_attempts += 1;
        if self.last_attempts >= LAST_ATTEMPTS {
            return Err(Ended);
        }
        // There is no time for long waits, unless the server asks for one.
        let wait = self.config.pacing.retry(1, rand::random(), after);
        self.wait(wait).await
    }

    async fn pause(&mut self, why: &str) -> Result<(), Ended> {
        self.is_paused = true;
        let failures = self.failed(SenderLabel::Paused, why);
        if self.shutdown.deadline.is_some() {
            return Err(Ended);
        }
        self.wait(self.config.pacing.pause(failures)).await
    }

    fn failed(&mut self, label: SenderLabel, why: &str) -> u32 {
        let failures = self.state.failed(label, why);
        // Logged once when it starts; health and metrics show the rest.
        if failures == 1 {
            warn!(self.log, "influxdb does not accept lines, keeping them in the outbox";
                  "state" => label.label(), "reason" => why);
        }
        failures
    }

    async fn wait(&mut self, time: Duration) -> Result<(), Ended> {
        let until = Instant::now() + time;
        self.state.wait_until(until);
        self.shutdown.sleep_until(until).await
    }
}

/// The stop signal, and its deadline once it has arrived.
struct Shutdown {
    signal: watch::Receiver<Option<std::time::Instant>>,
    deadline: Option<Instant>,
}

impl Shutdown {
    /// Waits for the stop signal and records its deadline.
    async fn signalled(&mut self) {
        // If the sending end was dropped, the deadline counts as expired.
        let deadline = self.signal.wait_for(Option::is_some).await.ok().and_then(|signal| *signal);
        self.deadline = Some(deadline.map_or_else(Instant::now, Instant::from_std));
    }

    /// Waits for the stop signal and its deadline.
    async fn expired(&mut self) {
        if self.deadline.is_none() {
            self.signalled().await;
        }
        sleep_until(self.deadline.unwrap_or_else(Instant::now)).await;
    }

    /// Sleeps until the stop signal at most, so that a sender in a long back-off tries once more at shutdown. After the
    /// signal it fails if the deadline comes first.
    async fn sleep_until(&mut self, until: Instant) -> Result<(), Ended> {
        match self.deadline {
            Some(deadline) if until >= deadline => return Err(Ended),
            Some(_) => sleep_until(until).await,
            // The time-out and the signal both end the sleep.
            None => drop(timeout_at(until, self.signalled()).await),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
