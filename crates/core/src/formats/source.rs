//! The traits that a format of recorded input implements.

use std::io::BufRead;

use crate::sample::Sample;

/// A format of recorded input.
pub trait Source: Sync {
    /// The name of the format.
    fn name(&self) -> &'static str;

    /// Whether a file is of this format, judged by its first bytes: the first line at least, if it is a short one.
    fn detects(&self, beginning: &[u8]) -> bool;

    /// Begins to read; errors use `file` for the input.
    ///
    /// # Errors
    /// When the input as a whole cannot be read as this format.
    fn open(&self, file: &str, input: Box<dyn BufRead + Send>) -> Result<Box<dyn Samples>, RowError>;
}

/// The samples of one input, in order. Reading continues after a row that cannot be read.
pub trait Samples: Iterator<Item = Result<Sample, RowError>> + Send {
    /// The line of the row that was read last, from 1.
    fn line(&self) -> u64;
}

/// An error in a file or in one of its rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {column}{}{reason}", at(*.line), if .column.is_empty() { "" } else { ": " })]
pub struct RowError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 if the error concerns the whole file.
    pub line: u64,
    /// The column; empty if the error concerns the whole row.
    pub column: String,
    /// What is wrong, in words.
    pub reason: String,
}

/// `:LINE`, or nothing for a file as a whole.
fn at(line: u64) -> String {
    if line == 0 { String::new() } else { format!(":{line}") }
}

impl RowError {
    /// A fault of the file as a whole, or of a whole line when `line` is not 0.
    #[must_use]
    pub fn whole(file: &str, line: u64, reason: &str) -> Self {
        Self { file: file.to_owned(), line, column: String::new(), reason: reason.to_owned() }
    }
}
