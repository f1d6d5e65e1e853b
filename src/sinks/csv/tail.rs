//! What the files hold last, so that after a kill the rows they lack can be taken from the store.
//!
//! The store commits a batch before CSV sees it; what was killed in between is in the store alone. Everything that is
//! newer than the tail's window and not among its keys is missing. Samples older than the window were written long
//! before, for CSV is seconds behind the store at most. The comparison is by wall stamps, because nothing else survives
//! a reboot: after a step back of the clock by more than the window, what the step repeats is not caught up.

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
/// Of a file that was damaged this much is compared with the store: some 400,000 rows.
const LARGEST_READ: u64 = 64 << 20;

/// The last rows of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The stamp of the newest row, in nanoseconds since 1970.
    pub newest_ns: i64,
    /// Rows at or before this stamp are taken for written.
    pub since_ns: i64,
    keys: HashSet<Key>,
}

/// What tells a row from every other: the stamp, the name as it is written, and the address.
pub(super) type Key = (i64, Arc<str>, Option<SocketAddr>);

impl Tail {
    /// The tail of files without any row, for a store whose newest sample is of `newest_ns`: they lack all of the last
    /// `window` before it.
    #[must_use]
    pub fn of_nothing(newest_ns: i64, window: Duration) -> Self {
        let window_ns = i64::try_from(window.as_nanos()).unwrap_or(i64::MAX);
        Self { newest_ns, since_ns: newest_ns.saturating_sub(window_ns), keys: HashSet::new() }
    }

    /// Whether the files lack this sample.
    #[must_use]
    pub fn lacks(&self, sample: &Sample) -> bool {
        sample.at.wall_ns > self.since_ns && !self.keys.contains(&key(sample))
    }

    /// How many rows the window has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the window has no rows; that of [`tail_keys`] has one at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Those of the `stored` samples that the files lack.
pub fn missing<I: IntoIterator<Item = Arc<Sample>>>(tail: &Tail, stored: I) -> impl Iterator<Item = Arc<Sample>> {
    stored.into_iter().filter(|sample| tail.lacks(sample))
}

/// The rows of the last `window` before the newest row in `dir`; `None` when there are no rows at all. To be read after
/// [`super::CsvWriter::new`] has repaired the files, and before it writes.
///
/// # Errors
/// When the directory or a file cannot be read. Rows that cannot be read are passed over.
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

/// The rows in the files of one day, and the stamp from which they are complete. Of a plain file beyond
/// [`LARGEST_READ`] only the end is read.
pub(super) fn rows_of_day(dir: &Path, date: Date) -> io::Result<(HashSet<Key>, i64)> {
    let (mut all, mut complete_from_ns) = (HashSet::new(), i64::MIN);
    for file in list(dir)?.into_iter().filter(|file| file.date == date) {
        let path = file.path(dir);
        let length = std::fs::metadata(&path)?.len();
        // A file with other columns has no rows of ours.
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

/// At least those rows of one file that are newer than `since_ns`, or than its own newest less `window_ns`.
fn end_of(dir: &Path, file: DayFile, since_ns: Option<i64>, window_ns: i64) -> io::Result<Vec<Key>> {
    let path = file.path(dir);
    if file.compressed {
        // An archive can be read from its start only. It is the newest file only after a long standstill.
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
        // Late rows stand between younger ones; twice the window leaves room for them.
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
    // A line without its end is torn, although it may read like a row; the writer cuts it off.
    bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1));
    if start == 0 {
        return Ok(read_from("tail", Cursor::new(bytes)).map(keys).unwrap_or_default());
    }
    // A record is exactly one line, so behind the first line end a record begins.
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
    // As writing does, or such a name would never be found.
    let name = if name.contains(['\n', '\r']) { name.replace(['\n', '\r'], " ").into() } else { Arc::clone(name) };
    (sample.at.wall_ns, name, sample.address)
}
