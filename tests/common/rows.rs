//! The contents of the outputs in a form that can be compared: each sample as server, address and wall time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use ntp_monitor::sinks::csv;
use ntp_monitor::store::read::Reader;
use ntp_monitor_core::sample::Sample;

/// Server, address (empty when there is none) and wall time in nanoseconds.
pub type Key = (String, String, i64);

pub fn key(sample: &Sample) -> Key {
    let address = sample.address.map_or_else(String::new, |address: SocketAddr| address.to_string());
    (sample.server.name.to_string(), address, sample.at.wall_ns)
}

/// Every sample of the CSV files in `dir`, file by file, in their order. A line that cannot be read fails the test.
pub fn csv(dir: &Path) -> Vec<Sample> {
    let entries = std::fs::read_dir(dir).map(|entries| entries.map(|entry| entry.unwrap().path()).collect());
    let mut files: Vec<_> = entries.unwrap_or_default();
    files.sort();
    let rows = files.iter().flat_map(|file| csv::read_file(file).into_iter().flatten());
    rows.map(|row| row.unwrap()).collect()
}

/// As [`csv`], while the files are being written: the last line may be incomplete.
pub fn csv_so_far(dir: &Path) -> Vec<Sample> {
    let entries = std::fs::read_dir(dir).map(|entries| entries.map(|entry| entry.unwrap().path()).collect());
    let files: Vec<_> = entries.unwrap_or_default();
    files.iter().flat_map(|file| csv::read_file(file).into_iter().flatten()).flatten().collect()
}

/// Every sample of the store at `path`, by time.
pub fn store(path: &Path) -> Vec<Sample> {
    let reader = Reader::open(path).unwrap();
    reader.since(0).map(|stored| stored.unwrap().sample).collect()
}

/// The keys of `samples`.
///
/// # Panics
/// When one is duplicated.
#[track_caller]
pub fn keys_once(what: &str, samples: &[Sample]) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for sample in samples {
        assert!(keys.insert(key(sample)), "{what} has {:?} twice", key(sample));
    }
    keys
}

/// Reports the keys that differ, instead of printing thousands.
#[track_caller]
pub fn assert_same(one: (&str, &BTreeSet<Key>), other: (&str, &BTreeSet<Key>)) {
    for ((name, keys), (other_name, others)) in [(one, other), (other, one)] {
        let missing: Vec<&Key> = keys.difference(others).collect();
        let first = &missing[..missing.len().min(5)];
        assert!(missing.is_empty(), "{} of {name} are not in {other_name}, among them {first:?}", missing.len());
    }
}
