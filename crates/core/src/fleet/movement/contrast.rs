//! How far the readings of one clock are displaced from those of the clocks that rest. The positions of clocks are sums
//! of what each round shows, so they can be off by a sum of small errors; the contrast is not.

use super::super::grid::Grid;
use super::super::median::median;
use super::{Movement, Track};

impl Movement {
    /// By how much a server's clock is displaced, in seconds: the middle over the vantages that read it and servers that
    /// did not move. `None` if no vantage does.
    pub fn contrast_of_server(&self, server: usize, grid: &Grid) -> Option<f64> {
        let resting = |vantage: usize| {
            let others = grid.seen_by(vantage).map(|(other, _)| other);
            let others = others.filter(|other| *other != server && rests(&self.servers, *other));
            middle(others.filter_map(|other| self.displaced_s(vantage, other)).collect())
        };
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
