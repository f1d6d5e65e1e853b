//! The inputs of the configuration of a process, for startup, reloads and edits.

use std::path::PathBuf;

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
