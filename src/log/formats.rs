//! The drains that write to a stream: readable text and JSON lines.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use slog::{BorrowedKV, Drain, FnValue, KV, Level, Never, OwnedKVList, PushFnValue, Record, RecordLocation};
use slog::{RecordStatic, Serializer, o};
use slog_term::{Decorator, FullFormat, PlainDecorator, TermDecorator};

use super::clean::{Pairs, escaped};

/// A drain of any format.
pub(super) type AnyDrain = Box<dyn Drain<Ok = (), Err = io::Error> + Send>;

/// Passes every record to every drain.
pub(super) struct Fan {
    pub drains: Vec<AnyDrain>,
    /// Records that a drain could not write. They are lost and counted.
    pub unwritten: Arc<AtomicU64>,
    /// Held while a record is written.
    pub writing: Arc<Mutex<()>>,
}

impl Drain for Fan {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = self.drains.iter().filter(|drain| drain.log(record, values).is_err()).count();
        self.unwritten.fetch_add(failed as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// `2026-11-22T10:00:00.123Z`.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// JSON lines; slog-json escapes line breaks.
pub(super) fn json(writer: Box<dyn Write + Send>) -> AnyDrain {
    let drain = slog_json::Json::new(writer)
        .set_flush(true)
        .add_key_value(o!(
            "time" => FnValue(|_| now()),
            "level" => FnValue(|record| level_name(record.level())),
            "msg" => PushFnValue(|record, ser| ser.emit(record.msg())),
        ))
        .build();
    // Json keeps its writer in a RefCell, which the one writer thread may hold.
    Box::new(drain)
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// Readable text for a terminal, with colours.
pub(super) fn colour_term() -> AnyDrain {
    term(TermDecorator::new().stderr().build())
}

pub(super) fn plain_term(writer: Box<dyn Write + Send>) -> AnyDrain {
    term(PlainDecorator::new(writer))
}

fn term<D: Decorator + Send + 'static>(decorator: D) -> AnyDrain {
    let stamp = |out: &mut dyn Write| -> io::Result<()> { write!(out, "{}", now()) };
    let format = FullFormat::new(decorator).use_custom_timestamp(stamp).build();
    Box::new(OneLine(format))
}

/// Passes records on with message and values escaped, because slog-term does not escape them.
struct OneLine<D>(D);

impl<D: Drain> Drain for OneLine<D> {
    type Ok = D::Ok;
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<D::Ok, D::Err> {
        let pairs = Escaped(Pairs::of(record, values));
        let location = RecordLocation { ..*record.location() };
        let fixed = RecordStatic { location: &location, tag: record.tag(), level: record.level() };
        let message = escaped(&record.msg().to_string());
        self.0.log(&Record::new(&fixed, &format_args!("{message}"), BorrowedKV(&pairs)), &o!().into())
    }
}

struct Escaped(Pairs);

impl KV for Escaped {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        for &(key, ref value) in &self.0.0 {
            serializer.emit_str(key, &escaped(value))?;
        }
        Ok(())
    }
}
