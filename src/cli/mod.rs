//! cli

pub mod table;
pub mod units;
//! The command line: arguments, tables, exit codes.

pub mod config;
