//! Changes of paths: of one cell, of the access link of a vantage (most of its cells), or of that of a server.

use super::super::findings::Sighting;
use super::super::grid::Grid;
use super::super::movement::{Changed, Movement, Path};
use super::super::party::Party;
use super::super::verdict::FleetKind;
use super::SHOWN;

/// A changed link needs at least so many changed cells.
const CELLS_OF_A_LINK: usize = 3;

/// The paths that changed. A displacement without a change of the delay is not told if it is below `stirred_s`.
pub(super) fn changed(movement: &Movement, grid: &Grid, stirred_s: f64) -> Vec<Sighting> {
    let cells: Vec<(usize, usize, &Path)> = movement
        .paths()
        .filter(|(v, s, _)| *v < grid.vantages && *s < grid.servers && grid.view(*v, *s).is_some())
        .collect();
    let one_sided =
        |path: &Path| path.changed.filter(|changed| changed.is_one_sided(path.noise_s()) && !path.is_returning());
    let links = Links::new(&cells, grid);
    let mut found = Vec::new();
    for (vantage, server, path) in &cells {
        let Some(changed) = one_sided(path) else { continue };
        if changed.delay_s == 0.0 && !is_shown(movement, grid, (*vantage, *server), &changed, stirred_s) {
            continue;
        }
        let party =
            if changed.delay_s == 0.0 { Some(Party::Cell(*vantage, *server)) } else { links.party(*vantage, *server) };
        found.extend(party.map(|party| sighting(party, &changed)));
    }
    found.sort_by_key(|sighting: &Sighting| (sighting.party, sighting.since_ns));
    found.dedup_by_key(|sighting| sighting.party);
    found
}

/// Whether a displacement without a change of the delay is that of the path: the readings of the other vantages and
/// servers must show it too, because the positions of the clocks may be wrong.
fn is_shown(
    movement: &Movement,
    grid: &Grid,
    (vantage, server): (usize, usize),
    changed: &Changed,
    stirred_s: f64,
) -> bool {
    let contrast_s = || movement.contrast_of_cell(vantage, server, grid).unwrap_or(0.0);
    changed.offset_s.abs() >= stirred_s
        && movement.is_compared(vantage, server, grid, changed.since_ns)
        && contrast_s() * changed.offset_s.signum() >= SHOWN * changed.offset_s.abs()
}

fn sighting(party: Party, changed: &Changed) -> Sighting {
    Sighting {
        party,
        kind: FleetKind::Step,
        gap_s: None,
        size_s: Some((changed.offset_s, changed.delay_s.abs() / 2.0)),
        since_ns: changed.since_ns,
        is_dated: true,
        // The path itself needed several sightings already.
        needed: 1,
        relies_on: None,
    }
}

/// Counts of changed cells of each vantage and server.
struct Links {
    of_vantage: Vec<Share>,
    of_server: Vec<Share>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    all: usize,
    changed: usize,
    /// Changed cells whose newest reading is as before the change.
    returning: usize,
    /// Cells that were seen changed recently, but not often enough yet.
    pending: usize,
}

impl Share {
    fn add(&mut self, path: &Path) {
        self.all += 1;
        let is_changed = path.changed.is_some_and(|changed| changed.delay_s != 0.0);
        self.changed += usize::from(is_changed);
        self.returning += usize::from(is_changed && path.is_returning());
        self.pending += usize::from(!is_changed && path.sightings() >= 2);
    }

    fn is_link(self) -> bool {
        self.changed >= CELLS_OF_A_LINK && 2 * self.changed > self.all
    }

    /// Whether a link is as it was before: more than half of its changed cells are.
    fn is_over(self) -> bool {
        self.is_link() && 2 * self.returning > self.changed
    }

    fn may_be_link(self) -> bool {
        self.pending > 0
            && self.changed + self.pending >= CELLS_OF_A_LINK
            && 2 * (self.changed + self.pending) > self.all
    }
}

impl Links {
    fn new(cells: &[(usize, usize, &Path)], grid: &Grid) -> Self {
        let mut links =
            Self { of_vantage: vec![Share::default(); grid.vantages], of_server: vec![Share::default(); grid.servers] };
        for (vantage, server, path) in cells {
            links.of_vantage[*vantage].add(path);
            links.of_server[*server].add(path);
        }
        links
    }

    /// The party that a changed cell accuses; `None` while other cells may show that a whole link changed.
    fn party(&self, vantage: usize, server: usize) -> Option<Party> {
        let (mine, theirs) = (self.of_vantage[vantage], self.of_server[server]);
        if mine.is_over() || theirs.is_over() {
            return None;
        }
        if mine.is_link() {
            return Some(Party::Access(vantage));
        }
        if theirs.is_link() {
            return Some(Party::ServerLink(server));
        }
        (!mine.may_be_link() && !theirs.may_be_link()).then_some(Party::Cell(vantage, server))
    }
}
