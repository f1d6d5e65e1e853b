//! The verdict in sentences for people.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use super::Server;
use super::findings::Finding;
use super::grid::Grid;
use super::party::Party;
use super::sight::{Sight, is_found, sights};
use super::verdict::{FleetKind, FleetState, FleetVerdict};
use super::witness::Witness;
use crate::text::units::{at_least, seconds};

/// The most parties that a sentence names; the others are counted.
const NAMED: usize = 4;

pub(super) struct Labels {
    vantages: Vec<Arc<str>>,
    servers: Vec<String>,
}

impl Labels {
    /// The name that most vantages call each server, with its address if several have the same name, and with its group
    /// if they have the same private address too.
    pub fn new(vantages: &[Arc<str>], servers: &[Server]) -> Self {
        let name = |server: &Server| {
            let mut callers = BTreeMap::<&Arc<str>, usize>::new();
            server.names.values().for_each(|name| *callers.entry(name).or_default() += 1);
            let most = callers.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(a.0)));
            most.map(|(name, _)| Arc::clone(name)).unwrap_or_default()
        };
        let names: Vec<Arc<str>> = servers.iter().map(name).collect();
        let mut counts = HashMap::new();
        let keys = || names.iter().zip(servers).map(|(name, server)| (name, server.witness.address()));
        for (name, address) in keys() {
            *counts.entry((name, None)).or_insert(0usize) += 1;
            if address.is_some() {
                *counts.entry((name, address)).or_default() += 1;
            }
        }
        let label = |(key, server): ((&Arc<str>, Option<SocketAddr>), &Server)| match (key, &server.witness) {
            ((name, Some(address)), Witness::Private { group, .. }) if counts[&key] > 1 => {
                format!("{name}@{address} of {group}")
            }
            ((name, Some(address)), _) if counts[&(name, None)] > 1 => format!("{name}@{address}"),
            ((name, _), _) => name.to_string(),
        };
        Self { vantages: vantages.to_vec(), servers: keys().zip(servers).map(label).collect() }
    }

    pub fn server(&self, at: usize) -> String {
        self.servers[at].clone()
    }

    pub fn vantage(&self, at: usize) -> String {
        self.vantages[at].to_string()
    }

    /// A party in the form that alternatives have in JSON.
    pub fn party(&self, party: Party) -> String {
        match party {
            Party::Server(at) => format!("server:{}", self.servers[at]),
            Party::Vantage(at) => format!("vantage:{}", self.vantages[at]),
            Party::Cell(v, s) => format!("path:{}/{}", self.vantages[v], self.servers[s]),
            Party::Access(at) => format!("path:{}/*", self.vantages[at]),
            Party::ServerLink(at) => format!("path:*/{}", self.servers[at]),
        }
    }
}

/// The input of a sentence.
pub(super) struct Told<'a> {
    pub grid: &'a Grid,
    pub findings: &'a [(Party, &'a Finding)],
    pub labels: &'a Labels,
}

pub(super) fn assumption(
    verdict: &FleetVerdict,
    groups: usize,
    relies_on: &[(usize, usize)],
    labels: &Labels,
) -> String {
    let is_proven = verdict.servers.iter().any(|it| it.proven) || verdict.vantages.iter().any(|it| it.proven);
    let is_inferred = verdict.servers.iter().any(|it| !it.proven)
        || verdict.vantages.iter().any(|it| !it.proven)
        || !verdict.paths.is_empty();
    let mut parts = Vec::new();
    let is_majority = |kind: FleetKind| !kind.is_false();
    let needs_majority = verdict.servers.iter().any(|it| it.proven && is_majority(it.kind))
        || verdict.vantages.iter().any(|it| it.proven && is_majority(it.kind));
    if needs_majority {
        parts.push(format!("more than half of {groups} independent servers are within what they claim"));
    }
    if is_proven {
        parts.push("at most one vantage reports falsely".to_owned());
    }
    let alone = |(server, vantage): &(usize, usize)| {
        let (server, vantage) = (labels.server(*server), labels.vantage(*vantage));
        format!("{vantage} reports honestly about {server}, because no other place shows it")
    };
    parts.extend(relies_on.iter().take(NAMED).map(alone));
    let more = relies_on.len().saturating_sub(NAMED);
    if more > 0 {
        parts.push(format!("{} more that one place alone shows are reported honestly", count(more, "server")));
    }
    if is_inferred {
        parts.push("the smallest explanation of what moved is the right one".to_owned());
    }
    if verdict.state == FleetState::Consistent {
        parts.push("not all sources are wrong in the same way".to_owned());
    }
    parts.join("; ")
}

pub(super) fn sentence(verdict: &FleetVerdict, told: &Told) -> String {
    if verdict.state == FleetState::Consistent {
        let vantages = (0..told.grid.vantages).filter(|at| told.grid.seen_by(*at).next().is_some()).count();
        let servers = (0..told.grid.servers).filter(|at| told.grid.seen_of(*at).next().is_some()).count();
        return format!("{} and {} agree", count(vantages, "place"), count(servers, "server"));
    }
    let mut parts: Vec<String> = told
        .findings
        .iter()
        .filter(|(party, _)| is_named(*party, told))
        .map(|(party, finding)| part(*party, finding, told))
        .collect();
    let more = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    if more > 0 {
        parts.push(format!("{} more", count(more, "finding")));
    }
    if verdict.state == FleetState::Undecidable && !verdict.alternatives.is_empty() {
        let sides: Vec<String> = verdict.alternatives.iter().map(|side| listed(side)).collect();
        parts.push(format!("it is undecided which is wrong: {}", sides.join(", or ")));
    } else if parts.is_empty() {
        return "too little was measured to judge".to_owned();
    }
    parts.join("; ")
}

/// Whether a sentence names the party. A cell is not named if its server or vantage is.
fn is_named(party: Party, told: &Told) -> bool {
    let Party::Cell(v, s) = party else { return true };
    !told.findings.iter().any(|(other, _)| *other != party && other.covers(v, s))
}

fn part(party: Party, finding: &Finding, told: &Told) -> String {
    let labels = told.labels;
    let proof = if finding.gap_s.is_some() { "proven" } else { "inferred" };
    match party {
        Party::Server(at) if finding.kind == FleetKind::Split => {
            format!("{} shows different clocks to different places ({proof})", labels.server(at))
        }
        Party::Server(at) => server(at, finding, told, proof),
        Party::Vantage(at) if finding.kind == FleetKind::FalseReports => {
            format!("{} reports what no state of its clock explains ({proof})", labels.vantage(at))
        }
        Party::Vantage(at) => format!("the clock of {} {} ({proof})", labels.vantage(at), state_of(finding)),
        Party::Cell(v, s) if finding.gap_s.is_some() => format!(
            "what {} reports of {} contradicts all others: the server shows it another clock, or the report is false",
            labels.vantage(v),
            labels.server(s)
        ),
        Party::Cell(v, s) => format!("the path between {} and {} changed", labels.vantage(v), labels.server(s)),
        Party::Access(at) => {
            format!("the access link of {} changed: its offsets moved with its delays", labels.vantage(at))
        }
        Party::ServerLink(at) => {
            format!("the access link of {} changed: its offsets moved with its delays", labels.server(at))
        }
    }
}

/// "seen from 4 of 5 places, ntp2 is 20 ms ahead; from lon the path hides it"
fn server(at: usize, finding: &Finding, told: &Told, proof: &str) -> String {
    let sights = sights(at, finding, told.grid, &|other| is_found(told.findings, other), 0.0);
    let named = |wanted: Sight| {
        let places = sights.iter().filter(|(_, sight)| *sight == wanted);
        listed(&places.map(|(vantage, _)| told.labels.vantage(*vantage)).collect::<Vec<_>>())
    };
    let (seeing, all) = (sights.iter().filter(|(_, sight)| *sight == Sight::Seen).count(), sights.len());
    let (name, state) = (told.labels.server(at), state_of(finding));
    if seeing == 0 || all < 2 {
        let where_from = match sights.as_slice() {
            [] => "no place reads it now, ".to_owned(),
            [(only, _)] => format!("seen from {} only, ", told.labels.vantage(*only)),
            all => format!("seen from {} together, ", count(all.len(), "place")),
        };
        return format!("{where_from}{name} {state} ({proof})");
    }
    let mut text = format!("seen from {seeing} of {}, {name} {state} ({proof})", count(all, "place"));
    for (sight, why) in [(Sight::Hidden, "the path hides it"), (Sight::Unseen, "it is not seen")] {
        let places = named(sight);
        if !places.is_empty() {
            text.push_str(&format!("; from {places} {why}"));
        }
    }
    text
}

fn state_of(finding: &Finding) -> String {
    let direction = |size_s: f64| if size_s >= 0.0 { "ahead" } else { "behind" };
    let size = match finding.size_s {
        Some((size_s, bound_s)) if bound_s.is_finite() && bound_s > 0.0 => {
            format!("{} {} (±{})", seconds(size_s.abs()), direction(size_s), seconds(bound_s))
        }
        Some((size_s, _)) => format!("{} {}", seconds(size_s.abs()), direction(size_s)),
        None => format!("off by at least {}", at_least(finding.gap_s.unwrap_or(0.0))),
    };
    match finding.kind {
        FleetKind::Frequency => format!("drifts and is {size}"),
        FleetKind::Step => format!("jumped and is {size}"),
        _ => format!("is {size}"),
    }
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// "a, b and c", or the first few and how many more.
fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    let more = names.len() - shown.len();
    match (shown.as_slice(), more) {
        ([], _) => String::new(),
        ([one], 0) => (*one).to_owned(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (all, more) => format!("{} and {more} more", all.join(", ")),
    }
}
