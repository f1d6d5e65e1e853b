//! A logger for events that others can cause at will.

use std::sync::{Mutex, PoisonError};

use slog::{Logger, o};

use super::{Allowance, RateLimit};

/// Records of one kind that are logged at once, and the time for another one.
const AT_ONCE: u32 = 5;
const REFILL_NS: i64 = 60_000_000_000;

/// Gives its logger to a limited number of events of each kind and remote. The next record states how many had none.
#[derive(Debug)]
pub struct LimitedLog {
    log: Logger,
    limit: Mutex<RateLimit>,
}

impl LimitedLog {
    #[must_use]
    pub fn new(log: Logger) -> Self {
        Self { log, limit: Mutex::new(RateLimit::new(AT_ONCE, REFILL_NS)) }
    }

    /// Where to log an event of this kind that `remote` caused; `None` when there were too many lately.
    pub fn of(&self, remote: &str, kind: &'static str) -> Option<Logger> {
        let now_ns = crate::clock::now().mono_ns;
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        match limit.allow(&remote.into(), kind, now_ns) {
            Allowance::Log { suppressed: 0 } => Some(self.log.clone()),
            Allowance::Log { suppressed } => Some(self.log.new(o!("suppressed" => suppressed))),
            Allowance::Suppress => None,
        }
    }
}
