//! The types of the fleet's verdict, as JSON shows them.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::skew::Skew;
use crate::stats::verdict::When;

/// The verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FleetState {
    /// Everything that was measured fits together.
    Consistent,
    /// At least one server is wrong, and nothing else.
    ServerWrong,
    /// At least one vantage is wrong, and nothing else.
    VantageWrong,
    /// At least one network path changed, and nothing else.
    Path,
    /// Several of these at once.
    Several,
    /// The measurements contradict each other, and it cannot be decided who is wrong.
    Undecidable,
}

impl FleetState {
    /// The state as JSON names it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::ServerWrong => "server_wrong",
            Self::VantageWrong => "vantage_wrong",
            Self::Path => "path",
            Self::Several => "several",
            Self::Undecidable => "undecidable",
        }
    }
}

/// In which way a server or a vantage is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FleetKind {
    /// Its clock jumped.
    Step,
    /// Its clock runs at a wrong rate.
    Frequency,
    /// Its clock has been wrong since the first sample.
    Constant,
    /// A server shows different clocks to different vantages, as anycast with one bad instance does.
    Split,
    /// A vantage reports what no state of its clock explains.
    FalseReports,
}

impl FleetKind {
    /// Whether readings contradict each other, so that no error of one clock explains them.
    pub(super) fn is_false(self) -> bool {
        matches!(self, Self::Split | Self::FalseReports)
    }
}

/// A server that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BlamedServer {
    /// Its name; `NAME@ADDRESS` when the name has several addresses.
    pub server: String,
    /// In which way it is wrong.
    pub kind: FleetKind,
    /// The proven minimum of its error beyond what it claims, in seconds, the largest since the onset; absent when the
    /// error is inferred only.
    pub gap_s: Option<f64>,
    /// Whether intervals alone prove it, under the assumption of the verdict.
    pub proven: bool,
    /// The estimated error in seconds, positive when the server is ahead.
    pub size_s: Option<f64>,
    /// The half-width of the interval around `size_s`, in seconds.
    pub bound_s: Option<f64>,
    /// From how many places the error is seen: it is larger than what the path can hide, and there.
    pub wrong_from: usize,
    /// From how many places the server is seen.
    pub seen_from: usize,
}

/// A vantage whose clock is wrong, or that reports falsely.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BlamedVantage {
    /// Its name.
    pub vantage: String,
    /// In which way it is wrong.
    pub kind: FleetKind,
    /// The proven minimum of its clock's error in seconds; absent when the error is inferred only.
    pub gap_s: Option<f64>,
    /// Whether intervals alone prove it, under the assumption of the verdict.
    pub proven: bool,
    /// The estimated error of its clock in seconds, positive when the clock is ahead.
    pub size_s: Option<f64>,
    /// The half-width of the interval around `size_s`, in seconds.
    pub bound_s: Option<f64>,
}

/// A network path that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct BlamedPath {
    /// The vantage at its one end; `*` when the server's access link is meant.
    pub vantage: String,
    /// The server at its other end; `*` when the vantage's access link is meant.
    pub server: String,
}

/// One verdict over the fleet and the time in which it held.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FleetVerdict {
    /// When it began to hold, backdated to the onset.
    pub since: Option<When>,
    /// When the next verdict replaced it; absent for the current one.
    pub until: Option<When>,
    /// The verdict in one word.
    pub state: FleetState,
    /// The servers that are wrong.
    pub servers: Vec<BlamedServer>,
    /// The vantages that are wrong.
    pub vantages: Vec<BlamedVantage>,
    /// The paths that changed.
    pub paths: Vec<BlamedPath>,
    /// The sets of parties among which it cannot be decided: `server:NAME`, `vantage:NAME` or `path:VANTAGE/SERVER`.
    pub alternatives: Vec<Vec<String>>,
    /// What was assumed.
    pub assumption: String,
    /// The verdict as a sentence.
    pub sentence: String,
    /// The confidence, 0 to 1.
    pub confidence: f64,
}

impl FleetVerdict {
    /// The verdict before anything was measured.
    #[must_use]
    pub fn nothing_yet() -> Self {
        Self {
            since: None,
            until: None,
            state: FleetState::Undecidable,
            servers: Vec::new(),
            vantages: Vec::new(),
            paths: Vec::new(),
            alternatives: Vec::new(),
            assumption: String::new(),
            sentence: "no vantage has measured anything yet".to_owned(),
            confidence: 0.0,
        }
    }

    /// Whether this verdict names a server, a vantage or a path.
    #[must_use]
    pub fn accuses(&self) -> bool {
        !(self.servers.is_empty() && self.vantages.is_empty() && self.paths.is_empty())
    }
}

/// Everything that is known about the fleet over a span. Serialises as `replay --json` prints it under `fleet`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FleetReport {
    /// The verdicts one after the other.
    pub verdicts: Vec<FleetVerdict>,
    /// The clock of each vantage less the clock of each other one at the end of the span.
    pub skew: Vec<Skew>,
    /// The private addresses that count as a server of its own in each of several groups of vantages, in order.
    #[serde(skip)]
    pub private_twice: Vec<SocketAddr>,
}
