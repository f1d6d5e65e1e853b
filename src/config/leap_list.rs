//! Reads a list of leap seconds from a file.

use std::path::Path;

use ntp_monitor_core::stats::leap::LeapList;

/// The published file has 5 kB. What is much larger is something else.
const LARGEST: u64 = 1 << 20;

/// Reads and parses a list.
///
/// # Errors
/// What is wrong with the file, with what to do about it.
pub fn read_leap_list(path: &Path) -> Result<LeapList, String> {
    let size = std::fs::metadata(path).map_err(|why| format!("{} cannot be read: {why}", path.display()))?.len();
    if size > LARGEST {
        return Err(format!("{} has {size} bytes: that is no leap-seconds.list", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
    LeapList::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
}
