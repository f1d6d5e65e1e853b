//! The interface of the outbox for the sender. The embedded store implements it; tests use one in memory.

use std::future::Future;

/// A batch of lines as it was written, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Increases with each write; identifies the row for [`Outbox::done`].
    pub id: i64,
    /// Wall clock at writing, in nanoseconds since 1970.
    pub created_ns: i64,
    /// Number of lines in `body`.
    pub lines: u32,
    /// Line protocol; each line has a newline and its own nanosecond timestamp, so sending it twice has no effect.
    pub body: Vec<u8>,
}

/// The fill level of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxGauge {
    /// Number of waiting rows.
    pub rows: u64,
    /// Number of waiting lines.
    pub lines: u64,
    /// Number of waiting bytes.
    pub bytes: u64,
    /// When the oldest row was written, in nanoseconds since 1970.
    pub oldest_ns: Option<i64>,
    /// Lines dropped since the store was created, because of age or size.
    pub dropped_lines: u64,
    /// Number of lines in quarantine.
    pub quarantined_lines: u64,
}

/// The outbox could not be read or changed, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("outbox: {0}")]
pub struct OutboxError(pub String);

/// A queue of lines on disk that wait to be sent.
pub trait Outbox: Send + Sync + 'static {
    /// The oldest rows, as many as fit `max_lines` and `max_bytes` together, at least one if there is any.
    fn oldest(
        &self,
        max_lines: usize,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Vec<OutboxRow>, OutboxError>> + Send;

    /// Deletes rows that the database has acknowledged.
    fn done(&self, ids: Vec<i64>) -> impl Future<Output = Result<(), OutboxError>> + Send;

    /// Moves rejected lines to quarantine, each with its reason; quarantine is bounded, the oldest lines are dropped.
    fn quarantine(&self, lines: Vec<(Vec<u8>, String)>) -> impl Future<Output = Result<(), OutboxError>> + Send;

    fn gauge(&self) -> impl Future<Output = Result<OutboxGauge, OutboxError>> + Send;
}
