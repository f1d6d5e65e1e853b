//! File formats that carry samples, and what was known beside them.

pub mod csv;
pub mod local;
pub mod source;

use csv::Csv;
use source::Source;

/// Every format that can be read. What none of them detects is read as the first: its error says what is missing.
pub const SOURCES: [&dyn Source; 1] = [&Csv];

/// The format of an input that begins like this.
#[must_use]
pub fn source_of(beginning: &[u8]) -> &'static dyn Source {
    SOURCES.into_iter().find(|source| source.detects(beginning)).unwrap_or(SOURCES[0])
}
