//! Opens a recorded file. A compressed file is decompressed while it is read, whatever its name.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ntp_monitor_core::formats::source::{RowError, Samples};
use ntp_monitor_core::formats::source_of;

/// The first bytes of a gzip file (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Opens a file of samples; its content determines the format.
///
/// # Errors
/// When it cannot be opened, or not be read as that format.
pub fn read_file(path: &Path) -> Result<Box<dyn Samples>, RowError> {
    let name = path.display().to_string();
    let failed = |why: io::Error| RowError::whole(&name, 0, &why.to_string());
    let mut input = open(path).map_err(failed)?;
    let source = source_of(input.fill_buf().map_err(failed)?);
    source.open(&name, input)
}

/// Opens a file, and decompresses it if need be.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    File::open(path).and_then(uncompressed)
}

fn uncompressed(file: File) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::new(file);
    let is_compressed = file.fill_buf()?.starts_with(&GZIP);
    Ok(if is_compressed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) })
}
