//! The sender: takes the oldest lines from the outbox, sends them until acknowledged, and only then takes them out.
//!
//! - Lines wait for company until there is a full batch or `flush_interval` has passed, on the monotonic clock.
//! - What time may heal is retried with jittered, doubling waits, never before the server's `Retry-After`.
//! - A refused request is halved down to the lines at fault ([`Batch`]); they go into quarantine with the database's
//!   reason, the others are sent. Before a batch of which *no* line was accepted is given up, it is taken up again
//!   after a pause, twice: the fault may be the bucket's.
//! - When the database refuses us (token, bucket), nothing is sent but a probe now and then.
//!
//! At a shutdown the outbox is emptied as far as the deadline and the database allow. What is left stays on disk for the
//! next start.

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

/// A request carries at most this many bytes, well below what servers refuse by default (InfluxDB Cloud: 50 MB).
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// How often a batch without any good line is taken up again before its lines go into quarantine.
const SECOND_THOUGHTS: u32 = 2;
/// At a shutdown a database that is away is tried this often; nobody should wait for it longer, for nothing is lost.
const LAST_ATTEMPTS: u32 = 3;

/// What the sender needs of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderConfig {
    /// Lines a request carries at most.
    pub batch: usize,
    /// Longest wait of a line for company.
    pub flush_interval: Duration,
    /// How it paces itself.
    pub pacing: Pacing,
}

impl From<&Influx> for SenderConfig {
    fn from(config: &Influx) -> Self {
        Self { batch: config.batch.max(1), flush_interval: config.flush_interval, pacing: Pacing::default() }
    }
}

/// Sends until `shutdown` carries a deadline (or its sender is gone, which counts as one that has passed); then tries
/// to empty the outbox until that deadline, and returns.
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

/// Why the sender ends.
struct Ended;

struct Sender<O, W> {
    outbox: Arc<O>,
    writer: W,
    config: SenderConfig,
    state: Arc<SenderState>,
    log: Logger,
    shutdown: Shutdown,
    /// Lines a request may carry: the configured batch, less after a 413.
    line_limit: usize,
    /// When the lines that wait for company were first seen.
    waiting_since: Option<Instant>,
    /// Batches in a row of which no line was accepted.
    fruitless: u32,
    /// Attempts that failed since the shutdown began.
    last_attempts: u32,
}

impl<O: Outbox, W: LineWriter> Sender<O, W> {
    async fn run(mut self) {
        loop {
            let turn = match self.fetch().await {
                Ok(Some(batch)) => self.deliver(batch).await,
                Ok(None) => self.rest().await,
                Err(why) => self.retry(&why.to_string(), None).await,
            };
            if turn.is_err() {
                return;
            }
        }
    }

    /// The next batch, when it is due.
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

    /// Waits for lines, or for company for those that are there.
    async fn rest(&mut self) -> Result<(), Ended> {
        self.state.idle(self.waiting_since.is_none());
        if self.shutdown.deadline.is_some() {
            return Err(Ended);
        }
        let poll = Instant::now() + self.config.pacing.poll;
        let due = self.waiting_since.map_or(poll, |since| poll.min(since + self.config.flush_interval));
        self.shutdown.sleep_until(due).await
    }

    /// Sends a batch to its end: every line acknowledged or in quarantine.
    async fn deliver(&mut self, mut batch: Batch) -> Result<(), Ended> {
        while let Some(lines) = batch.next() {
            let lines = lines.to_vec();
            let outcome = self.send(lines).await?;
            self.judge(&mut batch, outcome).await?;
            if batch.is_hopeless() && self.fruitless < SECOND_THOUGHTS {
                return self.think_again(&batch).await;
            }
        }
        self.conclude(&batch).await
    }

    /// One request. A writer that ignores a shutdown's deadline is cut short: its lines stay in the outbox.
    async fn send(&mut self, lines: Vec<u8>) -> Result<WriteOutcome, Ended> {
        tokio::select! {
            outcome = self.writer.write(lines) => Ok(outcome),
            () = self.shutdown.expired() => Err(Ended),
        }
    }

    /// Notes what an answer means for the batch, and waits where it says to.
    async fn judge(&mut self, batch: &mut Batch, outcome: WriteOutcome) -> Result<(), Ended> {
        match outcome {
            WriteOutcome::Done => {
                let lines = batch.accept();
                self.fruitless = 0;
                if self.state.sent(lines, crate::clock::now()) {
                    info!(self.log, "influxdb takes lines again"; "lines" => lines);
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

    /// Nothing of the batch was accepted: its rows stay where they are, and are taken up again after a pause.
    async fn think_again(&mut self, batch: &Batch) -> Result<(), Ended> {
        self.fruitless += 1;
        let why = batch.faults().last().map_or("", |(_, why)| why);
        self.pause(&format!("every line is refused: {why}")).await
    }

    /// Every line has met its fate: the bad ones are kept apart, then the rows are taken out. In this order, so that a
    /// kill in between repeats the work instead of losing a line.
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
            // One line a batch, however many lines of it were bad.
            warn!(self.log, "influxdb refuses lines, they are kept in quarantine"; "lines" => faults, "reason" => reason);
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
        // There is no time for long waits, unless the server insists.
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
        // One record when it begins; health and metrics carry the rest.
        if failures == 1 {
            warn!(self.log, "influxdb does not take lines, they wait in the outbox";
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

/// The signal to stop, and its deadline once it has come.
struct Shutdown {
    signal: watch::Receiver<Option<std::time::Instant>>,
    deadline: Option<Instant>,
}

impl Shutdown {
    /// Returns when the signal has come, and notes its deadline.
    async fn signalled(&mut self) {
        // Without a sender nobody can give a deadline any more: it has passed.
        let deadline = self.signal.wait_for(Option::is_some).await.ok().and_then(|signal| *signal);
        self.deadline = Some(deadline.map_or_else(Instant::now, Instant::from_std));
    }

    /// Returns when the signal has come and its deadline has passed.
    async fn expired(&mut self) {
        if self.deadline.is_none() {
            self.signalled().await;
        }
        sleep_until(self.deadline.unwrap_or_else(Instant::now)).await;
    }

    /// Sleeps, but not through the signal: a sender that waits out a long back-off tries once more when told to stop.
    /// After the signal it sleeps within the deadline only.
    async fn sleep_until(&mut self, until: Instant) -> Result<(), Ended> {
        match self.deadline {
            Some(deadline) if until >= deadline => return Err(Ended),
            Some(_) => sleep_until(until).await,
            // Either end of the sleep is a reason to go on: the time has come, or the signal has.
            None => drop(timeout_at(until, self.signalled()).await),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
