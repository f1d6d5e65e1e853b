//! Opens a recorded file. A compressed file is decompressed while it is read, whatever its name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ntp_monitor_core::formats::csv::{RowError, Rows, read_from};

/// The first bytes of a gzip file (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Opens a file of samples.
///
/// # Errors
/// When it cannot be opened, or lacks a required column.
pub fn read_file(path: &Path) -> Result<Rows<Box<dyn Read + Send>>, RowError> {
    let name = path.display().to_string();
    let source = File::open(path).and_then(uncompressed);
    read_from(&name, source.map_err(|why| RowError::whole(&name, 0, &why.to_string()))?)
}

fn uncompressed(file: File) -> io::Result<Box<dyn Read + Send>> {
    let mut file = BufReader::new(file);
    let is_compressed = file.fill_buf()?.starts_with(&GZIP);
    Ok(if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}
