//! ntp-monitor: finds out which NTP server or clock is wrong, by how much, since when, and with what confidence.
//!
//! ARCHITECTURE.md describes the modules. Read `app` first.

pub mod actors;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod fleet;
pub mod held;
pub mod history;
pub mod key_exchange;
pub mod local;
pub mod log;
pub mod messages;
pub mod new_file;
pub mod notify;
pub mod outbound;
pub mod plot;
pub mod privilege;
pub mod probe;
pub mod regular_file;
pub mod report;
pub mod sim;
pub mod sinks;
pub mod stages;
pub mod store;
pub mod web;
