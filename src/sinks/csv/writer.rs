//! The CSV output.
//!
//! A sample goes to the file of its own UTC day, by its own stamp: a batch may span midnight, and a late sample is put
//! where it belongs. When that file is compressed already, or has other columns than ours, the day gets a further file
//! (`samples-YYYY-MM-DD.2.csv`). The vantage is a column, so a new vantage needs no new file.
//!
//! A batch is one write a file, all or nothing. Nothing waits for the disk: the store is the journal, and after a crash
//! the rows that CSV lacks are taken from it ([`super::tail_keys`]). A file is brought to the disk when it is finished.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Span;
use jiff::civil::Date;
use nix::unistd::{AccessFlags, access};
use slog::{Logger, info, warn};

use super::append::{Appender, cut_torn_line};
use super::compress::{self, Job};
use super::files::{DayFile, list};
use crate::config::Csv;
use crate::sinks::worker::{BatchWriter, WriteError};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::formats::csv::{append_record, day};
use ntp_monitor_core::sample::Sample;

/// How often the directory is looked through for finished and old files.
const HOUSEKEEPING_NS: i64 = 60_000_000_000;
/// A day's file is finished this long after its midnight, so that what is late finds it open.
const GRACE_NS: i64 = 600_000_000_000;
/// Files kept open: the day's, and its neighbour's around midnight.
const OPEN_FILES: usize = 2;

/// Writes samples to daily files.
#[derive(Debug)]
pub struct CsvWriter {
    config: Csv,
    vantage: Arc<str>,
    log: Logger,
    open: BTreeMap<DayFile, Appender<File>>,
    job: Option<Job>,
    looked_at_ns: Option<i64>,
}

impl CsvWriter {
    /// Makes the directory if need be, and repairs what a crash left: a torn last line is cut off (and said), an
    /// unfinished archive removed.
    ///
    /// # Errors
    /// When the directory cannot be made, read or written.
    pub fn new(config: Csv, vantage: &str, log: Logger) -> Result<Self, WriteError> {
        let dir = &config.dir;
        fs::create_dir_all(dir).map_err(|why| at(dir, &why))?;
        let files = list(dir).map_err(|why| at(dir, &why))?;
        compress::clean_up(dir, &files).map_err(|why| at(dir, &why))?;
        for file in files.iter().filter(|file| !file.compressed && !files.contains(&file.gzipped())) {
            let path = file.path(dir);
            let cut = repair(&path).map_err(|why| at(&path, &why))?;
            if cut > 0 {
                warn!(log, "a torn last line was cut off"; "file" => %path.display(), "bytes" => cut);
            }
        }
        Ok(Self { config, vantage: vantage.into(), log, open: BTreeMap::new(), job: None, looked_at_ns: None })
    }

    /// Finds out whether files can be written in `dir`, which another writer may be doing: nothing that is there is
    /// touched.
    ///
    /// # Errors
    /// As [`CsvWriter::new`].
    pub fn examine(dir: &Path) -> Result<(), WriteError> {
        list(dir).map_err(|why| at(dir, &why))?;
        access(dir, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|why| at(dir, &why.into()))
    }

    /// The file that a day's samples are appended to, opened.
    fn file_of(&mut self, date: Date) -> io::Result<DayFile> {
        if let Some(file) = self.open.keys().rev().find(|file| file.date == date) {
            return Ok(*file);
        }
        let newest = list(&self.config.dir)?.into_iter().rfind(|file| file.date == date);
        let mut file = match newest {
            None => DayFile::first(date),
            Some(file) if file.compressed || self.is_being_compressed(file) => file.successor(),
            Some(file) => file,
        };
        loop {
            if let Some(appender) = Appender::open(&file.path(&self.config.dir))? {
                self.open.insert(file, appender);
                return Ok(file);
            }
            file = file.successor();
        }
    }

    fn is_being_compressed(&self, file: DayFile) -> bool {
        self.job.as_ref().is_some_and(|job| job.source == file)
    }

    /// Appends each day's rows; at the first failure, takes back those of the days before.
    fn append(&mut self, days: &BTreeMap<Date, Vec<u8>>) -> Result<(), WriteError> {
        let mut undo = Vec::with_capacity(days.len());
        for (date, rows) in days {
            let appended = self.file_of(*date).and_then(|name| {
                let Some(file) = self.open.get_mut(&name) else { return Ok(()) };
                undo.push((name, file.length()));
                file.append(rows)
            });
            if let Err(why) = appended {
                self.take_back(&undo);
                return Err(at(&self.config.dir, &why));
            }
        }
        Ok(())
    }

    fn take_back(&mut self, undo: &[(DayFile, u64)]) {
        for (name, length) in undo {
            if let Some(Err(why)) = self.open.get_mut(name).map(|file| file.cut_to(*length)) {
                // The appender remembers, and cuts before it appends again.
                warn!(self.log, "half a batch could not be taken back yet"; "file" => %name, "reason" => %why);
            }
        }
    }

    /// Keeps the newest files open and brings the others to the disk.
    fn close_old(&mut self) -> io::Result<()> {
        while self.open.len() > OPEN_FILES {
            if let Some((_, file)) = self.open.pop_first() {
                file.sync()?;
            }
        }
        Ok(())
    }

    fn keep_house(&mut self, now: Stamp) -> io::Result<()> {
        if let Some(mut job) = self.job.take() {
            if job.step()? {
                info!(self.log, "compressed a finished file"; "file" => %job.source);
            } else {
                self.job = Some(job);
            }
            return Ok(());
        }
        if self.looked_at_ns.is_some_and(|at| now.mono_ns - at < HOUSEKEEPING_NS) {
            return Ok(());
        }
        let dir = self.config.dir.clone();
        let files = list(&dir)?;
        // A file that somebody removed or renamed is let go; what comes next begins a new one.
        self.open.retain(|file, _| files.contains(file));
        let today = day(now.wall_ns.saturating_sub(GRACE_NS));
        if let Some(old) = files.iter().find(|file| self.config.keep.is_some_and(|keep| is_old(**file, keep, today))) {
            self.open.remove(old);
            fs::remove_file(old.path(&dir))?;
            info!(self.log, "removed a file after its time"; "file" => %old);
            // One a minute: a wall clock that jumped ahead for a moment must not empty the directory.
            self.looked_at_ns = Some(now.mono_ns);
            return Ok(());
        }
        match files.iter().find(|file| self.config.compress && !file.compressed && file.date < today) {
            Some(finished) => self.finish(&dir, *finished)?,
            // Only now: after a file was compressed, the next tick looks for another.
            None => self.looked_at_ns = Some(now.mono_ns),
        }
        Ok(())
    }

    fn finish(&mut self, dir: &Path, file: DayFile) -> io::Result<()> {
        if let Some(open) = self.open.remove(&file) {
            open.sync()?;
        }
        self.job = Some(Job::begin(dir, file)?);
        Ok(())
    }
}

impl BatchWriter for CsvWriter {
    type Command = Infallible;

    fn write(&mut self, batch: &[Arc<Sample>]) -> Result<(), WriteError> {
        let mut days: BTreeMap<Date, Vec<u8>> = BTreeMap::new();
        for sample in batch {
            append_record(days.entry(day(sample.at.wall_ns)).or_default(), &self.vantage, sample);
        }
        self.append(&days)?;
        // The batch is written: from here on a failure is housekeeping's, or the batch would be written twice.
        if let Err(why) = self.close_old() {
            warn!(self.log, "a finished file could not be brought to the disk"; "reason" => %why);
        }
        Ok(())
    }

    fn command(&mut self, command: Infallible) {
        match command {}
    }

    /// Compresses and removes finished files, one piece or one file a tick.
    fn tick(&mut self, now: Stamp) -> Result<(), WriteError> {
        self.keep_house(now).map_err(|why| {
            // Not again before a minute has passed: a directory that cannot be changed would fail every second.
            self.looked_at_ns = Some(now.mono_ns);
            at(&self.config.dir, &why)
        })
    }
}

/// Whether a file's last sample is older than `keep`, counted in whole days.
fn is_old(file: DayFile, keep: Duration, today: Date) -> bool {
    let days = i32::try_from(keep.as_secs().div_ceil(86_400)).unwrap_or(i32::MAX);
    let limit = Span::new().try_days(days).and_then(|span| today.checked_sub(span));
    // A time that reaches back before the calendar keeps everything.
    limit.is_ok_and(|limit| file.date < limit)
}

fn repair(path: &Path) -> io::Result<u64> {
    cut_torn_line(&mut OpenOptions::new().read(true).write(true).open(path)?)
}

fn at(path: &Path, why: &io::Error) -> WriteError {
    WriteError(format!("{}: {why}", path.display()))
}
