//! Reads files that other people choose: they may be any file or device, so only regular files of limited size are read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::O_NONBLOCK;

/// The content of a regular file of at most `largest` bytes.
///
/// # Errors
/// Those of the system, and [`is_unsuitable`] ones.
pub fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    content(open(path)?, largest)
}

/// Opens a regular file for reading; nothing else is opened or waited for.
///
/// # Errors
/// Those of the system, and [`is_unsuitable`] ones.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens or makes a regular file; nothing else is opened or waited for.
///
/// # Errors
/// Those of the system, and [`is_unsuitable`] ones.
pub fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Opening is not without effect for some devices, and waits for the other end of a pipe, so we look first.
    match require(path) {
        Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let file = options.custom_flags(O_NONBLOCK).open(path)?;
    require_regular(&file.metadata()?)?;
    Ok(file)
}

/// Whether there is a regular file at `path`, for libraries that open it themselves.
///
/// # Errors
/// Those of the system, and [`is_unsuitable`] ones.
pub fn require(path: &Path) -> io::Result<()> {
    require_regular(&path.metadata()?)
}

/// The content of a regular file of at most `largest` bytes of UTF-8.
///
/// # Errors
/// Those of [`read`], and that it is not UTF-8.
pub fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    text(read(path, largest)?)
}

/// The content of a file as text.
///
/// # Errors
/// That it is not UTF-8.
pub fn text(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Whether the error is about what the file is, and not about access to it: another user gets the same one.
pub fn is_unsuitable(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::FileTooLarge)
}

fn require_regular(file: &Metadata) -> io::Result<()> {
    if file.is_file() { Ok(()) } else { Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")) }
}

/// The content of a file of at most `largest` bytes. The size that the system reports is not relied on: files of the
/// kernel have none.
///
/// # Errors
/// Those of the system, and [`is_unsuitable`] ones.
pub fn content(file: File, largest: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(largest + 1).read_to_end(&mut content)?;
    if content.len() as u64 > largest {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {largest} bytes")));
    }
    Ok(content)
}
