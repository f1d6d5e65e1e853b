//! The state of a supervised part (child) of the service. Data only.

use crate::clock::Stamp;

/// The kind of a child, which decides what happens if it cannot stay up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An essential part. If it cannot stay up, the process exits and systemd restarts the service.
    Core,
    /// An output. It is always restarted; meanwhile its bounded queue fills, and dropped entries are counted.
    Sink,
    /// The prober of one server. It is always restarted; other servers are not affected.
    Prober,
}

/// The state of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChildState {
    /// The child is running.
    Running,
    /// The child died and is about to be restarted.
    Restarting,
    /// The child died several times in a row. The next restart is up to 30 s away.
    Crashed,
}

/// The status of one child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildStatus {
    /// What the child does.
    pub role: Role,
    /// The current state.
    pub state: ChildState,
    /// When the child entered this state.
    pub since: Stamp,
    /// The number of restarts.
    pub restarts: u64,
    /// How many of the restarts followed a panic.
    pub panics: u64,
}
