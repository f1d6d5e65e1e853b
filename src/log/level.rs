//! Level filters: a level that can change while the program runs, and a stricter one for dependencies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use slog::{Drain, Level, OwnedKVList, Record};

use crate::config::LogLevel;

/// The level, shared by every logger.
#[derive(Debug, Clone)]
pub(super) struct SharedLevel(Arc<AtomicU8>);

impl SharedLevel {
    pub(super) fn new(level: LogLevel) -> Self {
        Self(Arc::new(AtomicU8::new(number(level))))
    }

    pub(super) fn set(&self, level: LogLevel) {
        self.0.store(number(level), Ordering::Relaxed);
    }

    fn admits(&self, level: Level, who: Who) -> bool {
        let configured = self.0.load(Ordering::Relaxed);
        let own_detail = number(LogLevel::Debug);
        let limit = match who {
            Who::Dependencies if configured < own_detail => configured.min(number(LogLevel::Warning)),
            Who::Us | Who::Dependencies => configured,
        };
        severity(level) <= limit
    }
}

/// The origin of the records that a filter gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Us,
    /// Dependencies: warnings and errors only, unless the level is debug.
    Dependencies,
}

/// The most detailed level that the `log` crate must pass on.
pub(super) fn of_dependencies(level: LogLevel) -> ::log::LevelFilter {
    match level {
        LogLevel::Error => ::log::LevelFilter::Error,
        LogLevel::Warning | LogLevel::Info => ::log::LevelFilter::Warn,
        LogLevel::Debug => ::log::LevelFilter::Debug,
        LogLevel::Trace => ::log::LevelFilter::Trace,
    }
}

fn number(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 0,
        LogLevel::Warning => 1,
        LogLevel::Info => 2,
        LogLevel::Debug => 3,
        LogLevel::Trace => 4,
    }
}

fn severity(level: Level) -> u8 {
    match level {
        Level::Critical | Level::Error => 0,
        Level::Warning => 1,
        Level::Info => 2,
        Level::Debug => 3,
        Level::Trace => 4,
    }
}

/// Passes records that the level admits.
pub(super) struct LevelFilter<D> {
    drain: D,
    level: SharedLevel,
    who: Who,
}

impl<D> LevelFilter<D> {
    pub(super) fn new(drain: D, level: SharedLevel, who: Who) -> Self {
        Self { drain, level, who }
    }
}

impl<D: Drain<Ok = ()>> Drain for LevelFilter<D> {
    type Ok = ();
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), D::Err> {
        if self.level.admits(record.level(), self.who) { self.drain.log(record, values) } else { Ok(()) }
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.level.admits(level, self.who)
    }
}
