//! Progress of long work: one line on the terminal that is overwritten, and no output if stderr is not a terminal.

use std::io::Write;
use std::time::{Duration, Instant};

use ntp_monitor_core::text::units::wall_time;

const EVERY: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct Progress {
    shown: bool,
    of_what: &'static str,
    last: Option<Instant>,
}

impl Progress {
    /// Creates a progress line that counts `of_what`; writes nothing unless `shown`.
    #[must_use]
    pub fn new(shown: bool, of_what: &'static str) -> Self {
        Self { shown, of_what, last: None }
    }

    /// Reports that `count` items up to the time `at_ns` are done.
    pub fn at(&mut self, count: u64, at_ns: i64) {
        if self.shown && self.last.is_none_or(|last| last.elapsed() >= EVERY) {
            self.last = Some(Instant::now());
            // Progress is optional, so errors are ignored.
            let _ = write!(std::io::stderr(), "\r\x1b[K{count} {}, {}", self.of_what, wall_time(at_ns));
        }
    }

    /// Removes the line.
    pub fn end(&mut self) {
        if self.last.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
