//! What is known at one moment, put together so that rules can look at it server by server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::Stamp;
use crate::health::report::Health;
use crate::ntp::{Leap, RefId};
use crate::sample::{Measure, SeriesKey, ServerIdent};
use crate::stats::leap::LeapTruth;
use crate::stats::snapshot::{SeriesSnapshot, Snapshot};
use crate::stats::verdict::ServerVerdict;

/// A server that failed so often in a row counts as lost. One lost datagram is life.
const LOST_AFTER: u64 = 2;

/// What is known at one moment, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// When.
    pub now: Stamp,
    /// Configured servers.
    pub servers: &'a [Arc<ServerIdent>],
    /// What was computed.
    pub snapshot: &'a Snapshot,
    /// The state of the service.
    pub health: &'a Health,
}

/// How many servers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Series of which a poll has ended.
    pub polled: usize,
    /// Series that are lost.
    pub lost: usize,
}

/// What all servers share.
#[derive(Debug)]
pub struct Common<'a> {
    /// When.
    pub now: Stamp,
    /// What was computed.
    pub snapshot: &'a Snapshot,
    /// The state of the service.
    pub health: &'a Health,
    /// How many servers there are.
    pub count: Count,
}

/// One server, or one address of it.
#[derive(Debug, Clone, Copy)]
pub struct ServerView<'a> {
    /// Its name, or `name@address` when the name has several addresses.
    pub id: &'a str,
    /// Its name and tags.
    pub ident: &'a Arc<ServerIdent>,
    series: Option<&'a SeriesSnapshot>,
    verdict: Option<&'a ServerVerdict>,
    said: Option<&'a Said>,
}

impl ServerView<'_> {
    /// The interval at which it is polled, in seconds; `None` before its first poll has ended.
    #[must_use]
    pub fn poll_s(&self) -> Option<f64> {
        self.series.map(|series| series.last.poll_s)
    }
}

/// What a rule sees: one server and what all share, or only the latter.
#[derive(Debug)]
pub struct View<'a> {
    /// The server, for rules about servers.
    pub server: Option<ServerView<'a>>,
    /// What all share.
    pub common: &'a Common<'a>,
}

impl View<'_> {
    pub(super) fn series(&self) -> Option<&SeriesSnapshot> {
        self.server.as_ref()?.series
    }

    /// The last measurement, as long as it is one of the last eight polls.
    pub(super) fn measure(&self) -> Option<Measure> {
        let series = self.series().filter(|series| series.hour.reach.is_reachable())?;
        series.last_measured.as_ref()?.measure
    }

    pub(super) fn verdict(&self) -> Option<&ServerVerdict> {
        self.server.as_ref()?.verdict
    }

    pub(super) fn leap(&self) -> &LeapTruth {
        &self.common.snapshot.leap
    }

    pub(super) fn said(&self) -> Option<&Said> {
        self.server.as_ref()?.said
    }
}

/// What a server says of itself, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub stratum: u8,
    pub leap: Leap,
    refid: RefId,
    stratum_changed: Option<Stamp>,
    refid_since: Stamp,
    /// When it last changed, and how long the one before had been kept.
    refid_changed: Option<(Stamp, f64)>,
}

impl Said {
    pub(super) fn stratum_changed_s(&self, now: Stamp) -> Option<f64> {
        Some(now.since(self.stratum_changed?).as_secs_f64())
    }

    pub(super) fn refid_changed_s(&self, now: Stamp) -> Option<f64> {
        Some(now.since(self.refid_changed?.0).as_secs_f64())
    }

    pub(super) fn refid_kept_s(&self) -> Option<f64> {
        Some(self.refid_changed?.1)
    }
}

/// What was said before, by series: changes are seen against it. Bounded by what is polled.
#[derive(Debug, Default)]
pub struct Memory {
    said: HashMap<SeriesKey, Said>,
}

impl Memory {
    /// Takes in what the servers said last.
    pub fn observe(&mut self, now: Stamp, snapshot: &Snapshot) {
        if self.said.len() > snapshot.series.len() {
            self.said.retain(|key, _| snapshot.series.contains_key(key));
        }
        for (key, series) in &snapshot.series {
            let Some(reply) = series.last.reply else { continue };
            let fresh = || Said {
                stratum: reply.stratum,
                leap: reply.leap,
                refid: reply.refid,
                stratum_changed: None,
                refid_since: now,
                refid_changed: None,
            };
            let Some(said) = self.said.get_mut(key) else {
                self.said.insert(key.clone(), fresh());
                continue;
            };
            if said.stratum != reply.stratum {
                (said.stratum, said.stratum_changed) = (reply.stratum, Some(now));
            }
            if said.refid != reply.refid {
                said.refid_changed = Some((now, now.since(said.refid_since).as_secs_f64()));
                (said.refid, said.refid_since) = (reply.refid, now);
            }
            said.leap = reply.leap;
        }
    }
}

/// One server to be judged, under the name that its alerts carry.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name, or `name@address` when the name has several addresses.
    pub id: Arc<str>,
    /// Its name and tags.
    pub ident: Arc<ServerIdent>,
    key: Option<SeriesKey>,
}

/// The servers to be judged, in the order of the configuration. One of which no poll has ended yet is there too.
#[must_use]
pub fn targets(servers: &[Arc<ServerIdent>], snapshot: &Snapshot) -> Vec<Target> {
    let mut targets = Vec::with_capacity(servers.len());
    for ident in servers {
        let series = snapshot.series_of(&ident.name);
        if series.len() <= 1 {
            let key = series.first().map(|(key, _)| (*key).clone());
            targets.push(Target { id: Arc::clone(&ident.name), ident: Arc::clone(ident), key });
            continue;
        }
        for (key, _) in series {
            let id = key.address.map_or_else(|| ident.name.to_string(), |address| format!("{}@{address}", ident.name));
            targets.push(Target { id: id.into(), ident: Arc::clone(ident), key: Some(key.clone()) });
        }
    }
    targets
}

/// What is known, indexed.
#[derive(Debug)]
pub struct Facts<'a> {
    /// What all share.
    pub common: Common<'a>,
    /// Every server, in the order of the targets.
    pub servers: Vec<ServerView<'a>>,
}

impl<'a> Facts<'a> {
    /// Puts together what is known of `targets`.
    #[must_use]
    pub fn new(observed: &Observation<'a>, targets: &'a [Target], memory: &'a Memory) -> Self {
        type At<'b> = (&'b str, Option<SocketAddr>);
        let Observation { now, snapshot, health, .. } = *observed;
        let address = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        let verdicts: HashMap<At<'_>, &ServerVerdict> =
            snapshot.verdict.servers.iter().map(|it| ((it.server.as_str(), address(&it.address)), it)).collect();
        let view = |target: &'a Target| {
            let key = target.key.as_ref();
            let at = (&*target.ident.name, key.and_then(|key| key.address));
            ServerView {
                id: &target.id,
                ident: &target.ident,
                series: key.and_then(|key| snapshot.series.get(key)).map(|series| &**series),
                verdict: verdicts.get(&at).copied(),
                said: key.and_then(|key| memory.said.get(key)),
            }
        };
        let servers: Vec<ServerView<'_>> = targets.iter().map(view).collect();
        let count = Count {
            polled: servers.iter().filter(|server| server.series.is_some()).count(),
            lost: servers.iter().filter(|server| is_lost(server)).count(),
        };
        Self { common: Common { now, snapshot, health, count }, servers }
    }
}

fn is_lost(server: &ServerView<'_>) -> bool {
    server.series.is_some_and(|series| series.consecutive_failures >= LOST_AFTER)
}
