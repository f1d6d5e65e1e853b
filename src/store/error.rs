//! Why the store could not be opened, read or written, in words that a person can act on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::sinks::influx::outbox::OutboxError;
use crate::sinks::worker::WriteError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A directory or the lock file could not be made.
    #[error("cannot {doing} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is something else; it was left alone.
    #[error("{} is not a store of ntp-monitor; it was left untouched: choose another [store] path", .0.display())]
    NotAStore(PathBuf),
    /// Written by a later release; it was left alone.
    #[error(
        "{} has schema version {found}, this release knows up to {known}; it was left untouched: use the newer release",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// Written by an earlier release, and a reader does not migrate.
    #[error(
        "{} has schema version {found}, this release reads {known}: start the service once to migrate it",
        path.display()
    )]
    Older {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version needed.
        known: i64,
    },
    /// A copy that must not take the place of a store.
    #[error("{} is damaged and was not restored: {fault}", path.display())]
    Unsound {
        /// Which file.
        path: PathBuf,
        /// The first thing that is wrong with it.
        fault: String,
    },
    /// Another running service has it.
    #[error("{} is in use by another running ntp-monitor (process {pid}): stop that one, or set another [store] path",
        path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
        /// Who has it, as far as it is known.
        pid: String,
    },
    /// SQLite refused.
    #[error("cannot {doing} in {}: {}", path.display(), reason(source))]
    Sqlite {
        /// What was tried, as a verb and its object.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The writer thread could not do what it was asked.
    #[error(transparent)]
    NotWritten(WriteError),
    /// The writer thread did not answer.
    #[error("the writer of the store did not answer in time: {0}")]
    NoAnswer(&'static str),
}

impl StoreError {
    /// Wraps what SQLite said about `path` while `doing`.
    pub(super) fn sqlite(doing: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Sqlite { doing, path, source }
    }

    /// The same about another file, of which the one at hand is a copy.
    pub(super) fn about(mut self, file: &Path) -> Self {
        match &mut self {
            Self::NotAStore(path)
            | Self::Io { path, .. }
            | Self::Newer { path, .. }
            | Self::Older { path, .. }
            | Self::Unsound { path, .. }
            | Self::InUse { path, .. }
            | Self::Sqlite { path, .. } => file.clone_into(path),
            Self::NotWritten(_) | Self::NoAnswer(_) => {}
        }
        self
    }

    /// Whether the connection is of no more use: the file was moved, replaced or became unreadable under it.
    pub(super) fn costs_the_connection(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => !matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ),
            _ => true,
        }
    }
}

/// What to do about it, where that is not plain.
fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "; run this as the user of the service, or set a path that this user may write ([monitor] data_dir, [store] path)"
        }
        ErrorKind::ReadOnlyFilesystem => "; under systemd, ReadWritePaths= opens a directory",
        ErrorKind::StorageFull => "; free some space, or shorten [store] raw_for",
        _ => "",
    }
}

/// What a failure means for the person who runs the service.
fn reason(error: &rusqlite::Error) -> String {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "no space left: free some, or shorten [store] raw_for",
        Some(ErrorCode::ReadOnly) => "it is read-only: check its permissions and those of its directory, and the mount",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process holds it locked",
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "it cannot be opened: check that the directory exists and who may write there"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "it is damaged: move it away (a new one is made) or restore a backup"
        }
        Some(ErrorCode::SystemIoFailure) => "the disk fails",
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<StoreError> for OutboxError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
