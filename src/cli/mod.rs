//! The command line: arguments, tables, exit codes.

mod alerts;
pub mod args;
pub mod check;
pub mod commands;
pub mod conclusion;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod export;
pub mod make_report;
pub mod man;
pub mod measure;
pub mod measured;
pub mod notify;
pub mod output;
pub mod plot;
pub mod progress;
pub mod query;
mod query_json;
pub mod recorded;
pub mod replay;
mod report;
pub mod span;
pub mod stats;
pub mod table;
pub mod upkeep;
pub mod words;
