//! The command line: arguments, tables, exit codes.

pub mod config;
pub mod table;
pub mod units;
