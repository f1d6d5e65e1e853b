//! What the sender needs of the outbox. The embedded store keeps it; tests keep one in memory.

use std::future::Future;

/// A batch of lines as it was written, in order of age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Grows with age of writing; names the row to [`Outbox::done`].
    pub id: i64,
    /// Wall clock at writing, in nanoseconds since 1970.
    pub created_ns: i64,
    /// How many lines `body` has.
    pub lines: u32,
    /// Line protocol, each line with its newline and its own nanosecond stamp: sending twice changes nothing.
    pub body: Vec<u8>,
}

/// How full the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxGauge {
    /// Rows waiting.
    pub rows: u64,
    /// Lines waiting.
    pub lines: u64,
    /// Bytes waiting.
    pub bytes: u64,
    /// When the oldest was written, in nanoseconds since 1970.
    pub oldest_ns: Option<i64>,
    /// Lines dropped since the store was made, because of age or size.
    pub dropped_lines: u64,
    /// Lines in quarantine.
    pub quarantined_lines: u64,
}

/// The outbox could not be read or changed; the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("outbox: {0}")]
pub struct OutboxError(pub String);

/// Lines on disk that wait to be sent.
pub trait Outbox: Send + Sync + 'static {
    /// The oldest rows, as many as fit `max_lines` and `max_bytes` together, at least one when there is any.
    fn oldest(
        &self,
        max_lines: usize,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Vec<OutboxRow>, OutboxError>> + Send;

    /// Takes rows out for good: the database has acknowledged them.
    fn done(&self, ids: Vec<i64>) -> impl Future<Output = Result<(), OutboxError>> + Send;

    /// Keeps one line apart, with the reason the database gave; bounded, oldest dropped.
    fn quarantine(&self, line: Vec<u8>, reason: String) -> impl Future<Output = Result<(), OutboxError>> + Send;

    /// How full it is.
    fn gauge(&self) -> impl Future<Output = Result<OutboxGauge, OutboxError>> + Send;
}
