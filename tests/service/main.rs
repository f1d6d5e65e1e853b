//! The service as a whole, over its sockets, files and signals.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)] // a failed unwrap is a failed test

#[path = "../common/mod.rs"]
mod common;

mod abuse;
mod alerting;
mod api;
mod base_path;
mod binary;
mod config;
mod first_start;
mod fleet;
mod image;
mod kills;
mod local_rows;
mod lost_files;
mod nts;
mod permissions;
mod query_check;
mod reports;
mod scheduled;
mod service;
mod sheet;
mod tls;
mod tokens;
mod vantage;
mod verdict;
mod worker;
mod writing;
