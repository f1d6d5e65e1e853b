//! What is wrong with a configuration, and where it came from. A fault never carries the value of a secret.

use std::fmt;
use std::sync::Arc;

/// One step into a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// Into a table. Shared: there is a path for each value of each server, most of them begun alike.
    Key(Arc<str>),
    /// Into an array, counted from 0.
    Index(usize),
}

/// Where a value stands: `server[2].poll_interval`, counted from 0.
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
                    // A key that could disturb a terminal or a log is written as TOML would quote it.
                    if bare { f.write_str(key)? } else { write!(f, "{key:?}")? }
                }
            }
        }
        Ok(())
    }
}

/// Who said a value. Ordered by precedence: what comes later wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody: the built-in default, or one that follows from another value.
    Default,
    /// A variable with a default of an image or a package.
    Preset(String),
    /// A file, and the line where its parser gives one.
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
    /// The order in which a person looks: by layer, and within a file from top to bottom.
    pub(super) fn order(&self) -> (u8, Option<usize>) {
        let line = match self {
            Self::File { line, .. } => *line,
            Self::DotEnv { line, .. } => Some(*line),
            _ => None,
        };
        (self.layer(), line)
    }

    /// Which layer it is, counted from the weakest.
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

    /// The form in which it travels through the layering, which knows only text.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Default => "0".to_owned(),
            Self::File { name, .. } => format!("1{name}"),
            Self::DotEnv { name, line } => format!("2{line} {name}"),
            Self::Environment(name) => format!("3{name}"),
            Self::Flag(name) => format!("4{name}"),
            Self::Preset(name) => format!("5{name}"),
        }
    }

    /// Whether the text is of [`Source::encode`] and says a file.
    pub(super) fn is_of_file(text: &str) -> bool {
        text.starts_with('1')
    }

    /// The inverse of [`Source::encode`].
    pub(super) fn decode(text: &str) -> Self {
        let name = || text.get(1..).unwrap_or_default().to_owned();
        match text.chars().next() {
            Some('1') => Self::File { name: name().into(), line: None },
            Some('2') => match name().split_once(' ') {
                Some((line, name)) => Self::DotEnv { name: name.to_owned(), line: line.parse().unwrap_or_default() },
                None => Self::Default,
            },
            Some('3') => Self::Environment(name()),
            Some('4') => Self::Flag(name()),
            Some('5') => Self::Preset(name()),
            _ => Self::Default,
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

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub path: KeyPath,
    pub source: Source,
    /// What is wrong and what would be right.
    pub message: String,
    /// Whether all that is wrong is that this process cannot read a file. Another one, such as the service, may.
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

/// Everything that is wrong, in the order of the configuration; never empty. One fault a line.
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
