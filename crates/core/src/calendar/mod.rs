//! Schedules: when recurring reports are due.

pub mod schedule;
