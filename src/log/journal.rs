//! The journal's own protocol: the message, its priority, and each pair as a field that `journalctl` can select by.

use std::io;

use slog::{Drain, Level, OwnedKVList, Record};

use libsystemd::logging::{Priority, SD_JOURNAL_SOCK_PATH, journal_send};

use super::LogError;
use super::clean::Pairs;
use super::formats::AnyDrain;

/// A drain to the journal of this machine.
pub(super) fn drain() -> Result<AnyDrain, LogError> {
    if std::path::Path::new(SD_JOURNAL_SOCK_PATH).exists() {
        Ok(Box::new(Journal))
    } else {
        Err(LogError::NoJournal(SD_JOURNAL_SOCK_PATH))
    }
}

struct Journal;

impl Drain for Journal {
    type Ok = ();
    type Err = io::Error;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> io::Result<()> {
        let (priority, message, fields) = entry(record, values);
        // The protocol frames each field by its length, so that no value can become another field or record.
        journal_send(priority, &message, fields.into_iter()).map_err(io::Error::other)
    }
}

/// The record as the journal takes it. The message ends with the pairs, because `journalctl` shows only the message.
pub(super) fn entry(record: &Record<'_>, values: &OwnedKVList) -> (Priority, String, Vec<(String, String)>) {
    let Pairs(pairs) = Pairs::of(record, values);
    let mut message = record.msg().to_string();
    for (key, value) in &pairs {
        message.push_str(&format!(", {key}: {value}"));
    }
    let fields = pairs.into_iter().map(|(key, value)| (field_name(key), value)).collect();
    (priority(record.level()), super::clean::escaped(&message), fields)
}

/// Upper case, digits and underscores, not beginning with either of the latter (systemd's `journal_field_valid`).
fn field_name(key: &str) -> String {
    let upper: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if upper.starts_with(|c: char| c.is_ascii_uppercase()) { upper } else { format!("F{upper}") }
}

fn priority(level: Level) -> Priority {
    match level {
        Level::Critical | Level::Error => Priority::Error,
        Level::Warning => Priority::Warning,
        Level::Info => Priority::Info,
        Level::Debug | Level::Trace => Priority::Debug,
    }
}
