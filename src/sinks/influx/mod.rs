//! InfluxDB 2: each sample is encoded as line protocol once, kept in an outbox on disk, and sent until acknowledged.
//!
//! `line` builds lines, `sample_line` those of samples, `points` all others; [`outbox`] is the interface of the queue,
//! `client` makes one request, `answer` (pure) interprets its response, `batch` (pure) isolates rejected lines, `size`
//! (pure) limits requests, `pacing` (pure) computes waits, and `sender` combines them. Every line has its own
//! nanosecond timestamp, so sending it twice has no effect: delivery is at least once, with the result of exactly once.

mod answer;
mod batch;
mod client;
mod line;
pub mod outbox;
mod pacing;
mod points;
mod sample_line;
mod sender;
mod size;
mod state;

pub use answer::{Rejection, WriteOutcome};
pub use client::{ClientFault, InfluxClient, LineWriter};
pub use line::Point;
pub use pacing::Pacing;
pub use points::Lines;
pub use sample_line::SampleLines;
pub use sender::{SenderConfig, run};
pub use state::{SenderGauge, SenderLabel, SenderState};
