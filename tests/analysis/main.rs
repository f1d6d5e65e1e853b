//! Decisions over recorded and simulated samples, against captures, other programs and real servers.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)] // a failed unwrap is a failed test

#[path = "../common/mod.rs"]
mod common;

mod alerts;
mod allantools;
mod attribution;
mod captures;
mod chronyd;
mod csv;
mod fleet;
mod interleaved;
mod nts;
mod nts_alerts;
mod nts_exchange;
mod recordings;
mod replay;
mod schedule;
mod sim;
