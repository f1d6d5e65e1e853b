//! The files of a directory: `samples-YYYY-MM-DD.csv` (and `local-YYYY-MM-DD.csv`), then `samples-YYYY-MM-DD.2.csv` and
//! so on if the first file of a day cannot be continued (already compressed, or with other columns), each with `.gz` if
//! compressed.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

/// The content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Samples,
    /// What was known of this host's clock.
    Local,
}

impl Kind {
    /// The prefix of the names.
    fn prefix(self) -> &'static str {
        match self {
            Self::Samples => "samples-",
            Self::Local => "local-",
        }
    }
}

/// The name of one file, ordered by day and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DayFile {
    pub(super) kind: Kind,
    /// The UTC day of its rows.
    pub(super) date: Date,
    /// 1 for the first file of a day.
    pub(super) number: u32,
    pub(super) compressed: bool,
}

impl DayFile {
    /// The first file of a day.
    pub(super) fn first(kind: Kind, date: Date) -> Self {
        Self { kind, date, number: 1, compressed: false }
    }

    /// The next file of the same day.
    pub(super) fn successor(self) -> Self {
        Self { number: self.number + 1, compressed: false, ..self }
    }

    /// The same file, compressed.
    pub(super) fn gzipped(self) -> Self {
        Self { compressed: true, ..self }
    }

    /// Its path in `dir`.
    pub(super) fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    pub(super) fn parse(name: &str, kind: Kind) -> Option<Self> {
        let whole = name;
        let name = name.strip_prefix(kind.prefix())?;
        let (name, compressed) = name.strip_suffix(".gz").map_or((name, false), |rest| (rest, true));
        let name = name.strip_suffix(".csv")?;
        let (date, number) = match name.split_once('.') {
            Some((date, number)) => (date, number.parse().ok().filter(|n| *n > 1)?),
            None => (name, 1),
        };
        let file = Self { kind, date: date.parse().ok()?, number, compressed };
        // Accepts only names that this program writes, so that other files are never touched.
        (file.to_string() == whole).then_some(file)
    }
}

impl fmt::Display for DayFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind.prefix(), self.date)?;
        if self.number > 1 {
            write!(f, ".{}", self.number)?;
        }
        f.write_str(if self.compressed { ".csv.gz" } else { ".csv" })
    }
}

/// The sample files in `dir`, oldest first. Skips entries with such a name that are not regular files.
pub(super) fn list(dir: &Path) -> io::Result<Vec<DayFile>> {
    list_of(dir, Kind::Samples)
}

/// The files of one kind in `dir`, oldest first.
pub(super) fn list_of(dir: &Path, kind: Kind) -> io::Result<Vec<DayFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let file = entry?.file_name().to_str().and_then(|name| DayFile::parse(name, kind));
        files.extend(file.filter(|file| file.path(dir).is_file()));
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_foreign_names_are_ignored() {
        let date = "2026-11-22".parse().unwrap();
        let (first, local) = (DayFile::first(Kind::Samples, date), DayFile::first(Kind::Local, date));
        assert_eq!(DayFile::parse(&local.to_string(), Kind::Samples), None);
        for file in [first, first.successor(), first.gzipped(), first.successor().gzipped(), local, local.gzipped()] {
            assert_eq!(DayFile::parse(&file.to_string(), file.kind), Some(file));
        }
        for foreign in ["samples-2026-11-22.1.csv", "samples-20261122.csv", "samples-.csv", "x.csv", "samples-a.csv.gz"]
        {
            assert_eq!(DayFile::parse(foreign, Kind::Samples), None, "{foreign}");
        }
    }
}
