//! The files of local rows, `local-YYYY-MM-DD.csv`, beside those of the samples. There are few rows, so each is
//! appended and synced at once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::append::Appender;
use super::files::{DayFile, Kind, list_of};
use super::group::ReaderGroup;
use super::open;
use crate::config::Csv;
use ntp_monitor_core::formats::csv::day;
use ntp_monitor_core::formats::local::{HEADER, LocalRow, read_from};
use ntp_monitor_core::formats::source::RowError;

/// Appends a row to the file of its day.
///
/// # Errors
/// When the file cannot be written.
pub fn append_local(config: &Csv, row: &LocalRow) -> io::Result<()> {
    fs::create_dir_all(&config.dir)?;
    let group = ReaderGroup::of(&config.dir, config.group)?;
    let date = day(row.wall_ns());
    let newest = list_of(&config.dir, Kind::Local)?.into_iter().rfind(|file| file.date == date);
    let mut file = match newest {
        None => DayFile::first(Kind::Local, date),
        Some(file) if file.compressed => file.successor(),
        Some(file) => file,
    };
    let mut line = Vec::new();
    row.append_to(&mut line);
    loop {
        if let Some(mut appender) = Appender::open(&file.path(&config.dir), HEADER)? {
            group.give(appender.file())?;
            appender.append(&line)?;
            return appender.sync();
        }
        file = file.successor();
    }
}

/// Whether a path has the name of a file of local rows.
#[must_use]
pub fn is_local(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| DayFile::parse(name, Kind::Local).is_some())
}

/// The files of local rows in a directory, by day.
///
/// # Errors
/// When the directory cannot be read.
pub fn local_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(list_of(dir, Kind::Local)?.into_iter().map(|file| file.path(dir)).collect())
}

/// The rows of a file, compressed or not, in the order of the file.
///
/// # Errors
/// When it cannot be opened.
pub fn read_local(path: &Path) -> Result<impl Iterator<Item = Result<LocalRow, RowError>>, RowError> {
    let name = path.display().to_string();
    let input = open::open(path).map_err(|why| RowError::whole(&name, 0, &why.to_string()))?;
    Ok(read_from(&name, input))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rotation;
    use ntp_monitor_core::stats::leap::LeapSource;
    use ntp_monitor_core::stats::local::LocalState;

    #[test]
    fn rows_go_to_the_file_of_their_day_and_never_into_an_archive() {
        let dir = tempfile::tempdir().unwrap();
        let dir_of = dir.path().to_owned();
        let config = Csv { dir: dir_of, rotation: Rotation::Daily, compress: true, keep: None, group: None };
        let row = |ns| LocalRow::of(ns, "ams", &LocalState::default(), &LeapSource::default());
        let day_ns = 86_400 * 1_000_000_000;
        for ns in [day_ns - 1, day_ns, day_ns + 1] {
            append_local(&config, &row(ns)).unwrap();
        }
        let second = dir.path().join("local-1970-01-02.csv");
        fs::rename(&second, second.with_extension("csv.gz")).unwrap();
        append_local(&config, &row(day_ns + 2)).unwrap();
        let names = ["local-1970-01-01.csv", "local-1970-01-02.csv.gz", "local-1970-01-02.2.csv"];
        assert_eq!(local_files(dir.path()).unwrap(), names.map(|name| dir.path().join(name)));
        let counts = names.map(|name| read_local(&dir.path().join(name)).unwrap().map(Result::unwrap).count());
        assert_eq!(counts, [1, 2, 1]);
        assert!(is_local(&second) && !is_local(&dir.path().join("samples-1970-01-02.csv")));
    }
}
