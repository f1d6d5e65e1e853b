//! How the service and its servers are doing: counts in, a judgement with reasons out. Pure.

pub mod alerting;
pub mod availability;
pub mod book;
pub mod child;
pub mod judge;
pub mod notifiers;
pub mod report;
pub mod reports;
