//! The thread of one blocking output: gathers samples into batches, writes, retries with back-off, and passes each
//! batch on to the next output. What is written, and how, is the [`BatchWriter`]'s affair.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select, unbounded};
use slog::{Logger, info, o, warn};

use super::queue::SinkQueue;
use crate::clock::Stamp;
use crate::sample::Sample;

/// A batch is written when it has this many samples …
const MAX_BATCH: usize = 2048;
/// … or when its first sample has waited this long. A transaction costs the same for one row as for hundreds.
const LINGER: Duration = Duration::from_millis(250);
/// While the output cannot be written this many samples are held for it; beyond, the oldest is dropped and counted.
/// At 625 samples a second (10 000 servers at 16 s) that is 105 s, at most about 30 MB.
const HOLD: usize = 65_536;
/// How often an idle writer gets a [`BatchWriter::tick`].
const TICK: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// A batch that made the writer panic this often is given up, and counted: it would kill every successor too.
const PANICS_PER_BATCH: u32 = 3;

/// A blocking output.
pub trait BatchWriter: Send + 'static {
    /// What others may ask of the thread that owns the output, beside writing.
    type Command: Send + 'static;

    /// Writes all of `batch` or nothing. On an error the same samples are offered again later, perhaps with others.
    ///
    /// # Errors
    /// A reason that a person can act on ("no space left on device").
    fn write(&mut self, batch: &[Arc<Sample>]) -> Result<(), WriteError>;

    /// Does what was asked, and answers through whatever the command carries.
    fn command(&mut self, command: Self::Command);

    /// Housekeeping; called about once a second, between batches.
    ///
    /// # Errors
    /// As [`BatchWriter::write`]; the writer goes on.
    fn tick(&mut self, now: Stamp) -> Result<(), WriteError>;
}

/// Why an output could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(pub String);

/// What a writer shows of itself, to health and metrics.
#[derive(Debug, Default)]
pub struct WriterState {
    written: AtomicU64,
    failures: AtomicU64,
    abandoned: AtomicU64,
    failing: AtomicBool,
    last_error: Mutex<Option<String>>,
    /// The batch in hand. It is here and not on the thread's stack so that it survives a panic of the writer.
    in_hand: Mutex<InHand>,
}

#[derive(Debug, Default)]
struct InHand {
    batch: VecDeque<Arc<Sample>>,
    /// Failed attempts in a row.
    attempts: u32,
    /// Attempts that a writer did not live to end.
    panics: u32,
    /// How many samples at the front have been passed on to the next output.
    passed_on: usize,
}

impl InHand {
    /// The samples of the next attempt.
    fn chunk(&self) -> Vec<Arc<Sample>> {
        self.batch.iter().take(MAX_BATCH).cloned().collect()
    }

    /// Takes the first `count` samples out.
    fn remove(&mut self, count: usize) {
        self.batch.drain(..count);
        self.passed_on = self.passed_on.saturating_sub(count);
    }

    /// Passes the first `count` samples on, those that have not been already.
    fn pass_on(&mut self, count: usize, next: Option<&SinkQueue<Arc<Sample>>>) {
        if let Some(next) = next {
            for sample in self.batch.range(self.passed_on.min(count)..count) {
                next.offer(Arc::clone(sample));
            }
        }
        self.passed_on = self.passed_on.max(count);
    }
}

/// A reading of a [`WriterState`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterGauge {
    /// Samples written since start.
    pub written: u64,
    /// Failed attempts since start.
    pub failures: u64,
    /// Samples given up: their batch made the writer panic again and again, or could not be written at shutdown.
    pub abandoned: u64,
    /// Samples taken from the queue and not yet written.
    pub in_hand: usize,
    /// When the oldest of them was taken by its poll, on the monotonic clock in nanoseconds.
    pub oldest_mono_ns: Option<i64>,
    /// Whether the last attempt failed.
    pub failing: bool,
    /// The last error, also when it is over.
    pub last_error: Option<String>,
}

impl WriterState {
    /// The state as it is now.
    #[must_use]
    pub fn gauge(&self) -> WriterGauge {
        let (in_hand, oldest_mono_ns) = {
            let in_hand = self.in_hand();
            (in_hand.batch.len(), in_hand.batch.front().map(|sample| sample.at.mono_ns))
        };
        WriterGauge {
            written: self.written.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
            in_hand,
            oldest_mono_ns,
            failing: self.failing.load(Ordering::Relaxed),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    // A panic of the writer poisons these locks by design; the data behind them stays whole.
    fn in_hand(&self) -> std::sync::MutexGuard<'_, InHand> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, why: &WriteError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.failing.store(true, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_string());
    }
}

enum Control<C> {
    Command(C),
    Drain { until: Instant, done: Sender<()> },
}

/// The handle to a running output. Cheap to clone; survives the thread, so that a successor can take over.
#[derive(Debug)]
pub struct WriterHandle<C> {
    control: Sender<Control<C>>,
    commands: Receiver<Control<C>>,
    state: Arc<WriterState>,
}

impl<C> Clone for WriterHandle<C> {
    fn clone(&self) -> Self {
        Self { control: self.control.clone(), commands: self.commands.clone(), state: Arc::clone(&self.state) }
    }
}

impl<C> Default for WriterHandle<C> {
    fn default() -> Self {
        // Commands are few and each is awaited by whoever sent it, so the channel needs no bound.
        let (control, commands) = unbounded();
        Self { control, commands, state: Arc::default() }
    }
}

impl<C> WriterHandle<C> {
    /// Asks the thread to do `command` between two batches.
    pub fn command(&self, command: C) {
        // The handle holds the other end, so this cannot fail; a successor reads what its predecessor left.
        let _ = self.control.send(Control::Command(command));
    }

    /// Asks the thread to write what is queued and to end, by `until` at the latest. The receiver gets a message when
    /// it has ended; what could not be written by then is counted as abandoned and logged.
    pub fn drain(&self, until: Instant) -> Receiver<()> {
        let (done, ended) = unbounded();
        let _ = self.control.send(Control::Drain { until, done });
        ended
    }

    /// What the writer shows of itself.
    #[must_use]
    pub fn gauge(&self) -> WriterGauge {
        self.state.gauge()
    }
}

/// Starts the thread of an output. `guard` is held by the thread and dropped when it ends, by a panic too: the
/// supervisor's death notice.
///
/// # Errors
/// When the system gives no more threads.
pub fn spawn<W: BatchWriter>(
    writer: W,
    queue: &SinkQueue<Arc<Sample>>,
    next: Option<SinkQueue<Arc<Sample>>>,
    handle: &WriterHandle<W::Command>,
    log: &Logger,
    guard: impl Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let name = queue.gauge().name;
    let worker = Worker {
        writer,
        queue: queue.exit(),
        next,
        commands: handle.commands.clone(),
        state: Arc::clone(&handle.state),
        log: log.new(o!("sink" => name)),
        retry_at: None,
        linger_until: None,
        tick_at: Instant::now() + TICK,
        untidy: false,
    };
    std::thread::Builder::new().name(format!("sink-{name}")).spawn(move || {
        let _guard = guard;
        worker.run();
    })
}

struct Worker<W: BatchWriter> {
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
}

impl<W: BatchWriter> Worker<W> {
    fn run(mut self) {
        self.take_over();
        loop {
            let wait = self.next_deadline().saturating_duration_since(Instant::now());
            select! {
                recv(self.commands) -> control => match control {
                    Ok(Control::Command(command)) => self.writer.command(command),
                    Ok(Control::Drain { until, done }) => {
                        self.drain(until);
                        let _ = done.send(());
                        return;
                    }
                    Err(_) => return,
                },
                recv(self.queue) -> sample => if let Ok(sample) = sample { self.gather(sample) },
                default(wait) => {}
            }
            self.write_when_due(Instant::now());
            self.tick_when_due(Instant::now());
        }
    }

    /// A predecessor that panicked left its batch; one that keeps killing writers is given up.
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
        self.abandon(lost, "they made the writer panic again and again");
    }

    fn next_deadline(&self) -> Instant {
        let due = self.retry_at.or(self.linger_until).unwrap_or(self.tick_at);
        due.min(self.tick_at)
    }

    fn gather(&mut self, first: Arc<Sample>) {
        let mut in_hand = self.state.in_hand();
        in_hand.batch.push_back(first);
        in_hand.batch.extend(self.queue.try_iter().take(MAX_BATCH));
        if self.retry_at.is_some() {
            // One output that fails must not starve the next.
            let count = in_hand.batch.len();
            in_hand.pass_on(count, self.next.as_ref());
        }
        let lost = in_hand.batch.len().saturating_sub(HOLD);
        in_hand.remove(lost);
        let full = in_hand.batch.len() >= MAX_BATCH;
        drop(in_hand);
        self.state.abandoned.fetch_add(lost as u64, Ordering::Relaxed);
        let due = if full { Instant::now() } else { Instant::now() + LINGER };
        self.linger_until = Some(self.linger_until.map_or(due, |earlier| earlier.min(due)));
    }

    fn write_when_due(&mut self, now: Instant) {
        if self.retry_at.or(self.linger_until).is_some_and(|due| due <= now) {
            self.attempt();
        }
    }

    /// Writes what is in hand, a chunk at a time, until all is written or one fails.
    fn attempt(&mut self) -> bool {
        loop {
            let chunk = {
                let mut in_hand = self.state.in_hand();
                in_hand.panics += 1;
                in_hand.chunk()
            };
            if let Err(why) = self.writer.write(&chunk) {
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
        self.state.written.fetch_add(count as u64, Ordering::Relaxed);
        if self.state.failing.swap(false, Ordering::Relaxed) {
            info!(self.log, "output works again"; "samples" => count);
        }
    }

    fn failed(&mut self, why: &WriteError, pause: Duration) {
        let first = !self.state.failing.load(Ordering::Relaxed);
        self.state.failed(why);
        self.retry_at = Some(Instant::now() + pause);
        // One line when it begins; health and metrics carry the rest.
        if first {
            warn!(self.log, "output cannot be written, will retry"; "reason" => %why);
        }
    }

    fn tick_when_due(&mut self, now: Instant) {
        if now < self.tick_at {
            return;
        }
        self.tick_at = now + TICK;
        match self.writer.tick(Stamp::now()) {
            Err(why) => {
                self.state.failed(&why);
                if !std::mem::replace(&mut self.untidy, true) {
                    warn!(self.log, "housekeeping of an output failed, will retry"; "reason" => %why);
                }
            }
            Ok(()) if std::mem::take(&mut self.untidy) && self.retry_at.is_none() => {
                self.state.failing.store(false, Ordering::Relaxed);
            }
            Ok(()) => {}
        }
    }

    fn drain(&mut self, until: Instant) {
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
                    let lost = self.state.in_hand().batch.len() + self.queue.try_iter().count();
                    self.abandon(lost, "the deadline of the shutdown passed");
                    return;
                }
                std::thread::sleep(FIRST_RETRY);
            }
        }
    }

    fn abandon(&self, samples: usize, why: &str) {
        if samples > 0 {
            self.state.abandoned.fetch_add(samples as u64, Ordering::Relaxed);
            slog::error!(self.log, "samples were not written"; "samples" => samples, "reason" => why);
        }
    }
}

/// 100 ms, doubling to 30 s.
fn backoff(attempts: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_RETRY)
}
