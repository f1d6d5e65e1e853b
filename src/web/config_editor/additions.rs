//! Decides which edits go to the file of additions: edits of servers and tokens, if the service cannot write the
//! configuration file, as under systemd.

use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::Edit;
use crate::config::edit::ServerEdit;
use crate::config::file::{self, FileError};
use crate::config::{Config, additions_of};

/// How the file begins.
pub(super) const HEADING: &str =
    "# Servers that were added on the page of ntp-monitor, in addition to those of the configuration file.\n";

/// The content of the file, if it exists and is not the configuration file `given`.
pub(super) fn read(running: &Config, given: Option<&Path>) -> Option<String> {
    let path = additions_of(&running.monitor.data_dir);
    if given == Some(&path) { None } else { file::read(&path).ok() }
}

/// The file, if the service can write it.
pub(super) fn place(running: &Config) -> Option<PathBuf> {
    let path = additions_of(&running.monitor.data_dir);
    let existing = path.ancestors().skip(1).find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    access(existing, AccessFlags::W_OK | AccessFlags::X_OK).is_ok().then_some(path)
}

/// The file, if the edit belongs there: a server that is in it, or a new one when the configuration file cannot be
/// written.
pub(super) fn place_of(
    edit: &Edit,
    added: Option<&str>,
    editable: &Result<PathBuf, FileError>,
    running: &Config,
) -> Option<PathBuf> {
    let is_there = |change: &ServerEdit| added.is_some_and(|text| change.apply(text).is_ok());
    let is_readonly = matches!(editable, Err(FileError::Io { doing: "written", .. }));
    match edit {
        Edit::Text(_) => None,
        Edit::Server(change @ (ServerEdit::Change(..) | ServerEdit::Remove(_))) if is_there(change) => place(running),
        Edit::Server(ServerEdit::Add(_)) | Edit::Token(_) if is_readonly => place(running),
        Edit::Server(_) | Edit::Token(_) => None,
    }
}
