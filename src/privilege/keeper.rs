//! Writes a file for a process that has dropped the privileges to write it.
//!
//! A keeper is a separate process, started while this one is still root. It opens the given file, reads the content
//! from a pipe, and renames the file into place when the content is complete. It opens nothing else, so links in a
//! directory of another user cannot affect it.
//!
//! The content arrives in pieces, each after its length (4 bytes, little-endian); the length 0 marks the end. The
//! keeper answers with [`READY`] when the file is open, and with a reason on failure.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

use crate::new_file::NewFile;

/// The path of this program.
const SELF: &str = "/proc/self/exe";
/// The process name (`argv[0]`) of a keeper.
const NAME: &str = "ntp-monitor-keeper";
const READY: u8 = b'+';
const LENGTH: usize = size_of::<u32>();
const LARGEST_PIECE: usize = 1 << 20;

/// A file written through a keeper. Dropped without [`Keeper::finish`], the file is not created.
#[derive(Debug)]
pub struct Keeper {
    child: Child,
    answers: ChildStdout,
}

impl Keeper {
    /// Starts a keeper for `path`, a file of this mode (minus the umask).
    ///
    /// # Errors
    /// When it cannot be started or cannot write there.
    pub fn start(path: &Path, mode: u32) -> io::Result<Self> {
        let mut command = Command::new(SELF);
        command.arg0(NAME).arg(mode.to_string()).arg(path);
        // A signal from the terminal ends this process, and the keeper then removes its temporary file.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(named(path))?;
        let answers = child.stdout.take().ok_or_else(|| io::Error::other("the keeper has no output"))?;
        let mut keeper = Self { child, answers };
        let mut answer = [0];
        match keeper.answers.read(&mut answer)? {
            1 if answer[0] == READY => Ok(keeper),
            length => Err(keeper.reason(String::from_utf8_lossy(&answer[..length]).into_owned())),
        }
    }

    /// Completes the file and renames it into place.
    ///
    /// # Errors
    /// When it cannot be written; no new file exists then.
    pub fn finish(mut self) -> io::Result<()> {
        self.send(&[])?;
        drop(self.child.stdin.take());
        let mut reason = String::new();
        self.answers.read_to_string(&mut reason)?;
        if reason.is_empty() && self.child.wait()?.success() { Ok(()) } else { Err(self.reason(reason)) }
    }

    fn send(&mut self, piece: &[u8]) -> io::Result<()> {
        let Some(pipe) = &mut self.child.stdin else { return Err(self.reason(String::new())) };
        let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
        let sent = pipe.write_all(&length.to_le_bytes()).and_then(|()| pipe.write_all(piece));
        sent.map_err(|_| self.reason(String::new()))
    }

    /// The keeper's last answer. `begun` is the part that has already been read.
    fn reason(&mut self, mut begun: String) -> io::Error {
        drop(self.child.stdin.take());
        let _ = self.answers.read_to_string(&mut begun);
        io::Error::other(if begun.is_empty() { "the process that writes the file died".to_owned() } else { begun })
    }
}

impl Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(LARGEST_PIECE)];
        if !piece.is_empty() {
            self.send(piece)?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Without the end mark the keeper removes its temporary file. The process is always reaped.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Runs the keeper if this process was started as one, and returns its exit status.
#[must_use]
pub fn keep(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    arguments.next().filter(|name| name == NAME)?;
    let mode = arguments.next().and_then(|mode| mode.to_str()?.parse().ok())?;
    let path = PathBuf::from(arguments.next()?);
    let kept = receive(&path, mode, &mut io::stdin().lock(), &mut io::stdout());
    Some(if matches!(kept, Ok(true)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes `path` from `content` and sends the result to `answers`. Returns whether it succeeded.
fn receive(path: &Path, mode: u32, content: &mut impl Read, answers: &mut impl Write) -> io::Result<bool> {
    let kept = NewFile::begin(path, mode).and_then(|mut file| {
        answers.write_all(&[READY])?;
        answers.flush()?;
        copy(content, &mut file).map_err(named(path))?;
        file.finish(true)
    });
    match kept {
        Ok(()) => Ok(true),
        Err(why) => {
            write!(answers, "{why}")?;
            answers.flush().map(|()| false)
        }
    }
}

fn named(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |why| io::Error::new(why.kind(), format!("cannot write {}: {why}", path.display()))
}

/// Copies all pieces. A truncated piece is an error.
fn copy(content: &mut impl Read, file: &mut impl Write) -> io::Result<()> {
    loop {
        let mut length = [0; LENGTH];
        content.read_exact(&mut length)?;
        let length = u64::from(u32::from_le_bytes(length));
        if length == 0 {
            return Ok(());
        }
        if io::copy(&mut content.by_ref().take(length), file)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_content_becomes_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copy");
        let whole = b"\x03\0\0\0abc\x02\0\0\0de\0\0\0\0";
        for length in 0..whole.len() {
            let mut answers = Vec::new();
            assert!(!receive(&path, 0o600, &mut &whole[..length], &mut answers).unwrap(), "{length}");
            assert!(answers.starts_with(&[READY]) && answers.len() > 1, "{answers:?}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
        let mut answers = Vec::new();
        assert!(receive(&path, 0o600, &mut &whole[..], &mut answers).unwrap());
        assert_eq!((answers, std::fs::read(&path).unwrap()), (vec![READY], b"abcde".to_vec()));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let mut answers = Vec::new();
        assert!(!receive(Path::new("/nowhere/at/all"), 0o600, &mut &b""[..], &mut answers).unwrap());
        assert!(String::from_utf8(answers).unwrap().contains("/nowhere/at/all"));
    }
}
