//! The loop of the thread, and its handling of failed batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, never, select};
use slog::{Logger, info, warn};
use tokio::sync::oneshot;

use super::state::WriterState;
use super::{BatchWriter, Control, Leftovers, MAX_BATCH, WriteError};
use crate::sinks::queue::SinkQueue;
use ntp_monitor_core::sample::Sample;

/// A batch is written when its first sample has waited this long. Meanwhile samples stay in the queue, because waking
/// the thread for each of them would cost more than writing them.
const LINGER: Duration = Duration::from_secs(1);
/// Maximum number of samples held while the output cannot be written; beyond it the oldest is dropped and counted. At
/// 625 samples a second (10,000 servers at 16 s) this is 105 s of samples, at most about 30 MB.
const HOLD: usize = 65_536;
/// Interval of [`BatchWriter::tick`].
const TICK: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// A batch that made the writer panic this often is dropped and counted, because it would kill every successor too.
const PANICS_PER_BATCH: u32 = 3;

pub(super) struct Worker<W: BatchWriter> {
    writer: W,
    queue: Receiver<Arc<Sample>>,
    next: Option<SinkQueue<Arc<Sample>>>,
    commands: Receiver<Control<W::Command>>,
    state: Arc<WriterState>,
    log: Logger,
    retry_at: Option<Instant>,
    linger_until: Option<Instant>,
    tick_at: Instant,
    /// Whether the last housekeeping failed.
    untidy: bool,
    /// Requests to reply to when everything is written.
    waiting: Vec<oneshot::Sender<()>>,
}

impl<W: BatchWriter> Worker<W> {
    pub(super) fn new(
        writer: W,
        queue: Receiver<Arc<Sample>>,
        next: Option<SinkQueue<Arc<Sample>>>,
        commands: Receiver<Control<W::Command>>,
        state: Arc<WriterState>,
        log: Logger,
    ) -> Self {
        let tick_at = Instant::now() + TICK;
        Self {
            writer,
            queue,
            next,
            commands,
            state,
            log,
            retry_at: None,
            linger_until: None,
            tick_at,
            untidy: false,
            waiting: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        self.take_over();
        let nothing = never();
        loop {
            self.state.turned();
            let wait = self.next_deadline().saturating_duration_since(Instant::now());
            let is_gathering = self.linger_until.is_some() && self.retry_at.is_none();
            let queue = if is_gathering { &nothing } else { &self.queue };
            select! {
                recv(self.commands) -> control => match control {
                    Ok(Control::Command(command)) => self.writer.command(command),
                    Ok(Control::Settle(done)) => {
                        self.waiting.push(done);
                        // Write at once, without collecting more samples.
                        self.linger_until = self.linger_until.map(|_| Instant::now());
                    }
                    Ok(Control::Drain { until, leftovers, done }) => {
                        self.drain(until, leftovers);
                        let _ = done.send(());
                        return;
                    }
                    Err(_) => return,
                },
                recv(queue) -> sample => if let Ok(sample) = sample { self.gather(sample) },
                default(wait) => {}
            }
            self.write_when_due(Instant::now());
            self.tick_when_due(Instant::now());
            self.tell_when_settled();
        }
    }

    fn tell_when_settled(&mut self) {
        if !self.waiting.is_empty() && self.queue.is_empty() && self.state.in_hand().batch.is_empty() {
            for done in self.waiting.drain(..) {
                // The receiver may have been dropped.
                let _ = done.send(());
            }
        }
    }

    /// Takes over the batch of a predecessor that panicked. A batch that keeps causing panics is dropped.
    fn take_over(&mut self) {
        let mut in_hand = self.state.in_hand();
        let mut lost = 0;
        if in_hand.panics >= PANICS_PER_BATCH {
            lost = in_hand.chunk().len();
            in_hand.remove(lost);
            in_hand.panics = 0;
        }
        if !in_hand.batch.is_empty() {
            self.linger_until = Some(Instant::now());
        }
        drop(in_hand);
        self.abandon(lost, "they repeatedly made the writer panic");
    }

    fn next_deadline(&self) -> Instant {
        let due = self.retry_at.or(self.linger_until).unwrap_or(self.tick_at);
        due.min(self.tick_at)
    }

    /// Adds the samples that were queued while the batch was waiting.
    fn take_queued(&mut self) {
        if let Ok(first) = self.queue.try_recv() {
            self.gather(first);
        }
    }

    fn gather(&mut self, first: Arc<Sample>) {
        let mut in_hand = self.state.in_hand();
        in_hand.batch.push_back(first);
        in_hand.batch.extend(self.queue.try_iter().take(MAX_BATCH));
        if self.retry_at.is_some() {
            // A failing output must not starve the next one.
            let count = in_hand.batch.len();
            in_hand.pass_on(count, self.next.as_ref());
        }
        let lost = in_hand.batch.len().saturating_sub(HOLD);
        in_hand.remove(lost);
        let full = in_hand.batch.len() >= MAX_BATCH;
        drop(in_hand);
        self.state.gave_up(lost);
        let due = if full { Instant::now() } else { Instant::now() + LINGER };
        self.linger_until = Some(self.linger_until.map_or(due, |earlier| earlier.min(due)));
    }

    fn write_when_due(&mut self, now: Instant) {
        if self.retry_at.or(self.linger_until).is_some_and(|due| due <= now) {
            self.take_queued();
            self.attempt();
        }
    }

    /// Writes the batch in chunks, until all is written or a chunk fails.
    fn attempt(&mut self) -> bool {
        loop {
            self.state.turned();
            let chunk = {
                let mut in_hand = self.state.in_hand();
                in_hand.panics += 1;
                in_hand.chunk()
            };
            let written = self.writer.write(&chunk);
            self.note_incidents();
            if let Err(why) = written {
                let mut in_hand = self.state.in_hand();
                in_hand.panics -= 1;
                in_hand.attempts += 1;
                let count = in_hand.batch.len();
                in_hand.pass_on(count, self.next.as_ref());
                let pause = backoff(in_hand.attempts);
                drop(in_hand);
                self.failed(&why, pause);
                return false;
            }
            let mut in_hand = self.state.in_hand();
            in_hand.panics -= 1;
            in_hand.attempts = 0;
            in_hand.pass_on(chunk.len(), self.next.as_ref());
            in_hand.remove(chunk.len());
            let empty = in_hand.batch.is_empty();
            drop(in_hand);
            self.succeeded(chunk.len());
            if empty {
                return true;
            }
        }
    }

    fn succeeded(&mut self, count: usize) {
        self.retry_at = None;
        self.linger_until = None;
        self.state.wrote(count);
        // A written batch does not clear a failure of the maintenance.
        if !self.untidy && self.state.works() {
            info!(self.log, "output can be written again"; "samples" => count);
        }
    }

    fn failed(&mut self, why: &WriteError, pause: Duration) {
        let first = self.state.failed(why);
        self.retry_at = Some(Instant::now() + pause);
        // Logged once when it starts; health and metrics show the rest.
        if first {
            warn!(self.log, "output cannot be written, will retry"; "reason" => %why);
        }
    }

    fn tick_when_due(&mut self, now: Instant) {
        if now < self.tick_at {
            return;
        }
        self.tick_at = now + TICK;
        let ticked = self.writer.tick(crate::clock::now());
        self.note_incidents();
        match ticked {
            Err(why) => {
                self.state.failed(&why);
                if !std::mem::replace(&mut self.untidy, true) {
                    warn!(self.log, "maintenance of an output failed, will retry"; "reason" => %why);
                }
            }
            Ok(()) if std::mem::take(&mut self.untidy) && self.retry_at.is_none() => {
                self.state.works();
            }
            Ok(()) => {}
        }
    }

    fn drain(&mut self, until: Instant, leftovers: Leftovers) {
        self.write_all(until, leftovers);
        if let Err(why) = self.writer.settle(until) {
            self.state.failed(&why);
            slog::error!(self.log, "an output ends damaged"; "reason" => %why);
        }
        self.note_incidents();
    }

    fn note_incidents(&mut self) {
        for incident in self.writer.incidents() {
            self.state.note(&incident);
            warn!(self.log, "{}", incident.what; "lost" => incident.lost);
            self.state.gave_up(incident.lost);
        }
    }

    fn write_all(&mut self, until: Instant, leftovers: Leftovers) {
        loop {
            match self.queue.recv_timeout(Duration::ZERO) {
                Ok(sample) => self.gather(sample),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    if self.state.in_hand().batch.is_empty() {
                        return;
                    }
                }
            }
            while !self.attempt() {
                if Instant::now() + FIRST_RETRY > until {
                    self.leave(leftovers);
                    return;
                }
                std::thread::sleep(FIRST_RETRY);
            }
        }
    }

    fn leave(&self, leftovers: Leftovers) {
        match leftovers {
            // The successor does not inherit the back-off.
            Leftovers::Kept => self.state.in_hand().attempts = 0,
            Leftovers::Abandoned => {
                let in_hand = std::mem::take(&mut self.state.in_hand().batch).len();
                self.abandon(in_hand + self.queue.try_iter().count(), "the deadline of the shutdown passed");
            }
        }
    }

    fn abandon(&self, samples: usize, why: &str) {
        if samples > 0 {
            self.state.gave_up(samples);
            slog::error!(self.log, "dropped unwritten samples"; "samples" => samples, "reason" => why);
        }
    }
}

/// 100 ms, doubling to 30 s.
fn backoff(attempts: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_RETRY)
}
