//! Only differences between clocks can be seen: "one server moved" and "everything else moved the other way" fit the
//! same readings. The cheaper explanation is taken if the difference is large enough.

use std::collections::BTreeSet;

use super::super::grid::Grid;
use super::super::movement::{MoveKind, Movement, Testimony, drifted_s};
use super::super::party::Party;

/// By how much the other explanation must cost more.
const MARGIN: f64 = 1.0;
/// The same when more than half of the servers, or of the vantages, would be accused.
const MARGIN_OF_MOST: f64 = 2.0;
/// With fewer independent servers, each of them is half of all.
const LEAST_SERVERS: usize = 3;
/// A drift is found within so many rounds.
const FOUND_WITHIN: f64 = 4.0;
/// Movements that differ by less than this part are the same one.
const SAME: f64 = 0.3;

/// The parties that moved and by how much, and the data for the opposite explanation.
pub(super) struct Gauge {
    moved: Vec<(Party, f64)>,
    since_ns: Option<i64>,
    servers: Vec<usize>,
    /// The vantages, with the cost of a movement of each in the opposite explanation.
    vantages: Vec<(usize, f64)>,
    cost: f64,
    /// Whether at least half of the independent servers moved. Then the vantages alone decide which half rests.
    is_half: bool,
}

impl Gauge {
    /// One for each part of the fleet that is not connected to the others by readings, if a party of it moved. Parts
    /// cannot be compared, so each is decided by its own majority.
    pub fn of_parts(grid: &Grid, movement: &Movement, round_s: f64) -> Vec<Self> {
        let all =
            parts(grid).into_iter().map(|(vantages, servers)| Self::new(grid, servers, vantages, movement, round_s));
        all.filter(|gauge| !gauge.moved.is_empty()).collect()
    }

    fn new(grid: &Grid, servers: Vec<usize>, heard: Vec<usize>, movement: &Movement, round_s: f64) -> Self {
        let (mut moved, mut since_ns, mut cost) = (Vec::new(), None::<i64>, 0.0);
        for &server in &servers {
            if let Some(it) = movement.servers[server].moved.as_ref().filter(|it| !it.is_returning()) {
                moved.push((Party::Server(server), it.by_s));
                since_ns = since_ns.max(Some(it.since_ns));
                cost += 1.0;
            }
        }
        let price = |vantage: usize, by_s: f64, kind: MoveKind| match movement.testimony(vantage, by_s) {
            Testimony::Confirms => 0.5,
            Testimony::Denies if kind == MoveKind::Step => 2.0,
            Testimony::Denies | Testimony::Silent => 1.0,
        };
        for &vantage in &heard {
            if let Some(it) = movement.vantages[vantage].moved.as_ref().filter(|it| !it.is_returning()) {
                moved.push((Party::Vantage(vantage), it.by_s));
                since_ns = since_ns.max(Some(it.since_ns));
                cost += price(vantage, it.by_s, it.kind);
            }
        }
        // In the opposite explanation they moved by the largest size, which costs more if their clocks deny it. Their
        // oscillators may have drifted by so much.
        let by_s = moved.iter().map(|(_, by_s)| by_s.abs()).fold(0.0, f64::max);
        let kind = if by_s < FOUND_WITHIN * drifted_s(round_s) { MoveKind::Drift } else { MoveKind::Step };
        let vantages = heard.into_iter().map(|vantage| (vantage, price(vantage, by_s, kind))).collect();
        let groups =
            |all: &mut dyn Iterator<Item = usize>| all.map(|it| grid.groups[it]).collect::<BTreeSet<_>>().len();
        let is_moved = |server: &usize| moved.iter().any(|(party, _)| *party == Party::Server(*server));
        let all = groups(&mut servers.iter().copied());
        let is_half = all >= LEAST_SERVERS && 2 * groups(&mut servers.iter().copied().filter(is_moved)) >= all;
        Self { moved, since_ns, servers, vantages, cost, is_half }
    }

    /// Whether the party moved and is of this part.
    pub fn has(&self, party: Party) -> bool {
        self.moved.iter().any(|(moved, _)| *moved == party)
    }

    pub fn since_ns(&self) -> Option<i64> {
        self.since_ns
    }

    /// The two explanations, if neither is cheaper by enough.
    pub fn undecidable(&self) -> Option<Vec<Vec<Party>>> {
        let (other, cost) =
            self.moved.iter().map(|(_, by_s)| self.seen_from(*by_s)).min_by(|a, b| a.1.total_cmp(&b.1))?;
        let servers = self.moved.iter().filter(|(party, _)| matches!(party, Party::Server(_))).count();
        let vantages = self.moved.len() - servers;
        let are_most = 2 * servers > self.servers.len() || (vantages > 1 && 2 * vantages > self.vantages.len());
        let margin = if are_most { MARGIN_OF_MOST } else { MARGIN };
        // With at most two servers and two vantages, no side has a majority.
        let is_small = self.servers.len() < 3 && self.vantages.len() < 3 && self.cost >= 1.0;
        let mine = self.moved.iter().map(|(party, _)| *party).collect();
        (cost - self.cost < margin || is_small || self.is_half).then(|| vec![mine, other])
    }

    /// The parties that moved if those that moved by `by_s` stood still instead, and the cost of that.
    fn seen_from(&self, by_s: f64) -> (Vec<Party>, f64) {
        let is_still = |party: Party| {
            let moved_s = self.moved.iter().find(|(it, _)| *it == party).map_or(0.0, |(_, by_s)| *by_s);
            (moved_s - by_s).abs() <= SAME * by_s.abs()
        };
        let servers = self.servers.iter().map(|server| (Party::Server(*server), 1.0));
        let vantages = self.vantages.iter().map(|(vantage, price)| (Party::Vantage(*vantage), *price));
        let moved: Vec<_> = servers.chain(vantages).filter(|(party, _)| !is_still(*party)).collect();
        let cost = moved.iter().map(|(_, price)| price).sum();
        (moved.into_iter().map(|(party, _)| party).collect(), cost)
    }
}

/// The vantages and servers of each part of the fleet that is connected by readings.
fn parts(grid: &Grid) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut parts = Vec::new();
    let (mut is_known, mut is_read) = (vec![false; grid.vantages], vec![false; grid.servers]);
    for first in 0..grid.vantages {
        if std::mem::replace(&mut is_known[first], true) {
            continue;
        }
        let (mut vantages, mut servers, mut next) = (vec![first], Vec::new(), 0);
        while let Some(vantage) = vantages.get(next).copied() {
            next += 1;
            for (server, _) in grid.seen_by(vantage) {
                if std::mem::replace(&mut is_read[server], true) {
                    continue;
                }
                servers.push(server);
                let also = grid.seen_of(server).map(|(other, _)| other);
                vantages.extend(also.filter(|other| !std::mem::replace(&mut is_known[*other], true)));
            }
        }
        if !servers.is_empty() {
            parts.push((vantages, servers));
        }
    }
    parts
}
