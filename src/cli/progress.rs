//! How far long work is: one line on the terminal that is written over, and nothing elsewhere.

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
    /// A line about so many `of_what`; nothing is written when not `shown`.
    #[must_use]
    pub fn new(shown: bool, of_what: &'static str) -> Self {
        Self { shown, of_what, last: None }
    }

    /// `count` are done, and the work has come to the instant `at_ns`.
    pub fn at(&mut self, count: u64, at_ns: i64) {
        if self.shown && self.last.is_none_or(|last| last.elapsed() >= EVERY) {
            self.last = Some(Instant::now());
            // A terminal that is gone wants no progress.
            let _ = write!(std::io::stderr(), "\r\x1b[K{count} {}, {}", self.of_what, wall_time(at_ns));
        }
    }

    /// Takes the line away.
    pub fn end(&mut self) {
        if self.last.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
