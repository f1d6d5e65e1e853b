//! Escapes records, so that text from the network can neither forge a line nor control a terminal.

use std::fmt::{self, Write as _};

use slog::{KV, Key, OwnedKVList, Record, Serializer};

use ntp_monitor_core::text::plain::is_disruptive;

/// The pairs of a record and of its logger as text, outermost logger first. Keys are literals of this program and its
/// dependencies, never text from the network.
#[derive(Debug, Default)]
pub(super) struct Pairs(pub Vec<(Key, String)>);

impl Pairs {
    pub(super) fn of(record: &Record<'_>, values: &OwnedKVList) -> Self {
        // A value that fails to serialise is omitted alone. Lists arrive newest first, so they are reversed.
        let collect = |kv: &dyn KV| {
            let mut pairs = Self::default();
            let _ = kv.serialize(record, &mut pairs);
            pairs.0.reverse();
            pairs.0
        };
        let mut all = collect(values);
        all.extend(collect(&record.kv()));
        Self(all)
    }
}

impl Serializer for Pairs {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.0.push((key, value.to_string()));
        Ok(())
    }
}

/// `text` with line breaks, terminal controls and bidirectional controls escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_disruptive(c) {
            let _ = write!(clean, "{}", c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}
