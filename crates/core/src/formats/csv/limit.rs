//! Limits the length of a row while it is read, because the CSV reader keeps a whole row in memory.

use std::io::{self, ErrorKind, Read};

/// Maximum length of a row, in bytes. Rows of this program have some hundred bytes.
pub const LONGEST_ROW: usize = 64 << 10;

/// A source that fails at a row of more than [`LONGEST_ROW`] bytes. A line end within quotes belongs to the row.
pub(super) struct Limited<R> {
    source: R,
    length: usize,
    at_start_of_cell: bool,
    in_quotes: bool,
}

impl<R> Limited<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, length: 0, at_start_of_cell: true, in_quotes: false }
    }

    fn pass(&mut self, byte: u8) {
        self.length += 1;
        if self.in_quotes {
            // The first of two doubled quotes closes the text and the second one opens it again.
            self.in_quotes = byte != b'"';
            self.at_start_of_cell = !self.in_quotes;
            return;
        }
        self.in_quotes = byte == b'"' && self.at_start_of_cell;
        self.at_start_of_cell = matches!(byte, b',' | b'\n' | b'\r');
        if matches!(byte, b'\n' | b'\r') {
            self.length = 0;
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        for byte in &buffer[..read] {
            self.pass(*byte);
            if self.length > LONGEST_ROW {
                let reason = format!("a row is longer than {LONGEST_ROW} bytes; the rest of the file is not read");
                return Err(io::Error::new(ErrorKind::InvalidData, reason));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<usize> {
        Limited::new(text.as_bytes()).read_to_end(&mut Vec::new())
    }

    #[test]
    fn rows_are_limited_and_files_are_not() {
        let row = format!("{},a\"b,\"c\nd\",\"\"\"e\"\"\"\n", "x".repeat(LONGEST_ROW - 100));
        assert_eq!(read(&row.repeat(20)).unwrap(), 20 * row.len());
        assert!(read(&"x".repeat(LONGEST_ROW + 1)).is_err());
    }

    #[test]
    fn unterminated_quoted_text_is_limited_over_many_lines() {
        assert!(read(&format!("a,\"{}", "b,c\n".repeat(LONGEST_ROW))).is_err());
        assert!(read(&format!("a,b\"{}", "b,c\n".repeat(LONGEST_ROW))).is_ok());
    }
}
