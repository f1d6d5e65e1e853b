//! Logging by slog. The writers run on one thread behind a bounded queue; logging never blocks the caller.
//!
//! A record passes a level filter, the queue ([`queue`]), and then the drains of [`formats`] and [`mod@file`]. Records
//! of dependencies (the `log` crate) have their own filter. Records that a remote can cause at will pass [`RateLimit`]
//! first.

mod clean;
mod dependencies;
mod file;
mod formats;
mod journal;
mod level;
mod limited;
mod panics;
mod queue;
mod rate_limit;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slog::{Discard, Logger, o};

use crate::config::{Log, LogFormat, LogLevel};
use dependencies::Limited;
use file::RotatingFile;
use formats::{AnyDrain, Fan};
use level::{LevelFilter, SharedLevel, Who};
use queue::Queue;

pub use limited::LimitedLog;
pub use panics::log_panics;
pub use rate_limit::{Allowance, RateLimit};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log file cannot be written.
    #[error("log file {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// The journal is not available.
    #[error("log.format is \"journald\", but there is no journal at {0}")]
    NoJournal(&'static str),
}

/// Keeps logging alive. Dropping it writes the queued records.
pub struct LogGuard {
    control: LogControl,
    _writer: slog_async::AsyncGuard,
}

impl LogGuard {
    /// Control of the running log.
    #[must_use]
    pub fn control(&self) -> LogControl {
        self.control.clone()
    }
}

/// Level and counter of the running log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogControl {
    level: SharedLevel,
    queue: Arc<queue::Counters>,
    reopen: Arc<AtomicBool>,
    writing: Arc<Mutex<()>>,
}

impl LogControl {
    /// No record is written while the guard lives, so that it does not interrupt other output to the terminal.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the level, at once and for every logger.
    pub fn set_level(&self, level: LogLevel) {
        self.level.set(level);
        ::log::set_max_level(level::of_dependencies(level));
    }

    /// Reopens the log file before the next record, because another program may have moved it.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    /// Records that were lost since the start: the queue was full, or they could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

/// Sets up logging as configured, including the records of dependencies.
///
/// # Errors
/// When the configured file or journal cannot be written.
pub fn init(config: &Log) -> Result<(Logger, LogGuard), LogError> {
    let mut drains = vec![stderr_drain(config.format)?];
    let reopen = Arc::<AtomicBool>::default();
    if let Some(file) = &config.file {
        let writer = RotatingFile::open(file, Arc::clone(&reopen))
            .map_err(|source| LogError::File { path: file.path.clone(), source })?;
        drains.push(formats::json(Box::new(writer)));
    }
    let (logger, dependencies, mut guard) = build(drains, config.level, queue::CAPACITY);
    guard.control.reopen = reopen;
    // The global logger is never reset, because a reset one panics when a dependency logs late.
    slog_scope::set_global_logger(dependencies).cancel_reset();
    // Only the first call in a process can set it. It passes records to the global logger, so later calls are not
    // needed.
    let _ = slog_stdlog::init();
    guard.control.set_level(config.level);
    Ok((logger, guard))
}

/// A logger for tests and for commands that log nothing.
pub fn discard() -> Logger {
    Logger::root(Discard, o!())
}

fn build(drains: Vec<AnyDrain>, level: LogLevel, capacity: usize) -> (Logger, Logger, LogGuard) {
    let level = SharedLevel::new(level);
    let writing = Arc::<Mutex<()>>::default();
    let fan = Fan { drains, unwritten: Arc::default(), writing: Arc::clone(&writing) };
    let (queue, writer) = Queue::new(fan, capacity);
    let queue = Arc::new(queue);
    let control = LogControl { level: level.clone(), queue: queue.counters(), reopen: Arc::default(), writing };
    let filter = |who| LevelFilter::new(Arc::clone(&queue), level.clone(), who);
    let us = Logger::root(filter(Who::Us), o!());
    let dependencies = Logger::root(Limited::new(filter(Who::Dependencies)), o!());
    (us, dependencies, LogGuard { control, _writer: writer })
}

fn stderr_drain(format: LogFormat) -> Result<AnyDrain, LogError> {
    let stderr = || Box::new(std::io::LineWriter::new(std::io::stderr()));
    let terminal = std::io::stderr().is_terminal();
    match resolve(format, terminal, journal::is_stderr()) {
        LogFormat::Journald => journal::drain(),
        LogFormat::Json => Ok(formats::json(stderr())),
        LogFormat::Auto | LogFormat::Term if terminal => Ok(formats::colour_term()),
        LogFormat::Auto | LogFormat::Term => Ok(formats::plain_term(stderr())),
    }
}

/// The format that `auto` selects: the journal if stderr is connected to it, text on a terminal, JSON otherwise.
fn resolve(format: LogFormat, terminal: bool, journal: bool) -> LogFormat {
    match format {
        LogFormat::Auto if journal => LogFormat::Journald,
        LogFormat::Auto if terminal => LogFormat::Term,
        LogFormat::Auto => LogFormat::Json,
        asked => asked,
    }
}

#[cfg(test)]
mod tests;
