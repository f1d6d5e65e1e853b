//! The handle of the store for the rest of the program. Cheap to clone. Writes go to the writer's thread, reads use
//! their own connections.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::audit::AuditEntry;
use super::clock::ClockPoint;
use super::command::{Command, Reply};
use super::error::StoreError;
use super::events::{Event, KnownAs};
use super::fleet::JournalGauge;
use super::fleet::journal::SharedGauge;
use super::location::Location;
use super::notices::{QueueGauge, Queues};
use super::outbox::Totals;
use super::read::Reader;
use super::recent::RecentSamples;
use super::samples::{MoveGauge, Progress};
use super::verdict_state::PackedState;
use crate::sinks::influx::outbox::{Outbox, OutboxError, OutboxGauge, OutboxRow};
use crate::sinks::worker::WriterHandle;
use ntp_monitor_core::formats::local::LocalRow;
use ntp_monitor_core::sample::SeriesKey;
use ntp_monitor_core::sheet::Kept;

/// Time-out for a reply of the writer, which may be busy with a long transaction or being replaced.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A handle of an open store.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    writer: WriterHandle<Command>,
    // Contains the lock, which is held as long as any handle exists.
    location: Location,
    totals: Totals,
    queues: Queues,
    recent: RecentSamples,
    progress: Progress,
    journal: SharedGauge,
}

impl StoreHandle {
    pub(super) fn new(location: Location, totals: Totals, queues: Queues) -> Self {
        let (recent, journal) = (RecentSamples::default(), SharedGauge::default());
        let (writer, progress) = (WriterHandle::default(), Progress::default());
        Self { writer, location, totals, queues, recent, progress, journal }
    }

    pub(super) fn location(&self) -> Location {
        self.location.clone()
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Progress of moving the samples of an earlier release to the format of this one. Reads memory only.
    #[must_use]
    pub fn move_gauge(&self) -> MoveGauge {
        self.progress.get()
    }

    pub(super) fn recent(&self) -> RecentSamples {
        self.recent.clone()
    }

    /// Changes when another program put another store at the path of this one, so that the service must end. The value
    /// says where the samples of this process are.
    #[must_use]
    pub fn replaced(&self) -> watch::Receiver<Option<String>> {
        self.location.replaced()
    }

    /// The handle to pass to [`crate::sinks::worker::spawn`] together with the writer.
    #[must_use]
    pub fn writer(&self) -> &WriterHandle<Command> {
        &self.writer
    }

    pub(super) fn journal(&self) -> SharedGauge {
        self.journal.clone()
    }

    /// The fill level of the journal of an agent, as of the last commit. Reads memory only.
    #[must_use]
    pub fn fleet_gauge(&self) -> JournalGauge {
        self.journal.get()
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals.clone()
    }

    pub(super) fn queues(&self) -> Queues {
        self.queues.clone()
    }

    /// The fill level of each notification queue, as of the last commit. Reads memory only.
    #[must_use]
    pub fn queue_gauges(&self) -> BTreeMap<String, QueueGauge> {
        self.queues.get()
    }

    /// The fill level of the outbox, as of the last commit. Reads memory only.
    #[must_use]
    pub fn outbox_gauge(&self) -> OutboxGauge {
        self.totals.get()
    }

    /// Runs `work` with a reader on this thread. Blocks; async code uses [`StoreHandle::read`].
    ///
    /// # Errors
    /// Those of `work`, and those of opening the file.
    pub fn read_blocking<T>(&self, work: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.location.read(work)
    }

    /// Runs `work` with a reader on a blocking thread.
    ///
    /// # Errors
    /// Those of `work`, and those of opening the file.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let handle = self.clone();
        let task = tokio::task::spawn_blocking(move || handle.read_blocking(work));
        task.await.unwrap_or(Err(StoreError::NoAnswer("the read was aborted")))
    }

    /// Appends lines to the outbox that do not come from samples.
    ///
    /// # Errors
    /// When the store cannot be written; the lines are not stored.
    pub async fn append_lines(&self, lines: u32, body: Vec<u8>) -> Result<(), StoreError> {
        self.ask(|reply| Command::Lines { lines, body, reply }).await
    }

    /// Records an event, or updates it, and returns its number.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_event(&self, event: Event, replaces: Option<KnownAs>) -> Result<i64, StoreError> {
        self.ask(|reply| Command::RecordEvent { event, replaces, reply }).await
    }

    /// Adds an entry to the audit log.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.ask(|reply| Command::Audit { entry, reply }).await
    }

    /// Records the state of this host's clock.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_clock(&self, point: ClockPoint) -> Result<(), StoreError> {
        self.ask(|reply| Command::Clock { point, reply }).await
    }

    /// Records what is known of this host's clock from now on.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_local(&self, row: LocalRow) -> Result<(), StoreError> {
        self.ask(|reply| Command::LocalRow { row: Box::new(row), reply }).await
    }

    /// Keeps the state of the verdict for the next process. Returns at once; the writer stores it after the samples
    /// that were handed to it before.
    pub fn keep_verdict_state(&self, state: PackedState) {
        let (reply, _) = oneshot::channel();
        self.writer.command(Command::VerdictState { state, reply });
    }

    /// Keeps protocol sheets for the next process. Returns at once; the writer stores them after the samples that were
    /// handed to it before.
    pub fn keep_sheets(&self, sheets: Vec<(SeriesKey, Kept)>) {
        let (reply, _) = oneshot::channel();
        self.writer.command(Command::Sheets { sheets, reply });
    }

    pub(super) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.writer.command(command(reply));
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(result)) => result.map_err(StoreError::NotWritten),
            Ok(Err(_)) => Err(StoreError::NoAnswer("it was restarted")),
            Err(_) => Err(StoreError::NoAnswer("it hangs or has ended")),
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

    async fn quarantine(&self, lines: Vec<(Vec<u8>, String)>) -> Result<(), OutboxError> {
        Ok(self.ask(|reply| Command::Quarantine { lines, reply }).await?)
    }

    async fn gauge(&self) -> Result<OutboxGauge, OutboxError> {
        Ok(self.outbox_gauge())
    }
}
