//! One round: the latest reading of every pair of a vantage and a server, moved to one common instant.
//!
//! Two bounds are kept apart. The *path bound* of a cell is physics: the offset as measured differs from the true
//! difference of both clocks by at most half of the round trip. The *claim bound* of a server is its own statement: it
//! differs from true time by at most half of its root delay plus its root dispersion.

/// By how much two clocks can drift apart while neither is read, in seconds a second (RFC 5905: PHI).
pub(super) const PHI: f64 = 15e-6;

/// What one vantage knows about one server now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// The server's clock less the vantage's, as measured, in seconds.
    pub offset_s: f64,
    /// The path bound: the true difference is within this of `offset_s`.
    pub half_s: f64,
    /// Whether it was read within the last round.
    pub is_fresh: bool,
}

/// All cells at one instant, row by row: a row is a vantage, a column a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Grid {
    pub vantages: usize,
    pub servers: usize,
    pub cells: Vec<Option<View>>,
    /// The claim bound of each server in seconds, where it claims something.
    pub claims_s: Vec<Option<f64>>,
    /// Which group of servers that are not independent each server belongs to.
    pub groups: Vec<usize>,
}

impl Grid {
    pub fn new(vantages: usize, servers: usize) -> Self {
        Self {
            vantages,
            servers,
            cells: vec![None; vantages * servers],
            claims_s: vec![None; servers],
            groups: (0..servers).collect(),
        }
    }

    pub fn view(&self, vantage: usize, server: usize) -> Option<&View> {
        self.cells[vantage * self.servers + server].as_ref()
    }

    pub fn row(&self, vantage: usize) -> &[Option<View>] {
        &self.cells[vantage * self.servers..(vantage + 1) * self.servers]
    }

    pub fn set(&mut self, vantage: usize, server: usize, view: Option<View>) {
        self.cells[vantage * self.servers + server] = view;
    }

    /// The cells of a vantage that were read, with the server of each.
    pub fn seen_by(&self, vantage: usize) -> impl Iterator<Item = (usize, &View)> {
        self.row(vantage).iter().enumerate().filter_map(|(server, view)| Some((server, view.as_ref()?)))
    }

    /// The cells of a server that were read, with the vantage of each.
    pub fn seen_of(&self, server: usize) -> impl Iterator<Item = (usize, &View)> {
        (0..self.vantages).filter_map(move |vantage| Some((vantage, self.view(vantage, server)?)))
    }

    /// How many groups of independent servers have a claim.
    pub fn group_count(&self) -> usize {
        let mut groups: Vec<_> = self
            .groups
            .iter()
            .zip(&self.claims_s)
            .filter(|(_, claim)| claim.is_some())
            .map(|(group, _)| *group)
            .collect();
        groups.sort_unstable();
        groups.dedup();
        groups.len()
    }
}
