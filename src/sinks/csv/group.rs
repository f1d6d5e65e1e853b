//! The group that may read the CSV files.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, fchown};

/// This bit of a directory's mode gives the group of the directory to every new file in it (inode(7)).
const SET_GROUP_ID: u32 = 0o2000;

/// A group by its number; `None` leaves files with the group that the system gives them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReaderGroup(Option<u32>);

impl ReaderGroup {
    /// The group for the files in `dir`. The directory is given to the group too, unless it passes its own group on.
    ///
    /// # Errors
    /// When this process may not give the directory to the group.
    pub(super) fn of(dir: &Path, group: Option<u32>) -> io::Result<Self> {
        if group.is_none() || dir.metadata()?.mode() & SET_GROUP_ID != 0 {
            return Ok(Self(None));
        }
        let given = Self(group);
        given.give(&File::open(dir)?)?;
        Ok(given)
    }

    /// Gives files from earlier starts to the group.
    ///
    /// # Errors
    /// When this process may not do that.
    pub(super) fn give_all(self, mut files: impl Iterator<Item = PathBuf>) -> io::Result<()> {
        match self.0 {
            None => Ok(()),
            Some(_) => files.try_for_each(|path| match File::open(&path) {
                Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
                file => self.give(&file?),
            }),
        }
    }

    /// Gives a file to the group.
    ///
    /// # Errors
    /// When this process may not do that.
    pub(super) fn give(self, file: &File) -> io::Result<()> {
        match self.0 {
            Some(group) if file.metadata()?.gid() != group => {
                fchown(file, None, Some(Gid::from_raw(group))).map_err(|why| refused(group, why.into()))
            }
            _ => Ok(()),
        }
    }
}

fn refused(group: u32, why: io::Error) -> io::Error {
    io::Error::new(
        why.kind(),
        format!(
            "cannot be given to the group {group} of csv.group: {why}; make the user of the service a member of the group, \
             or prepare the directory with chgrp and chmod 2750"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use nix::unistd::{getegid, geteuid};

    use super::*;

    #[test]
    fn files_get_the_group_unless_the_directory_has_setgid() {
        let dir = tempfile::tempdir().unwrap();
        let gid = |path: &Path| fs::metadata(path).unwrap().gid();
        let ours = getegid().as_raw();
        ReaderGroup::of(dir.path(), Some(ours)).unwrap().give(&tempfile::tempfile().unwrap()).unwrap();
        let other = ours + 4711;
        match ReaderGroup::of(dir.path(), Some(other)) {
            Ok(group) => {
                let file = File::create(dir.path().join("a")).unwrap();
                group.give(&file).unwrap();
                assert_eq!((gid(dir.path()), file.metadata().unwrap().gid()), (other, other));
            }
            Err(why) => assert!(!geteuid().is_root() && why.to_string().contains("chmod 2750"), "{why}"),
        }
        let before = gid(dir.path());
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o2750)).unwrap();
        ReaderGroup::of(dir.path(), Some(ours + 1)).unwrap().give(&tempfile::tempfile().unwrap()).unwrap();
        assert_eq!(gid(dir.path()), before);
    }
}
