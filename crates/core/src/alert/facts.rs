//! The data that rules evaluate, collected at one moment and indexed by server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::Stamp;
use crate::health::report::Health;
use crate::ntp::{Leap, RefId};
use crate::nts::Status;
use crate::sample::{Measure, SeriesKey, ServerIdent};
use crate::stats::leap::LeapTruth;
use crate::stats::snapshot::{SeriesSnapshot, Snapshot};
use crate::stats::verdict::ServerVerdict;

/// A server counts as lost after this many failed polls in a row. A single lost datagram is normal.
const LOST_AFTER: u64 = 2;

/// The input of one evaluation of all rules.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The time of the evaluation.
    pub now: Stamp,
    /// The configured servers.
    pub servers: &'a [Arc<ServerIdent>],
    /// The statistics and the verdict.
    pub snapshot: &'a Snapshot,
    /// The health of the service.
    pub health: &'a Health,
    /// The state of the fleet, at a hub; otherwise `None`.
    pub fleet: Option<&'a FleetFacts>,
}

/// What a hub knows of its fleet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FleetFacts {
    /// Whether this hub has the lease: of several hubs, that one notifies about the fleet.
    pub speaks: bool,
    /// Vantages that were heard since the hub started.
    pub vantages: usize,
    /// Those that are silent now.
    pub silent: usize,
    /// Their names, separated by commas.
    pub silent_names: String,
    /// The largest clock difference of two vantages that is proven, in seconds; 0 if none is.
    pub skew_s: f64,
    /// The two vantages: `ams and ber`.
    pub skew_pair: String,
    /// A proven difference above this is worth an alert, in seconds.
    pub skew_limit_s: f64,
    /// Servers that the verdict of the fleet calls wrong.
    pub wrong_servers: usize,
    /// Vantages that it calls wrong.
    pub wrong_vantages: usize,
    /// The verdict as a sentence.
    pub sentence: String,
    /// The largest number of vantages from which one server looks wrong compared with the other servers there.
    pub wrong_places: usize,
    /// Its name.
    pub wrong_places_server: String,
    /// Servers that no vantage reaches.
    pub unreachable: usize,
    /// Their names, separated by commas.
    pub unreachable_names: String,
    /// Servers with NTS that are not authenticated at one or more vantages.
    pub nts_failing: usize,
    /// Their names with the vantage and the reason, separated by commas.
    pub nts_names: String,
    /// Days until the first certificate of a server with NTS expires, if one is known.
    pub nts_days_left: Option<f64>,
}

/// The number of polled and lost series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Series with at least one finished poll.
    pub polled: usize,
    /// Series whose last polls all failed.
    pub lost: usize,
}

/// The data that does not depend on a server.
#[derive(Debug)]
pub struct Common<'a> {
    /// The time of the evaluation.
    pub now: Stamp,
    /// The statistics and the verdict.
    pub snapshot: &'a Snapshot,
    /// The health of the service.
    pub health: &'a Health,
    /// What a hub knows of its fleet.
    pub fleet: Option<&'a FleetFacts>,
    /// The number of polled and lost series.
    pub count: Count,
}

/// The data of one server, or of one of its addresses.
#[derive(Debug, Clone, Copy)]
pub struct ServerView<'a> {
    /// The name, or `name@address` if the name has several addresses; for display.
    pub id: &'a str,
    /// `name@address` as soon as the address is known; for selectors.
    pub series_id: &'a str,
    /// The configured name and tags.
    pub ident: &'a Arc<ServerIdent>,
    series: Option<&'a SeriesSnapshot>,
    verdict: Option<&'a ServerVerdict>,
    last_reply: Option<&'a LastReply>,
}

impl ServerView<'_> {
    /// The poll interval in seconds; `None` before the first poll has ended.
    #[must_use]
    pub fn poll_s(&self) -> Option<f64> {
        self.series.map(|series| series.last.poll_s)
    }

    /// When the last poll began; `None` before the first poll has ended.
    #[must_use]
    pub fn polled(&self) -> Option<Stamp> {
        self.series.map(|series| series.last.at)
    }
}

/// The data that one evaluation of a rule can access.
#[derive(Debug)]
pub struct View<'a> {
    /// The server; `None` for rules that use no server variables.
    pub server: Option<ServerView<'a>>,
    /// The data that does not depend on a server.
    pub common: &'a Common<'a>,
}

impl View<'_> {
    pub(super) fn series(&self) -> Option<&SeriesSnapshot> {
        self.server.as_ref()?.series
    }

    /// The last measurement, if it is from one of the last eight polls.
    pub(super) fn measure(&self) -> Option<Measure> {
        let series = self.series().filter(|series| series.hour.reach.is_reachable())?;
        series.last_measured.as_ref()?.measure
    }

    /// The state of NTS, for a server that is configured for it.
    pub(super) fn nts(&self) -> Option<&Status> {
        self.series()?.last.nts.as_deref()
    }

    /// The time of the evaluation by this host's wall clock.
    pub(super) fn wall(&self) -> Option<Timestamp> {
        Timestamp::from_nanosecond(i128::from(self.common.now.wall_ns)).ok()
    }

    pub(super) fn verdict(&self) -> Option<&ServerVerdict> {
        self.server.as_ref()?.verdict
    }

    pub(super) fn leap(&self) -> &LeapTruth {
        &self.common.snapshot.leap
    }

    pub(super) fn last_reply(&self) -> Option<&LastReply> {
        self.server.as_ref()?.last_reply
    }
}

/// The last reply of a server, and when its values last changed, in nanoseconds of the monotonic clock: with whole stamps
/// it would take twice the memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastReply {
    pub stratum: u8,
    pub leap: Leap,
    refid: RefId,
    stratum_changed_ns: Option<i64>,
    refid_since_ns: i64,
    /// When the reference identifier last changed, and for how many seconds the server had used the previous one.
    refid_changed: Option<(i64, f64)>,
    /// Age of the server's last clock update when it answered, in seconds.
    pub reference_age_s: Option<f64>,
}

/// The stratum of an unsynchronised server.
const UNSYNCHRONISED: u8 = 16;

impl LastReply {
    pub(super) fn stratum_changed_s(&self, now: Stamp) -> Option<f64> {
        Some(seconds_since(self.stratum_changed_ns?, now))
    }

    pub(super) fn refid_changed_s(&self, now: Stamp) -> Option<f64> {
        Some(seconds_since(self.refid_changed?.0, now))
    }

    pub(super) fn refid_kept_s(&self) -> Option<f64> {
        Some(self.refid_changed?.1)
    }
}

/// The time since `earlier_ns` of the monotonic clock; zero if that is later than `now`.
fn seconds_since(earlier_ns: i64, now: Stamp) -> f64 {
    now.mono_ns.saturating_sub(earlier_ns).max(0) as f64 / 1e9
}

/// The last reply of every series, to detect changes. Series that are no longer polled are removed.
#[derive(Debug, Default)]
pub struct Memory {
    last_reply: HashMap<Arc<SeriesKey>, LastReply>,
}

impl Memory {
    /// Updates the memory with the last replies.
    pub fn observe(&mut self, now: Stamp, snapshot: &Snapshot) {
        if self.last_reply.len() > snapshot.series.len() {
            self.last_reply.retain(|key, _| snapshot.series.contains_key(key));
        }
        for (key, series) in &snapshot.series {
            let Some(reply) = series.last.reply else { continue };
            // In a packet, 0 means "not synchronised"; elsewhere that is 16 (RFC 5905 §7.3).
            let stratum = if reply.stratum == 0 { UNSYNCHRONISED } else { reply.stratum };
            let fresh = || LastReply {
                stratum,
                leap: reply.leap,
                refid: reply.refid,
                stratum_changed_ns: None,
                refid_since_ns: now.mono_ns,
                refid_changed: None,
                reference_age_s: reply.reference_age_s,
            };
            let Some(last_reply) = self.last_reply.get_mut(key) else {
                self.last_reply.insert(key.clone(), fresh());
                continue;
            };
            if last_reply.stratum != stratum {
                (last_reply.stratum, last_reply.stratum_changed_ns) = (stratum, Some(now.mono_ns));
            }
            // The identifier of an unsynchronised server is a code or its former upstream.
            if series.last.outcome.is_success() && last_reply.refid != reply.refid {
                last_reply.refid_changed = Some((now.mono_ns, seconds_since(last_reply.refid_since_ns, now)));
                (last_reply.refid, last_reply.refid_since_ns) = (reply.refid, now.mono_ns);
            }
            last_reply.leap = reply.leap;
            last_reply.reference_age_s = reply.reference_age_s;
        }
    }
}

/// One server, or one of its addresses, for which rules are evaluated.
#[derive(Debug, Clone)]
pub struct Target {
    /// The name, or `name@address` if the name has several addresses.
    pub id: Arc<str>,
    /// `name@address` as soon as the address is known.
    pub series_id: Arc<str>,
    /// The configured name and tags.
    pub ident: Arc<ServerIdent>,
    key: Option<Arc<SeriesKey>>,
}

/// The targets in the order of the configuration, including servers without a finished poll.
#[must_use]
pub fn targets(servers: &[Arc<ServerIdent>], snapshot: &Snapshot) -> Vec<Target> {
    let mut targets = Vec::with_capacity(servers.len());
    for ident in servers {
        let series = snapshot.series_of(&ident.name);
        let keys: Vec<Option<&Arc<SeriesKey>>> = match series.as_slice() {
            [] => vec![None],
            all => all.iter().map(|(key, _)| Some(*key)).collect(),
        };
        for key in &keys {
            let address = key.and_then(|key| key.address);
            let series_id: Arc<str> =
                address.map_or_else(|| Arc::clone(&ident.name), |address| format!("{}@{address}", ident.name).into());
            let id = if keys.len() > 1 { Arc::clone(&series_id) } else { Arc::clone(&ident.name) };
            targets.push(Target { id, series_id, ident: Arc::clone(ident), key: key.cloned() });
        }
    }
    targets
}

/// The data of one evaluation, indexed by target.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The data that does not depend on a server.
    pub common: Common<'a>,
    /// The servers, in the order of the targets.
    pub servers: Vec<ServerView<'a>>,
}

impl<'a> Facts<'a> {
    /// Collects the data of `targets`.
    #[must_use]
    pub fn new(observed: &Observation<'a>, targets: &'a [Target], memory: &'a Memory) -> Self {
        type At<'b> = (&'b str, Option<SocketAddr>);
        let Observation { now, snapshot, health, fleet, .. } = *observed;
        let verdicts: HashMap<At<'_>, &ServerVerdict> =
            snapshot.verdict.servers.iter().map(|it| ((&*it.server, it.address), it)).collect();
        let view = |target: &'a Target| {
            let key = target.key.as_ref();
            let at = (&*target.ident.name, key.and_then(|key| key.address));
            ServerView {
                id: &target.id,
                series_id: &target.series_id,
                ident: &target.ident,
                series: key.and_then(|key| snapshot.series.get(key)).map(|series| &**series),
                verdict: verdicts.get(&at).copied(),
                last_reply: key.and_then(|key| memory.last_reply.get(key)),
            }
        };
        let servers: Vec<ServerView<'_>> = targets.iter().map(view).collect();
        let count = Count {
            polled: servers.iter().filter(|server| server.series.is_some()).count(),
            lost: servers.iter().filter(|server| is_lost(server)).count(),
        };
        Self { common: Common { now, snapshot, health, fleet, count }, servers }
    }
}

fn is_lost(server: &ServerView<'_>) -> bool {
    server.series.is_some_and(|series| series.consecutive_failures >= LOST_AFTER)
}
