//! An event of the stream, serialised once for all readers.

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

/// The topics of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A poll has ended.
    Sample,
    /// The verdict has changed.
    Verdict,
    /// Health or one of its reasons has changed.
    Health,
    /// The state of an alert has changed.
    Alert,
}

impl Topic {
    pub const ALL: [Self; 4] = [Self::Sample, Self::Verdict, Self::Health, Self::Alert];

    /// The name in the stream and in queries.
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
    /// The verdict of this snapshot differs from the previous one.
    Verdict(Arc<Snapshot>),
    Health(Arc<Health>),
    /// The new state of an alert.
    Alert(Box<Active>),
}

#[derive(Debug)]
pub struct Frame {
    /// The number of the event, from 1 in each process.
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

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self.happening {
            Happening::Sample(_) => Topic::Sample,
            Happening::Verdict(_) => Topic::Verdict,
            Happening::Health(_) => Topic::Health,
            Happening::Alert(_) => Topic::Alert,
        }
    }

    /// The configured name of the server concerned, if any.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        match &self.happening {
            Happening::Sample(sample) => Some(&sample.server.name),
            _ => None,
        }
    }

    /// The data as JSON, in the form of the endpoints `samples` (with the server's name) and `verdict`.
    /// Not serialised while there is no reader.
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

/// The part of a verdict whose change is an event. Numbers change with each poll and are left out.
pub(super) fn verdict_key(verdict: &Verdict) -> (State, Vec<String>, Option<When>) {
    let blamed = verdict.blamed().map(|server| format!("{} {:?}", server.server, server.address));
    (verdict.state, blamed.collect(), verdict.since)
}

/// The part of health whose change is an event: the reasons, without their poll counts.
pub(super) fn reason_key(health: &Health) -> Vec<(Status, &'static str, String)> {
    health.reasons.iter().map(|reason| (reason.status, reason.about, reason.name.clone())).collect()
}

/// The states of alerts that readers know.
#[derive(Debug, Default)]
pub(super) struct Standings(HashMap<String, Active>);

impl Standings {
    /// The alerts whose state has changed. An alert that no longer exists is reported as resolved.
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
