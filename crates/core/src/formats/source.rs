//! Recorded input, whatever its format: what the program asks of a format.

use std::io::BufRead;

use crate::sample::Sample;

/// A format of recorded input.
pub trait Source: Sync {
    /// What the format is called.
    fn name(&self) -> &'static str;

    /// Whether a file is of this format, judged by its first bytes: the first line at least, if it is a short one.
    fn detects(&self, beginning: &[u8]) -> bool;

    /// Begins to read; `file` is what errors call the input.
    ///
    /// # Errors
    /// When the input as a whole cannot be read as this format.
    fn open(&self, file: &str, input: Box<dyn BufRead + Send>) -> Result<Box<dyn Samples>, RowError>;
}

/// The samples of one input, in its order. After a row that cannot be read come the rows behind it.
pub trait Samples: Iterator<Item = Result<Sample, RowError>> + Send {
    /// The line of the row that was read last, from 1.
    fn line(&self) -> u64;
}

/// What is wrong with a file or a row of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {column}{}{reason}", at(*.line), if .column.is_empty() { "" } else { ": " })]
pub struct RowError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: u64,
    /// The column; empty when the row as a whole is meant.
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
