//! The commands of the writer thread, with their replies.

use tokio::sync::oneshot;

use super::alerts::AlertCommand;
use super::audit::AuditEntry;
use super::clock::ClockPoint;
use super::events::{Event, KnownAs};
use super::fleet::{Accepted, Batch, Seqs};
use super::notices::NoticeCommand;
use super::verdict_state::PackedState;
use crate::sinks::worker::WriteError;
use ntp_monitor_core::formats::local::LocalRow;
use ntp_monitor_core::sample::SeriesKey;
use ntp_monitor_core::sheet::Kept;

/// The channel for a reply. If the receiver was dropped, the reply is discarded.
pub type Reply<T> = oneshot::Sender<Result<T, WriteError>>;

/// A request to the writer thread, executed between two batches in its own transaction. The reply is sent after the
/// commit.
#[derive(Debug)]
pub enum Command {
    /// Deletes acknowledged rows from the outbox.
    OutboxDone { ids: Vec<i64>, reply: Reply<()> },
    /// Moves lines that the database rejected to quarantine, each with the reason.
    Quarantine { lines: Vec<(Vec<u8>, String)>, reply: Reply<()> },
    /// Appends lines to the outbox that do not come from samples.
    Lines {
        lines: u32,
        /// Line protocol, each line with its newline.
        body: Vec<u8>,
        reply: Reply<()>,
    },
    /// Records an event, or updates it.
    RecordEvent {
        event: Event,
        /// Kind and start under which it was recorded before, if these are known better now.
        replaces: Option<KnownAs>,
        /// Replies with its number.
        reply: Reply<i64>,
    },
    /// Adds an entry to the audit log.
    Audit { entry: AuditEntry, reply: Reply<()> },
    /// Records the state of this host's clock.
    Clock { point: ClockPoint, reply: Reply<()> },
    /// Records what is known of this host's clock from now on.
    LocalRow { row: Box<LocalRow>, reply: Reply<()> },
    /// Keeps the state of the verdict for the next process.
    VerdictState { state: PackedState, reply: Reply<()> },
    /// Keeps protocol sheets for the next process.
    Sheets { sheets: Vec<(SeriesKey, Kept)>, reply: Reply<()> },
    /// Changes the notification queue.
    Notice { command: NoticeCommand, reply: Reply<()> },
    /// Records alert states and history, and queues notifications.
    Alerts {
        command: AlertCommand,
        /// Replies with the number of a silence, or 0.
        reply: Reply<i64>,
    },
    /// Deletes rows of the journal whose samples a hub has stored.
    FleetCommitted {
        ranges: Vec<Seqs>,
        /// Replies with the number of rows deleted.
        reply: Reply<u64>,
    },
    /// Keeps a value of the fleet for the next process, by its key in `meta`.
    FleetKeep { key: &'static str, value: Vec<u8>, reply: Reply<()> },
    /// Stores the samples of other vantages, with the position in the stream, in one transaction.
    FleetReceive {
        batch: Batch,
        /// Replies with the new samples.
        reply: Reply<Accepted>,
    },
    /// Deletes all expired rows at once.
    PruneNow {
        /// Replies with the number of rows deleted.
        reply: Reply<usize>,
    },
}
