//! Detects before each batch and each second what other programs did to the file of the day, and repairs it: reopens
//! the file by its path, and writes the rows that it lacks and the store has.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::{info, warn};

use super::returned::Progress;
use super::{CsvWriter, at};
use crate::sinks::csv::append::Damage;
use crate::sinks::csv::files::DayFile;
use crate::sinks::csv::repair::{Repair, Written};
use crate::sinks::csv::tail::key;
use crate::sinks::worker::{Incident, WriteError};
use ntp_monitor_core::formats::csv::day;
use ntp_monitor_core::sample::Sample;

/// Number of samples that are read from the store at once.
const CHUNK: usize = 4096;
/// A repair pauses after this long, and continues a second later.
const AT_ONCE: Duration = Duration::from_millis(500);
/// At shutdown, the store is read again after this pause.
const RETRY: Duration = Duration::from_millis(100);

impl CsvWriter {
    /// Whether the row of `sample` is in a file already, because it was restored before the sample arrived.
    pub(super) fn is_there(&self, sample: &Sample) -> bool {
        let is_returned = self.returned.has(&key(sample));
        is_returned || self.repairs.iter().any(|repair| repair.has(sample))
    }

    /// Records samples that were written.
    pub(super) fn count(&mut self, samples: &[&Arc<Sample>]) {
        for sample in samples {
            let date = day(sample.at.wall_ns);
            self.written.entry(date).or_insert_with(Written::nothing).add(sample);
            self.repairs.iter_mut().filter(|repair| repair.date == date).for_each(|repair| repair.wrote(sample));
        }
    }

    /// Writes the rows that an earlier process did not write, then repairs damage by other programs, for at most
    /// [`AT_ONCE`] each.
    pub(super) fn bring_up_to_date(&mut self) -> Result<Progress, WriteError> {
        match self.catch_up()? {
            Progress::Done => self.repair(),
            progress => Ok(progress),
        }
    }

    fn catch_up(&mut self) -> Result<Progress, WriteError> {
        let until = Instant::now() + AT_ONCE;
        let what = "rows that an earlier process did not write are being brought from the store";
        while let Some(left) = self.catch_up.left(&self.config.dir) {
            let Some(journal) = &self.journal else { return Ok(Progress::Done) };
            let stored = match journal(left, CHUNK) {
                Ok(stored) => stored,
                Err(why) => {
                    return Ok(Progress::Waiting(WriteError(format!("{what}, which cannot be read: {why}"))));
                }
            };
            let until_ns = stored.last().map(|sample| sample.at.wall_ns);
            let lacking = self.catch_up.lacking(stored);
            let lacking: Vec<_> = lacking.iter().filter(|sample| !self.is_there(sample)).collect();
            self.append_samples(lacking.iter().copied())?;
            self.count(&lacking);
            if let Err(why) = self.close_old() {
                warn!(self.log, "cannot sync a finished file"; "reason" => %why);
            }
            if let Some(written) = self.catch_up.advance(until_ns, lacking.len()).filter(|written| *written > 0) {
                info!(self.log, "wrote samples to the CSV files that an earlier process did not write";
                    "samples" => written);
            }
            if Instant::now() >= until {
                return Ok(Progress::Going(WriteError(what.to_owned())));
            }
        }
        Ok(Progress::Done)
    }

    /// Detects damage and repairs it, for at most [`AT_ONCE`].
    pub(super) fn repair(&mut self) -> Result<Progress, WriteError> {
        self.find_damage()?;
        let until = Instant::now() + AT_ONCE;
        while let Some(mut repair) = self.repairs.pop() {
            let what = format!("{}; its rows are being brought back from the store", repair.what);
            let stepped = self.step(&mut repair);
            let is_done = repair.left().is_empty();
            if is_done {
                self.conclude(repair);
            } else {
                self.repairs.push(repair);
            }
            match stepped? {
                Some(why) => return Ok(Progress::Waiting(WriteError(format!("{what}, which cannot be read: {why}")))),
                None if !is_done && Instant::now() >= until => return Ok(Progress::Going(WriteError(what))),
                None => {}
            }
        }
        Ok(Progress::Done)
    }

    /// Continues to write the rows that an earlier process did not write, until `until`. The next start continues.
    pub(super) fn end_catch_up(&mut self, until: Instant) -> Result<(), WriteError> {
        while Instant::now() < until && matches!(self.catch_up()?, Progress::Going(_)) {}
        Ok(())
    }

    /// Like [`CsvWriter::repair`], to the end. If the store cannot be read by `until`, the rows are lost.
    pub(super) fn end_repairs(&mut self, until: Instant) -> Result<(), WriteError> {
        loop {
            match self.repair()? {
                Progress::Done => return Ok(()),
                Progress::Going(_) => {}
                Progress::Waiting(_) if Instant::now() + RETRY < until => std::thread::sleep(RETRY),
                Progress::Waiting(why) => {
                    std::mem::take(&mut self.repairs).into_iter().for_each(|repair| self.conclude(repair));
                    return Err(why);
                }
            }
        }
    }

    /// Closes damaged files and starts the repair of their days.
    fn find_damage(&mut self) -> Result<(), WriteError> {
        let mut damaged: Vec<(DayFile, PathBuf, Damage)> = Vec::new();
        for (file, appender) in &self.open {
            let path = file.path(&self.config.dir);
            let damage = appender.damage(&path).map_err(|why| at(&path, &why))?;
            damaged.extend(damage.map(|damage| (*file, path, damage)));
        }
        for (file, path, damage) in damaged {
            let written = self.written.get(&file.date).copied().unwrap_or_else(Written::nothing);
            let what = format!("{} {damage} by another program", path.display());
            // Before anything else, because it may fail; the damage is then detected again.
            let repair = Repair::begin(&self.config.dir, file.date, what, written).map_err(|why| at(&path, &why))?;
            self.open.remove(&file);
            let (again, others) = std::mem::take(&mut self.repairs).into_iter().partition(|r| r.date == file.date);
            self.repairs = others;
            let again: Vec<Repair> = again;
            again.into_iter().for_each(|before| self.returned.extend(before.returned));
            self.repairs.push(repair);
        }
        Ok(())
    }

    /// Compares some rows. Returns the reason when the store cannot be read.
    fn step(&mut self, repair: &mut Repair) -> Result<Option<String>, WriteError> {
        let Some(journal) = &self.journal else {
            repair.advance(&[]);
            return Ok(None);
        };
        let stored = match journal(repair.left(), CHUNK) {
            Ok(stored) => stored,
            Err(why) => return Ok(Some(why)),
        };
        self.append_samples(stored.iter().filter(|sample| !repair.has(sample)))?;
        repair.advance(&stored);
        Ok(None)
    }

    fn conclude(&mut self, repair: Repair) {
        let lost = repair.lost();
        if let Some(written) = self.written.get_mut(&repair.date) {
            written.rows = written.rows.saturating_sub(lost);
        }
        self.incidents.push(Incident { what: repair.conclusion(), lost });
        self.returned.extend(repair.returned);
    }
}
