//! Compresses one finished file piece by piece, so that writing never waits long for it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::files::DayFile;
use super::group::ReaderGroup;
use crate::held::{AtPath, FileId};
use crate::new_file;

/// How much of the file one step reads: a few tens of milliseconds of work.
const STEP_BYTES: u64 = 1 << 20;
const MODE: u32 = 0o640;
/// The suffix of an unfinished archive, so that one left behind by a crash is never taken for data.
const UNFINISHED: &str = "part";

/// A compression in progress.
#[derive(Debug)]
pub(super) struct Job {
    /// The file that is being compressed; nothing is appended to it any more.
    pub(super) source: DayFile,
    dir: PathBuf,
    input: File,
    /// The number of bytes read so far.
    read: u64,
    output: GzEncoder<File>,
}

impl Job {
    /// Starts to compress `source`.
    pub(super) fn begin(dir: &Path, source: DayFile, group: ReaderGroup) -> io::Result<Self> {
        let input = File::open(source.path(dir))?;
        let archive = new_file::create(&unfinished(dir, source), MODE)?;
        group.give(&archive)?;
        let output = GzEncoder::new(archive, Compression::default());
        Ok(Self { source, dir: dir.to_owned(), input, read: 0, output })
    }

    /// Compresses one piece. Returns whether the file is done. After an error the job ends and its output is removed,
    /// because the disk may be full.
    pub(super) fn step(&mut self) -> io::Result<bool> {
        self.try_step().inspect_err(|_| drop(fs::remove_file(unfinished(&self.dir, self.source))))
    }

    fn try_step(&mut self) -> io::Result<bool> {
        let mut piece = Vec::new();
        self.read += (&self.input).take(STEP_BYTES).read_to_end(&mut piece)? as u64;
        self.output.write_all(&piece)?;
        if !piece.is_empty() {
            return Ok(false);
        }
        self.finish()?;
        Ok(true)
    }

    /// The archive gets its final name only when it is complete and synced, and only then is the original deleted. A
    /// crash in between leaves both, and the next start deletes the original.
    fn finish(&mut self) -> io::Result<()> {
        self.output.try_finish()?;
        self.output.get_ref().sync_all()?;
        let source = self.source.path(&self.dir);
        match AtPath::look(&source, FileId::of(&self.input)?)? {
            AtPath::Same { length } if length == self.read => {}
            // The file was changed meanwhile; the next attempt compresses the new content.
            _ => return Err(io::Error::other(format!("{} changed while it was compressed", source.display()))),
        }
        fs::rename(unfinished(&self.dir, self.source), self.source.gzipped().path(&self.dir))?;
        File::open(&self.dir)?.sync_all()?;
        fs::remove_file(source)
    }
}

fn unfinished(dir: &Path, source: DayFile) -> PathBuf {
    source.gzipped().path(dir).with_extension(format!("gz.{UNFINISHED}"))
}

/// Removes what a crash left behind: unfinished archives, and originals whose archive is complete.
pub(super) fn clean_up(dir: &Path, files: &[DayFile]) -> io::Result<()> {
    for file in files.iter().filter(|file| !file.compressed) {
        match fs::remove_file(unfinished(dir, *file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if files.contains(&file.gzipped()) {
            fs::remove_file(file.path(dir))?;
        }
    }
    Ok(())
}
