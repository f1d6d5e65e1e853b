//! File formats for samples and for the recorded state of the local clock.

pub mod csv;
pub mod local;
pub mod source;

use csv::Csv;
use source::Source;

/// All formats that can be read. Input that none of them detects is read as the first one, whose error says what is
/// missing.
pub const SOURCES: [&dyn Source; 1] = [&Csv];

/// The format of an input with this beginning.
#[must_use]
pub fn source_of(beginning: &[u8]) -> &'static dyn Source {
    SOURCES.into_iter().find(|source| source.detects(beginning)).unwrap_or(SOURCES[0])
}
