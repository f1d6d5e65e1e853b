//! Outputs. Each is behind its own bounded queue, and none can slow a probe.
//!
//! The embedded store comes first: it is the journal. A batch is committed to it, with its InfluxDB lines in the same
//! transaction, and only then goes on to CSV. So whatever a CSV file shows is in the store, and whatever is in the
//! store reaches InfluxDB, at whatever instant the process is killed.

pub mod csv;
pub mod influx;
pub mod queue;
pub mod worker;
