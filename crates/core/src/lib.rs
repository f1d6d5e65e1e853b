//! The pure core of ntp-monitor: packets, samples, statistics, verdicts and alert rules.
//!
//! Data in, decisions out. Nothing here opens a file or a socket, knows an actor or reads a clock, so every result can be
//! computed again from the same input. Offsets are in seconds and positive when the server is ahead of this host.

#![warn(missing_docs)]

/// The examples of README.md, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

pub mod alert;
pub mod calendar;
pub mod clock;
pub mod formats;
pub mod health;
pub mod ntp;
pub mod sample;
pub mod stats;
pub mod text;
pub mod world;
