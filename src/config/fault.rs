//! A fault of a configuration, and its source. A fault never shows a secret.

use std::fmt;
use std::sync::Arc;

/// One step into a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// Into a table. Shared, because there is a path for each value of each server, and most of them begin alike.
    Key(Arc<str>),
    /// Into an array, counted from 0.
    Index(usize),
}

/// The place of a value: `server[2].poll_interval`, counted from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath(pub(super) Vec<Step>);

impl KeyPath {
    /// The path of `section.key`, as flags and environment variables name it.
    #[must_use]
    pub fn dotted(text: &str) -> Self {
        Self(text.split('.').map(|key| Step::Key(key.into())).collect())
    }

    pub(super) fn key(&self, key: &str) -> Self {
        self.join(Step::Key(key.into()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.join(Step::Index(index))
    }

    fn join(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    pub(super) fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    pub(super) fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, init)| Self(init.to_vec()))
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
                    f.write_str(if n == 0 { "" } else { "." })?;
                    // A key that could disturb a terminal or a log is quoted as in TOML.
                    if bare { f.write_str(key)? } else { write!(f, "{key:?}")? }
                }
            }
        }
        Ok(())
    }
}

/// The origin of a value, ordered by precedence: later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The built-in default, or a default that follows from another value.
    Default,
    /// A variable with a default of an image or a package.
    Preset(String),
    /// A file, with the line if its parser reports one.
    File {
        /// As given on the command line.
        name: Arc<str>,
        line: Option<usize>,
    },
    /// A variable of a `.env` file.
    DotEnv {
        /// Its name.
        name: String,
        /// Counted from 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag on the command line.
    Flag(String),
}

impl Source {
    /// The order in which faults are listed: by layer, and within a file from top to bottom.
    pub(super) fn order(&self) -> (u8, Option<usize>) {
        let line = match self {
            Self::File { line, .. } => *line,
            Self::DotEnv { line, .. } => Some(*line),
            _ => None,
        };
        (self.layer(), line)
    }

    /// The layer, counted from the weakest.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Preset(_) => 1,
            Self::File { .. } => 2,
            Self::DotEnv { .. } => 3,
            Self::Environment(_) => 4,
            Self::Flag(_) => 5,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(name) => write!(f, "default {name}"),
            Self::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Self::File { name, line: None } => f.write_str(name),
            Self::DotEnv { name, line } => write!(f, ".env {name} (line {line})"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub path: KeyPath,
    pub source: Source,
    /// What is wrong, and how to correct it.
    pub message: String,
    /// Whether the only problem is that this process cannot read a file. Another process, such as the service, may be
    /// able to.
    pub is_unread_file: bool,
}

impl Fault {
    /// A fault of a whole source, not of one key.
    pub(super) fn general(source: Source, message: String) -> Self {
        Self { path: KeyPath::default(), source, message, is_unread_file: false }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source != Source::Default {
            write!(f, "{}: ", self.source)?;
        }
        if !self.path.0.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// All faults, in the order of the configuration; never empty. One fault per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
