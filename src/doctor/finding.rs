//! The findings of an examination.

use serde::Serialize;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// No problem.
    Ok,
    /// Information; no action is needed.
    Note,
    /// The service works, but less well than it could.
    Warning,
    /// Something does not work.
    Problem,
}

impl Level {
    /// The label in the output.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The area: `configuration`, `files`, `clock`, `timestamps`, `servers`, `store`, `outputs`, `fleet`, `service`.
    pub area: &'static str,
    /// The subject, for example the name of a server.
    pub subject: String,
    /// The severity.
    pub level: Level,
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Findings of one area.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area(pub(super) &'static str);

impl Area {
    pub(super) fn ok(self, subject: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding { area: self.0, subject: subject.into(), level: Level::Ok, what: what.into(), advice: None }
    }

    pub(super) fn note(self, subject: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding { level: Level::Note, ..self.ok(subject, what) }
    }

    pub(super) fn warning(
        self,
        subject: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Warning, advice: Some(advice.into()), ..self.ok(subject, what) }
    }

    pub(super) fn problem(
        self,
        subject: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Problem, ..self.warning(subject, what, advice) }
    }
}

impl Finding {
    pub(super) fn advising(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}
