//! The store as the rest of the program holds it: cheap to clone; writing goes to the writer's thread, reading to
//! connections of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::audit::AuditEntry;
use super::clock::ClockPoint;
use super::command::{Command, Reply};
use super::error::StoreError;
use super::events::Event;
use super::lock::InstanceLock;
use super::notices::{QueueGauge, Queues};
use super::outbox::Totals;
use super::read::Reader;
use crate::sinks::influx::outbox::{Outbox, OutboxError, OutboxGauge, OutboxRow};
use crate::sinks::worker::WriterHandle;

/// How long the writer may take to answer: it may be busy with a long transaction, or being replaced.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Idle readers that are kept open.
const IDLE_READERS: usize = 4;

/// A store in use.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    writer: WriterHandle<Command>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    totals: Totals,
    queues: Queues,
    idle: Mutex<Vec<Reader>>,
    // Held as long as anybody can write or read here.
    _lock: InstanceLock,
}

impl StoreHandle {
    pub(super) fn new(path: PathBuf, totals: Totals, queues: Queues, lock: InstanceLock) -> Self {
        let shared = Shared { path, totals, queues, idle: Mutex::default(), _lock: lock };
        Self { writer: WriterHandle::default(), shared: Arc::new(shared) }
    }

    /// The handle to hand to [`crate::sinks::worker::spawn`] together with the writer.
    #[must_use]
    pub fn writer(&self) -> &WriterHandle<Command> {
        &self.writer
    }

    pub(super) fn totals(&self) -> Totals {
        self.shared.totals.clone()
    }

    pub(super) fn queues(&self) -> Queues {
        self.shared.queues.clone()
    }

    /// How full the queue of each notifier is, as of the last commit. Reads memory only.
    #[must_use]
    pub fn queue_gauges(&self) -> BTreeMap<String, QueueGauge> {
        self.shared.queues.get()
    }

    /// How full the outbox is, as of the last commit. Reads memory only.
    #[must_use]
    pub fn outbox_gauge(&self) -> OutboxGauge {
        self.shared.totals.get()
    }

    /// Runs `work` with a reader on this thread. Blocks: from async code use [`StoreHandle::read`].
    ///
    /// # Errors
    /// Those of `work`, and those of opening the file.
    pub fn read_blocking<T>(&self, work: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.shared.path)?,
        };
        let result = work(&reader)?;
        let mut idle = self.idle();
        if idle.len() < IDLE_READERS {
            idle.push(reader);
        }
        Ok(result)
    }

    /// Runs `work` with a reader on a thread that may block.
    ///
    /// # Errors
    /// Those of `work`, and those of opening the file.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let handle = self.clone();
        let task = tokio::task::spawn_blocking(move || handle.read_blocking(work));
        task.await.unwrap_or(Err(StoreError::NoAnswer("the read was interrupted")))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends ready lines to the outbox: points that do not come from samples.
    ///
    /// # Errors
    /// When the store cannot be written; the lines are not kept.
    pub async fn append_lines(&self, lines: u32, body: Vec<u8>) -> Result<(), StoreError> {
        self.ask(|reply| Command::Lines { lines, body, reply }).await
    }

    /// Records an event, or brings it up to date, and returns its number.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_event(&self, event: Event) -> Result<i64, StoreError> {
        self.ask(|reply| Command::RecordEvent { event, reply }).await
    }

    /// Sets the end of an event; returns whether there is such an event.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn close_event(&self, id: i64, end_ns: i64) -> Result<bool, StoreError> {
        self.ask(|reply| Command::CloseEvent { id, end_ns, reply }).await
    }

    /// Records who changed what.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.ask(|reply| Command::Audit { entry, reply }).await
    }

    /// Records how the own clock is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_clock(&self, point: ClockPoint) -> Result<(), StoreError> {
        self.ask(|reply| Command::Clock { point, reply }).await
    }

    /// Deletes all that is too old now; returns the number of rows.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn prune_now(&self) -> Result<usize, StoreError> {
        self.ask(|reply| Command::PruneNow { reply }).await
    }

    pub(super) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.writer.command(command(reply));
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(result)) => result.map_err(StoreError::NotWritten),
            Ok(Err(_)) => Err(StoreError::NoAnswer("it was restarted")),
            Err(_) => Err(StoreError::NoAnswer("it is stuck or gone")),
        }
    }
}

impl Outbox for StoreHandle {
    async fn oldest(&self, max_lines: usize, max_bytes: usize) -> Result<Vec<OutboxRow>, OutboxError> {
        Ok(self.read(move |reader| reader.outbox_oldest(max_lines, max_bytes)).await?)
    }

    async fn done(&self, ids: Vec<i64>) -> Result<(), OutboxError> {
        Ok(self.ask(|reply| Command::OutboxDone { ids, reply }).await?)
    }

    async fn quarantine(&self, line: Vec<u8>, reason: String) -> Result<(), OutboxError> {
        Ok(self.ask(|reply| Command::Quarantine { line, reason, reply }).await?)
    }

    async fn gauge(&self) -> Result<OutboxGauge, OutboxError> {
        Ok(self.outbox_gauge())
    }
}
