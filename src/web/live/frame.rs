//! One happening, written once for all readers.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use actix_web::web::Bytes;
use serde::Serialize;

use crate::web::api::judgement::VerdictBody;
use crate::web::api::points::NamedPoll;
use ntp_monitor_core::alert::status::{Active, AlertState, AlertStatus};
use ntp_monitor_core::health::report::{Health, Reason, Status};
use ntp_monitor_core::sample::Sample;
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::stats::verdict::{State, Verdict, When};

/// What a reader may be interested in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The end of a poll.
    Sample,
    /// The verdict says something else.
    Verdict,
    /// Health, or one of its reasons, changed.
    Health,
    /// An alert stands otherwise than before.
    Alert,
}

impl Topic {
    pub const ALL: [Self; 4] = [Self::Sample, Self::Verdict, Self::Health, Self::Alert];

    /// The name of its events.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Verdict => "verdict",
            Self::Health => "health",
            Self::Alert => "alert",
        }
    }

    /// The inverse of [`Topic::label`].
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.label() == label)
    }
}

#[derive(Debug)]
pub enum Happening {
    Sample(Arc<Sample>),
    /// The verdict of this picture says something else than the one before.
    Verdict(Arc<Snapshot>),
    Health(Arc<Health>),
    /// An alert stands like this now.
    Alert(Box<Active>),
}

#[derive(Debug)]
pub struct Frame {
    /// Counts up from 1 in each process.
    pub number: u64,
    happening: Happening,
    data: OnceLock<Bytes>,
}

#[derive(Serialize)]
struct HealthBody<'a> {
    status: Status,
    reasons: &'a [Reason],
}

impl Frame {
    pub(super) fn new(number: u64, happening: Happening) -> Self {
        Self { number, happening, data: OnceLock::new() }
    }

    /// What it is about.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self.happening {
            Happening::Sample(_) => Topic::Sample,
            Happening::Verdict(_) => Topic::Verdict,
            Happening::Health(_) => Topic::Health,
            Happening::Alert(_) => Topic::Alert,
        }
    }

    /// The configured name of the server that it is about, if it is about one.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        match &self.happening {
            Happening::Sample(sample) => Some(&sample.server.name),
            _ => None,
        }
    }

    /// Its data in JSON: for a sample that of `samples` with the server's name, for a verdict that of `verdict`.
    /// Nothing is written while there is no reader.
    #[must_use]
    pub fn data(&self) -> Bytes {
        self.data.get_or_init(|| Bytes::from(self.write())).clone()
    }

    fn write(&self) -> Vec<u8> {
        let written = match &self.happening {
            Happening::Sample(sample) => serde_json::to_vec(&NamedPoll::of(sample)),
            Happening::Verdict(snapshot) => serde_json::to_vec(&VerdictBody::of(snapshot)),
            Happening::Health(health) => {
                serde_json::to_vec(&HealthBody { status: health.status, reasons: &health.reasons })
            }
            Happening::Alert(alert) => serde_json::to_vec(alert),
        };
        written.expect("strings and numbers can be written as JSON")
    }
}

/// What of a verdict is worth an event: numbers change with each poll, whom it accuses does not.
pub(super) fn verdict_key(verdict: &Verdict) -> (State, Vec<String>, Option<When>) {
    let blamed = verdict.blamed().map(|server| format!("{} {:?}", server.server, server.address));
    (verdict.state, blamed.collect(), verdict.since)
}

/// What of health is worth an event: which reasons there are, not how many polls they count.
pub(super) fn reason_key(health: &Health) -> Vec<(Status, &'static str, String)> {
    health.reasons.iter().map(|reason| (reason.status, reason.about, reason.name.clone())).collect()
}

/// How alerts stood when readers were last told.
#[derive(Debug, Default)]
pub(super) struct Standings(HashMap<String, Active>);

impl Standings {
    /// The alerts that stand otherwise now; one that is no longer there is resolved, as it was last.
    pub(super) fn changes(&mut self, status: &AlertStatus) -> Vec<Active> {
        let now: HashMap<String, Active> = status.active.iter().map(|it| (it.id.clone(), it.clone())).collect();
        let gone = self.0.values().filter(|it| !now.contains_key(&it.id));
        let gone = gone.map(|it| Active { state: AlertState::Resolved, ..it.clone() });
        let differs = |it: &&Active| self.0.get(&it.id).is_none_or(|before| before.state != it.state);
        let changes = gone.chain(status.active.iter().filter(differs).cloned()).collect();
        self.0 = now;
        changes
    }
}
