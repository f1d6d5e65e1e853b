//! A user, and how root changes to it.

use std::ffi::CString;
use std::fmt;

use nix::errno::Errno;
use nix::unistd::{self, Gid, Uid};

/// A user other than root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number of the user.
    pub(super) uid: u32,
    /// The number of the primary group.
    pub(super) gid: u32,
    /// The name, if the number has one.
    pub(super) name: Option<String>,
}

impl User {
    /// The user with this number. A user without a name gets the group of the same number, never the root group.
    pub(super) fn of(uid: u32) -> Self {
        match unistd::User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(known)) => Self { uid, gid: known.gid.as_raw(), name: Some(known.name) },
            _ => Self { uid, gid: uid, name: None },
        }
    }

    /// Permanently changes this process to the user, with the groups of the user.
    ///
    /// # Errors
    /// When the kernel refuses. The process may then be partly changed and must end.
    pub(super) fn assume(&self) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        match self.name.as_deref().map(CString::new) {
            Some(Ok(name)) => unistd::initgroups(&name, gid)?,
            _ => unistd::setgroups(&[gid])?,
        }
        unistd::setresgid(gid, gid, gid)?;
        unistd::setresuid(uid, uid, uid)?;
        // Check that the process cannot become root again.
        match unistd::setuid(Uid::from_raw(0)) {
            Ok(()) => Err(Errno::EPERM),
            Err(_) => Ok(()),
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "user {}", self.uid),
        }
    }
}
