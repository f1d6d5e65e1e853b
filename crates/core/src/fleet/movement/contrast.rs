//! How far the readings of one clock are displaced from those of the clocks that rest. The positions of clocks are sums
//! of what each round shows, so they can be off by a sum of small errors; the contrast is not.

use super::super::grid::Grid;
use super::super::median::{median, smaller};
use super::{Movement, Track};

impl Movement {
    /// By how much a server's clock is displaced, in seconds: the middle over the vantages that read it and servers that
    /// did not move. `None` if no vantage does.
    pub fn contrast_of_server(&self, server: usize, grid: &Grid) -> Option<f64> {
        let resting = |vantage: usize| self.beside(vantage, server, grid);
        let seen = grid.seen_of(server);
        middle(seen.filter_map(|(vantage, _)| Some(self.displaced_s(vantage, server)? - resting(vantage)?)).collect())
    }

    /// By how much a vantage's clock is displaced, in seconds: the middle over the servers that it and vantages that did
    /// not move read. `None` if there are none.
    pub fn contrast_of_vantage(&self, vantage: usize, grid: &Grid) -> Option<f64> {
        let resting = |server: usize| {
            let others = grid.seen_of(server).map(|(other, _)| other);
            let others = others.filter(|other| *other != vantage && rests(&self.vantages, *other));
            middle(others.filter_map(|other| self.displaced_s(other, server)).collect())
        };
        let seen = grid.seen_by(vantage);
        middle(seen.filter_map(|(server, _)| Some(resting(server)? - self.displaced_s(vantage, server)?)).collect())
    }

    /// By how much one cell is displaced, in seconds: the smaller of its displacements beside the other cells of the
    /// vantage, of servers that did not move, and beside what other vantages show of the server. `None` if there are no
    /// such servers.
    pub fn contrast_of_cell(&self, vantage: usize, server: usize, grid: &Grid) -> Option<f64> {
        let own = |vantage: usize| Some(self.displaced_s(vantage, server)? - self.beside(vantage, server, grid)?);
        let others = grid.seen_of(server).map(|(other, _)| other).filter(|other| *other != vantage);
        let by_s = own(vantage)?;
        Some(smaller(by_s, by_s - middle(others.filter_map(own).collect()).unwrap_or(0.0)))
    }

    /// Whether more than half of the other vantages that read a server did so since `since_ns`, and this vantage more
    /// than half of its other servers: a cell that is read more often than others shows a movement of the clocks first.
    pub fn is_compared(&self, vantage: usize, server: usize, grid: &Grid, since_ns: i64) -> bool {
        let is_newer = |v: usize, s: usize| self.paths[v].get(&s).is_some_and(|path| path.last_ns > since_ns);
        let are_most = |all: &mut dyn Iterator<Item = bool>| {
            let (newer, all) = all.fold((0, 0), |(newer, all), it| (newer + usize::from(it), all + 1));
            2 * newer > all || all == 0
        };
        let readers = grid.seen_of(server).map(|(v, _)| v).filter(|v| *v != vantage);
        let servers = grid.seen_by(vantage).map(|(s, _)| s).filter(|s| *s != server);
        are_most(&mut readers.map(|v| is_newer(v, server))) && are_most(&mut servers.map(|s| is_newer(vantage, s)))
    }

    /// By how much the cells of a vantage are displaced: the middle over servers that did not move, but for one.
    fn beside(&self, vantage: usize, server: usize, grid: &Grid) -> Option<f64> {
        let others = grid.seen_by(vantage).map(|(other, _)| other);
        let others = others.filter(|other| *other != server && rests(&self.servers, *other));
        middle(others.filter_map(|other| self.displaced_s(vantage, other)).collect())
    }

    fn displaced_s(&self, vantage: usize, server: usize) -> Option<f64> {
        self.paths.get(vantage)?.get(&server)?.displaced_s
    }
}

fn rests(tracks: &[Track], at: usize) -> bool {
    tracks.get(at).is_none_or(|track| track.moved.is_none())
}

fn middle(values: Vec<f64>) -> Option<f64> {
    (!values.is_empty()).then(|| median(values))
}
