//! The output of a command: stdout, or a file that appears complete or not at all.

use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::signal::unix::{SignalKind, signal};

use crate::new_file::NewFile;
use crate::privilege::{Keeper, Plan, Refusal};

/// The usual mode of new files; the umask restricts it.
const MODE: u32 = 0o666;

/// Where to write, decided while this process may still be root.
#[derive(Debug)]
pub struct Destination {
    path: Option<PathBuf>,
    keeper: Option<Keeper>,
}

impl Destination {
    /// Stdout if there is no path, or for `-`. A file that this process will not be able to write is written by a keeper.
    ///
    /// # Errors
    /// When the file cannot be created there, or when other users could replace a directory of its path.
    pub fn choose(path: Option<&Path>, plan: &Plan) -> Result<Self, Unreachable> {
        let path = path.filter(|path| *path != Path::new("-"));
        let keeper = match path {
            Some(path) if plan.is_beyond(path)? => Some(Keeper::start(path, MODE)?),
            _ => None,
        };
        Ok(Self { path: path.map(Path::to_owned), keeper })
    }

    fn open(self) -> io::Result<Option<Sheet>> {
        let Some(path) = self.path else { return Ok(None) };
        let sheet = match self.keeper {
            Some(keeper) => Sheet::Kept(keeper),
            None => {
                let file = NewFile::begin(&path, MODE)?;
                remove_at_signal(file.part().to_owned())?;
                Sheet::Ours(file)
            }
        };
        Ok(Some(sheet))
    }
}

/// Refuses to write to a file of the service: its store, the files beside it, or the configuration.
///
/// # Errors
/// When `output` is one of these, perhaps under another name.
pub fn refuse_own(output: &Path, stores: &[&Path], configuration: Option<&Path>) -> Result<(), Unreachable> {
    let refused = |what| Err(Unreachable::Own { path: output.to_owned(), what });
    if configuration.is_some_and(|file| is_same_file(output, file)) {
        return refused("the configuration");
    }
    let of_store = |store: &&Path| ["", "-wal", "-shm"].iter().any(|end| is_same_file(output, &beside(store, end)));
    if stores.iter().any(of_store) { refused("the store itself") } else { Ok(()) }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    place(one).is_some_and(|one| place(other) == Some(one))
}

/// The ending of a file name in lower case, without `.gz`; empty if there is none.
#[must_use]
pub fn ending(path: &Path) -> String {
    let of = |path: &Path| path.extension().map(|end| end.to_string_lossy().to_lowercase()).unwrap_or_default();
    match of(path).as_str() {
        "gz" => of(&path.with_extension("")),
        other => other.to_owned(),
    }
}

/// Removes an unfinished file when a signal ends this process, with the exit status that shells give such an end.
fn remove_at_signal(part: PathBuf) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _within = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let wait = move || {
        let number = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
            }
        });
        let _ = fs::remove_file(&part);
        std::process::exit(128 + number.as_raw_value())
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Why a destination cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// Root must not write there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The service needs the file.
    #[error("cannot write {}: it is {what}; name another file", path.display())]
    Own { path: PathBuf, what: &'static str },
    /// The file cannot be created.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An open output. If it is dropped without [`Output::finish`], no file is created.
pub struct Output(Inner);

enum Inner {
    Stdout(BufWriter<io::Stdout>),
    Plain(BufWriter<Sheet>),
    Gzip(GzEncoder<BufWriter<Sheet>>),
}

/// A file that is not complete yet.
enum Sheet {
    Ours(NewFile),
    Kept(Keeper),
}

impl Sheet {
    fn finish(self) -> io::Result<()> {
        match self {
            Self::Ours(file) => file.finish(false),
            Self::Kept(keeper) => keeper.finish(),
        }
    }
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Ours(file) => file.write(bytes),
            Self::Kept(keeper) => keeper.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Ours(file) => file.flush(),
            Self::Kept(keeper) => keeper.flush(),
        }
    }
}

impl Output {
    /// Opens the output; a file whose name ends in `.gz` is compressed.
    ///
    /// # Errors
    /// When the file cannot be created; the error names it.
    pub fn to(destination: Destination) -> io::Result<Self> {
        let is_gzip = destination.path.as_ref().and_then(|path| path.extension()).is_some_and(|end| end == "gz");
        Ok(Self(match destination.open()?.map(BufWriter::new) {
            None => Inner::Stdout(BufWriter::new(io::stdout())),
            Some(file) if is_gzip => Inner::Gzip(GzEncoder::new(file, Compression::default())),
            Some(file) => Inner::Plain(file),
        }))
    }

    /// Whether the output is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self.0, Inner::Stdout(_)) && io::stdout().is_terminal()
    }

    /// Flushes the output and renames a file to its final name.
    ///
    /// # Errors
    /// When either fails; no file is left then.
    pub fn finish(self) -> io::Result<()> {
        let file = match self.0 {
            Inner::Stdout(mut out) => return out.flush(),
            Inner::Plain(file) => file,
            Inner::Gzip(file) => file.finish()?,
        };
        file.into_inner()?.finish()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Stdout(out) => out.write(bytes),
            Inner::Plain(out) => out.write(bytes),
            Inner::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::Stdout(out) => out.flush(),
            Inner::Plain(out) => out.flush(),
            Inner::Gzip(out) => out.flush(),
        }
    }
}

/// Prints an error, except for a closed pipe (`… | head`).
///
/// # Errors
/// When the message cannot be written.
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

    fn here(path: &Path) -> Destination {
        Destination { path: Some(path.to_owned()), keeper: None }
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let mut output = Output::to(here(&path)).unwrap();
        output.write_all(b"x").unwrap();
        assert!(!path.exists());
        drop(output);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let mut output = Output::to(here(&path)).unwrap();
        output.write_all(b"x").unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_of_the_service_are_never_an_output() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        for name in ["a.db", "a.db-wal", "a.toml", "other"] {
            fs::write(file(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(file("a.db"), file("link")).unwrap();
        let check = |name: &str| refuse_own(&file(name), &[&file("a.db")], Some(&file("a.toml")));
        for (name, what) in [("a.db", "store"), ("a.db-wal", "store"), ("link", "store"), ("a.toml", "configuration")] {
            let said = check(name).unwrap_err().to_string();
            assert!(said.contains(what), "{said}");
        }
        assert!(check("other").is_ok() && check("new").is_ok());
    }

    #[test]
    fn ending_is_that_of_the_uncompressed_file() {
        let endings = ["a.CSV", "a.csv.gz", "a.gz", "a", "-"].map(|name| ending(Path::new(name)));
        assert_eq!(endings, ["csv", "csv", "", "", ""]);
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named() {
        let Err(why) = Output::to(here(Path::new("/nowhere/at/all.csv"))) else { panic!("it was made") };
        assert!(why.to_string().contains("/nowhere/at/all.csv"), "{why}");
    }
}
