//! The sender: takes the oldest lines from the outbox, sends them until acknowledged, and only then deletes them.
//!
//! - Lines are batched for up to `flush_interval` on the monotonic clock, or until a batch is full.
//! - Temporary failures are retried with jittered, doubling waits, never before the server's `Retry-After`.
//! - A rejected request is halved to isolate the rejected lines ([`Batch`]). They are moved to quarantine with the
//!   database's reason, and the others are sent. If *no* line of a batch was accepted, the batch is first retried twice
//!   after a pause, because the bucket may be at fault.
//! - If the database rejects the client (token, bucket), only a probe is sent now and then.
//!
//! At shutdown the sender empties the outbox as far as the deadline and the database allow. The rest stays on disk for
//! the next start.

use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::batch::Batch;
use super::client::{LineWriter, WriteOutcome};
use super::outbox::{Outbox, OutboxError};
use super::pacing::Pacing;
use super::state::{SenderLabel, SenderState};
use crate::config::Influx;

/// Maximum size of a request, well below the default limits of servers (InfluxDB Cloud: 50 MB).
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// How often a batch without any good line is retried before its lines are moved to quarantine.
const HOPELESS_RETRIES: u32 = 2;
/// Number of attempts at shutdown if the database is unavailable; no data is lost, so the shutdown need not wait.
const LAST_ATTEMPTS: u32 = 3;

/// Settings of the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderConfig {
    /// Maximum number of lines per request.
    pub batch: usize,
    /// Maximum time for which lines are batched.
    pub flush_interval: Duration,
    /// The waits between attempts.
    pub pacing: Pacing,
}

impl From<&Influx> for SenderConfig {
    fn from(config: &Influx) -> Self {
        Self { batch: config.batch.max(1), flush_interval: config.flush_interval, pacing: Pacing::default() }
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
    let line_limit = config.batch;
    Sender {
        outbox,
        writer,
        config,
        state,
        log,
        shutdown,
        line_limit,
        waiting_since: None,
        fruitless: 0,
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
    /// Maximum lines per request: the configured batch, or fewer after a 413.
    line_limit: usize,
    /// Since when lines are being batched.
    waiting_since: Option<Instant>,
    /// Number of consecutive batches without an accepted line.
    fruitless: u32,
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
            return Ok(None);
        }
        let since = *self.waiting_since.get_or_insert(now);
        let full = gauge.lines >= self.config.batch as u64 || gauge.bytes >= MAX_REQUEST_BYTES as u64;
        if !full && now < since + self.config.flush_interval && self.shutdown.deadline.is_none() {
            return Ok(None);
        }
        self.waiting_since = None;
        let rows = self.outbox.oldest(self.config.batch, MAX_REQUEST_BYTES).await?;
        Ok((!rows.is_empty()).then(|| Batch::new(rows, self.line_limit)))
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

    /// Sends a batch until every line is acknowledged or in quarantine.
    async fn deliver(&mut self, mut batch: Batch) -> Result<(), Ended> {
        while let Some(lines) = batch.next() {
            let lines = lines.to_vec();
            let outcome = self.send(lines).await?;
            self.judge(&mut batch, outcome).await?;
            if batch.is_hopeless() && self.fruitless < HOPELESS_RETRIES {
                return self.postpone(&batch).await;
            }
        }
        self.conclude(&batch).await
    }

    /// Makes one request. It is aborted at the shutdown deadline; its lines stay in the outbox.
    async fn send(&mut self, lines: Vec<u8>) -> Result<WriteOutcome, Ended> {
        tokio::select! {
            outcome = self.writer.write(lines) => Ok(outcome),
            () = self.shutdown.expired() => Err(Ended),
        }
    }

    /// Applies the result to the batch, and waits if necessary.
    async fn judge(&mut self, batch: &mut Batch, outcome: WriteOutcome) -> Result<(), Ended> {
        match outcome {
            WriteOutcome::Done => {
                let lines = batch.accept();
                self.fruitless = 0;
                if self.state.sent(lines, crate::clock::now()) {
                    info!(self.log, "influxdb accepts lines again"; "lines" => lines);
                }
                Ok(())
            }
            WriteOutcome::Retry { reason, after } => self.retry(&reason, after).await,
            WriteOutcome::Paused(reason) => self.pause(&reason).await,
            WriteOutcome::Invalid(reason) => {
                batch.refuse(&reason);
                Ok(())
            }
            WriteOutcome::TooLarge => {
                batch.too_large();
                Ok(())
            }
        }
    }

    /// No line of the batch was accepted: its rows stay in the outbox and are retried after a pause.
    async fn postpone(&mut self, batch: &Batch) -> Result<(), Ended> {
        self.fruitless += 1;
        let why = batch.faults().last().map_or("", |(_, why)| why);
        self.pause(&format!("every line is rejected: {why}")).await
    }

    /// Finishes a batch: moves the bad lines to quarantine, then deletes the rows. In this order, a crash in between
    /// repeats the work and loses no line.
    async fn conclude(&mut self, batch: &Batch) -> Result<(), Ended> {
        self.fruitless = 0;
        self.relearn(batch);
        match self.settle(batch).await {
            Ok(()) => Ok(()),
            Err(why) => self.retry(&why.to_string(), None).await,
        }
    }

    async fn settle(&mut self, batch: &Batch) -> Result<(), OutboxError> {
        let mut faults = 0;
        for (line, reason) in batch.faults() {
            self.outbox.quarantine(line.to_vec(), reason.to_owned()).await?;
            self.state.quarantined(1, reason);
            faults += 1;
        }
        if let Some((_, reason)) = batch.faults().last() {
            // One log record per batch, regardless of the number of bad lines.
            warn!(self.log, "influxdb rejected lines, moved them to quarantine"; "lines" => faults, "reason" => reason);
        }
        self.outbox.done(batch.ids().to_vec()).await
    }

    /// A 413 lowers the size of requests; each batch without one raises it by a twentieth of the configured size.
    fn relearn(&mut self, batch: &Batch) {
        let raised = (self.line_limit + self.config.batch.div_ceil(20)).min(self.config.batch);
        self.line_limit = batch.learned_limit().unwrap_or(raised).clamp(1, self.config.batch);
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
        self.failed(SenderLabel::Paused, why);
        if self.shutdown.deadline.is_some() {
            return Err(Ended);
        }
        self.wait(self.config.pacing.probe).await
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
