//! What the analysis says: who is wrong, by how much, since when, how sure it is and what it assumed.

mod history;
mod sentence;
mod when;

pub use history::{Blame, Entry, EntryLocal, History};
pub use sentence::{local_sentence, ppm, seconds, server_sentence, verdict_sentence};
pub use when::When;

use schemars::JsonSchema;
use serde::Serialize;

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody is proven or suspected wrong. Not "correct": right within the bound that is stated.
    Consistent,
    /// The clock of this machine is wrong.
    LocalWrong,
    /// One or more servers are wrong.
    ServerWrong,
    /// The network path explains what is seen; no clock is accused.
    Path,
    /// What is seen does not allow a decision; the reason is stated.
    Undecidable,
}

impl State {
    /// As data files, metrics and the API name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::LocalWrong => "local_wrong",
            Self::ServerWrong => "server_wrong",
            Self::Path => "path",
            Self::Undecidable => "undecidable",
        }
    }
}

/// How something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It jumped at one moment.
    Step,
    /// It runs at a wrong rate.
    Frequency,
    /// It has been off by the same amount for as long as it was watched.
    Constant,
    /// It spreads a leap second over a day.
    Smear,
    /// One direction of the path changed: the delay moved by twice what the offset did.
    Asymmetry,
    /// Queues: the delay is up and the offset is explained by it.
    Congestion,
    /// It does not answer.
    Unreachable,
}

impl Kind {
    /// As data files, metrics and the API name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Frequency => "frequency",
            Self::Constant => "constant",
            Self::Smear => "smear",
            Self::Asymmetry => "asymmetry",
            Self::Congestion => "congestion",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The standing of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Its interval meets the majority interval.
    Truechimer,
    /// Its interval is disjoint from the majority interval.
    Falseticker,
    /// Nothing to compare, or a suspicion that is not proven.
    Unknown,
}

impl Class {
    /// As data files and the page name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Truechimer => "truechimer",
            Self::Falseticker => "falseticker",
            Self::Unknown => "unknown",
        }
    }
}

/// Which way the own clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// Behind the servers (positive offsets).
    Slow,
    /// Ahead of the servers (negative offsets).
    Fast,
    /// Neither is shown.
    None,
}

/// The own clock.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct LocalVerdict {
    /// The offset of true time against this clock in seconds, positive when this clock is slow: the servers' weighted
    /// median. Absent without a majority.
    pub estimate_s: Option<f64>,
    /// The true offset lies within `estimate_s ± bound_s` if the majority is right.
    pub bound_s: Option<f64>,
    /// This clock is wrong by at least this much if the majority is right; zero when that is not proven.
    pub at_least_s: f64,
    /// Which way.
    pub sign: Sign,
    /// How it is wrong, when it is.
    pub kind: Option<Kind>,
    /// The fitted rate error in ppm, positive when this clock loses time, with the half width of its 95 % interval.
    pub rate_ppm: Option<(f64, f64)>,
    /// Since when it is wrong.
    pub since: Option<When>,
    /// Why the own clock must not be trusted for judging others; absent when it may.
    pub distrust: Option<String>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct ServerVerdict {
    /// The configured name.
    pub server: String,
    /// The address, when known.
    pub address: Option<String>,
    /// Its standing in the majority intersection.
    pub class: Class,
    /// Wrong by at least this many seconds (the distance to the majority interval), when proven.
    pub gap_s: Option<f64>,
    /// How far it moved from its own baseline against the others, in seconds; for a path, the change of its offset.
    pub size_s: Option<f64>,
    /// The fitted rate error in ppm, positive when the server gains, with the half width of its 95 % interval.
    pub rate_ppm: Option<(f64, f64)>,
    /// Since when.
    pub since: Option<When>,
    /// What is wrong with it, or with its path.
    pub kind: Option<Kind>,
    /// Whether the verdict accuses it (or, in state `path`, its path).
    pub blamed: bool,
    /// Whether the intervals alone prove it wrong.
    pub proven: bool,
    /// How sure this is, 0 to 1, given the assumption.
    pub confidence: f64,
    /// One sentence for a person.
    pub sentence: String,
}

/// The majority that the verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize)]
pub struct MajorityVerdict {
    /// The lower end of the majority interval in seconds of offset.
    pub low_s: f64,
    /// The upper end.
    pub high_s: f64,
    /// How many servers meet it.
    pub members: usize,
    /// How many servers were compared.
    pub of: usize,
    /// How many of those look independent of each other.
    pub independent: usize,
}

/// The verdict as it stands.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Verdict {
    /// The answer in one word.
    pub state: State,
    /// Since when: the onset of what is wrong, backdated, or the moment it ended.
    pub since: Option<When>,
    /// How sure this is, 0 to 1, given the assumption.
    pub confidence: f64,
    /// The own clock.
    pub local: LocalVerdict,
    /// Every server, in the order in which they were first seen.
    pub servers: Vec<ServerVerdict>,
    /// The majority, when there is one.
    pub majority: Option<MajorityVerdict>,
    /// Why: what was seen.
    pub reason: String,
    /// What had to be assumed.
    pub assumption: String,
    /// Said when the servers are not independent.
    pub independence: Option<String>,
    /// One sentence for a person.
    pub sentence: String,
    /// Whether the own clock seems to move just now, which is not called so yet: the numbers may belong to the next
    /// verdict.
    #[serde(skip)]
    pub suspended: bool,
}

impl Verdict {
    /// Before anything was seen.
    #[must_use]
    pub fn nothing_yet() -> Self {
        Self {
            state: State::Undecidable,
            since: None,
            confidence: 0.0,
            local: LocalVerdict {
                estimate_s: None,
                bound_s: None,
                at_least_s: 0.0,
                sign: Sign::None,
                kind: None,
                rate_ppm: None,
                since: None,
                distrust: None,
            },
            servers: Vec::new(),
            majority: None,
            reason: "no samples yet".into(),
            assumption: String::new(),
            independence: None,
            sentence: "Nothing can be said yet: no server has answered.".into(),
            suspended: false,
        }
    }

    /// Whom the verdict accuses.
    pub fn blamed(&self) -> impl Iterator<Item = &ServerVerdict> {
        self.servers.iter().filter(|s| s.blamed)
    }
}
