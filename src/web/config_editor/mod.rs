//! Edits of the configuration file over HTTP: a text is checked as at a start, written and applied.
//!
//! One edit at a time. A fingerprint detects a file that was changed since the editor saw it, here or by hand. The running
//! service receives what was written as a [`Reload`] message, so that no request waits for an actor. What cannot be
//! applied is not left in the file.

mod additions;
mod check;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};

pub use check::{Check, FaultView};

use crate::config::edit::{self, EditError, ServerEdit, TokenEdit};
use crate::config::file::{self, FileError};
use crate::config::{Changes, Config, Faults, Inputs, Loaded, diff};

/// The service takes up a new configuration within this time, or it is stuck.
const RELOADED_WITHIN: Duration = Duration::from_secs(30);
/// Reloads that may wait: edits come one by one, so one is enough.
const RELOADS: usize = 1;

/// Asks the running service to apply a configuration.
#[derive(Debug)]
pub struct Reload {
    pub loaded: Loaded,
    /// Answers what changed, or why it could not be taken up. When it is closed, no caller waits.
    pub answer: oneshot::Sender<Result<Changes, String>>,
}

/// Where the configuration is edited. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConfigEditor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inputs: Option<Inputs>,
    turn: Mutex<()>,
    reloads: mpsc::Sender<Reload>,
}

/// What is to become of the file; may hold secrets.
#[derive(Clone)]
pub enum Edit {
    /// This text, in which secrets may be left masked.
    Text(String),
    /// The same with one server changed.
    Server(ServerEdit),
    /// The same with another token of HTTP.
    Token(TokenEdit),
}

/// What an edit depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    None,
    /// There is a file.
    Any,
    /// The file has one of these fingerprints.
    OneOf(Vec<String>),
}

/// The file as it may be shown.
#[derive(Debug)]
pub struct Look {
    pub path: PathBuf,
    /// Its text, secrets masked; empty when it cannot be shown.
    pub text: String,
    /// Its fingerprint; empty when it cannot be read.
    pub fingerprint: String,
    /// Why it cannot be edited.
    pub why_not: Option<String>,
    /// The file that servers are added to, because this one cannot be edited.
    pub adds_to: Option<PathBuf>,
}

/// An edit that was done.
#[derive(Debug)]
pub struct Done {
    pub check: Check,
    /// The fingerprint of the file now.
    pub fingerprint: String,
    /// The file that was written.
    pub path: PathBuf,
}

/// Why an edit was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not what the editor saw.
    #[error("the configuration file has changed since it was read: read it again")]
    Stale,
    /// The text cannot be edited like this.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// What would stand in the file is not sound.
    #[error("the configuration would not be sound: {0}")]
    Unsound(Faults),
    /// The running service could not take it up; the file and its previous version are as before.
    #[error("the configuration is sound, but the service cannot take it up: {0}")]
    NotTakenUp(String),
    /// The service did not answer. The file is written.
    #[error("the file is written, but the service has not said that it took it up: see its log")]
    NoAnswer,
}

impl ConfigEditor {
    /// An editor for the configuration that comes from `inputs`, if it is known where it comes from; and the requests to
    /// reload, which the service must serve.
    #[must_use]
    pub fn new(inputs: Option<Inputs>) -> (Self, mpsc::Receiver<Reload>) {
        let (reloads, requests) = mpsc::channel(RELOADS);
        (Self(Arc::new(Shared { inputs, turn: Mutex::default(), reloads })), requests)
    }

    /// The file as it is now.
    pub async fn look(&self, running: Arc<Config>) -> Look {
        let editor = self.clone();
        blocking(move || editor.look_now(&running)).await
    }

    fn look_now(&self, running: &Config) -> Look {
        let given = self.0.inputs.as_ref().and_then(|inputs| inputs.file.clone());
        let empty = |why: String| Look {
            path: given.clone().unwrap_or_default(),
            text: String::new(),
            fingerprint: String::new(),
            why_not: Some(why),
            adds_to: None,
        };
        let (path, why_not) = match (file::editable(given.as_deref()), &given) {
            (Ok(path), _) => (path, None),
            // It can be read at least.
            (Err(why @ FileError::Io { doing: "written", .. }), Some(path)) => (path.clone(), Some(why.to_string())),
            (Err(why), _) => return empty(why.to_string()),
        };
        let text = match file::read(&path) {
            Ok(text) => text,
            Err(why) => return empty(why.to_string()),
        };
        let added = additions::read(running, given.as_deref());
        let fingerprint = edit::fingerprint(&format!("{text}{}", added.as_deref().unwrap_or_default()));
        let adds_to = why_not.as_ref().and_then(|_| additions::place(running));
        match edit::mask(&text) {
            Ok(text) => Look { path, text, fingerprint, why_not, adds_to },
            // The secrets in it cannot be found, so it must be repaired on disk.
            Err(why) => Look { fingerprint, ..empty(format!("{}: {why}", path.display())) },
        }
    }

    /// The effects of an edit.
    ///
    /// # Errors
    /// When the file cannot be edited.
    pub async fn check(&self, edit: Edit, running: Arc<Config>) -> Result<Check, Refused> {
        let editor = self.clone();
        blocking(move || match editor.plan(&Condition::None, &edit, &running) {
            Ok(plan) => Ok(plan.check),
            Err(Refused::Unsound(faults)) => Ok(Check::unsound(&faults)),
            Err(Refused::Edit(why)) => Ok(Check::not_edited(&why)),
            Err(why) => Err(why),
        })
        .await
    }

    /// Makes an edit and applies it. Continues when its caller left.
    ///
    /// # Errors
    /// Why it was not done; the file is then as before, but for [`Refused::NoAnswer`].
    pub async fn write(&self, condition: Condition, edit: Edit, running: Arc<Config>) -> Result<Done, Refused> {
        let editor = self.clone();
        let task = actix_web::rt::spawn(async move { editor.write_in_turn(condition, edit, running).await });
        task.await.unwrap_or(Err(Refused::NoAnswer))
    }

    async fn write_in_turn(&self, condition: Condition, edit: Edit, running: Arc<Config>) -> Result<Done, Refused> {
        let _turn = self.0.turn.lock().await;
        let editor = self.clone();
        let (plan, replaced) = blocking(move || {
            let plan = editor.plan(&condition, &edit, &running)?;
            if plan.is_addition {
                file::begin(&plan.path, additions::HEADING)?;
            }
            let replaced = file::replace(&plan.path, &plan.old, &plan.new)?;
            Ok::<_, Refused>((plan, replaced))
        })
        .await?;
        let Plan { path, fingerprint, loaded, check, .. } = plan;
        let (answer, answered) = oneshot::channel();
        let asked = self.0.reloads.send(Reload { loaded, answer }).await;
        let reason = match tokio::time::timeout(RELOADED_WITHIN, answered).await {
            _ if asked.is_err() => "it is stopping".to_owned(),
            Ok(Ok(Ok(_))) => return Ok(Done { check, fingerprint, path }),
            Ok(Ok(Err(reason))) => reason,
            Ok(Err(_)) | Err(_) => return Err(Refused::NoAnswer),
        };
        blocking(move || replaced.undo()).await?;
        Err(Refused::NotTakenUp(reason))
    }

    /// Everything about an edit short of doing it.
    fn plan(&self, condition: &Condition, edit: &Edit, running: &Config) -> Result<Plan, Refused> {
        let inputs = self.0.inputs.as_ref().ok_or(FileError::None)?;
        let given = inputs.file.as_deref();
        let added = additions::read(running, given);
        let editable = file::editable(given);
        let place = additions::place_of(edit, added.as_deref(), &editable, running);
        let main = match (&editable, given) {
            (Ok(path), _) => file::read(path)?,
            (Err(_), Some(path)) if place.is_some() => file::read(path)?,
            _ => String::new(),
        };
        let path = match &place {
            Some(path) => path.clone(),
            None => editable?,
        };
        let is_addition = place.is_some();
        let added = added.unwrap_or_default();
        if !condition.holds(&edit::fingerprint(&format!("{main}{added}"))) {
            return Err(Refused::Stale);
        }
        let old = match is_addition {
            true if added.is_empty() => additions::HEADING.to_owned(),
            true => added.clone(),
            false => main.clone(),
        };
        let new = match edit {
            Edit::Text(text) => edit::restore(text, &old)?,
            Edit::Server(change) => change.apply(&old)?,
            Edit::Token(token) => token.apply(&old)?,
        };
        let loaded = if is_addition { inputs.load_with_additions(&new) } else { inputs.load_text(&new) };
        let loaded = loaded.map_err(Refused::Unsound)?;
        let difference = edit::unified(&edit::mask(&old).unwrap_or_default(), &edit::mask(&new)?);
        let check = Check::sound(&loaded.warnings, difference, &diff(running, &loaded.config));
        let all = if is_addition { format!("{main}{new}") } else { format!("{new}{added}") };
        Ok(Plan { path, is_addition, old, new, fingerprint: edit::fingerprint(&all), loaded, check })
    }
}

struct Plan {
    path: PathBuf,
    /// Whether it is the file of additions, which may not exist yet.
    is_addition: bool,
    old: String,
    new: String,
    /// The fingerprint of the files after the edit.
    fingerprint: String,
    loaded: Loaded,
    check: Check,
}

impl Condition {
    fn holds(&self, fingerprint: &str) -> bool {
        match self {
            Self::None | Self::Any => true,
            Self::OneOf(known) => known.iter().any(|one| one == fingerprint),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(died) => std::panic::resume_unwind(died.into_panic()),
    }
}
