//! Handles finished files: syncs them, compresses them, and deletes them after the configured time.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Span;
use jiff::civil::Date;
use slog::{info, warn};

use super::CsvWriter;
use crate::sinks::csv::compress::Job;
use crate::sinks::csv::files::{DayFile, Kind, list_of};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::formats::csv::day;

/// How often the directory is searched for finished and old files.
const HOUSEKEEPING_NS: i64 = 60_000_000_000;
/// A day's file is finished this long after its midnight, so that it is still open for late samples.
const GRACE_NS: i64 = 600_000_000_000;
/// Number of files kept open: that of the day, and its neighbour around midnight.
const OPEN_FILES: usize = 2;

impl CsvWriter {
    /// Keeps the newest files open and syncs the others.
    pub(super) fn close_old(&mut self) -> io::Result<()> {
        while let Some((oldest, _)) = self.open.first_key_value()
            && self.open.len() > OPEN_FILES
        {
            self.close(*oldest)?;
        }
        Ok(())
    }

    /// Closes the files of past days; other programs may then move or delete them.
    pub(super) fn close_past(&mut self, now: Stamp) {
        let today = day(now.wall_ns.saturating_sub(GRACE_NS));
        let past: Vec<DayFile> = self.open.keys().filter(|file| file.date < today).copied().collect();
        for file in past {
            if let Err(why) = self.close(file) {
                warn!(self.log, "a finished file could not be brought to the disk"; "reason" => %why);
            }
        }
    }

    fn close(&mut self, file: DayFile) -> io::Result<()> {
        let open = self.open.remove(&file);
        if !self.open.keys().any(|other| other.date == file.date) {
            self.written.remove(&file.date);
        }
        open.map_or(Ok(()), |open| open.sync())
    }

    pub(super) fn keep_house(&mut self, now: Stamp) -> io::Result<()> {
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
        let mut files = self.files()?;
        files.extend(list_of(&dir, Kind::Local)?);
        let today = day(now.wall_ns.saturating_sub(GRACE_NS));
        if let Some(old) = files.iter().find(|file| self.config.keep.is_some_and(|keep| is_old(**file, keep, today))) {
            self.close(*old)?;
            fs::remove_file(old.path(&dir))?;
            info!(self.log, "removed a file after its time"; "file" => %old);
            // One file per minute, because a wall clock that jumped ahead for a moment must not empty the directory.
            self.looked_at_ns = Some(now.mono_ns);
            return Ok(());
        }
        match files.iter().find(|file| self.config.compress && !file.compressed && file.date < today) {
            Some(finished) => self.finish(&dir, *finished)?,
            // Set only now: after a file was compressed, the next tick looks for another one.
            None => self.looked_at_ns = Some(now.mono_ns),
        }
        Ok(())
    }

    fn finish(&mut self, dir: &Path, file: DayFile) -> io::Result<()> {
        self.close(file)?;
        self.job = Some(Job::begin(dir, file, self.group)?);
        Ok(())
    }
}

/// Whether a file's last sample is older than `keep`, counted in whole days.
fn is_old(file: DayFile, keep: Duration, today: Date) -> bool {
    let days = i32::try_from(keep.as_secs().div_ceil(86_400)).unwrap_or(i32::MAX);
    let limit = Span::new().try_days(days).and_then(|span| today.checked_sub(span));
    // If this time is before the range of the calendar, everything is kept.
    limit.is_ok_and(|limit| file.date < limit)
}
