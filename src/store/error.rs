//! Errors of the store, with advice that an operator can act on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::sinks::influx::outbox::OutboxError;
use crate::sinks::worker::WriteError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A directory or the lock file could not be created.
    #[error("cannot {doing} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// The attempted action, as a verb.
        doing: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file is not a store; it was not changed.
    #[error("{} is not a store of ntp-monitor; it was left untouched: name another file", .0.display())]
    NotAStore(PathBuf),
    /// The store was written by a later release; it was not changed.
    #[error(
        "{} has schema version {found}, this release knows up to {known}; it was left untouched: use the newer release",
        path.display()
    )]
    Newer {
        path: PathBuf,
        found: i64,
        /// The newest version that this release supports.
        known: i64,
    },
    /// The store was written by an earlier release, and readers do not migrate it.
    #[error(
        "{} has schema version {found}, this release reads {known}: start the service once to migrate it",
        path.display()
    )]
    Older { path: PathBuf, found: i64, known: i64 },
    /// A damaged copy was not restored.
    #[error("{} is damaged and was not restored: {fault}", path.display())]
    Unsound {
        path: PathBuf,
        /// The first problem found.
        fault: String,
    },
    /// Another program removed, replaced or truncated a file of the store while it was in use.
    #[error("{} {what}", path.display())]
    Harmed {
        path: PathBuf,
        /// What happened, as a predicate whose subject is the path.
        what: String,
    },
    /// Another running service uses the store.
    #[error("{} is in use by another running ntp-monitor (process {pid}): stop that one, or set another [store] path",
        path.display())]
    InUse {
        path: PathBuf,
        /// The process that uses it, if known.
        pid: String,
    },
    /// SQLite returned an error.
    #[error("cannot {doing} in {}: {}", path.display(), reason(source))]
    Sqlite {
        /// The attempted action, as a verb and its object.
        doing: &'static str,
        path: PathBuf,
        source: rusqlite::Error,
    },
    /// The writer thread could not execute a command.
    #[error(transparent)]
    NotWritten(WriteError),
    /// The writer thread did not reply.
    #[error("the writer of the store did not reply in time: {0}")]
    NoAnswer(&'static str),
}

impl StoreError {
    /// Wraps an error of the system about `path` while `doing`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// Wraps an error of SQLite about `path` while `doing`.
    pub(super) fn sqlite(doing: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Sqlite { doing, path, source }
    }

    /// The same error about another file that the current one is a copy of.
    pub(super) fn about(mut self, file: &Path) -> Self {
        match &mut self {
            Self::NotAStore(path)
            | Self::Io { path, .. }
            | Self::Newer { path, .. }
            | Self::Older { path, .. }
            | Self::Unsound { path, .. }
            | Self::Harmed { path, .. }
            | Self::InUse { path, .. }
            | Self::Sqlite { path, .. } => file.clone_into(path),
            Self::NotWritten(_) | Self::NoAnswer(_) => {}
        }
        self
    }

    /// Whether SQLite refuses what is written, and not because of the file, the disk or another process.
    pub(super) fn is_about_data(&self) -> bool {
        let Self::Sqlite { source, .. } = self else { return false };
        source.sqlite_error_code().is_none_or(|code| {
            use ErrorCode::{ConstraintViolation, ParameterOutOfRange, TooBig, TypeMismatch, Unknown};
            matches!(code, ConstraintViolation | ParameterOutOfRange | TooBig | TypeMismatch | Unknown)
        })
    }

    /// Whether the connection must be reopened, because the file was moved, replaced or became unreadable.
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

/// What to do, if it is not obvious.
fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "; run this as the user of the service, or set a path that this user may write ([monitor] data_dir, [store] path)"
        }
        ErrorKind::ReadOnlyFilesystem => "; under systemd, ReadWritePaths= makes a directory writable",
        ErrorKind::StorageFull => "; free some space, or shorten [store] raw_for",
        _ => "",
    }
}

/// The meaning of an SQLite error for an operator.
fn reason(error: &rusqlite::Error) -> String {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "no space left: free some, or shorten [store] raw_for",
        Some(ErrorCode::ReadOnly) => "it is read-only: check its permissions and those of its directory, and the mount",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process holds it locked",
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "it cannot be opened: check that the directory exists and who may write there"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "it is damaged: move it away (a new one is created) or restore a backup"
        }
        Some(ErrorCode::SystemIoFailure) => "the disk reports I/O errors",
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
