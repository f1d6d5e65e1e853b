//! What rests on the word of one vantage. It may be said while no other vantage can tell, and it says so. It ends as
//! soon as another vantage reads the server and does not confirm it: one that reports falsely accuses no honest server.

use super::super::findings::{Finding, Findings};
use super::super::grid::Grid;
use super::super::movement::{Moved, Movement};
use super::super::party::Party;
use super::super::sight::{Sight, is_found, sights};
use super::Round;

/// Ends findings about servers that one vantage alone shows although others read the server too. A proof ends even if
/// the paths of the others could hide the error, because it is none without their word.
pub(super) fn end_unconfirmed(round: &Round, findings: &mut Findings, movement: &mut Movement) {
    let mut refuted = Vec::new();
    findings.end(round.now_ns, |(party, is_false), finding| {
        let (Party::Server(server), false) = (*party, *is_false) else { return false };
        let rests_on_one = finding.gap_s.is_none() || finding.relies_on.is_some();
        if !rests_on_one || round.proofs.servers[server].is_some() {
            return false;
        }
        let is_contradicted = contradicted(server, finding, round.grid, movement);
        if is_contradicted {
            refuted.push(server);
        }
        is_contradicted || (finding.gap_s.is_some() && round.grid.seen_of(server).count() > 1)
    });
    for server in refuted {
        movement.servers[server].rebase();
    }
}

/// Whether at most one place shows the error and another shows that there is none.
fn contradicted(server: usize, finding: &Finding, grid: &Grid, movement: &Movement) -> bool {
    let has_moved = |other: usize| movement.servers[other].moved.is_some();
    let stood_s = movement.servers[server].moved.as_ref().map_or(0.0, Moved::stood_s);
    let sights = sights(server, finding, grid, &has_moved, stood_s);
    let count = |wanted: Sight| sights.iter().filter(|(_, sight)| *sight == wanted).count();
    count(Sight::Seen) <= 1 && count(Sight::Unseen) > 0
}

/// The servers whose errors only one place shows, each with that place.
pub(super) fn relied_upon(findings: &[(Party, &Finding)], grid: &Grid) -> Vec<(usize, usize)> {
    let relied = |(party, finding): &(Party, &Finding)| {
        let (Party::Server(server), false) = (*party, finding.kind.is_false()) else { return None };
        if finding.gap_s.is_some() {
            return Some((server, finding.relies_on?));
        }
        let sights = sights(server, finding, grid, &|other| is_found(findings, other), 0.0);
        let mut seeing = sights.iter().filter(|(_, sight)| *sight == Sight::Seen || sights.len() == 1);
        let (first, second) = (seeing.next()?, seeing.next());
        second.is_none().then_some((server, first.0))
    };
    findings.iter().filter_map(relied).collect()
}
