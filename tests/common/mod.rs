//! Shared parts of integration tests: real servers and the program itself, each stopped when its value is dropped.

// A failed unwrap is a failed test; no test uses all of this; and tests print messages to stderr.
#![allow(clippy::unwrap_used, clippy::print_stderr, dead_code)]

pub mod authority;
pub mod chrony_client;
pub mod chronyd;
pub mod faketime;
pub mod gate;
pub mod grafana;
pub mod http;
pub mod influxdb;
pub mod monitor;
pub mod nats;
pub mod ntpd;
pub mod ntske;
pub mod prometheus;
pub mod proxy;
pub mod receiver;
pub mod recorded;
pub mod root;
pub mod rows;
pub mod service;
pub mod sim;
pub mod smtp;
pub mod stored;
pub mod tool;
pub mod victoria;
pub mod wait;
