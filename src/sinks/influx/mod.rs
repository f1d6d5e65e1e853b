//! InfluxDB 2: samples become line protocol once, wait in an outbox on disk, and are sent until acknowledged.

pub mod outbox;
