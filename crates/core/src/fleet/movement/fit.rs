//! Explains the movements that all cells show by as few moving servers and vantages as possible.

use super::super::median::median;

/// The movement that one cell shows: how far the server gained on the vantage, beyond what its delay explains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shown {
    pub vantage: usize,
    pub server: usize,
    pub by_s: f64,
    /// The usual scatter of the cell.
    pub noise_s: f64,
}

/// The movement of each server and each vantage that explains what the cells show, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Explained {
    pub servers: Vec<f64>,
    pub vantages: Vec<f64>,
}

/// Iterations of the median polish; more change nothing.
const POLISHED: usize = 3;
/// A movement below so many times its noise costs nothing.
const NOTED: f64 = 4.0;
/// A displacement of most clocks within so many times what costs nothing is an error.
const COMMON: f64 = 3.0;

/// The cheaper of two fits, one that begins with the servers and one that begins with the vantages. `price` is the cost
/// of a movement of a vantage by so many seconds, `before` the movements until now. Clocks that move by `stirred_s` in a
/// round are known no better.
pub(super) fn explain(
    shown: &[Shown],
    before: &Explained,
    stirred_s: f64,
    price: &dyn Fn(usize, f64) -> f64,
) -> Explained {
    let (servers, vantages) = (before.servers.len(), before.vantages.len());
    let cells = Lists::new(shown, servers, vantages);
    let by_servers = polish(shown, &cells, true);
    let by_vantages = polish(shown, &cells, false);
    let (a, b) = (cost(shown, &cells, &by_servers, price), cost(shown, &cells, &by_vantages, price));
    let mut fit = if b < a { by_vantages } else { by_servers };
    let noise_s = median(shown.iter().map(|cell| cell.noise_s).collect());
    rest(&mut fit, before, COMMON * stirred_s.max(NOTED * noise_s));
    fit
}

/// Only differences are seen, so all clocks may be moved alike. Most of them rest: a displacement within `most_s` that
/// more than half share is taken from all, or else they would move on together, a little in each round. A larger one is a
/// movement of most clocks.
fn rest(fit: &mut Explained, before: &Explained, most_s: f64) {
    let all = fit.servers.iter().zip(&before.servers).chain(fit.vantages.iter().zip(&before.vantages));
    let common_s = lazy_median(all.map(|(by_s, before_s)| before_s + by_s).collect());
    if common_s.abs() <= most_s {
        fit.servers.iter_mut().chain(&mut fit.vantages).for_each(|by_s| *by_s -= common_s);
    }
}

struct Lists {
    of_server: Vec<Vec<usize>>,
    of_vantage: Vec<Vec<usize>>,
}

impl Lists {
    fn new(shown: &[Shown], servers: usize, vantages: usize) -> Self {
        let mut lists = Self { of_server: vec![Vec::new(); servers], of_vantage: vec![Vec::new(); vantages] };
        for (at, cell) in shown.iter().enumerate() {
            lists.of_server[cell.server].push(at);
            lists.of_vantage[cell.vantage].push(at);
        }
        lists
    }
}

fn polish(shown: &[Shown], cells: &Lists, servers_first: bool) -> Explained {
    let mut fit = Explained { servers: vec![0.0; cells.of_server.len()], vantages: vec![0.0; cells.of_vantage.len()] };
    let left = |fit: &Explained, at: usize| {
        let cell = &shown[at];
        cell.by_s - fit.servers[cell.server] + fit.vantages[cell.vantage]
    };
    for turn in 0..2 * POLISHED {
        if (turn % 2 == 0) == servers_first {
            for (server, list) in cells.of_server.iter().enumerate() {
                let by_s = lazy_median(list.iter().map(|at| left(&fit, *at)).collect());
                fit.servers[server] += by_s;
            }
        } else {
            for (vantage, list) in cells.of_vantage.iter().enumerate() {
                let by_s = lazy_median(list.iter().map(|at| left(&fit, *at)).collect());
                fit.vantages[vantage] -= by_s;
            }
        }
    }
    fit
}

/// The middle value that is nearest to zero: a movement counts only if more than half of the cells share it.
pub(super) fn lazy_median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let (middle, is_odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, high, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let high = *high;
    let low = if is_odd { high } else { below.iter().copied().fold(f64::NEG_INFINITY, f64::max) };
    if low > 0.0 { low } else { high.min(0.0) }
}

fn cost(shown: &[Shown], cells: &Lists, fit: &Explained, price: &dyn Fn(usize, f64) -> f64) -> f64 {
    let noise = |list: &[usize]| {
        let sum: f64 = list.iter().map(|at| shown[*at].noise_s).sum();
        sum / list.len().max(1) as f64
    };
    let noted = |by_s: f64, list: &[usize]| !list.is_empty() && by_s.abs() > NOTED * noise(list);
    let servers = fit.servers.iter().zip(&cells.of_server).filter(|(by_s, list)| noted(**by_s, list)).count() as f64;
    let vantages = fit.vantages.iter().zip(&cells.of_vantage).enumerate();
    let vantages: f64 =
        vantages.filter(|(_, (by_s, list))| noted(**by_s, list)).map(|(v, (by_s, _))| price(v, *by_s)).sum();
    let left = |cell: &Shown| (cell.by_s - fit.servers[cell.server] + fit.vantages[cell.vantage]).abs();
    let alone = shown.iter().filter(|cell| left(cell) > NOTED * cell.noise_s).count() as f64;
    // Small movements decide between fits that are equally cheap.
    let total: f64 = fit.servers.iter().chain(&fit.vantages).map(|by_s| by_s.abs()).sum();
    servers + vantages + alone + 1e-3 * total.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(servers: &[f64], vantages: &[f64]) -> Vec<Shown> {
        let cell = |(vantage, server): (usize, usize)| Shown {
            vantage,
            server,
            by_s: servers[server] - vantages[vantage] + 1e-5 * ((vantage * 7 + server * 3) % 5) as f64 - 2e-5,
            noise_s: 1e-4,
        };
        (0..vantages.len()).flat_map(|v| (0..servers.len()).map(move |s| (v, s))).map(cell).collect()
    }

    fn at_rest(servers: usize, vantages: usize) -> Explained {
        Explained { servers: vec![0.0; servers], vantages: vec![0.0; vantages] }
    }

    fn parties(servers: &[f64], vantages: &[f64], price: f64) -> (Vec<usize>, Vec<usize>) {
        let fit = explain(&moved(servers, vantages), &at_rest(servers.len(), vantages.len()), 0.0, &|_, _| price);
        let named = |all: &[f64]| (0..all.len()).filter(|at| all[*at].abs() > 1e-3).collect();
        (named(&fit.servers), named(&fit.vantages))
    }

    #[test]
    fn fewest_parties_explain_what_moved() {
        assert_eq!(parties(&[0.0; 6], &[0.0; 5], 1.0), (vec![], vec![]));
        assert_eq!(parties(&[0.0, 0.02, 0.0, 0.0, 0.0, 0.0], &[0.0; 5], 1.0), (vec![1], vec![]));
        assert_eq!(parties(&[0.0; 6], &[0.0, 0.0, -0.03, 0.0, 0.0], 1.0), (vec![], vec![2]));
        assert_eq!(parties(&[0.0, 0.02, 0.0, 0.0, 0.0, 0.0], &[0.0, 0.0, -0.03, 0.0, 0.0], 1.0), (vec![1], vec![2]));
    }

    #[test]
    fn price_of_vantages_decides_between_servers_and_vantages() {
        let servers = [0.03, 0.03, 0.0, 0.03, 0.0, 0.03];
        assert_eq!(parties(&servers, &[0.0; 5], 2.0), (vec![0, 1, 3, 5], vec![]));
        assert_eq!(parties(&servers, &[0.0; 5], 0.2), (vec![2, 4], vec![0, 1, 2, 3, 4]));
    }

    #[test]
    fn displacement_that_most_clocks_share_is_taken_back() {
        let (shown, mut before) = (moved(&[0.0; 6], &[0.0; 5]), at_rest(6, 5));
        before.servers = vec![3e-4; 6];
        before.vantages = vec![3e-4, 0.0, 3e-4, 0.0, 0.0];
        let fit = explain(&shown, &before, 0.0, &|_, _| 1.0);
        assert!(fit.servers.iter().all(|by_s| (by_s + 3e-4).abs() < 4e-5), "{fit:?}");
        before.servers = vec![3e-2; 6];
        let fit = explain(&shown, &before, 0.0, &|_, _| 1.0);
        assert!(fit.servers.iter().all(|by_s| by_s.abs() < 4e-5), "most clocks moved: {fit:?}");
    }

    #[test]
    fn most_clocks_rest() {
        let by_s = |v: usize, s: usize| {
            if (s == 0) == (v == 0) {
                0.0
            } else if s == 0 {
                -3e-4
            } else {
                3e-4
            }
        };
        let cell = |(vantage, server)| Shown { vantage, server, by_s: by_s(vantage, server), noise_s: 1e-4 };
        let shown: Vec<_> = (0..4).flat_map(|v| (0..5).map(move |s| (v, s))).map(cell).collect();
        let fit = explain(&shown, &at_rest(5, 4), 0.0, &|_, _| 1.0);
        assert!(fit.servers[1..].iter().chain(&fit.vantages[1..]).all(|by_s| by_s.abs() < 1e-9), "{fit:?}");
        assert!((fit.servers[0] + 3e-4).abs() < 1e-9 && (fit.vantages[0] + 3e-4).abs() < 1e-9, "{fit:?}");
    }
}
