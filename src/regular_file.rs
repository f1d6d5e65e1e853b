//! Reads files whose paths come from users. A path may name any file or device, so only regular files of limited size
//! are read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::O_NONBLOCK;

/// Reads a regular file of at most `largest` bytes.
///
/// # Errors
/// Errors of the system, and [`is_unsuitable`] ones.
pub fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    content(open(path)?, largest)
}

/// Opens a regular file for reading; nothing else is opened or waited for.
///
/// # Errors
/// Errors of the system, and [`is_unsuitable`] ones.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens or makes a regular file; nothing else is opened or waited for.
///
/// # Errors
/// Errors of the system, and [`is_unsuitable`] ones.
pub fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Opening has side effects on some devices and blocks on a pipe, so check the type first.
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
/// Errors of the system, and [`is_unsuitable`] ones.
pub fn require(path: &Path) -> io::Result<()> {
    require_regular(&path.metadata()?)
}

/// Reads a regular file of at most `largest` bytes as UTF-8.
///
/// # Errors
/// Errors of [`read`], and invalid UTF-8.
pub fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    text(read(path, largest)?)
}

/// Converts the content of a file to text.
///
/// # Errors
/// When it is not UTF-8.
pub fn text(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Whether the error concerns the file's type or size and not access to it, so that any user would get it.
pub fn is_unsuitable(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::FileTooLarge)
}

fn require_regular(file: &Metadata) -> io::Result<()> {
    if file.is_file() { Ok(()) } else { Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")) }
}

/// Reads at most `largest` bytes of a file. Does not rely on the reported size, because files of the kernel report
/// none.
///
/// # Errors
/// Errors of the system, and [`is_unsuitable`] ones.
pub fn content(file: File, largest: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(largest + 1).read_to_end(&mut content)?;
    if content.len() as u64 > largest {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {largest} bytes")));
    }
    Ok(content)
}
