//! A user, and how root becomes one.

use std::ffi::CString;
use std::fmt;

use nix::errno::Errno;
use nix::unistd::{self, Gid, Uid};

/// Another user than root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number of the user.
    pub(super) uid: u32,
    /// The number of the primary group.
    pub(super) gid: u32,
    /// The name, where the number has one.
    pub(super) name: Option<String>,
}

impl User {
    /// The user with this number. One without a name gets a group of the same number, never that of root.
    pub(super) fn of(uid: u32) -> Self {
        match unistd::User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(known)) => Self { uid, gid: known.gid.as_raw(), name: Some(known.name) },
            _ => Self { uid, gid: uid, name: None },
        }
    }

    /// Makes this process one of the user, with the groups of the user, for good.
    ///
    /// # Errors
    /// When the kernel refuses; the process may then have neither the rights of root nor all of the user.
    pub(super) fn assume(&self) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        match self.name.as_deref().map(CString::new) {
            Some(Ok(name)) => unistd::initgroups(&name, gid)?,
            _ => unistd::setgroups(&[gid])?,
        }
        unistd::setresgid(gid, gid, gid)?;
        unistd::setresuid(uid, uid, uid)?;
        // There must be no way back.
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
