//! InfluxDB 2: samples become line protocol once, wait in an outbox on disk, and are sent until acknowledged.
//!
//! `line` builds lines, `sample_line` those of samples, `points` all others; [`outbox`] is where they wait, `client` makes
//! one request and says what its answer means, `batch` (pure) narrows a refused request down to the lines at fault, `pacing` (pure) says how long to wait, and
//! `sender` ties them together. A line carries its own nanosecond stamp, so that sending it twice changes nothing:
//! delivery is at least once, and the result is that of exactly once.

mod batch;
mod client;
mod line;
pub mod outbox;
mod pacing;
mod points;
mod sample_line;
mod sender;
mod state;

pub use client::{ClientFault, InfluxClient, LineWriter, WriteOutcome};
pub use line::Point;
pub use pacing::Pacing;
pub use points::Lines;
pub use sample_line::SampleLines;
pub use sender::{SenderConfig, run};
pub use state::{SenderGauge, SenderLabel, SenderState};
