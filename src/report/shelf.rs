//! Stores reports: a directory with the newest HTML files, and the time of the last due report.
//!
//! Files are named after the time of the report, so a report that is made twice is one file. Files are written
//! atomically. Other files in the directory are not touched.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::pending::Pending;
use crate::{new_file, regular_file};
use ntp_monitor_core::stats::verdict::When;

/// Upper limit for reading a report file, in bytes; reports are a megabyte or two.
const LARGEST: u64 = 64 << 20;
/// The permissions before the umask is applied.
const MODE: u32 = 0o640;
/// The file with the time of the last due report.
const MARK: &str = "last-due";
/// The file with the report in progress.
const PENDING: &str = "pending.json";

/// The directory of reports.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

/// A stored report.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Kept {
    /// Its identifier: `report-20261123T080000Z`.
    pub id: String,
    /// The time for which it was made.
    pub made: When,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The start of the period that it is about; `null` if the file does not say it.
    pub from: Option<When>,
    /// The end of that period.
    pub to: Option<When>,
}

/// The name of the element in the head of a report that states its period, as two times in RFC 3339.
pub(super) const PERIOD: &str = "ntp-monitor-period";
/// The head of a report begins with that element.
const HEAD: u64 = 1024;

/// The period that the head of a report states.
fn period(path: &Path) -> Option<(When, When)> {
    let mut head = Vec::new();
    regular_file::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    let (_, rest) = head.split_once(&format!("<meta name=\"{PERIOD}\" content=\""))?;
    let (from, to) = rest.split_once('"')?.0.split_once(' ')?;
    let when = |text: &str| Some(When(i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()?));
    Some((when(from)?, when(to)?))
}

impl Shelf {
    /// The reports in a data directory; the directory is created when a file is written.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("reports") }
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of a report.
    #[must_use]
    pub fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.html"))
    }

    /// Saves a report, deletes all but the newest `keep`, and returns the identifier.
    ///
    /// # Errors
    /// When the file cannot be written, or an old one cannot be deleted.
    pub fn put(&self, html: &str, made: Timestamp, keep: usize) -> io::Result<String> {
        let id = id_of(made);
        self.write(&format!("{id}.html"), html.as_bytes())?;
        for old in self.list()?.into_iter().skip(keep.max(1)) {
            std::fs::remove_file(self.path(&old.id))?;
        }
        Ok(id)
    }

    /// As [`Shelf::put`], without replacing a report: two of one second have different identifiers.
    ///
    /// # Errors
    /// As [`Shelf::put`].
    pub fn put_new(&self, html: &str, made: Timestamp, keep: usize) -> io::Result<String> {
        let mut free = made;
        while self.path(&id_of(free)).exists() {
            free = free.checked_add(SignedDuration::from_secs(1)).map_err(io::Error::other)?;
        }
        self.put(html, free, keep)
    }

    /// Every report, newest first. A missing directory counts as empty.
    ///
    /// # Errors
    /// When the directory cannot be read.
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
                let (from, to) = period(&entry.path()).unzip();
                kept.push(Kept { id: id.to_owned(), made, bytes: entry.metadata()?.len(), from, to });
            }
        }
        kept.sort_by(|a, b| b.id.cmp(&a.id));
        Ok(kept)
    }

    /// Reads a report; `None` if it does not exist.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, id: &str) -> io::Result<Option<String>> {
        if parse(id).is_none() {
            return Ok(None);
        }
        let path = self.path(id);
        match std::fs::metadata(&path) {
            Ok(found) if found.len() > LARGEST => Err(io::Error::other("the file is too large for a report")),
            Ok(_) => std::fs::read_to_string(path).map(Some),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// The time of the last due report; `None` if there was none, or the file cannot be read.
    #[must_use]
    pub fn last_due(&self) -> Option<Timestamp> {
        std::fs::read_to_string(self.dir.join(MARK)).ok()?.trim().parse().ok()
    }

    /// Saves the time of the last due report.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_last_due(&self, due: Timestamp) -> io::Result<()> {
        self.write(MARK, format!("{due}\n").as_bytes())
    }

    /// The report in progress; `None` if there is none, or the file cannot be read.
    #[must_use]
    pub fn pending(&self) -> Option<Pending> {
        serde_json::from_slice(&std::fs::read(self.dir.join(PENDING)).ok()?).ok()
    }

    /// Saves the report in progress, or deletes it.
    ///
    /// # Errors
    /// When the file cannot be written or deleted.
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

fn id_of(made: Timestamp) -> String {
    made.strftime("report-%Y%m%dT%H%M%SZ").to_string()
}

/// Parses the time from an identifier. Files with other names are never opened or deleted.
fn parse(id: &str) -> Option<When> {
    let digits = id.strip_prefix("report-")?;
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", digits).ok()?;
    let at = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let when = When(i64::try_from(at.as_nanosecond()).ok()?);
    // Accepts only the exact form that is written.
    (id_of(at) == id).then_some(when)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    #[test]
    fn requested_report_replaces_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of(dir.path());
        let ids = ["a", "b", "c"].map(|html| shelf.put_new(html, at(0), 9).unwrap());
        let kept = ids.map(|id| shelf.read(&id).unwrap());
        assert_eq!(kept, ["a", "b", "c"].map(|html| Some(html.to_owned())));
    }

    #[test]
    fn newest_reports_are_kept_and_other_files_untouched() {
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
        // Saving it again replaces the file.
        assert_eq!(shelf.put("<b>", at(4), 3).unwrap(), ids[4]);
        assert_eq!(shelf.list().unwrap().len(), 3);
        assert_eq!(shelf.read(&ids[4]).unwrap().as_deref(), Some("<b>"));
        assert_eq!(shelf.list().unwrap()[0].made, When(1_795_000_004_000_000_000));
    }

    #[test]
    fn list_states_the_period_of_each_report() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of(dir.path());
        let head = format!("<!doctype html>\n<meta name=\"{PERIOD}\" content=\"{} {}\">\n", at(-7200), at(-60));
        shelf.put(&(head + &"<p>".repeat(2000)), at(0), 9).unwrap();
        shelf.put("<p>", at(1), 9).unwrap();
        let periods: Vec<_> = shelf.list().unwrap().into_iter().map(|kept| (kept.from, kept.to)).collect();
        let when = |second: i64| Some(When((1_795_000_000 + second) * 1_000_000_000));
        assert_eq!(periods, [(None, None), (when(-7200), when(-60))], "older files do not state it");
    }

    #[test]
    fn files_outside_of_the_directory_cannot_be_read() {
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
    fn last_due_time_is_restored_and_garbage_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of(dir.path());
        assert_eq!(shelf.last_due(), None);
        shelf.set_last_due(at(7)).unwrap();
        assert_eq!(shelf.last_due(), Some(at(7)));
        std::fs::write(dir.path().join("reports/last-due"), "soon").unwrap();
        assert_eq!(shelf.last_due(), None);
    }

    #[test]
    fn write_error_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("reports"), "a file").unwrap();
        let why = Shelf::of(dir.path()).put("x", at(0), 3).unwrap_err().to_string();
        assert!(why.contains("reports/report-"), "{why}");
    }
}
