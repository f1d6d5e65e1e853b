//! What others may ask of the writer thread, and how it answers.

use tokio::sync::oneshot;

use super::alerts::AlertCommand;
use super::audit::AuditEntry;
use super::clock::ClockPoint;
use super::events::Event;
use super::notices::NoticeCommand;
use crate::sinks::worker::WriteError;

/// Where an answer goes. Whoever asked may have gone; then nobody is told.
pub type Reply<T> = oneshot::Sender<Result<T, WriteError>>;

/// A request to the writer thread, done between two batches in a transaction of its own.
#[derive(Debug)]
pub enum Command {
    /// Takes acknowledged rows out of the outbox.
    OutboxDone {
        /// Which rows.
        ids: Vec<i64>,
        /// Answers when they are gone.
        reply: Reply<()>,
    },
    /// Keeps a line apart that the database refused.
    Quarantine {
        /// The line.
        line: Vec<u8>,
        /// Why it was refused.
        reason: String,
        /// Answers when it is kept.
        reply: Reply<()>,
    },
    /// Appends ready lines to the outbox: points that do not come from samples.
    Lines {
        /// How many there are.
        lines: u32,
        /// Line protocol, each line with its newline.
        body: Vec<u8>,
        /// Answers when they are kept.
        reply: Reply<()>,
    },
    /// Records an event, or brings it up to date.
    RecordEvent {
        /// The event.
        event: Event,
        /// Answers with its number.
        reply: Reply<i64>,
    },
    /// Sets the end of an event.
    CloseEvent {
        /// Its number.
        id: i64,
        /// When it ended, in nanoseconds since 1970.
        end_ns: i64,
        /// Answers whether there is such an event.
        reply: Reply<bool>,
    },
    /// Records who changed what.
    Audit {
        /// The entry.
        entry: AuditEntry,
        /// Answers when it is kept.
        reply: Reply<()>,
    },
    /// Records how the own clock is.
    Clock {
        /// How.
        point: ClockPoint,
        /// Answers when it is kept.
        reply: Reply<()>,
    },
    /// Changes the queue of notifications.
    Notice {
        /// How.
        command: NoticeCommand,
        /// Answers when it is done.
        reply: Reply<()>,
    },
    /// Records what alerts came to, and puts what is to be told into the queues.
    Alerts {
        /// What.
        command: AlertCommand,
        /// Answers with the number of a silence, or 0.
        reply: Reply<i64>,
    },
    /// Deletes all that is too old, at once.
    PruneNow {
        /// Answers with the number of rows deleted.
        reply: Reply<usize>,
    },
}
