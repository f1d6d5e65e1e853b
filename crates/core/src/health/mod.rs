//! The health of the service and its servers: counts go in, a status with reasons comes out.

pub mod alerting;
pub mod availability;
pub mod child;
pub mod judge;
pub mod log;
pub mod notifiers;
pub mod report;
pub mod reports;
pub mod status;
