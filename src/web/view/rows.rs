//! All series as the API lists them: built, filtered, sorted and divided into pages.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use super::row::{Condition, Row};
use crate::config::{Addresses, Config, Host, Server};
use ntp_monitor_core::health::report::{Health, ServerHealth};
use ntp_monitor_core::sample::{SeriesKey, ServerIdent};
use ntp_monitor_core::stats::events::{Event, EventKind};
use ntp_monitor_core::stats::snapshot::{SeriesSnapshot, Snapshot};
use ntp_monitor_core::stats::verdict::ServerVerdict;

/// The state at one moment, indexed.
pub struct Picture<'a> {
    config: &'a Config,
    snapshot: &'a Snapshot,
    verdicts: HashMap<(&'a str, Option<SocketAddr>), &'a ServerVerdict>,
    health: HashMap<(&'a str, Option<SocketAddr>), &'a ServerHealth>,
    /// Those that refuse to serve this host, by server.
    denied: HashMap<&'a str, Vec<&'a ServerHealth>>,
    /// When the health was assembled, on the wall clock.
    health_ns: i64,
    /// Events that have not ended, by server.
    ongoing: HashMap<&'a str, Vec<&'a Event>>,
}

impl<'a> Picture<'a> {
    /// Combines snapshot, health and configuration.
    #[must_use]
    pub fn new(config: &'a Config, snapshot: &'a Snapshot, health: &'a Health) -> Self {
        let verdicts = snapshot.verdict.servers.iter().map(|v| ((&*v.server, v.address), v));
        let health_ns = health.at.map_or(0, |at| at.wall_ns);
        let mut denied: HashMap<&str, Vec<&ServerHealth>> = HashMap::new();
        for one in health.servers.iter().filter(|one| one.denial.is_some()) {
            denied.entry(&one.server).or_default().push(one);
        }
        let health = health.servers.iter().map(|h| ((&*h.server, h.address), h));
        let mut ongoing: HashMap<&str, Vec<&Event>> = HashMap::new();
        for event in snapshot.ongoing.iter().filter(|event| is_shown(event.kind)) {
            event.server.iter().for_each(|server| ongoing.entry(server).or_default().push(event));
        }
        Self { config, snapshot, verdicts: verdicts.collect(), health: health.collect(), denied, health_ns, ongoing }
    }

    /// Every series of every configured server, in the order of the configuration. A server without any is one row.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.config.servers.iter().flat_map(|server| self.rows_of(server)).collect()
    }

    /// Every series of the snapshot, by name, for servers that the configuration does not have.
    #[must_use]
    pub fn rows_of_snapshot(&self) -> Vec<Row> {
        let names: BTreeSet<&Arc<str>> = self.snapshot.series.keys().map(|key| &key.server).collect();
        names.into_iter().flat_map(|name| self.rows_named(&ServerIdent::named(name), false)).collect()
    }

    /// The series of one server.
    #[must_use]
    pub fn rows_of(&self, server: &Server) -> Vec<Row> {
        if server.paused {
            return vec![Row::paused(server)];
        }
        // Taken from the configuration, because an id must not change with the current number of addresses of a name.
        let has_several = server.addresses == Addresses::All && matches!(server.host, Host::Name(_));
        let rows = self.rows_named(&server.ident, has_several);
        if rows.is_empty() { vec![Row::pending(&server.ident, server.poll_interval.as_secs_f64())] } else { rows }
    }

    fn rows_named(&self, server: &ServerIdent, has_several: bool) -> Vec<Row> {
        let series = self.snapshot.series_of(&server.name);
        // Those that an earlier process polled last, because they refuse to serve this host.
        let denied = self.denied.get(&*server.name).into_iter().flatten();
        let unpolled = denied.filter(|one| series.iter().all(|(key, _)| key.address != one.address));
        let unpolled: Vec<&ServerHealth> = unpolled.copied().collect();
        let several = series.len() + unpolled.len() > 1 || has_several;
        let name_one = |row: &mut Row, address: Option<SocketAddr>| {
            if let Some(address) = address.filter(|_| several) {
                row.id = format!("{}@{address}", row.name);
            }
        };
        let row = |(key, series): (&Arc<SeriesKey>, &Arc<SeriesSnapshot>)| {
            let at = (&*key.server, key.address);
            let mut row = Row::of(server, key, series, self.verdicts.get(&at).copied(), self.health.get(&at).copied());
            for event in self.ongoing.get(at.0).into_iter().flatten() {
                if event.address.is_none() || event.address == row.address {
                    row.add_sentence(&event.sentence);
                }
            }
            if let Some(denied) = self.health.get(&at) {
                row.denied(denied, self.health_ns);
            }
            name_one(&mut row, key.address);
            row
        };
        let mut rows: Vec<Row> = series.into_iter().map(row).collect();
        rows.extend(unpolled.into_iter().map(|health| {
            let mut row = Row::unpolled(server, health, self.health_ns);
            name_one(&mut row, health.address);
            row
        }));
        rows
    }
}

/// Whether the sentence of a row mentions this kind of lasting event. The verdict mentions the others.
fn is_shown(kind: EventKind) -> bool {
    use EventKind::{Leap, Lossy, ManyEvents, Refid, SpoofedReplies, StaleReference, Stratum};
    matches!(kind, Lossy | SpoofedReplies | Stratum | Refid | Leap | StaleReference | ManyEvents)
}

/// The filter of a list.
#[derive(Debug, Default)]
pub struct Filter {
    /// Required tags; without a value, any value matches.
    pub tags: Vec<(String, Option<String>)>,
    pub states: Vec<Condition>,
    /// Text to find in the name, the address, the reference identifier or a tag; lower case.
    pub text: String,
}

impl Filter {
    /// Whether a row matches.
    #[must_use]
    pub fn admits(&self, row: &Row) -> bool {
        let tagged = |(key, value): &(String, Option<String>)| {
            row.tags.get(key).is_some_and(|has| value.as_ref().is_none_or(|value| has == value))
        };
        let state = self.states.is_empty() || self.states.contains(&row.state);
        state && self.tags.iter().all(tagged) && (self.text.is_empty() || self.is_mentioned(row))
    }

    fn is_mentioned(&self, row: &Row) -> bool {
        let texts = [Some(&row.name), row.address.as_ref(), row.refid.as_ref()].into_iter().flatten();
        texts.chain(row.tags.values()).any(|text| text.to_lowercase().contains(&self.text))
    }
}

/// The columns that a list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Configured,
    Name,
    Address,
    State,
    Offset,
    /// `magnitude` of the offset.
    Magnitude,
    Delay,
    Jitter,
    RootDistance,
    Stratum,
    Reach,
    Score,
    LastSeen,
}

impl Column {
    /// Every column with its name in the API.
    pub const NAMES: [(&'static str, Self); 12] = [
        ("name", Self::Name),
        ("address", Self::Address),
        ("state", Self::State),
        ("offset", Self::Offset),
        ("magnitude", Self::Magnitude),
        ("delay", Self::Delay),
        ("jitter", Self::Jitter),
        ("root_distance", Self::RootDistance),
        ("stratum", Self::Stratum),
        ("reach", Self::Reach),
        ("score", Self::Score),
        ("last_seen", Self::LastSeen),
    ];

    fn compare(self, a: &Row, b: &Row, descending: bool) -> Ordering {
        let number = |value: fn(&Row) -> Option<f64>| compare(value(a), value(b), descending, f64::total_cmp);
        let plain = |order: Ordering| if descending { order.reverse() } else { order };
        match self {
            Self::Configured => Ordering::Equal,
            Self::Name => plain(a.name.cmp(&b.name)),
            Self::Address => compare(a.address.as_ref(), b.address.as_ref(), descending, |a, b| a.cmp(b)),
            Self::State => plain(a.state.cmp(&b.state)),
            Self::Offset => number(|row| row.offset_s),
            Self::Magnitude => number(|row| row.offset_s.map(f64::abs)),
            Self::Delay => number(|row| row.delay_s),
            Self::Jitter => number(|row| row.jitter_s),
            Self::RootDistance => number(|row| row.root_distance_s),
            Self::Stratum => number(|row| row.stratum.map(f64::from)),
            Self::Reach => number(|row| u8::from_str_radix(&row.reach, 8).ok().map(f64::from)),
            Self::Score => number(|row| row.score),
            Self::LastSeen => compare(a.last_seen, b.last_seen, descending, Ord::cmp),
        }
    }
}

/// Unknown values come last in either direction.
fn compare<T>(a: Option<T>, b: Option<T>, descending: bool, order: impl Fn(&T, &T) -> Ordering) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => order(&b, &a),
        (Some(a), Some(b)) => order(&a, &b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

/// Sorts; equal rows keep the order of the configuration.
pub fn sort(rows: &mut [Row], column: Column, descending: bool) {
    rows.sort_by(|a, b| column.compare(a, b, descending));
}
