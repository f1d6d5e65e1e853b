//! How a supervised part of the service is doing, as data.

use crate::clock::Stamp;

/// Whether the service can do without a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The service is nothing without it: when it cannot stay up, the process ends and systemd restarts it.
    Core,
    /// An output: it is restarted for ever, its queue waits, bounded and counted.
    Sink,
    /// One server's prober: when it keeps dying it harms nobody else.
    Prober,
}

/// How a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChildState {
    /// It runs.
    Running,
    /// It died and will be back shortly.
    Restarting,
    /// It died several times in a row; the next attempt is up to 30 s away.
    Crashed,
}

/// One child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildStatus {
    /// Whether the service can do without it.
    pub role: Role,
    /// How it is.
    pub state: ChildState,
    /// When it came into this state.
    pub since: Stamp,
    /// How often it was started again.
    pub restarts: u64,
    /// How many of its deaths were panics.
    pub panics: u64,
}
