//! The recorded state of each vantage's clock at the time of the samples.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write;
use std::path::PathBuf;

use crate::sinks::csv;
use ntp_monitor_core::formats::local::LocalRow;
use ntp_monitor_core::stats::replay::Replay;

/// The local rows of each vantage that are not in effect yet, by time.
#[derive(Debug, Default)]
pub struct LocalRows {
    waiting: BTreeMap<String, VecDeque<LocalRow>>,
    /// Whether the user gave a list of leap seconds, which replaces that of the rows.
    keep_list: bool,
}

impl LocalRows {
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = LocalRow>, keep_list: bool) -> Self {
        let mut waiting: BTreeMap<String, VecDeque<LocalRow>> = BTreeMap::new();
        for row in rows {
            waiting.entry(row.vantage.clone()).or_default().push_back(row);
        }
        for rows in waiting.values_mut() {
            rows.make_contiguous().sort_by_key(|row| row.time);
        }
        Self { waiting, keep_list }
    }

    /// Applies the rows that took effect up to `wall_ns`.
    pub fn apply(&mut self, vantage: &str, wall_ns: i64, replay: &mut Replay) {
        let Some(rows) = self.waiting.get_mut(vantage) else { return };
        while rows.front().is_some_and(|row| row.wall_ns() <= wall_ns)
            && let Some(row) = rows.pop_front()
        {
            replay.observe_local(row.state());
            if !self.keep_list {
                replay.use_leap_list(row.leap());
            }
        }
    }
}

/// Divides files into sample files and files with local rows. The latter are the given ones and those beside sample
/// files.
#[must_use]
pub fn divide(files: &[PathBuf]) -> (Vec<PathBuf>, BTreeSet<PathBuf>) {
    let (given, samples): (Vec<_>, Vec<_>) = files.iter().cloned().partition(|file| csv::is_local(file));
    let dir_of = |file: &PathBuf| match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    };
    let dirs: BTreeSet<PathBuf> = samples.iter().map(dir_of).collect();
    let beside = dirs.iter().filter_map(|dir| csv::local_files(dir).ok()).flatten();
    // The same file must not be read twice, however it is named.
    let named = |file: PathBuf| file.canonicalize().unwrap_or(file);
    (samples, given.into_iter().chain(beside).map(named).collect())
}

/// Reads the rows of these files; reports a file that cannot be read.
pub fn read<'a>(files: impl IntoIterator<Item = &'a PathBuf>, complaints: &mut impl Write) -> Vec<LocalRow> {
    let mut rows = Vec::new();
    for file in files {
        let (found, why) = match csv::read_local(file) {
            Ok(found) => (Some(found), None),
            Err(why) => (None, Some(why)),
        };
        for row in found.into_iter().flatten().chain(why.map(Err)) {
            match row {
                Ok(row) => rows.push(row),
                Err(why) => drop(writeln!(complaints, "ntp-monitor: {why}")),
            }
        }
    }
    rows
}
