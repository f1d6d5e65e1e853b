//! The command line: arguments, tables, exit codes.

pub mod config;
