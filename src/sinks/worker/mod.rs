//! The thread of one blocking output: collects samples into batches, writes them, retries with back-off, and passes
//! each batch on to the next output. The [`BatchWriter`] decides what is written and how.

mod state;
mod thread;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use slog::{Logger, o};
use tokio::sync::oneshot;

use super::queue::SinkQueue;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::Sample;

pub use state::WriterGauge;

use state::WriterState;
use thread::Worker;

/// Maximum number of samples per batch. A transaction costs nearly the same for one row as for hundreds.
const MAX_BATCH: usize = 2048;

pub trait BatchWriter: Send + 'static {
    /// Requests to the thread that owns the output, besides writing.
    type Command: Send + 'static;

    /// Writes all of `batch` or nothing. After an error the same samples are passed again later, perhaps with others.
    ///
    /// # Errors
    /// A reason that a person can act on ("no space left on device").
    fn write(&mut self, batch: &[Arc<Sample>]) -> Result<(), WriteError>;

    /// Executes a command, and replies through the channel that the command carries.
    fn command(&mut self, command: Self::Command);

    /// Housekeeping; called about once a second, between batches.
    ///
    /// # Errors
    /// As [`BatchWriter::write`]; the writer continues.
    fn tick(&mut self, now: Stamp) -> Result<(), WriteError>;

    /// Called once before the thread ends, when no more samples arrive: the last chance to repair, by `until`, damage
    /// that other programs did to the files of the output.
    ///
    /// # Errors
    /// The damage that could not be repaired.
    fn settle(&mut self, _until: Instant) -> Result<(), WriteError> {
        Ok(())
    }

    /// What other programs did to the files of the output since the last call. Called after each of the above.
    fn incidents(&mut self) -> Vec<Incident> {
        Vec::new()
    }
}

/// What another program did to the files of an output, and the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// A sentence for the log and for health, with the path.
    pub what: String,
    /// Samples that had been written and are lost now.
    pub lost: usize,
}

/// Why an output could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(pub String);

enum Control<C> {
    Command(C),
    Settle(oneshot::Sender<()>),
    Drain { until: Instant, leftovers: Leftovers, done: Sender<()> },
}

/// What happens to samples that could not be written by the deadline of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leftovers {
    /// They are dropped and counted: there is no successor.
    Abandoned,
    /// They stay in the batch and in the queue, for the next thread with the same handle.
    Kept,
}

/// The handle of an output. Cheap to clone. It outlives the thread, so that a successor can take over.
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
        // There are few commands and the sender awaits each of them, so the channel need not be bounded.
        let (control, commands) = unbounded();
        Self { control, commands, state: Arc::default() }
    }
}

impl<C> WriterHandle<C> {
    /// Asks the thread to execute `command` between two batches.
    pub fn command(&self, command: C) {
        // The handle holds the receiving end, so this cannot fail; a successor reads commands left by its predecessor.
        let _ = self.control.send(Control::Command(command));
    }

    /// Asks the thread to write its queue and end, by `until` at the latest. The receiver gets a message when the
    /// thread has ended. Samples that could not be written by then are counted as abandoned and logged.
    pub fn drain(&self, until: Instant) -> Receiver<()> {
        self.end(until, Leftovers::Abandoned)
    }

    /// Like [`WriterHandle::drain`], but leaves unwritten samples to the next thread.
    pub fn hand_over(&self, until: Instant) -> Receiver<()> {
        self.end(until, Leftovers::Kept)
    }

    fn end(&self, until: Instant, leftovers: Leftovers) -> Receiver<()> {
        let (done, ended) = unbounded();
        let _ = self.control.send(Control::Drain { until, leftovers, done });
        ended
    }

    /// Completes when all samples offered so far are written, which may never happen. An error means that the thread
    /// died meanwhile.
    pub fn settled(&self) -> oneshot::Receiver<()> {
        let (done, settled) = oneshot::channel();
        let _ = self.control.send(Control::Settle(done));
        settled
    }

    #[must_use]
    pub fn gauge(&self) -> WriterGauge {
        self.state.gauge()
    }
}

/// Starts the thread of an output. The thread holds `guard` and drops it when it ends, even by a panic: the death
/// notice of the supervisor.
///
/// # Errors
/// When the system cannot start another thread.
pub fn spawn<W: BatchWriter>(
    writer: W,
    queue: &SinkQueue<Arc<Sample>>,
    next: Option<SinkQueue<Arc<Sample>>>,
    handle: &WriterHandle<W::Command>,
    log: &Logger,
    guard: impl Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let name = queue.gauge().name;
    let commands = handle.commands.clone();
    let state = Arc::clone(&handle.state);
    let worker = Worker::new(writer, queue.exit(), next, commands, state, log.new(o!("sink" => name)));
    std::thread::Builder::new().name(format!("sink-{name}")).spawn(move || {
        let _guard = guard;
        worker.run();
    })
}
