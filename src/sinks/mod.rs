//! Outputs. Each has its own bounded queue, and none can delay a probe.
//!
//! The embedded store is first and serves as the journal: a batch is committed to it, together with its InfluxDB lines
//! in one transaction, before it is passed to CSV. Therefore every sample in the store reaches CSV and InfluxDB,
//! whenever the process is killed. While the store cannot be written, samples are passed to CSV without waiting for it.

pub mod csv;
pub mod influx;
pub mod queue;
pub mod worker;
