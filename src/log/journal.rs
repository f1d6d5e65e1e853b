//! The native protocol of the systemd journal: message, priority, and each pair as a field that `journalctl` can
//! filter.

use std::io;
use std::os::unix::net::UnixDatagram;

use nix::sys::stat::fstat;
use slog::{Drain, Level, OwnedKVList, Record};

use super::LogError;
use super::clean::Pairs;
use super::formats::AnyDrain;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether stderr is connected to the journal. systemd names the file in `JOURNAL_STREAM` (systemd.exec(5)).
pub(super) fn is_stderr() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|file| stream == format!("{}:{}", file.st_dev, file.st_ino))
}

/// A drain to the journal of this host.
pub(super) fn drain() -> Result<AnyDrain, LogError> {
    match UnixDatagram::unbound() {
        Ok(socket) if std::path::Path::new(SOCKET).exists() => Ok(Box::new(Journal(socket))),
        _ => Err(LogError::NoJournal(SOCKET)),
    }
}

/// Each record is one datagram, so a restart of the journal breaks no connection. Records too large for a datagram
/// (more than 200 kB) are rejected.
struct Journal(UnixDatagram);

impl Drain for Journal {
    type Ok = ();
    type Err = io::Error;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> io::Result<()> {
        let (priority, message, fields) = entry(record, values);
        let mut datagram = Vec::new();
        append(&mut datagram, "PRIORITY", &priority.to_string());
        append(&mut datagram, "MESSAGE", &message);
        fields.iter().for_each(|(name, value)| append(&mut datagram, name, value));
        self.0.send_to(&datagram, SOCKET).map(drop)
    }
}

/// Adds a field: its name, the length of its value, its value. The length keeps a value from becoming another field.
fn append(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend_from_slice(name.as_bytes());
    datagram.push(b'\n');
    datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

/// The record in the journal's format. The message includes the pairs, because `journalctl` shows only the message.
pub(super) fn entry(record: &Record<'_>, values: &OwnedKVList) -> (u8, String, Vec<(String, String)>) {
    let Pairs(pairs) = Pairs::of(record, values);
    let mut message = record.msg().to_string();
    for (key, value) in &pairs {
        message.push_str(&format!(", {key}: {value}"));
    }
    let fields = pairs.into_iter().map(|(key, value)| (field_name(key), value)).collect();
    (priority(record.level()), super::clean::escaped(&message), fields)
}

/// Upper case, digits and underscores, not beginning with either of the latter (systemd's `journal_field_valid`), and
/// none of the fields that every record has.
fn field_name(key: &str) -> String {
    let upper: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let is_own = matches!(&*upper, "PRIORITY" | "MESSAGE");
    if upper.starts_with(|c: char| c.is_ascii_uppercase()) && !is_own { upper } else { format!("F{upper}") }
}

/// The syslog priority.
fn priority(level: Level) -> u8 {
    match level {
        Level::Critical | Level::Error => 3,
        Level::Warning => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_with_line_breaks_stays_one_field() {
        let mut datagram = Vec::new();
        append(&mut datagram, "MESSAGE", "a\nPRIORITY=0");
        append(&mut datagram, "N", "");
        let expected = b"MESSAGE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\nN\n\0\0\0\0\0\0\0\0\n";
        assert_eq!(datagram, expected);
    }
}
