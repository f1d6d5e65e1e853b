//! Outputs. Each has its own bounded queue, and none can delay a probe.
//!
//! The embedded store is first and serves as the journal: a batch is committed to it, together with its InfluxDB lines
//! in one transaction, before it is passed to CSV. Therefore every sample in a CSV file is in the store, and every
//! sample in the store reaches InfluxDB, whenever the process is killed.

pub mod csv;
pub mod influx;
pub mod queue;
pub mod worker;
