//! Rate-limits the records of dependencies, because a remote can cause them (by malformed requests, for example)
//! without limit.

use std::sync::{Arc, Mutex, PoisonError};

use slog::{Drain, Level, OwnedKVList, Record, RecordStatic, b};

use super::{Allowance, RateLimit};

/// Records of one module that pass in a burst.
const AT_ONCE: u32 = 5;
/// Interval at which one more passes.
const REFILL_NS: i64 = 60_000_000_000;

/// Passes a limited number of warnings and errors of each module, and reports how many it dropped. Debug records are
/// not limited.
pub(super) struct Limited<D> {
    drain: D,
    limit: Mutex<RateLimit>,
}

impl<D> Limited<D> {
    pub(super) fn new(drain: D) -> Self {
        Self { drain, limit: Mutex::new(RateLimit::new(AT_ONCE, REFILL_NS)) }
    }

    fn judge(&self, record: &Record<'_>) -> Allowance {
        if !record.level().is_at_least(Level::Warning) {
            return Allowance::Log { suppressed: 0 };
        }
        // The tag is the module that logged the record.
        let module: Arc<str> = record.tag().into();
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        limit.allow(&module, record.level().as_str(), crate::clock::now().mono_ns)
    }
}

impl<D: Drain<Ok = ()>> Drain for Limited<D> {
    type Ok = ();
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), D::Err> {
        let Allowance::Log { suppressed } = self.judge(record) else { return Ok(()) };
        if suppressed > 0 {
            let like_it = RecordStatic { location: record.location(), tag: record.tag(), level: record.level() };
            let message = format_args!("records like the next one were suppressed");
            self.drain.log(&Record::new(&like_it, &message, b!("count" => suppressed)), values)?;
        }
        self.drain.log(record, values)
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.drain.is_enabled(level)
    }
}
