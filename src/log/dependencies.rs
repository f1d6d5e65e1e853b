//! Records of dependencies, limited: what they complain of, a malformed request for instance, a remote can bring about
//! without limit.

use std::sync::{Arc, Mutex, PoisonError};

use slog::{Drain, Level, OwnedKVList, Record, RecordStatic, b};

use super::{Allowance, RateLimit};

/// So many records of one module come at once …
const AT_ONCE: u32 = 5;
/// … and then one in this time.
const REFILL_NS: i64 = 60_000_000_000;

/// Hands on so many warnings and errors of a module, and says how many it did not. Details, which only somebody who
/// debugs gets to see, are not counted.
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
        // The tag is the module that spoke.
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
            let message = format_args!("records like the next one were left out");
            self.drain.log(&Record::new(&like_it, &message, b!("count" => suppressed)), values)?;
        }
        self.drain.log(record, values)
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.drain.is_enabled(level)
    }
}
