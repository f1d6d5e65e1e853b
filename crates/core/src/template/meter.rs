//! The work limit (allowance) of a rendering, and the outputs that are charged to it.

use std::fmt;
use std::io;

use serde_json::Value;

use super::Fault;

/// The cost of one operation, in bytes.
pub(super) const STEP: usize = 16;

/// The cost of appending a text, in addition to its bytes.
const PUSH: usize = 4;

/// The remaining allowance.
#[derive(Debug)]
pub(super) struct Meter {
    left: usize,
}

impl Meter {
    pub(super) fn new(allowance: usize) -> Self {
        Self { left: allowance }
    }

    /// Charges for work before it is done.
    pub(super) fn pay(&mut self, units: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(units).ok_or_else(Fault::work)?;
        Ok(())
    }

    /// Charges for a copy of a value, part by part.
    pub(super) fn pay_for_copy(&mut self, value: &Value) -> Result<(), Fault> {
        self.pay(STEP)?;
        match value {
            Value::String(text) => self.pay(text.len()),
            Value::Array(items) => items.iter().try_for_each(|item| self.pay_for_copy(item)),
            Value::Object(items) => items.iter().try_for_each(|(key, item)| {
                self.pay(key.len())?;
                self.pay_for_copy(item)
            }),
            _ => Ok(()),
        }
    }
}

/// A destination for text of limited length.
pub(super) trait Sink {
    /// Appends a text, or as much of it as fits.
    fn push(&mut self, text: &str) -> Result<(), Fault>;
}

/// A text in memory, charged by the byte.
pub(super) struct Built<'m> {
    pub(super) text: String,
    pub(super) meter: &'m mut Meter,
}

impl<'m> Built<'m> {
    pub(super) fn new(meter: &'m mut Meter) -> Self {
        Self { text: String::new(), meter }
    }
}

impl Sink for Built<'_> {
    fn push(&mut self, text: &str) -> Result<(), Fault> {
        self.meter.pay(PUSH + text.len())?;
        self.text.push_str(text);
        Ok(())
    }
}

/// The rendered text. Its limited length bounds its cost.
pub(super) struct Output<'o> {
    pub(super) text: &'o mut String,
    pub(super) longest: usize,
}

impl Sink for Output<'_> {
    fn push(&mut self, text: &str) -> Result<(), Fault> {
        let room = self.longest.saturating_sub(self.text.len());
        let end = text.floor_char_boundary(room);
        self.text.push_str(&text[..end]);
        if end < text.len() { Err(Fault::full(self.longest)) } else { Ok(()) }
    }
}

/// Lets `write!` and serde write into a sink, and keeps the fault that they cannot return.
pub(super) struct Adapter<'s, S: ?Sized> {
    sink: &'s mut S,
    fault: Option<Fault>,
}

impl<'s, S: Sink + ?Sized> Adapter<'s, S> {
    /// Runs `write` with an adapter for `sink`.
    pub(super) fn run<E>(sink: &'s mut S, write: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<(), Fault> {
        let mut adapter = Self { sink, fault: None };
        let written = write(&mut adapter);
        match (written, adapter.fault) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(fault)) => Err(fault),
            (Err(_), None) => Err(Fault::new("a value cannot be written")),
        }
    }

    fn push(&mut self, text: &str) -> Result<(), ()> {
        self.sink.push(text).map_err(|fault| self.fault = Some(fault))
    }
}

impl<S: Sink + ?Sized> fmt::Write for Adapter<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text).map_err(|()| fmt::Error)
    }
}

impl<S: Sink + ?Sized> io::Write for Adapter<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.push(text).map_err(|()| io::Error::other("there is no room"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
