//! Drops root privileges before touching files that another user can change.
//!
//! The owner of a directory can put links into it, and root would follow them: it would truncate, write or chown a
//! file that the owner of the directory may not even read. So a root process that works on a store or a data
//! directory of another user permanently becomes that user first. Files elsewhere are written by a
//! [`Keeper`], a process that stays root and never opens the directory; files to read elsewhere are opened
//! before. Processes of other users are not affected.

mod keeper;
mod user;
mod way;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::unistd::geteuid;

pub use keeper::{Keeper, keep};
use user::User;
use way::Way;

/// The user that this process has become.
static BECAME: OnceLock<Became> = OnceLock::new();

/// Why root refuses to work on a directory.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Several users can change it.
    #[error(
        "{} can be changed by {by}, so root does not work there: chown it to the user of the service, remove the write \
         permission of others, or run this as that user",
        dir.display()
    )]
    Shared { dir: PathBuf, by: String },
    /// The owner of a directory or link on the path could have redirected it.
    #[error(
        "the path to {} leads through {}, which belongs to {user}, so root does not follow it: use the real path, \
         chown it to the user of the service, or run this as {user}",
        dir.display(), step.display()
    )]
    Led {
        /// The directory at the end of the path.
        dir: PathBuf,
        /// A directory or link on the path.
        step: PathBuf,
        /// The owner of the step.
        user: String,
    },
    /// Two directories of the configuration belong to different users.
    #[error(
        "{} belongs to {one}, and {} to {other}, so root cannot work on both: give them to one user, or run this as \
         the user of the service",
        first.display(), second.display()
    )]
    Two {
        /// The directory that determines the user.
        first: PathBuf,
        one: String,
        second: PathBuf,
        other: String,
    },
    /// The kernel refuses to change the user of this process.
    #[error("{} belongs to {user}, and this process cannot become that user ({why}): run this as {user}", dir.display())]
    Forbidden {
        dir: PathBuf,
        user: String,
        /// The error of the kernel.
        why: nix::errno::Errno,
    },
    /// The service already runs as root.
    #[error("{} belongs to {user}, and a service that runs does not change its user: run it as {user}", dir.display())]
    Running { dir: PathBuf, user: String },
    /// A path cannot be resolved.
    #[error("cannot determine who may change {}: {why}", path.display())]
    Unknown {
        path: PathBuf,
        /// The error of the system.
        why: io::Error,
    },
}

/// The user that this process has become, and the directory that determined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Became {
    user: User,
    dir: PathBuf,
}

impl std::fmt::Display for Became {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "this ran as {}, the owner of {}, without the rights of root", self.user, self.dir.display())
    }
}

/// The user that this process has become, if any.
#[must_use]
pub fn became() -> Option<&'static Became> {
    BECAME.get()
}

/// The user that this process must become, if any. Nothing changes until [`Plan::settle`].
#[derive(Debug)]
#[must_use]
pub struct Plan(Option<Became>);

impl Plan {
    /// A plan for work that touches no directory of another user.
    pub fn none() -> Self {
        Self(None)
    }

    /// A plan for work in a directory, or on a file and its neighbours. Neither needs to exist yet.
    ///
    /// # Errors
    /// When root refuses to work there.
    pub fn for_work_on(path: &Path) -> Result<Self, Refusal> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        let owner = owner(path)?;
        let way = follow(path)?;
        match way.end().open_to_group() {
            Some(gid) if owner.is_none() => {
                Err(Refusal::Shared { dir: way.end().path.clone(), by: format!("the members of group {gid}") })
            }
            _ => Ok(Self(owner)),
        }
    }

    /// A plan for running the service. The owner of the store's directory decides; `others` may belong to that user or
    /// root.
    ///
    /// # Errors
    /// When root refuses to work in one of them.
    pub fn for_service<'p>(store: &Path, others: impl IntoIterator<Item = &'p Path>) -> Result<Self, Refusal> {
        let plan = Self::for_work_on(store)?;
        if geteuid().is_root() {
            others.into_iter().try_for_each(|path| plan.agree(store, path))?;
        }
        Ok(plan)
    }

    fn agree(&self, store: &Path, path: &Path) -> Result<(), Refusal> {
        let found = match (owner(path), &self.0) {
            // The work will use the privileges of the user, so the content does not matter.
            (Ok(None) | Err(_), Some(_)) => return Ok(()),
            (found, _) => found?,
        };
        match (&self.0, found) {
            (_, None) => Ok(()),
            (Some(ours), Some(found)) if ours.user == found.user => Ok(()),
            (ours, Some(found)) => Err(Refusal::Two {
                first: store.to_owned(),
                one: ours.as_ref().map_or_else(|| "root".to_owned(), |ours| ours.user.to_string()),
                second: path.to_owned(),
                other: found.user.to_string(),
            }),
        }
    }

    /// Whether `path` must be opened before root privileges are dropped. This is safe, because the user that this
    /// process becomes cannot redirect it. A path that the user can redirect is opened with the privileges of the user.
    ///
    /// # Errors
    /// When the path cannot be resolved.
    pub fn is_beyond(&self, path: &Path) -> Result<bool, Refusal> {
        match &self.0 {
            None => Ok(false),
            Some(became) => Ok(!follow(path)?.is_changeable_by(&became.user)),
        }
    }

    /// Permanently becomes that user.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn settle(self) -> Result<(), Refusal> {
        let Some(became) = self.0 else { return Ok(()) };
        became.user.assume().map_err(|why| Refusal::Forbidden {
            dir: became.dir.clone(),
            user: became.user.to_string(),
            why,
        })?;
        // A process changes its user at most once.
        let _ = BECAME.set(became);
        Ok(())
    }

    /// Checks a plan for a running service, which as root cannot start to use a directory of another user.
    ///
    /// # Errors
    /// When it would have to become another user.
    pub fn stay(self) -> Result<(), Refusal> {
        match self.0 {
            None => Ok(()),
            Some(became) => Err(Refusal::Running { dir: became.dir, user: became.user.to_string() }),
        }
    }
}

/// Whether this process is root and another user could redirect `path`.
#[must_use]
pub fn is_in_foreign_hands(path: &Path) -> bool {
    let is_foreign = |way: Way| way.foreign().is_some() || way.open_to_all().is_some();
    geteuid().is_root() && Way::follow(path).is_ok_and(is_foreign)
}

/// The owner of the directory that `path` names or is in; `None` for root.
fn owner(path: &Path) -> Result<Option<Became>, Refusal> {
    let way = follow(path)?;
    let end = way.end();
    if let (0, Some(open)) = (end.uid, way.open_to_all()) {
        return Err(Refusal::Shared { dir: open.path.clone(), by: "every user".to_owned() });
    }
    let led = if end.uid == 0 { way.foreign() } else { way.foreign_link() };
    if let Some(step) = led {
        let user = User::of(step.uid).to_string();
        return Err(Refusal::Led { dir: end.path.clone(), step: step.path.clone(), user });
    }
    Ok((end.uid != 0).then(|| Became { user: User::of(end.uid), dir: end.path.clone() }))
}

fn follow(path: &Path) -> Result<Way, Refusal> {
    Way::follow(path).map_err(|why| Refusal::Unknown { path: path.to_owned(), why })
}
