//! The CSV output.
//!
//! A sample goes to the file of the UTC day of its stamp, because a batch may span midnight and samples may be late. If
//! that file is already compressed, or has other columns, the day gets another file (`samples-YYYY-MM-DD.2.csv`). The
//! vantage is a column, so a new vantage needs no new file.
//!
//! A batch is one write per file, all or nothing. Writes do not wait for the disk: the store is the journal, and after
//! a crash the missing rows are taken from it ([`super::tail_keys`]). A file is synced when it is finished. `house`
//! handles finished files, `upkeep` repairs what other programs do to the file of the day.

mod house;
mod returned;
mod upkeep;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::civil::Date;
use nix::unistd::{AccessFlags, access};
use slog::{Logger, warn};

use super::append::{Appender, cut_torn_line};
use super::catch_up::CatchUp;
use super::compress::{self, Job};
use super::files::{DayFile, Kind, list, list_of};
use super::group::ReaderGroup;
use super::repair::{Journal, Repair, Written};
use crate::config::Csv;
use crate::regular_file;
use crate::sinks::worker::{BatchWriter, Incident, WriteError};
use crate::stages::{Stage, Stopwatch};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::formats::csv::{HEADER, append_record, day};
use ntp_monitor_core::sample::Sample;

use self::returned::{Progress, Returned};

/// Writes samples to daily files.
pub struct CsvWriter {
    config: Csv,
    group: ReaderGroup,
    vantage: Arc<str>,
    log: Logger,
    open: BTreeMap<DayFile, Appender<File>>,
    /// The rows that this process wrote into the files of the open days.
    written: BTreeMap<Date, Written>,
    /// The source of rows that the files have lost.
    journal: Option<Journal>,
    catch_up: CatchUp,
    repairs: Vec<Repair>,
    returned: Returned,
    incidents: Vec<Incident>,
    job: Option<Job>,
    looked_at_ns: Option<i64>,
}

impl CsvWriter {
    /// Creates the directory if necessary, and repairs what a crash left: a torn last line is cut off and logged, an
    /// unfinished archive is removed.
    ///
    /// # Errors
    /// When the directory cannot be created, read or written.
    pub fn new(config: Csv, vantage: &str, log: Logger) -> Result<Self, WriteError> {
        let dir = &config.dir;
        fs::create_dir_all(dir).map_err(|why| at(dir, &why))?;
        let group = ReaderGroup::of(dir, config.group).map_err(|why| at(dir, &why))?;
        let mut files = list(dir).map_err(|why| at(dir, &why))?;
        files.extend(list_of(dir, Kind::Local).map_err(|why| at(dir, &why))?);
        compress::clean_up(dir, &files).map_err(|why| at(dir, &why))?;
        group.give_all(files.iter().map(|file| file.path(dir))).map_err(|why| at(dir, &why))?;
        for file in files.iter().filter(|file| !file.compressed && !files.contains(&file.gzipped())) {
            let path = file.path(dir);
            let cut = repair(&path).map_err(|why| at(&path, &why))?;
            if cut > 0 {
                warn!(log, "a torn last line was cut off"; "file" => %path.display(), "bytes" => cut);
            }
        }
        Ok(Self {
            config,
            group,
            vantage: vantage.into(),
            log,
            open: BTreeMap::new(),
            written: BTreeMap::new(),
            journal: None,
            catch_up: CatchUp::default(),
            repairs: Vec::new(),
            returned: Returned::default(),
            incidents: Vec::new(),
            job: None,
            looked_at_ns: None,
        })
    }

    /// Restores rows that another program removed from the files of the day from `journal`; without a journal they are
    /// lost.
    #[must_use]
    pub fn with_journal(self, journal: Journal) -> Self {
        Self { journal: Some(journal), ..self }
    }

    /// First writes the rows that are missing from the files since an earlier process ended.
    #[must_use]
    pub fn catching_up(self, catch_up: CatchUp) -> Self {
        Self { catch_up, ..self }
    }

    /// Checks whether files can be written in `dir`, to which another writer may be writing. Changes no existing file.
    ///
    /// # Errors
    /// As [`CsvWriter::new`].
    pub fn examine(dir: &Path) -> Result<(), WriteError> {
        list(dir).map_err(|why| at(dir, &why))?;
        access(dir, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|why| at(dir, &why.into()))
    }

    /// Opens the file to which a day's samples are appended.
    fn file_of(&mut self, date: Date) -> io::Result<DayFile> {
        if let Some(file) = self.open.keys().rev().find(|file| file.date == date) {
            return Ok(*file);
        }
        let newest = self.files()?.into_iter().rfind(|file| file.date == date);
        let mut file = match newest {
            None => DayFile::first(Kind::Samples, date),
            Some(file) if file.compressed || self.is_being_compressed(file) => file.successor(),
            Some(file) => file,
        };
        loop {
            if let Some(appender) = Appender::open(&file.path(&self.config.dir), HEADER)? {
                self.group.give(appender.file())?;
                self.open.insert(file, appender);
                return Ok(file);
            }
            file = file.successor();
        }
    }

    /// The files of the directory, which is created if another program removed it.
    fn files(&mut self) -> io::Result<Vec<DayFile>> {
        match list(&self.config.dir) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.config.dir)?;
                self.group = ReaderGroup::of(&self.config.dir, self.config.group)?;
                list(&self.config.dir)
            }
            listed => listed,
        }
    }

    fn is_being_compressed(&self, file: DayFile) -> bool {
        self.job.as_ref().is_some_and(|job| job.source == file)
    }

    /// Appends the rows of `samples`, all or none.
    fn append_samples<'a>(&mut self, samples: impl Iterator<Item = &'a Arc<Sample>>) -> Result<(), WriteError> {
        let mut days: BTreeMap<Date, Vec<u8>> = BTreeMap::new();
        for sample in samples {
            append_record(days.entry(day(sample.at.wall_ns)).or_default(), &self.vantage, sample);
        }
        self.append(&days)
    }

    /// Appends the rows of each day. At the first failure, removes the rows of the earlier days again.
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
                // The appender remembers this, and cuts before it appends again.
                warn!(self.log, "half a batch could not be taken back yet"; "file" => %name, "reason" => %why);
            }
        }
    }
}

impl BatchWriter for CsvWriter {
    type Command = Infallible;

    fn write(&mut self, batch: &[Arc<Sample>]) -> Result<(), WriteError> {
        // New rows wait while rows are restored, so that rows stay in the order of time.
        if let Progress::Going(why) = self.bring_up_to_date()? {
            return Err(why);
        }
        let stopwatch = Stopwatch::start(Stage::Csv);
        let new: Vec<&Arc<Sample>> = batch.iter().filter(|sample| !self.is_there(sample)).collect();
        self.append_samples(new.iter().copied())?;
        stopwatch.stop(batch.len());
        self.count(&new);
        self.returned.settle(batch);
        // The batch is written. A failure from here on counts for the maintenance, otherwise the batch would be written
        // twice.
        if let Err(why) = self.close_old() {
            warn!(self.log, "a finished file could not be brought to the disk"; "reason" => %why);
        }
        Ok(())
    }

    fn command(&mut self, command: Infallible) {
        match command {}
    }

    /// Compresses and removes finished files, one piece or one file per tick.
    fn tick(&mut self, now: Stamp) -> Result<(), WriteError> {
        self.close_past(now);
        match self.bring_up_to_date()? {
            Progress::Done => {}
            Progress::Going(why) | Progress::Waiting(why) => return Err(why),
        }
        self.keep_house(now).map_err(|why| {
            // Wait a minute before the next attempt, because a directory that cannot be changed would fail every
            // second.
            self.looked_at_ns = Some(now.mono_ns);
            at(&self.config.dir, &why)
        })
    }

    fn settle(&mut self, until: Instant) -> Result<(), WriteError> {
        self.end_catch_up(until)?;
        self.end_repairs(until)
    }

    fn incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.incidents)
    }
}

fn repair(path: &Path) -> io::Result<u64> {
    cut_torn_line(&mut regular_file::open_with(path, OpenOptions::new().read(true).write(true))?)
}

fn at(path: &Path, why: &io::Error) -> WriteError {
    WriteError(format!("{}: {why}", path.display()))
}
