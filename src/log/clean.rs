//! What a remote says must not forge a line or steer a terminal: records in a form that holds on one line.

use std::fmt::{self, Write as _};

use slog::{KV, Key, OwnedKVList, Record, Serializer};

use ntp_monitor_core::text::plain::is_disruptive;

/// The pairs of a record and of its logger as text, outermost logger first. Keys are literals of this program and its
/// dependencies, never what a remote said.
#[derive(Debug, Default)]
pub(super) struct Pairs(pub Vec<(Key, String)>);

impl Pairs {
    pub(super) fn of(record: &Record<'_>, values: &OwnedKVList) -> Self {
        // A value that does not serialise costs itself only. Lists come newest first, and so are turned around.
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

/// `text` with everything escaped that breaks a line, steers a terminal or turns the reading direction.
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
