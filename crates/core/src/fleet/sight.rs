//! What each place that reads a server shows of the error of that server.

use super::findings::Finding;
use super::grid::{Grid, View};
use super::median::median;
use super::party::Party;

fn size_of(finding: &Finding) -> f64 {
    finding.size_s.map_or(finding.gap_s.unwrap_or(0.0), |(size_s, _)| size_s).abs()
}

/// What a place shows of the error of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Seen,
    /// The path could hide an error of this size.
    Hidden,
    /// The place shows no such error.
    Unseen,
}

/// What each place shows. Its own clock is judged by the middle of its other servers that are not `wrong` too: if most of
/// them are, their middle moves with the server. Before the error, the server was `stood_s` from the others.
pub(super) fn sights(
    server: usize,
    finding: &Finding,
    grid: &Grid,
    wrong: &dyn Fn(usize) -> bool,
    stood_s: f64,
) -> Vec<(usize, Sight)> {
    let size_s = size_of(finding);
    let signed_s = finding.size_s.map(|(size_s, _)| size_s);
    let sight = |(vantage, view): (usize, View)| {
        let others = grid.seen_by(vantage).filter(|(other, _)| *other != server && !wrong(*other));
        let others: Vec<f64> = others.map(|(_, other)| other.offset_s).collect();
        let shows =
            |size_s: f64| (view.offset_s - median(others.clone()) - stood_s) * size_s.signum() >= 0.5 * size_s.abs();
        let is_unseen = others.len() > 1 && signed_s.is_some_and(|size_s| !shows(size_s));
        let sight = match () {
            () if view.half_s >= size_s => Sight::Hidden,
            () if is_unseen => Sight::Unseen,
            () => Sight::Seen,
        };
        (vantage, sight)
    };
    grid.seen_of(server).map(sight).collect()
}

/// Whether a server is among the findings.
pub(super) fn is_found(findings: &[(Party, &Finding)], server: usize) -> bool {
    findings.iter().any(|(party, _)| *party == Party::Server(server))
}

/// The number of places from which the error of a server is seen, and from which the server is seen.
pub(super) fn places(server: usize, finding: &Finding, grid: &Grid, findings: &[(Party, &Finding)]) -> (usize, usize) {
    let sights = sights(server, finding, grid, &|other| is_found(findings, other), 0.0);
    (sights.iter().filter(|(_, sight)| *sight == Sight::Seen).count(), sights.len())
}
