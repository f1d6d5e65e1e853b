//! Root gives up its rights before it touches what another user may change.
//!
//! The owner of a directory can put links into it, and root would follow them: it would truncate, write or give away a
//! file that the owner of the directory may not even read. So a process of root that works on a store or a data
//! directory of another user becomes that user first, for good. What has to be written elsewhere is written by a
//! [`Keeper`], a process that stays root and never looks into the directory; what has to be read elsewhere is opened
//! before. Processes of other users than root are not affected.

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

/// The user that this process became.
static BECAME: OnceLock<Became> = OnceLock::new();

/// Why root does not work on a directory.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Several users may change it.
    #[error(
        "{} may be changed by {by}, so root does not work there: chown it to the user of the service, take the right \
         to write from the others, or run this as that user",
        dir.display()
    )]
    Shared { dir: PathBuf, by: String },
    /// The owner of something on the way could have led the path here.
    #[error(
        "the path to {} leads through {}, which belongs to {user}, so root does not follow it: name the place itself, \
         chown it to the user of the service, or run this as {user}",
        dir.display(), step.display()
    )]
    Led {
        /// Where the path ends.
        dir: PathBuf,
        /// A directory or a link on the way.
        step: PathBuf,
        /// The owner of the step.
        user: String,
    },
    /// Two directories of a configuration belong to two users.
    #[error(
        "{} belongs to {one}, and {} to {other}, so root cannot work on both: give them to one user, or run this as \
         the user of the service",
        first.display(), second.display()
    )]
    Two {
        /// The directory that decides.
        first: PathBuf,
        one: String,
        second: PathBuf,
        other: String,
    },
    /// The kernel does not let this process become the user.
    #[error("{} belongs to {user}, and this process cannot become that user ({why}): run this as {user}", dir.display())]
    Forbidden {
        dir: PathBuf,
        user: String,
        /// What the kernel said.
        why: nix::errno::Errno,
    },
    /// The service runs as root already.
    #[error("{} belongs to {user}, and a service that runs does not change its user: run it as {user}", dir.display())]
    Running { dir: PathBuf, user: String },
    /// A path cannot be followed.
    #[error("cannot find out who may change {}: {why}", path.display())]
    Unknown {
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
}

/// The user that this process became, and the directory that was the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Became {
    user: User,
    dir: PathBuf,
}

impl std::fmt::Display for Became {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "this ran with the rights of {}, the owner of {}, not with those of root",
            self.user,
            self.dir.display()
        )
    }
}

/// The user that this process became, if it did.
#[must_use]
pub fn became() -> Option<&'static Became> {
    BECAME.get()
}

/// The user that this process has to become, if any. Nothing has changed until [`Plan::settle`].
#[derive(Debug)]
#[must_use]
pub struct Plan(Option<Became>);

impl Plan {
    /// For work that touches no directory of another user.
    pub fn none() -> Self {
        Self(None)
    }

    /// For work in a directory, or on a file and what lies beside it. Neither need exist yet.
    ///
    /// # Errors
    /// When root must not work there.
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

    /// For running the service. The directory of the store decides; the `others` may belong to its owner or to root.
    ///
    /// # Errors
    /// When root must not work in one of them.
    pub fn for_service<'p>(store: &Path, others: impl IntoIterator<Item = &'p Path>) -> Result<Self, Refusal> {
        let plan = Self::for_work_on(store)?;
        if geteuid().is_root() {
            others.into_iter().try_for_each(|path| plan.agree(store, path))?;
        }
        Ok(plan)
    }

    fn agree(&self, store: &Path, path: &Path) -> Result<(), Refusal> {
        let found = match (owner(path), &self.0) {
            // It will be done with the rights of the user, whatever is there.
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

    /// Whether `path` has to be opened with the rights of root, before they are given up: the user that this process
    /// becomes cannot change where it leads. A path that the user can change is opened with the rights of the user.
    ///
    /// # Errors
    /// When the path cannot be followed.
    pub fn is_beyond(&self, path: &Path) -> Result<bool, Refusal> {
        match &self.0 {
            None => Ok(false),
            Some(became) => Ok(!follow(path)?.is_changeable_by(&became.user)),
        }
    }

    /// Becomes that user, for good.
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
        // A process becomes another one once.
        let _ = BECAME.set(became);
        Ok(())
    }

    /// For a service that runs already: as root it cannot take up a directory of another user.
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

/// Whether this process has the rights of root, and another user could lead `path` elsewhere.
#[must_use]
pub fn is_in_foreign_hands(path: &Path) -> bool {
    let is_foreign = |way: Way| way.foreign().is_some() || way.open_to_all().is_some();
    geteuid().is_root() && Way::follow(path).is_ok_and(is_foreign)
}

/// The user to whom the directory belongs that `path` leads to or into; `None` for root.
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
