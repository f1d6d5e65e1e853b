//! When recurring things are due.

pub mod schedule;
