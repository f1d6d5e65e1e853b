//! cli

pub mod table;
pub mod units;
