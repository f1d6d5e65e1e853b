//! The steps of a path: every directory and link from the root on, and who can change each of them.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;

use super::user::User;

/// The number of links that the kernel follows.
const MOST_LINKS: usize = 40;
const GROUP_MAY_WRITE: u32 = 0o020;
const OTHERS_MAY_WRITE: u32 = 0o002;
/// The bits of a mode that hold the file type.
const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;
/// The sticky bit: only the owner of an entry can remove or replace it.
const STICKY: u32 = 0o1000;

/// A directory or link on the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Its path without links.
    pub(super) path: PathBuf,
    /// The owner.
    pub(super) uid: u32,
    gid: u32,
    mode: u32,
}

impl Step {
    fn is(&self, kind: u32) -> bool {
        self.mode & KIND == kind
    }

    /// Whether every user can replace entries of this directory.
    pub(super) fn is_open_to_all(&self) -> bool {
        self.may_write(OTHERS_MAY_WRITE)
    }

    /// The group whose members can replace entries of this directory; `None` for the root group.
    pub(super) fn open_to_group(&self) -> Option<u32> {
        (self.may_write(GROUP_MAY_WRITE) && self.gid != 0).then_some(self.gid)
    }

    /// The mode of a link has no meaning.
    fn may_write(&self, bit: u32) -> bool {
        !self.is(LINK) && self.mode & bit != 0 && self.mode & STICKY == 0
    }

    fn is_changeable_by(&self, user: &User) -> bool {
        self.uid == user.uid || self.is_open_to_all() || self.open_to_group() == Some(user.gid)
    }
}

/// The directories and links of a path, up to the last one that exists.
#[derive(Debug)]
pub(super) struct Way {
    steps: Vec<Step>,
    end: Step,
}

impl Way {
    /// Resolves `path` as the kernel does. A regular file at the end is not a step, because its directory controls it.
    pub(super) fn follow(path: &Path) -> io::Result<Self> {
        let mut end = step(Path::new("/"))?;
        let (mut steps, mut links) = (vec![end.clone()], 0);
        let mut rest = parts(&std::path::absolute(path)?);
        while let Some(part) = rest.pop() {
            if part == ".." {
                end = step(end.path.parent().unwrap_or(Path::new("/")))?;
                continue;
            }
            let next = match step(&end.path.join(&part)) {
                Err(why) if why.kind() == io::ErrorKind::NotFound => break,
                next => next?,
            };
            if next.is(LINK) {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::ELOOP.into());
                }
                let target = std::fs::read_link(&next.path)?;
                if target.is_absolute() {
                    end = steps[0].clone();
                }
                rest.extend(parts(&target));
                steps.push(next);
            } else if next.is(DIRECTORY) {
                steps.push(next.clone());
                end = next;
            } else {
                break;
            }
        }
        Ok(Self { steps, end })
    }

    /// The last directory that exists.
    pub(super) fn end(&self) -> &Step {
        &self.end
    }

    /// The first step that every user can change.
    pub(super) fn open_to_all(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.is_open_to_all())
    }

    /// The first step with an owner other than root, who could redirect the path.
    pub(super) fn foreign(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.uid != 0)
    }

    /// The first link that neither root nor the owner of the last directory made, or that is in a directory of another
    /// user.
    pub(super) fn foreign_link(&self) -> Option<&Step> {
        let is_trusted = |uid: u32| uid == 0 || uid == self.end.uid;
        self.steps.iter().filter(|step| step.is(LINK)).find(|link| {
            let dir = self.steps.iter().find(|step| link.path.parent() == Some(&step.path));
            !is_trusted(link.uid) || dir.is_some_and(|dir| !is_trusted(dir.uid))
        })
    }

    /// Whether `user` could redirect the path.
    pub(super) fn is_changeable_by(&self, user: &User) -> bool {
        self.steps.iter().any(|step| step.is_changeable_by(user))
    }
}

fn step(path: &Path) -> io::Result<Step> {
    let meta = std::fs::symlink_metadata(path)?;
    Ok(Step { path: path.to_owned(), uid: meta.uid(), gid: meta.gid(), mode: meta.mode() })
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_owned()).rev().collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn user(uid: u32) -> User {
        User { uid, gid: uid, name: None }
    }

    fn made(path: &str, uid: u32, mode: u32) -> Step {
        Step { path: path.into(), uid, gid: 7, mode }
    }

    #[test]
    fn links_and_parents_are_followed_as_the_kernel_does() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().canonicalize().unwrap().join(path);
        std::fs::create_dir_all(at("a/b")).unwrap();
        symlink(at("a/b"), at("absolute")).unwrap();
        symlink("a/b", at("relative")).unwrap();
        symlink("loop", at("loop")).unwrap();
        for (path, end) in [
            ("a/b", "a/b"),
            ("absolute", "a/b"),
            ("relative/..", "a"),
            ("relative/../../a/./b", "a/b"),
            ("a/missing/deeper", "a"),
        ] {
            assert_eq!(Way::follow(&at(path)).unwrap().end().path, at(end), "{path}");
        }
        assert!(Way::follow(&at("loop")).is_err());
        std::fs::write(at("a/file"), "").unwrap();
        assert_eq!(Way::follow(&at("a/file")).unwrap().end().path, at("a"));
    }

    #[test]
    fn a_step_is_changeable_by_owner_group_or_all() {
        for (step, changeable) in [
            (made("/a", 5, 0o40_755), true),
            (made("/a", 0, 0o40_755), false),
            (made("/a", 0, 0o40_777), true),
            (made("/a", 0, 0o41_777), false),
            (made("/a", 0, 0o120_777), false),
            (made("/a", 5, 0o120_777), true),
        ] {
            assert_eq!(step.is_changeable_by(&user(5)), changeable, "{step:?}");
        }
        assert!(made("/a", 0, 0o40_770).is_changeable_by(&user(7)));
    }

    #[test]
    fn a_link_of_a_third_user_is_foreign() {
        let way = |owner_of_link, owner_of_end| Way {
            steps: vec![made("/", 0, 0o40_755), made("/l", owner_of_link, 0o120_777)],
            end: made("/d", owner_of_end, 0o40_755),
        };
        assert!(way(5, 6).foreign_link().is_some());
        assert!(way(5, 0).foreign_link().is_some());
        assert!(way(5, 5).foreign_link().is_none());
        assert!(way(0, 5).foreign_link().is_none());
    }
}
