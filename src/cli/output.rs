//! Where a command writes: stdout, or a file that appears whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// What is written, and where to. Dropped without [`Output::finish`], a file never comes to be.
pub struct Output {
    inner: Inner,
    file: Option<Unfinished>,
}

enum Inner {
    Stdout(BufWriter<io::Stdout>),
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

/// A file under a name of its own until it is whole.
struct Unfinished {
    part: PathBuf,
    path: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is gone already when it was finished.
        let _ = std::fs::remove_file(&self.part);
    }
}

impl Output {
    /// Stdout for none and for `-`; a name that ends in `.gz` is compressed.
    ///
    /// # Errors
    /// When the file cannot be made; the error names it.
    pub fn to(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self { inner: Inner::Stdout(BufWriter::new(io::stdout())), file: None });
        };
        let named = |why: io::Error| io::Error::new(why.kind(), format!("cannot write {}: {why}", path.display()));
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".{:08x}.part", rand::random::<u32>()));
        let part = PathBuf::from(part);
        let writer = BufWriter::new(File::create_new(&part).map_err(named)?);
        let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
        let inner =
            if is_gzip { Inner::Gzip(GzEncoder::new(writer, Compression::default())) } else { Inner::Plain(writer) };
        Ok(Self { inner, file: Some(Unfinished { part, path: path.to_owned() }) })
    }

    /// Whether a person sees what is written.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self.inner, Inner::Stdout(_)) && io::stdout().is_terminal()
    }

    /// Writes what waits, and gives a file its name.
    ///
    /// # Errors
    /// When either fails; there is no file then.
    pub fn finish(mut self) -> io::Result<()> {
        match self.inner {
            Inner::Stdout(mut out) => out.flush()?,
            Inner::Plain(mut out) => out.flush()?,
            Inner::Gzip(out) => out.finish()?.flush()?,
        }
        match self.file.take() {
            Some(file) => std::fs::rename(&file.part, &file.path)
                .map_err(|why| io::Error::new(why.kind(), format!("cannot write {}: {why}", file.path.display()))),
            None => Ok(()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Stdout(out) => out.write(bytes),
            Inner::Plain(out) => out.write(bytes),
            Inner::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.inner {
            Inner::Stdout(out) => out.flush(),
            Inner::Plain(out) => out.flush(),
            Inner::Gzip(out) => out.flush(),
        }
    }
}

/// A reader that went away (`… | head`) wants no message; everything else does.
///
/// # Errors
/// When the complaint cannot be written.
pub fn status_of(done: io::Result<()>, complaints: &mut impl Write) -> io::Result<u8> {
    match done {
        Ok(()) => Ok(0),
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(1),
        Err(why) => {
            writeln!(complaints, "ntp-monitor: {why}")?;
            Ok(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let mut output = Output::to(Some(&path)).unwrap();
        output.write_all(b"x").unwrap();
        assert!(!path.exists());
        drop(output);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let mut output = Output::to(Some(&path)).unwrap();
        output.write_all(b"x").unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named() {
        let Err(why) = Output::to(Some(Path::new("/nowhere/at/all.csv"))) else { panic!("it was made") };
        assert!(why.to_string().contains("/nowhere/at/all.csv"), "{why}");
    }
}
