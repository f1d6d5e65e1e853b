//! The status of the service and the reasons for it.

use schemars::JsonSchema;
use serde::Serialize;

/// The health status of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything that is configured works.
    #[default]
    Ok,
    /// The service monitors, but something that is configured does not work. `/health` returns 200.
    Degraded,
    /// The service cannot do its job. `/health` returns 503.
    Failing,
}

impl Status {
    /// The name of the status in `/health`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }
}

/// One reason for a status that is not `ok`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Reason {
    /// The status that this reason alone would cause.
    pub status: Status,
    /// The kind of part that is affected: `server`, `sink`, `child`, `notifier`, `report`, `alert` or `monitor`.
    pub about: &'static str,
    /// The name of the affected part.
    pub name: String,
    /// What is wrong, as a sentence for people.
    pub reason: String,
}
