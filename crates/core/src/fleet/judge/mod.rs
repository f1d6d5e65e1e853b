//! Makes the verdict from the proofs and movements of a round.
//!
//! A proof is preferred to an inference, unless its assumption is broken: when at least half of the independent servers
//! moved, the majority would "prove" the others wrong. Longer delays mean a path, never a clock. A movement into
//! agreement is a repair.

mod gauge;
mod paths;
mod reliance;

use std::collections::BTreeSet;

use super::claims::{Proof, Proofs};
use super::conflict::Conflict;
use super::findings::{Finding, Findings, Sighting};
use super::grid::{Grid, Readers};
use super::median::median;
use super::movement::{MoveKind, Moved, Movement, STIRRED, Testimony, Track};
use super::party::Party;
use super::sight;
use super::text::{self, Labels, Told};
use super::verdict::{BlamedPath, BlamedServer, BlamedVantage, FleetKind, FleetState, FleetVerdict};
use crate::stats::verdict::When;
use gauge::Gauge;

/// Sightings in a row that a proof needs.
const PROOF: usize = 2;
/// Sightings that a contradiction needs: a clock that was set between two readings shows one for two rounds.
const CONTRADICTION: usize = 3;
/// A movement below so many times its noise does not count.
const NOTED: f64 = 4.0;

/// A movement by this share of the largest proven error may have caused it.
const SHARE: f64 = 0.3;

/// The readings must show at least this share of a movement.
const SHOWN: f64 = 0.5;

/// A movement below this share of those of the clocks that it was read against may be an error in theirs.
const BESIDE: f64 = 0.6;

/// The results of a round.
pub(super) struct Round<'a> {
    pub grid: &'a Grid,
    pub conflict: &'a Conflict,
    pub proofs: &'a Proofs,
    pub now_ns: i64,
    /// When the first sample of the fleet was taken.
    pub first_ns: i64,
    pub round_s: f64,
}

impl Round<'_> {
    fn round_ns(&self) -> i64 {
        (self.round_s * 1e9) as i64
    }

    /// Whether this is one of the first rounds of the fleet.
    fn is_first(&self) -> bool {
        self.now_ns - self.first_ns <= 4 * self.round_ns()
    }
}

pub(super) fn judge(round: &Round, findings: &mut Findings, movement: &mut Movement, labels: &Labels) -> FleetVerdict {
    repairs(round, movement);
    take_stir(round, movement);
    reliance::end_unconfirmed(round, findings, movement);
    let mut sightings = conflicts(round);
    let unmoved: Vec<Party> = still_wrong(findings, movement).collect();
    let parts = Gauge::of_parts(round.grid, movement, round.round_s);
    let since_ns = parts.iter().filter_map(Gauge::since_ns).max();
    let mut alternatives = round.conflict.alternatives.clone();
    let contested = alternatives.iter().flatten().map(|party| contradiction(round.grid, *party)).max();
    let mut needed = contested.unwrap_or(PROOF);
    let mut contest_ns = round.now_ns - round.round_ns();
    let undecided: Vec<_> = parts.iter().filter_map(|part| Some((part, part.undecidable()?))).collect();
    if let Some(sides) = broken_majority(round, movement, &unmoved) {
        alternatives = if round.proofs.undecided.is_empty() { sides } else { round.proofs.undecided.clone() };
        contest_ns = since_ns.unwrap_or(contest_ns);
        needed = PROOF;
    } else {
        if !undecided.iter().any(|(_, sides)| sides.iter().any(|side| is_half(round, side))) {
            sightings.extend(proofs(round, movement));
        }
        let is_undecided = |party: Party| undecided.iter().any(|(part, _)| part.has(party));
        sightings.extend(movements(round, movement).into_iter().filter(|sighting| !is_undecided(sighting.party)));
        if let Some((part, sides)) = undecided.first() {
            if alternatives.is_empty() {
                contest_ns = part.since_ns().unwrap_or(contest_ns);
            }
            alternatives.clone_from(sides);
        } else if alternatives.is_empty() && !round.proofs.undecided.is_empty() {
            alternatives.clone_from(&round.proofs.undecided);
            contest_ns = if round.is_first() { round.first_ns } else { contest_ns };
        }
    }
    sightings.extend(paths::changed(movement, round.grid, stirred_s(round, movement)));
    let sightings = specific(sightings);
    findings.contest(alternatives, contest_ns, round.now_ns, needed);
    let contested = settle(round, findings, sightings, &unmoved);
    verdict(round, findings, &contested, labels)
}

/// Takes the sightings of the round, but for inferences about contested parties. Returns these parties.
/// Of `unmoved` parties that were proven wrong, the contested ones stay so.
fn settle(round: &Round, findings: &mut Findings, mut sightings: Vec<Sighting>, unmoved: &[Party]) -> Vec<Party> {
    let contest = findings.contested();
    let since_ns = contest.map_or(i64::MAX, |contest| contest.since_ns.saturating_sub(4 * round.round_ns()));
    let contested: Vec<Party> =
        contest.into_iter().flat_map(|contest| contest.alternatives.iter().flatten().copied()).collect();
    // A path of a contested party may have moved with it.
    let is_contested = |party: Party| contested.iter().any(|it| *it == party || it.has_path(party));
    findings.drop_explained(is_contested, since_ns);
    sightings.retain(|sighting| sighting.gap_s.is_some() || !is_contested(sighting.party));
    let held: Vec<Party> = unmoved.iter().copied().filter(|party| contested.contains(party)).collect();
    findings.update(&sightings, &held, round.now_ns);
    contested
}

/// The parties that were proven wrong by claims and whose clocks were not repaired since.
fn still_wrong<'a>(findings: &'a Findings, movement: &'a Movement) -> impl Iterator<Item = Party> + 'a {
    let is_repaired = |party: Party, gap_s: f64| {
        let track = match party {
            Party::Server(server) => movement.servers.get(server),
            Party::Vantage(vantage) => movement.vantages.get(vantage),
            _ => None,
        };
        track.is_some_and(|track| track.is_repaired(SHARE * gap_s))
    };
    findings.proven().filter(move |(party, gap_s)| !is_repaired(*party, *gap_s)).map(|(party, _)| party)
}

/// The sightings that a contradiction needs: more if a vantage polls rarely and shows the same readings longer. Those
/// that one cell contradicts may be older than a movement of the server that this cell shows.
fn contradiction(grid: &Grid, party: Party) -> usize {
    let slowest = |s: usize| grid.seen_of(s).map(|(v, _)| grid.rounds[v]).max().unwrap_or(1);
    let rounds = match party {
        Party::Vantage(v) => grid.rounds[v],
        Party::Server(s) => slowest(s),
        // Intervals that are a little longer than a round count as two.
        Party::Cell(v, s) if slowest(s) <= 2 => grid.rounds[v],
        Party::Cell(_, s) => slowest(s),
        Party::Access(_) | Party::ServerLink(_) => 1,
    };
    CONTRADICTION * rounds
}

/// Finds movements that bring a clock nearer to the others: they are repairs, not faults. A distance that the paths could
/// hide is none.
fn repairs(round: &Round, movement: &mut Movement) {
    let middle = |values: Vec<f64>| (!values.is_empty()).then(|| median(values));
    let grid = round.grid;
    let clocks: Vec<Option<f64>> =
        (0..grid.vantages).map(|v| middle(grid.seen_by(v).map(|(_, view)| -view.offset_s).collect())).collect();
    let of_server =
        |server: usize| middle(grid.seen_of(server).filter_map(|(v, view)| Some(view.offset_s + clocks[v]?)).collect());
    let judge = |track: &mut Track, standing_s: Option<f64>, halves_s: Vec<f64>| {
        if let Some(standing_s) = standing_s {
            track.stand(standing_s);
        }
        track.weigh(middle(halves_s).unwrap_or(0.0));
    };
    for (server, track) in movement.servers.iter_mut().enumerate() {
        judge(track, of_server(server), grid.seen_of(server).map(|(_, view)| view.half_s).collect());
    }
    for (vantage, track) in movement.vantages.iter_mut().enumerate() {
        judge(track, clocks[vantage], grid.seen_by(vantage).map(|(_, view)| view.half_s).collect());
    }
}

fn conflicts(round: &Round) -> Vec<Sighting> {
    // A clock that is set between most readings explains contradictions as well as false reports do.
    let is_set = |party: &Party| match party {
        Party::Vantage(v) => round.grid.jumpy_vantages[*v],
        _ => false,
    };
    let sighting = |party: &Party| Sighting {
        party: *party,
        kind: match party {
            Party::Server(_) => FleetKind::Split,
            _ if is_set(party) => FleetKind::Step,
            _ => FleetKind::FalseReports,
        },
        gap_s: (!is_set(party)).then_some(round.conflict.gap_s),
        size_s: is_set(party).then_some((round.conflict.gap_s, round.conflict.gap_s)),
        since_ns: round.now_ns - round.round_ns(),
        is_dated: false,
        needed: contradiction(round.grid, *party),
        relies_on: None,
    };
    // One reading contradicts all others because it is of another state of a clock that jumps all the time.
    let of_clock = |party: &Party| match *party {
        Party::Cell(v, _) if round.grid.jumpy_vantages[v] => Party::Vantage(v),
        Party::Cell(_, s) if round.grid.jumpy_servers[s] => Party::Server(s),
        party => party,
    };
    round.conflict.blamed.iter().map(|party| sighting(&of_clock(party))).collect()
}

/// The kind and onset of a proven error, and whether the onset was measured: it began with a movement that was seen,
/// with the first sample, or in this round.
fn onset(round: &Round, track: Option<&Track>) -> (FleetKind, i64, bool) {
    if let Some(moved) = track.and_then(|track| track.moved.as_ref()).filter(|moved| !moved.is_repair()) {
        return (kind_of(moved), moved.since_ns, true);
    }
    if round.is_first() {
        return (FleetKind::Constant, round.first_ns, true);
    }
    let is_jump = track.is_some_and(|track| {
        let noise_s = track.noise_s().unwrap_or(f64::INFINITY);
        track.jump_s().abs() > NOTED * noise_s
    });
    let kind = if is_jump { FleetKind::Step } else { FleetKind::Constant };
    (kind, round.now_ns - round.round_ns(), false)
}

fn kind_of(moved: &Moved) -> FleetKind {
    match moved.kind {
        MoveKind::Step => FleetKind::Step,
        MoveKind::Drift => FleetKind::Frequency,
    }
}

fn proofs(round: &Round, movement: &Movement) -> Vec<Sighting> {
    let sighting = |party: Party, proof: &Proof, track: Option<&Track>| {
        let (kind, since_ns, is_dated) = onset(round, track);
        let (low, high) = proof.interval_s;
        let size_s = (low.is_finite() && high.is_finite()).then_some(((low + high) / 2.0, (high - low).abs() / 2.0));
        let (gap_s, relies_on) = (Some(proof.gap_s), proof.relies_on);
        Sighting { party, kind, gap_s, size_s, since_ns, is_dated, needed: PROOF, relies_on }
    };
    let servers = round.proofs.servers.iter().enumerate().filter_map(|(server, proof)| {
        Some(sighting(Party::Server(server), proof.as_ref()?, movement.servers.get(server)))
    });
    let vantages = round.proofs.vantages.iter().enumerate().filter_map(|(vantage, proof)| {
        Some(sighting(Party::Vantage(vantage), proof.as_ref()?, movement.vantages.get(vantage)))
    });
    servers.chain(vantages).collect()
}

/// Movements below this are not told, in seconds.
fn stirred_s(round: &Round, movement: &Movement) -> f64 {
    movement.stirred_s(round.round_s)
}

/// Makes movements the usual position that are small beside how far the fastest clock moves in a round: cells that are
/// read at different times differ by as much.
fn take_stir(round: &Round, movement: &mut Movement) {
    let stirred_s = stirred_s(round, movement);
    for track in movement.servers.iter_mut().chain(&mut movement.vantages) {
        let is_small = track.moved.as_ref().is_some_and(|moved| moved.by_s.abs() < stirred_s);
        if is_small && STIRRED * track.drift_s(round.round_s) < stirred_s {
            track.rebase();
        }
    }
}

/// The clocks that moved, if their readings show it too. While another clock drifts, cells that are read at different
/// times differ, so movements that are small beside that are not told.
fn movements(round: &Round, movement: &Movement) -> Vec<Sighting> {
    let sighting = |party: Party, track: &Track, contrast: &dyn Fn() -> Option<f64>| {
        let moved = track.moved.as_ref().filter(|moved| !moved.is_returning())?;
        if moved.by_s.abs() <= moved.within_s {
            return None;
        }
        let is_shown = contrast().is_some_and(|by_s| by_s * moved.by_s.signum() >= SHOWN * moved.by_s.abs());
        is_shown.then(|| Sighting {
            party,
            kind: kind_of(moved),
            gap_s: None,
            size_s: Some((moved.by_s, moved.within_s + track.drift_s(round.round_s))),
            since_ns: moved.since_ns,
            is_dated: true,
            needed: 1,
            relies_on: None,
        })
    };
    let servers = movement.servers.iter().enumerate().filter_map(|(at, track)| {
        let seen = sighting(Party::Server(at), track, &|| movement.contrast_of_server(at, round.grid))?;
        is_beside(&seen, second_movement_s(round.grid, movement, at)).then_some(seen)
    });
    let vantages = movement.vantages.iter().enumerate().filter_map(|(at, track)| {
        let seen = sighting(Party::Vantage(at), track, &|| movement.contrast_of_vantage(at, round.grid))?;
        is_beside(&seen, most_move_s(round.grid, movement, at)).then_some(seen)
    });
    servers.chain(vantages).collect()
}

/// Whether a movement is large enough beside those of the clocks that it was read against.
fn is_beside(seen: &Sighting, others_s: f64) -> bool {
    seen.size_s.is_some_and(|(by_s, _)| by_s.abs() >= BESIDE * others_s)
}

fn moved_s(track: Option<&Track>) -> f64 {
    track.and_then(|track| track.moved.as_ref()).map_or(0.0, |moved| moved.by_s.abs())
}

/// The second largest movement among the vantages that read a server, in seconds. One that moves beside others is outvoted
/// by them, but several that move show of a server that rests what their movements leave unexplained. Nothing outvotes the
/// clock of an only reader, so its usual unrest counts too.
fn second_movement_s(grid: &Grid, movement: &Movement, server: usize) -> f64 {
    if let Some(only) = grid.only_reader(server) {
        let track = movement.vantages.get(only);
        return moved_s(track).max(NOTED * track.and_then(Track::noise_s).unwrap_or(0.0));
    }
    let readers = grid.seen_of(server).map(|(vantage, _)| moved_s(movement.vantages.get(vantage)));
    let mut all: Vec<f64> = readers.collect();
    all.sort_by(|a, b| b.total_cmp(a));
    all.get(1).copied().unwrap_or(0.0)
}

/// By how much more than half of the servers that a vantage reads move at least, in seconds: then its own clock is seen
/// only beside theirs.
fn most_move_s(grid: &Grid, movement: &Movement, vantage: usize) -> f64 {
    let servers = grid.seen_by(vantage).map(|(server, _)| moved_s(movement.servers.get(server)));
    let mut all: Vec<f64> = servers.collect();
    all.sort_by(|a, b| b.total_cmp(a));
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

/// Whether the servers of a side are at least half of the independent ones. If several vantages read servers, only those
/// count: one vantage could invent others.
fn is_half(round: &Round, side: &[Party]) -> bool {
    let grid = round.grid;
    let has_claim = |server: &usize| grid.claims_s[*server].is_some();
    let is_common = |server: &usize| grid.readers(*server) == Readers::Several;
    let any_common = (0..grid.servers).any(|server| is_common(&server));
    let counts = |server: &usize| has_claim(server) && (is_common(server) || !any_common);
    let groups = |servers: &mut dyn Iterator<Item = usize>| {
        servers.filter(counts).map(|server| grid.groups[server]).collect::<BTreeSet<_>>().len()
    };
    let mut of_side = side.iter().filter_map(|party| match party {
        Party::Server(server) => Some(*server),
        _ => None,
    });
    let (mine, all) = (groups(&mut of_side), groups(&mut (0..grid.servers)));
    mine > 0 && 2 * mine >= all
}

/// The two sides, if at least half of the independent servers moved: then a majority proves nothing about the others.
/// Servers that were proven wrong and that the majority acquits although they did not move count as well.
fn broken_majority(round: &Round, movement: &Movement, unmoved: &[Party]) -> Option<Vec<Vec<Party>>> {
    let (servers, vantages) = (&round.proofs.servers, &round.proofs.vantages);
    let largest_s = round.proofs.gap_s;
    if largest_s <= 0.0 {
        return None;
    }
    // What is small beside the movement of most vantages may be an error of the explanation.
    let heard = (0..round.grid.vantages).filter(|vantage| round.grid.seen_by(*vantage).next().is_some());
    let jumps_s: Vec<f64> = heard.filter_map(|v| Some(movement.vantages.get(v)?.jump_s().abs())).collect();
    let least_s = SHARE * if jumps_s.is_empty() { largest_s } else { largest_s.max(median(jumps_s)) };
    let has_moved = |track: Option<&Track>| {
        let Some(track) = track else { return false };
        let by_s = track.jump_s().abs();
        by_s > least_s && track.noise_s().is_some_and(|noise_s| by_s > NOTED * noise_s)
    };
    let is_acquitted = |server: usize| servers[server].is_none() && unmoved.contains(&Party::Server(server));
    let is_moved = |server: &usize| has_moved(movement.servers.get(*server)) || is_acquitted(*server);
    let moved: Vec<usize> = (0..round.grid.servers).filter(is_moved).collect();
    let side: Vec<Party> = moved.iter().copied().map(Party::Server).collect();
    if moved.is_empty() || !is_half(round, &side) {
        return all_vantages(round, movement, &has_moved);
    }
    let is_claimant = |server: &usize| round.grid.claims_s[*server].is_some() && !moved.contains(server);
    let mut others: Vec<Party> = (0..round.grid.servers).filter(is_claimant).map(Party::Server).collect();
    // If all servers moved, the vantages moved instead.
    let is_other = |at: &usize| match others.is_empty() {
        true => round.grid.seen_by(*at).next().is_some(),
        false => vantages[*at].is_some() && !has_moved(movement.vantages.get(*at)),
    };
    let also: Vec<Party> = (0..round.grid.vantages).filter(is_other).map(Party::Vantage).collect();
    others.extend(also);
    Some(vec![side, others])
}

/// The two sides, if most vantages moved by the same amount and their clocks do not confirm it: the servers may have
/// moved instead.
fn all_vantages(
    round: &Round,
    movement: &Movement,
    has_moved: &dyn Fn(Option<&Track>) -> bool,
) -> Option<Vec<Vec<Party>>> {
    let grid = round.grid;
    let heard: Vec<usize> = (0..grid.vantages).filter(|vantage| grid.seen_by(*vantage).next().is_some()).collect();
    let by_s = |vantage: usize| movement.vantages.get(vantage).map_or(0.0, Track::jump_s);
    let is_unseen = |vantage: usize| movement.testimony(vantage, by_s(vantage)) != Testimony::Confirms;
    let moved: Vec<usize> = heard
        .iter()
        .copied()
        .filter(|vantage| has_moved(movement.vantages.get(*vantage)) && is_unseen(*vantage))
        .collect();
    let first_s = by_s(*moved.first()?);
    let is_alike = moved.iter().all(|vantage| (by_s(*vantage) - first_s).abs() < 0.3 * first_s.abs());
    if moved.len() < 2 || 2 * moved.len() <= heard.len() || !is_alike {
        return None;
    }
    // A server that moved with them shows that they follow it: then the others rest.
    let goes_along = |server: usize| {
        let track = movement.servers.get(server);
        has_moved(track) && track.is_some_and(|track| (track.jump_s() - first_s).abs() < 0.3 * first_s.abs())
    };
    let along = (0..grid.servers).filter(|server| grid.claims_s[*server].is_some() && goes_along(*server)).count();
    let resting =
        (0..grid.servers).filter(|server| grid.claims_s[*server].is_some()).count() - along + heard.len() - moved.len();
    if along > 0 && resting >= moved.len() + along + 2 {
        return None;
    }
    let others = heard.iter().filter(|vantage| !moved.contains(vantage)).map(|vantage| Party::Vantage(*vantage));
    let servers = (0..grid.servers).filter(|server| grid.claims_s[*server].is_some()).map(Party::Server);
    Some(vec![moved.iter().map(|vantage| Party::Vantage(*vantage)).collect(), servers.chain(others).collect()])
}

/// Drops sightings of paths whose server or vantage is seen too.
fn specific(sightings: Vec<Sighting>) -> Vec<Sighting> {
    let general: Vec<_> = sightings.iter().map(|sighting| (sighting.party, sighting.gap_s.is_some())).collect();
    let is_covered = |party: Party| match party {
        Party::Cell(v, s) => general.iter().any(|(other, _)| *other != party && other.covers(v, s)),
        Party::ServerLink(s) => general.iter().any(|(other, _)| *other == Party::Server(s)),
        Party::Access(v) => general.iter().any(|(other, _)| *other == Party::Vantage(v)),
        Party::Server(_) | Party::Vantage(_) => false,
    };
    let mut kept: Vec<Sighting> = sightings.into_iter().filter(|sighting| !is_covered(sighting.party)).collect();
    // One sighting for a party that is both proven and seen to move: the proof, which is dated by the movement.
    kept.sort_by_key(|sighting| (sighting.key(), sighting.gap_s.is_none()));
    kept.dedup_by_key(|sighting| sighting.key());
    kept
}

fn verdict(round: &Round, findings: &Findings, contested: &[Party], labels: &Labels) -> FleetVerdict {
    let mut verdict = FleetVerdict { confidence: 0.0, ..FleetVerdict::nothing_yet() };
    let mut weakest: f64 = 1.0;
    let covers = |party: Party, v: usize, s: usize| party.covers(v, s);
    let all: Vec<(Party, &Finding)> = findings.confirmed().collect();
    for (party, finding) in &all {
        let proven = finding.gap_s.is_some();
        weakest = weakest.min(if proven { 0.99 } else { 0.9 });
        let (size_s, bound_s) = finding.size_s.map_or((None, None), |(size_s, bound_s)| (Some(size_s), Some(bound_s)));
        let (kind, gap_s) = (finding.kind, finding.gap_s);
        match *party {
            Party::Server(at) => {
                let (wrong_from, seen_from) = sight::places(at, finding, round.grid, &all);
                let server = labels.server(at);
                let blamed = BlamedServer { server, kind, gap_s, proven, size_s, bound_s, wrong_from, seen_from };
                verdict.servers.push(blamed);
            }
            Party::Vantage(at) => {
                verdict.vantages.push(BlamedVantage {
                    vantage: labels.vantage(at),
                    kind,
                    gap_s,
                    proven,
                    size_s,
                    bound_s,
                });
            }
            Party::Cell(v, s) => {
                // The finding about a server or a vantage may be older than the one about its cell.
                if !all.iter().any(|(other, _)| other != party && covers(*other, v, s)) {
                    verdict.paths.push(BlamedPath { vantage: labels.vantage(v), server: labels.server(s) });
                }
            }
            Party::Access(at) => {
                verdict.paths.push(BlamedPath { vantage: labels.vantage(at), server: "*".to_owned() });
            }
            Party::ServerLink(at) => {
                verdict.paths.push(BlamedPath { vantage: "*".to_owned(), server: labels.server(at) });
            }
        }
    }
    let contest = findings.contested();
    let has = [!verdict.servers.is_empty(), !verdict.vantages.is_empty(), !verdict.paths.is_empty()];
    verdict.state = match (contest, has) {
        (Some(_), _) => FleetState::Undecidable,
        (None, [false, false, false]) if round.proofs.groups == 0 => FleetState::Undecidable,
        (None, [false, false, false]) => FleetState::Consistent,
        (None, [true, false, false]) => FleetState::ServerWrong,
        (None, [false, true, false]) => FleetState::VantageWrong,
        (None, [false, false, true]) => FleetState::Path,
        _ => FleetState::Several,
    };
    if let Some(contest) = contest {
        let name = |set: &Vec<Party>| set.iter().map(|party| labels.party(*party)).collect();
        verdict.alternatives = contest.alternatives.iter().map(name).collect();
        weakest = weakest.min(0.5);
    }
    debug_assert!(contest.is_some() || contested.is_empty());
    let is_consistent = verdict.state == FleetState::Consistent;
    verdict.confidence = if is_consistent { 0.95 } else { weakest };
    let relies = reliance::relied_upon(&all, round.grid);
    verdict.assumption = text::assumption(&verdict, round.proofs.groups, &relies, labels);
    let told = Told { grid: round.grid, findings: &all, labels };
    verdict.sentence = text::sentence(&verdict, &told);
    verdict.since = Some(When(findings.changed_ns().unwrap_or(round.first_ns)));
    verdict
}
