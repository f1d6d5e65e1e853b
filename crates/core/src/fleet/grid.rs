//! The data of one round: the latest reading of every pair of a vantage and a server, moved to one common instant.
//!
//! There are two separate bounds. The *path bound* of a cell is physical: the measured offset differs from the true
//! difference of both clocks by at most half of the round trip. The *claim bound* of a server is its own statement: it
//! claims to differ from true time by at most half of its root delay plus its root dispersion.

/// By how much two clocks can drift apart while neither is read, in seconds a second (RFC 5905: PHI).
pub(super) const PHI: f64 = 15e-6;

/// The reading of one server by one vantage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// The server's clock less the vantage's, as measured, in seconds.
    pub offset_s: f64,
    /// The path bound: the true difference is within this of `offset_s`.
    pub half_s: f64,
    /// Whether it was read within the last round, or within its poll interval if that is longer.
    pub is_fresh: bool,
}

/// Who reads a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Readers {
    None,
    One(usize),
    Several,
}

/// All cells at one instant, row by row: a row is a vantage, a column a server. Offsets and bounds are separate lists,
/// because every pair of rows and every pair of columns is compared in each round.
#[derive(Debug, Clone, Default)]
pub(super) struct Grid {
    pub vantages: usize,
    pub servers: usize,
    offsets_s: Vec<f64>,
    /// Infinite where a cell was not read.
    halves_s: Vec<f64>,
    fresh: Vec<bool>,
    /// The claim bound of each server in seconds; `None` if no claim was reported.
    pub claims_s: Vec<Option<f64>>,
    /// The group of each server. Servers of one group are not independent of each other.
    pub groups: Vec<usize>,
    /// Whether the clock of each vantage, and of each server, jumps between most of its readings.
    pub jumpy_vantages: Vec<bool>,
    pub jumpy_servers: Vec<bool>,
    /// How many rounds pass between two readings of a cell of each vantage, at least one.
    pub rounds: Vec<usize>,
}

/// Offsets and path bounds of the cells of one vantage, or of one server. Without a reading, the bound is infinite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells<'a> {
    pub offsets_s: &'a [f64],
    pub halves_s: &'a [f64],
}

impl Grid {
    pub fn new(vantages: usize, servers: usize) -> Self {
        let cells = vantages * servers;
        Self {
            vantages,
            servers,
            offsets_s: vec![0.0; cells],
            halves_s: vec![f64::INFINITY; cells],
            fresh: vec![false; cells],
            claims_s: vec![None; servers],
            groups: (0..servers).collect(),
            jumpy_vantages: vec![false; vantages],
            jumpy_servers: vec![false; servers],
            rounds: vec![1; vantages],
        }
    }

    pub fn view(&self, vantage: usize, server: usize) -> Option<View> {
        let at = vantage * self.servers + server;
        let half_s = self.halves_s[at];
        half_s.is_finite().then(|| View { offset_s: self.offsets_s[at], half_s, is_fresh: self.fresh[at] })
    }

    pub fn row(&self, vantage: usize) -> Cells<'_> {
        let place = vantage * self.servers..(vantage + 1) * self.servers;
        Cells { offsets_s: &self.offsets_s[place.clone()], halves_s: &self.halves_s[place] }
    }

    pub fn set(&mut self, vantage: usize, server: usize, view: Option<View>) {
        let at = vantage * self.servers + server;
        let unread = View { offset_s: 0.0, half_s: f64::INFINITY, is_fresh: false };
        let View { offset_s, half_s, is_fresh } = view.unwrap_or(unread);
        (self.offsets_s[at], self.halves_s[at], self.fresh[at]) = (offset_s, half_s, is_fresh);
    }

    /// The same grid with fresh readings only.
    pub fn fresh(&self) -> Self {
        let mut grid = self.clone();
        for (half_s, is_fresh) in grid.halves_s.iter_mut().zip(&self.fresh) {
            if !is_fresh {
                *half_s = f64::INFINITY;
            }
        }
        grid
    }

    /// Offsets and bounds with rows and columns exchanged: a row of the result is a server.
    pub fn transposed(&self) -> Self {
        let mut grid = Self::new(self.servers, self.vantages);
        for vantage in 0..self.vantages {
            for server in 0..self.servers {
                let (from, to) = (vantage * self.servers + server, server * self.vantages + vantage);
                (grid.offsets_s[to], grid.halves_s[to]) = (self.offsets_s[from], self.halves_s[from]);
            }
        }
        grid
    }

    /// The cells of a vantage that were read, with the server of each.
    pub fn seen_by(&self, vantage: usize) -> impl Iterator<Item = (usize, View)> {
        (0..self.servers).filter_map(move |server| Some((server, self.view(vantage, server)?)))
    }

    /// The cells of a server that were read, with the vantage of each.
    pub fn seen_of(&self, server: usize) -> impl Iterator<Item = (usize, View)> {
        (0..self.vantages).filter_map(move |vantage| Some((vantage, self.view(vantage, server)?)))
    }

    /// The vantages that read a server.
    pub fn readers(&self, server: usize) -> Readers {
        let mut readers = self.seen_of(server).map(|(vantage, _)| vantage);
        match (readers.next(), readers.next()) {
            (None, _) => Readers::None,
            (Some(only), None) => Readers::One(only),
            (Some(_), Some(_)) => Readers::Several,
        }
    }

    /// The only vantage that reads a server; `None` if none or several do.
    pub fn only_reader(&self, server: usize) -> Option<usize> {
        match self.readers(server) {
            Readers::One(only) => Some(only),
            Readers::None | Readers::Several => None,
        }
    }
}
