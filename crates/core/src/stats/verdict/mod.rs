//! The verdict of the analysis: which clocks are wrong, by how much, since when, with what confidence and assumptions.

mod history;
pub(in crate::stats) mod sentence;
mod when;

pub use history::{Blame, Entry, EntryLocal, History};
pub use sentence::{
    Beside, blamed_sentences, last_seen_sentence, list_names, local_sentence, moved_sentence, ppm, seconds,
    server_sentence, silence_sentence, stray_sentence, unseen_sentence, verdict_sentence, within,
};
pub use when::When;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sample::{Authentication, Outcome};

/// The verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No clock is proven or suspected to be wrong. Clocks are right within the stated bound, not exactly.
    Consistent,
    /// This host's clock is wrong.
    LocalWrong,
    /// One or more servers are wrong.
    ServerWrong,
    /// The network path explains the measurements; no clock is wrong.
    Path,
    /// The measurements do not allow a decision; `reason` says why.
    Undecidable,
}

impl State {
    /// The name in data files, metrics and the API.
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

/// How a clock or a network path is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The clock jumped at one moment.
    Step,
    /// The clock runs at a wrong rate.
    Frequency,
    /// The clock has been off by a constant amount since monitoring began.
    Constant,
    /// The server smears a leap second over a day.
    Smear,
    /// One direction of the path changed: the delay changed by twice as much as the offset.
    Asymmetry,
    /// The path is congested: the delay has increased and explains the offset.
    Congestion,
    /// The server does not answer.
    Unreachable,
    /// Replies are wrong now and then, as when one of several servers behind a name is.
    Intermittent,
    /// The clock goes to and fro: neither a step nor a rate describes it.
    Unsteady,
    /// The clock goes to and fro with a period.
    Periodic,
}

impl Kind {
    /// The name in data files, metrics and the API.
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
            Self::Intermittent => "intermittent",
            Self::Unsteady => "unsteady",
            Self::Periodic => "periodic",
        }
    }
}

/// The classification of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The error range of the server overlaps the range that the majority agrees on.
    Truechimer,
    /// The error range of the server does not overlap the range that the majority agrees on.
    Falseticker,
    /// There is no majority to compare with, or the server is suspected without proof.
    Unknown,
}

impl Class {
    /// The name in data files and on the page.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Truechimer => "truechimer",
            Self::Falseticker => "falseticker",
            Self::Unknown => "unknown",
        }
    }
}

/// The direction in which this host's clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// This host's clock is behind the servers (positive offsets).
    Slow,
    /// This host's clock is ahead of the servers (negative offsets).
    Fast,
    /// This host's clock is not known to be wrong.
    None,
}

/// The verdict on this host's clock.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct LocalVerdict {
    /// The offset of true time from this host's clock in seconds, positive when this host's clock is behind. It is the
    /// median offset of the half of the servers with the smallest root distances; absent without a majority.
    pub estimate_s: Option<f64>,
    /// The largest possible error of `estimate_s` in seconds, if the majority is right.
    pub bound_s: Option<f64>,
    /// The proven minimum error of this host's clock in seconds, if the majority is right; zero if no error is proven.
    pub at_least_s: f64,
    /// The direction of the error.
    pub sign: Sign,
    /// How this host's clock is wrong; absent if it is not.
    pub kind: Option<Kind>,
    /// The fitted rate error in ppm, positive when this host's clock loses time, with the half width of its 95 %
    /// confidence interval.
    pub rate_ppm: Option<(f64, f64)>,
    /// When the error began; absent if this host's clock is not wrong.
    pub since: Option<When>,
    /// Why this host's clock is not synchronised by its own account; absent if it is.
    pub distrust: Option<String>,
}

/// The verdict on one server.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct ServerVerdict {
    /// The configured name.
    pub server: Arc<str>,
    /// The address; absent if it is not known.
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
    /// The classification of the server.
    pub class: Class,
    /// The proven minimum error in seconds: the distance from the server's error range to the range that the majority
    /// agrees on. Absent if no error is proven.
    pub gap_s: Option<f64>,
    /// How far the server moved from its baseline relative to the others, in seconds; for a path, the change of the
    /// offset.
    pub size_s: Option<f64>,
    /// The fitted rate error in ppm, positive when the server gains, with the half width of its 95 % confidence
    /// interval.
    pub rate_ppm: Option<(f64, f64)>,
    /// When the problem began; absent if there is none.
    pub since: Option<When>,
    /// How the server, or its path, is wrong; absent if it is not.
    pub kind: Option<Kind>,
    /// Whether the verdict blames the server (or, in state `path`, its path).
    pub blamed: bool,
    /// Whether the error ranges alone prove the server wrong.
    pub proven: bool,
    /// The confidence, 0 to 1, given the assumptions.
    pub confidence: f64,
    /// The share of wrong replies among the last ones, 0 to 1, where they come and go.
    pub bad_share: Option<f64>,
    /// The period in seconds of a clock that goes to and fro, once two periods were seen.
    pub period_s: Option<f64>,
    /// How the last offset was authenticated: it proves which server answered, not that its clock is right, and no rule of the
    /// verdict considers it. Absent before the first offset.
    pub authentication: Option<Authentication>,
    /// The verdict on this server as a sentence.
    pub sentence: String,
}

impl ServerVerdict {
    /// Whether it is blamed for its clock, not for its path or its silence.
    #[must_use]
    pub fn accuses_its_clock(&self) -> bool {
        self.blamed && !matches!(self.kind, Some(Kind::Asymmetry | Kind::Congestion | Kind::Unreachable))
    }

    /// How far its clock is off, in seconds, without sign: the size of the movement, or else the proven gap; 0 where
    /// neither is known.
    #[must_use]
    pub fn error_s(&self) -> f64 {
        self.size_s.or(self.gap_s).map_or(0.0, f64::abs)
    }
}

/// The majority that the verdict is based on.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct MajorityVerdict {
    /// The lower end of the offset range that the majority agrees on, in seconds.
    pub low_s: f64,
    /// The upper end of that range, in seconds.
    pub high_s: f64,
    /// The number of servers in the majority.
    pub members: usize,
    /// The number of servers that were compared.
    pub of: usize,
    /// How many of the compared servers look independent of each other.
    pub independent: usize,
}

/// The current verdict.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Verdict {
    /// The verdict in one word.
    pub state: State,
    /// When the state began: the backdated onset of a problem, or the moment it ended.
    pub since: Option<When>,
    /// The confidence, 0 to 1, given the assumptions.
    pub confidence: f64,
    /// The verdict on this host's clock.
    pub local: LocalVerdict,
    /// The verdicts on all servers, in the order in which they were first seen.
    // Shared, because a copy of the verdict rarely changes them.
    pub servers: Arc<Vec<ServerVerdict>>,
    /// The majority; absent if there is none.
    pub majority: Option<MajorityVerdict>,
    /// The evidence for the verdict.
    pub reason: String,
    /// The assumptions behind the verdict.
    pub assumption: String,
    /// A warning if the servers are not independent of each other.
    pub independence: Option<String>,
    /// The verdict as a sentence.
    pub sentence: String,
    /// Whether this host's clock is suspected to be moving, without a decision yet. The numbers may belong to the next
    /// verdict.
    #[serde(skip)]
    pub suspended: bool,
    /// Whether it says that the only two servers differ, which is another verdict than that two servers are too few.
    #[serde(skip)]
    pub differs: bool,
}

/// The reason of the verdict before the first comparison.
const NOTHING_YET: &str = "no samples yet";

impl Verdict {
    /// The verdict before the first sample.
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
            servers: Arc::default(),
            majority: None,
            reason: NOTHING_YET.into(),
            assumption: String::new(),
            independence: None,
            sentence: "No verdict yet: no server has answered.".into(),
            suspended: false,
            differs: false,
        }
    }

    /// Whether nothing was compared yet. Servers are compared once some have been polled twice.
    #[must_use]
    pub fn is_nothing_yet(&self) -> bool {
        self.reason == NOTHING_YET
    }

    /// The verdict until the state of an earlier process is restored.
    #[must_use]
    pub fn restoring() -> Self {
        Self {
            reason: "restoring".into(),
            sentence: "Undecidable: the state of the verdict is being restored from the store.".into(),
            ..Self::nothing_yet()
        }
    }

    /// The same verdict on a host whose kernel or time daemon reports that its clock is not synchronised, for this
    /// reason. The state and its start stay; the sentences say that only differences between servers are known.
    #[must_use]
    pub fn distrusting(mut self, why: &str) -> Self {
        self.local.distrust = Some(why.to_owned());
        if self.state == State::LocalWrong {
            return self;
        }
        let is_changed = self.blamed().any(ServerVerdict::accuses_its_clock);
        let copied = is_changed.then(|| Arc::make_mut(&mut self.servers));
        for server in copied.into_iter().flatten().filter(|server| server.accuses_its_clock()) {
            server.sentence.push(' ');
            server.sentence.push_str(sentence::UNRELIABLE);
        }
        self.sentence = verdict_sentence(self.state, "", &self.servers, &self.reason);
        self
    }

    /// Whether the estimate of this host's clock is founded on a majority, or the clock is known to be wrong.
    #[must_use]
    pub fn is_clock_estimated(&self) -> bool {
        self.majority.is_some() || self.state == State::LocalWrong
    }

    /// The verdict as it is published: servers that give no time are described by the outcome of their last poll, and
    /// without a majority there is no estimate of this host's clock, unless the clock is known to be wrong.
    #[must_use]
    pub fn published(&self, last: impl Fn(&ServerVerdict) -> Option<Outcome>) -> Cow<'_, Self> {
        let is_silent = |it: &ServerVerdict| it.kind == Some(Kind::Unreachable);
        let is_unfounded = !self.is_clock_estimated() && self.local.estimate_s.is_some();
        if !is_unfounded && !self.servers.iter().any(is_silent) {
            return Cow::Borrowed(self);
        }
        let mut published = self.clone();
        if is_unfounded {
            (published.local.estimate_s, published.local.bound_s) = (None, None);
        }
        let copied = published.servers.iter().any(is_silent).then(|| Arc::make_mut(&mut published.servers));
        for it in copied.into_iter().flatten().filter(|it| is_silent(it)) {
            let Some(outcome) = last(it) else { continue };
            let known_before = sentence::after_silence(&it.sentence);
            let sentence = silence_sentence(&it.server, it.since, &outcome) + known_before;
            let before = std::mem::replace(&mut it.sentence, sentence);
            for text in [&mut published.sentence, &mut published.reason] {
                if !before.is_empty() && text.contains(&before) {
                    *text = text.replace(&before, &it.sentence);
                }
            }
        }
        Cow::Owned(published)
    }

    /// The servers that the verdict blames.
    pub fn blamed(&self) -> impl Iterator<Item = &ServerVerdict> {
        self.servers.iter().filter(|s| s.blamed)
    }
}
