//! Reads a list of leap seconds from a file.

use std::path::Path;

use ntp_monitor_core::stats::leap::LeapList;

use crate::regular_file;

/// Maximum size in bytes. The published file has 5 kB.
const LARGEST: u64 = 1 << 20;

/// Reads and parses a list.
///
/// # Errors
/// The fault of the file, and what to do. No text of the file is repeated.
pub fn read_leap_list(path: &Path) -> Result<LeapList, String> {
    let text = regular_file::read_text(path, LARGEST);
    let text = text.map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
    LeapList::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
}
