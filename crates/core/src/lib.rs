//! The pure core of ntp-monitor: packets, samples, statistics, verdicts and alert rules.
//!
//! The crate does no I/O: it opens no files or sockets, uses no actors and reads no clock. The same input always gives
//! the same result. Offsets are in seconds and positive when the server is ahead of this host.

#![warn(missing_docs)]

/// The examples of README.md, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

pub mod alert;
pub mod calendar;
pub mod clock;
pub mod conclusion;
pub mod fleet;
pub mod formats;
pub mod health;
pub mod interleaved;
pub mod ntp;
pub mod nts;
pub mod sample;
pub mod sheet;
pub mod stats;
pub mod template;
pub mod text;
pub mod world;
