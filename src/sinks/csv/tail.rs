//! Reads the last rows of the files, so that rows that are missing after a kill can be taken from the store.
//!
//! The store commits a batch before CSV gets it, so a batch that was interrupted in between is in the store only. The
//! tail has the keys of the rows within a window before the newest row. A stored sample that is newer than the start of
//! the window and not among the keys is missing from the files. Older samples count as written, because CSV gets
//! batches in the order of the store. Wall stamps are compared, because monotonic ones are not comparable after a
//! reboot. If the clock was stepped back by more than the window, missing samples of the repeated time are not found.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;

use super::files::{DayFile, list};
use super::open::read_file;
use ntp_monitor_core::formats::csv::{HEADER, day, read_from};
use ntp_monitor_core::formats::source::RowError;
use ntp_monitor_core::sample::Sample;

/// The end of a file is read in pieces that begin with this size and double until they reach back far enough.
const FIRST_PIECE: u64 = 1 << 20;
/// Maximum size of what is read of a damaged file for the comparison with the store: some 400,000 rows.
const LARGEST_READ: u64 = 64 << 20;

/// The last rows of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The stamp of the newest row, in nanoseconds since 1970.
    pub newest_ns: i64,
    /// Rows at or before this stamp count as written.
    pub since_ns: i64,
    keys: HashSet<Key>,
}

/// The key of a row: the stamp, the name as it is written, and the address.
pub(super) type Key = (i64, Arc<str>, Option<SocketAddr>);

impl Tail {
    /// The tail of files without any row, for a store whose newest sample is at `newest_ns`: all rows of the last
    /// `window` before it are missing.
    #[must_use]
    pub fn of_nothing(newest_ns: i64, window: Duration) -> Self {
        let window_ns = i64::try_from(window.as_nanos()).unwrap_or(i64::MAX);
        Self { newest_ns, since_ns: newest_ns.saturating_sub(window_ns), keys: HashSet::new() }
    }

    /// Whether this sample is missing from the files.
    #[must_use]
    pub fn lacks(&self, sample: &Sample) -> bool {
        sample.at.wall_ns > self.since_ns && !self.keys.contains(&key(sample))
    }
}

/// The rows of the last `window` before the newest row in `dir`; `None` when there are no rows at all. Call it after
/// [`super::CsvWriter::new`] has repaired the files, and before it writes.
///
/// # Errors
/// When the directory or a file cannot be read. Rows that cannot be parsed are skipped.
pub fn tail_keys(dir: &Path, window: Duration) -> io::Result<Option<Tail>> {
    let window_ns = i64::try_from(window.as_nanos()).unwrap_or(i64::MAX);
    let mut keys: Vec<Key> = Vec::new();
    let mut newest_ns = None;
    for file in list(dir)?.into_iter().rev() {
        let since_ns = newest_ns.map(|newest: i64| newest.saturating_sub(window_ns));
        if since_ns.is_some_and(|since| file.date < day(since)) {
            break;
        }
        keys.extend(end_of(dir, file, since_ns, window_ns)?);
        newest_ns = keys.iter().map(|key| key.0).max();
    }
    let Some(newest_ns) = newest_ns else { return Ok(None) };
    let since_ns = newest_ns.saturating_sub(window_ns);
    let keys = keys.into_iter().filter(|key| key.0 > since_ns).collect();
    Ok(Some(Tail { newest_ns, since_ns, keys }))
}

/// The rows in the files of one day, and the stamp from which they are complete. If a plain file is larger than
/// [`LARGEST_READ`], only its end is read.
pub(super) fn rows_of_day(dir: &Path, date: Date) -> io::Result<(HashSet<Key>, i64)> {
    let (mut all, mut complete_from_ns) = (HashSet::new(), i64::MIN);
    for file in list(dir)?.into_iter().filter(|file| file.date == date) {
        let path = file.path(dir);
        let length = std::fs::metadata(&path)?.len();
        // A file with other columns has none of our rows.
        if file.compressed {
            all.extend(read_file(&path).map(keys).unwrap_or_default());
            continue;
        }
        let rows = last_bytes(&mut File::open(&path)?, length.saturating_sub(LARGEST_READ))?;
        if length <= LARGEST_READ {
            all.extend(rows);
            continue;
        }
        complete_from_ns = complete_from_ns.max(rows.iter().map(|key| key.0).min().unwrap_or(i64::MAX));
        all.extend(rows);
    }
    Ok((all, complete_from_ns))
}

/// At least the rows of one file that are newer than `since_ns`, or than its newest row less `window_ns`.
fn end_of(dir: &Path, file: DayFile, since_ns: Option<i64>, window_ns: i64) -> io::Result<Vec<Key>> {
    let path = file.path(dir);
    if file.compressed {
        // An archive can be read only from its start. It is the newest file only after a long pause.
        return Ok(read_file(&path).map(keys).unwrap_or_default());
    }
    let mut source = File::open(path)?;
    let length = source.metadata()?.len();
    let mut piece = FIRST_PIECE;
    loop {
        let keys = last_bytes(&mut source, length.saturating_sub(piece))?;
        let oldest = keys.iter().map(|key| key.0).min();
        let newest = keys.iter().map(|key| key.0).max();
        let since = since_ns.or(newest.map(|newest| newest.saturating_sub(window_ns)));
        // Late rows are between younger ones; twice the window leaves room for them.
        let enough = oldest.zip(since).is_some_and(|(oldest, since)| oldest < since.saturating_sub(window_ns));
        if enough || piece >= length {
            return Ok(keys);
        }
        piece *= 2;
    }
}

/// The rows that begin at or after `start`.
fn last_bytes(source: &mut File, start: u64) -> io::Result<Vec<Key>> {
    source.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    // A line without its end is torn, even if it can be parsed as a row; the writer cuts it off.
    bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1));
    if start == 0 {
        return Ok(read_from("tail", Cursor::new(bytes)).map(keys).unwrap_or_default());
    }
    // A record is exactly one line, so a record begins after the first line end.
    let first = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
    let rows = Cursor::new(HEADER).chain(Cursor::new(&bytes[first..]));
    Ok(read_from("tail", rows).map(keys).unwrap_or_default())
}

fn keys(rows: impl Iterator<Item = Result<Sample, RowError>>) -> Vec<Key> {
    rows.flatten().map(|sample| key(&sample)).collect()
}

/// The key of the row of `sample`.
pub(super) fn key(sample: &Sample) -> Key {
    let name = &sample.server.name;
    // Cleaned as in writing; otherwise such a name would never be found.
    let name = if name.contains(['\n', '\r']) { name.replace(['\n', '\r'], " ").into() } else { Arc::clone(name) };
    (sample.at.wall_ns, name, sample.address)
}
