//! Where reports are kept: a directory of HTML files, the newest of which stay, and the mark of the last one that was due.
//!
//! A file's name is the time for which it was made, so the same report made twice is one file. Files appear whole or not
//! at all. What else lies in the directory is left alone.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::pending::Pending;
use crate::new_file;
use crate::stats::verdict::When;

/// Bounds what a reader of a report may cost; reports are a megabyte or two.
const LARGEST: u64 = 64 << 20;
/// The umask says who may read them.
const MODE: u32 = 0o666;
/// Holds the time of the last report that was due.
const MARK: &str = "last-due";
/// Holds what was begun and is not done yet.
const PENDING: &str = "pending.json";

/// The directory.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

/// A report that is kept.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Kept {
    /// Its name: `report-20261123T080000Z`.
    pub id: String,
    /// The time for which it was made.
    pub made: When,
    /// Its size.
    pub bytes: u64,
}

impl Shelf {
    /// The shelf of a data directory; it is made when something is put there.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("reports") }
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a report lies.
    #[must_use]
    pub fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.html"))
    }

    /// Keeps a report, lets go of all but the newest `keep`, and says what it is called.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, html: &str, made: Timestamp, keep: usize) -> io::Result<String> {
        let id = made.strftime("report-%Y%m%dT%H%M%SZ").to_string();
        self.write(&format!("{id}.html"), html.as_bytes())?;
        for old in self.list()?.into_iter().skip(keep.max(1)) {
            std::fs::remove_file(self.path(&old.id))?;
        }
        Ok(id)
    }

    /// Every report, newest first.
    ///
    /// # Errors
    /// When the directory cannot be read; one that is not there is empty.
    pub fn list(&self) -> io::Result<Vec<Kept>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(why),
        };
        let mut kept = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".html"));
            if let Some((id, made)) = id.and_then(|id| Some((id, parse(id)?))) {
                kept.push(Kept { id: id.to_owned(), made, bytes: entry.metadata()?.len() });
            }
        }
        kept.sort_by(|a, b| b.id.cmp(&a.id));
        Ok(kept)
    }

    /// A report; `None` when there is none of that name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, id: &str) -> io::Result<Option<String>> {
        if parse(id).is_none() {
            return Ok(None);
        }
        let path = self.path(id);
        match std::fs::metadata(&path) {
            Ok(found) if found.len() > LARGEST => Err(io::Error::other("the file is larger than any report")),
            Ok(_) => std::fs::read_to_string(path).map(Some),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// The time of the last report that was due; `None` when none ever was, or the mark cannot be read.
    #[must_use]
    pub fn last_due(&self) -> Option<Timestamp> {
        std::fs::read_to_string(self.dir.join(MARK)).ok()?.trim().parse().ok()
    }

    /// Notes that the report of that time was made.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn set_last_due(&self, due: Timestamp) -> io::Result<()> {
        self.write(MARK, format!("{due}\n").as_bytes())
    }

    /// What was begun and is not done yet; `None` when there is nothing, or it cannot be read.
    #[must_use]
    pub fn pending(&self) -> Option<Pending> {
        serde_json::from_slice(&std::fs::read(self.dir.join(PENDING)).ok()?).ok()
    }

    /// Notes what was begun, or that all is done.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn set_pending(&self, pending: Option<&Pending>) -> io::Result<()> {
        match pending {
            Some(pending) => self.write(PENDING, serde_json::to_string(pending)?.as_bytes()),
            None => match std::fs::remove_file(self.dir.join(PENDING)) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
                _ => Ok(()),
            },
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let named = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", self.dir.join(name).display()));
        std::fs::create_dir_all(&self.dir).map_err(named)?;
        let part = self.dir.join(format!(".{name}.part"));
        let write = || {
            let mut file = new_file::create(&part, MODE)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, self.dir.join(name))
        };
        write().map_err(named)
    }
}

/// The time in a name, when it is one of ours: nothing else is ever opened or deleted.
fn parse(id: &str) -> Option<When> {
    let digits = id.strip_prefix("report-")?;
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", digits).ok()?;
    let at = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let when = When(i64::try_from(at.as_nanosecond()).ok()?);
    // Only the one form that is written, whatever else can be read.
    (at.strftime("report-%Y%m%dT%H%M%SZ").to_string() == id).then_some(when)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    #[test]
    fn the_newest_stay_and_what_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of(dir.path());
        assert_eq!(shelf.list().unwrap(), []);
        std::fs::create_dir_all(dir.path().join("reports")).unwrap();
        let foreign = dir.path().join("reports/notes.html");
        std::fs::write(&foreign, "mine").unwrap();
        let ids: Vec<_> = (0..5).map(|n| shelf.put("<p>", at(n), 3).unwrap()).collect();
        let kept: Vec<_> = shelf.list().unwrap().into_iter().map(|kept| kept.id).collect();
        assert_eq!(kept, [ids[4].clone(), ids[3].clone(), ids[2].clone()]);
        assert!(foreign.exists());
        // Made again, it is still one.
        assert_eq!(shelf.put("<b>", at(4), 3).unwrap(), ids[4]);
        assert_eq!(shelf.list().unwrap().len(), 3);
        assert_eq!(shelf.read(&ids[4]).unwrap().as_deref(), Some("<b>"));
        assert_eq!(shelf.list().unwrap()[0].made, When(1_795_000_004_000_000_000));
    }

    #[test]
    fn nothing_outside_of_the_shelf_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret.html"), "x").unwrap();
        let shelf = Shelf::of(dir.path());
        for id in
            ["../secret", "report-../../secret", "", "report-20260230T000000Z", "report-20261123T080000Z/", "last-due"]
        {
            assert_eq!(shelf.read(id).unwrap(), None, "{id}");
        }
    }

    #[test]
    fn the_mark_comes_back_and_nonsense_is_no_mark() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of(dir.path());
        assert_eq!(shelf.last_due(), None);
        shelf.set_last_due(at(7)).unwrap();
        assert_eq!(shelf.last_due(), Some(at(7)));
        std::fs::write(dir.path().join("reports/last-due"), "soon").unwrap();
        assert_eq!(shelf.last_due(), None);
    }

    #[test]
    fn a_shelf_that_cannot_be_written_says_where() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("reports"), "a file").unwrap();
        let why = Shelf::of(dir.path()).put("x", at(0), 3).unwrap_err().to_string();
        assert!(why.contains("reports/report-"), "{why}");
    }
}
