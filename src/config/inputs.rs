//! The inputs of the configuration of a process, for startup, reloads and edits.

use std::path::PathBuf;

use super::fault::{Fault, Source};
use super::{Environment, Faults, Loaded, load, load_text, load_with_additions};

/// The three layers that a process was started with.
#[derive(Clone, Default)]
pub struct Inputs {
    pub file: Option<PathBuf>,
    pub environment: Environment,
    /// Overrides, `section.key=value`.
    pub flags: Vec<String>,
}

/// The environment and the flags may hold secrets, so neither is shown.
impl std::fmt::Debug for Inputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inputs").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Inputs {
    /// Reads the current configuration.
    ///
    /// # Errors
    /// All faults.
    pub fn load(&self) -> Result<Loaded, Faults> {
        load(self.file.as_deref(), &self.environment, &self.flags)
    }

    /// Reads the configuration for a reload. Opens regular files only: a pipe was read at the start, and would block or
    /// be empty.
    ///
    /// # Errors
    /// All faults.
    pub fn load_again(&self) -> Result<Loaded, Faults> {
        match &self.file {
            Some(path) if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) => {
                let source = Source::File { name: path.display().to_string().into(), line: None };
                let message = "is not a regular file, so it was read at the start only: restart the service instead";
                Err(Faults(vec![Fault::general(source, message.to_owned())]))
            }
            _ => self.load(),
        }
    }

    /// Reads the configuration with `text` in place of the file's content.
    ///
    /// # Errors
    /// All faults.
    pub fn load_text(&self, text: &str) -> Result<Loaded, Faults> {
        match &self.file {
            Some(path) => load_text(path, text, &self.environment, &self.flags),
            None => self.load(),
        }
    }

    /// Reads the configuration as if `text` were the content of the file of [`additions_of`](super::additions_of).
    ///
    /// # Errors
    /// Every fault at once.
    pub fn load_with_additions(&self, text: &str) -> Result<Loaded, Faults> {
        match &self.file {
            Some(path) => load_with_additions(path, text, &self.environment, &self.flags),
            None => self.load(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipe_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        let inputs = Inputs { file: Some(path.clone()), ..Inputs::default() };
        std::fs::write(&path, "[[server]]\naddress = \"a.example\"\n").unwrap();
        assert_eq!(inputs.load_again().unwrap().config.servers.len(), 1);
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let why = inputs.load_again().unwrap_err().to_string();
        assert!(why.contains("c.toml: is not a regular file"), "{why}");
    }
}
