//! Edits the configuration file over HTTP: a text is checked as at startup, written and applied.
//!
//! Edits run one at a time. A fingerprint detects that the file has changed since the editor read it. The running
//! service receives the new configuration as a [`Reload`] message, so that no request waits for an actor. If it cannot
//! be applied, the previous file is restored.

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

/// Time limit for applying a configuration; beyond it the service is considered stuck.
const RELOADED_WITHIN: Duration = Duration::from_secs(30);
/// The capacity of the reload queue. Edits run one at a time, so one is enough.
const RELOADS: usize = 1;

/// Asks the running service to apply a configuration.
#[derive(Debug)]
pub struct Reload {
    pub loaded: Loaded,
    /// The reply: what changed, or why it could not be applied. Closed when no caller waits.
    pub answer: oneshot::Sender<Result<Changes, String>>,
}

/// The editor of the configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConfigEditor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inputs: Option<Inputs>,
    turn: Mutex<()>,
    reloads: mpsc::Sender<Reload>,
}

/// A change of the file; may contain secrets.
#[derive(Clone)]
pub enum Edit {
    /// Replace the file with this text, in which secrets may be masked.
    Text(String),
    /// Keep the file and change one server.
    Server(ServerEdit),
    /// Keep the file and add an HTTP token.
    Token(TokenEdit),
}

/// The precondition of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    None,
    /// The file exists.
    Any,
    /// The file has one of these fingerprints.
    OneOf(Vec<String>),
}

/// The file with secrets masked.
#[derive(Debug)]
pub struct Look {
    pub path: PathBuf,
    /// The text, secrets masked; empty when it cannot be shown.
    pub text: String,
    /// The fingerprint; empty when the file cannot be read.
    pub fingerprint: String,
    /// Why the file cannot be edited.
    pub why_not: Option<String>,
    /// The file that servers are added to, because this one cannot be edited.
    pub adds_to: Option<PathBuf>,
}

/// A completed edit.
#[derive(Debug)]
pub struct Done {
    pub check: Check,
    /// The new fingerprint of the file.
    pub fingerprint: String,
    /// The file that was written.
    pub path: PathBuf,
}

/// Why an edit was rejected.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file has changed since the editor read it.
    #[error("the configuration file has changed since it was read: read it again")]
    Stale,
    /// The edit does not apply to the text.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The resulting configuration is invalid.
    #[error("the configuration would not be valid: {0}")]
    Unsound(Faults),
    /// The running service could not apply it; the file and its previous version are unchanged.
    #[error("the configuration is valid, but the service cannot apply it: {0}")]
    NotTakenUp(String),
    /// The service did not answer. The file is written.
    #[error("the file is written, but the service has not confirmed that it applied it: see its log")]
    NoAnswer,
}

impl ConfigEditor {
    /// Creates an editor for the configuration loaded from `inputs` (if known), and the receiver of the reload
    /// requests, which the service must handle.
    #[must_use]
    pub fn new(inputs: Option<Inputs>) -> (Self, mpsc::Receiver<Reload>) {
        let (reloads, requests) = mpsc::channel(RELOADS);
        (Self(Arc::new(Shared { inputs, turn: Mutex::default(), reloads })), requests)
    }

    /// The current file.
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
            // The file can at least be read.
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
            // Secrets in an invalid file cannot be located and masked, so it must be repaired on disk.
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

    /// Makes an edit and applies it. Completes even if the caller disconnects.
    ///
    /// # Errors
    /// Why it was rejected. The file is then unchanged, except for [`Refused::NoAnswer`].
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

    /// Validates an edit without applying it.
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
    /// Whether this is the file of additions, which may not exist yet.
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
