//! Counts from how many vantages (places) a server looks wrong, and lists the servers that no place reaches, for alert
//! rules with a quorum. Error ranges are compared only within a place, never between places. Pure.

use std::collections::BTreeMap;

use super::roster::{Roster, Seen};
use ntp_monitor_core::fleet::witness::Witness;

/// After this many failed polls in a row, a place counts as not reaching a server.
const LOST_AFTER: u32 = 3;
/// A place with fewer servers than this accuses none of them.
const FEWEST: usize = 3;

/// The result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quorum {
    /// The largest number of places from which one server looks wrong.
    pub wrong_places: usize,
    /// The name of that server.
    pub wrong_server: String,
    /// The names of polled servers that no place reaches.
    pub unreachable: Vec<String>,
}

/// The counts for one server.
#[derive(Default)]
struct Views<'a> {
    name: &'a str,
    wrong: usize,
    polled: usize,
    reached: usize,
}

/// Counts the places for which `counts` holds.
#[must_use]
pub fn count(roster: &Roster, counts: &dyn Fn(&str) -> bool, now_ns: i64) -> Quorum {
    let mut all: BTreeMap<&Witness, Views<'_>> = BTreeMap::new();
    for (_, seen) in roster.iter().filter(|(vantage, _)| counts(vantage)) {
        let current: Vec<(&Witness, &Seen)> = seen.iter().filter(|(_, seen)| seen.is_polled(now_ns)).collect();
        let ranges: Vec<Option<(f64, f64)>> = current.iter().map(|(_, seen)| range(seen)).collect();
        let wrong = disjoint_from_most(&ranges);
        for ((witness, seen), is_wrong) in current.into_iter().zip(wrong) {
            let views = all.entry(witness).or_default();
            views.name = &seen.name;
            views.polled += 1;
            views.reached += usize::from(seen.failures < LOST_AFTER);
            views.wrong += usize::from(is_wrong);
        }
    }
    let mut quorum = Quorum::default();
    for views in all.values() {
        if views.wrong > quorum.wrong_places {
            (quorum.wrong_places, quorum.wrong_server) = (views.wrong, views.name.to_owned());
        }
        if views.reached == 0 {
            quorum.unreachable.push(views.name.to_owned());
        }
    }
    quorum
}

/// The server's error range by the clock of the place, in seconds, if it answers.
fn range(seen: &Seen) -> Option<(f64, f64)> {
    let answers = seen.failures < LOST_AFTER;
    let (offset_s, distance_s) = seen.offset_s.zip(seen.distance_s).filter(|_| answers)?;
    Some((offset_s - distance_s, offset_s + distance_s))
}

/// For each range, whether it is disjoint from more than half of all ranges (itself included in the number of ranges).
fn disjoint_from_most(ranges: &[Option<(f64, f64)>]) -> Vec<bool> {
    let (mut lows, mut highs): (Vec<f64>, Vec<f64>) = ranges.iter().flatten().copied().unzip();
    lows.sort_by(f64::total_cmp);
    highs.sort_by(f64::total_cmp);
    let count = lows.len();
    let is_apart = |(low, high): (f64, f64)| {
        let below = highs.partition_point(|other| *other < low);
        let above = count - lows.partition_point(|other| *other <= high);
        2 * (below + above) > count
    };
    ranges.iter().map(|range| count >= FEWEST && range.is_some_and(is_apart)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    /// A place that sees servers with these offsets in milliseconds, ± 5 ms; `None` is a server that does not answer.
    fn place(offsets_ms: &[Option<f64>]) -> BTreeMap<Witness, Seen> {
        let seen = |(n, offset_ms): (usize, &Option<f64>)| {
            let address = ([192, 0, 2, n as u8], 123).into();
            let seen = Seen {
                name: format!("s{n}").into(),
                address: Some(address),
                offset_s: Some(offset_ms.unwrap_or(0.0) / 1e3),
                distance_s: Some(0.005),
                delay_s: Some(0.01),
                polls: 9,
                poll_s: 64.0,
                loss: 0.0,
                failures: if offset_ms.is_some() { 0 } else { 9 },
                authentication: ntp_monitor_core::sample::Authentication::None,
                outcome: "sample",
                at_ns: 100 * S,
            };
            (Witness::Public(address), seen)
        };
        offsets_ms.iter().enumerate().map(seen).collect()
    }

    fn roster(places: &[&[Option<f64>]]) -> Roster {
        places.iter().enumerate().map(|(n, offsets_ms)| (format!("v{n}").into(), place(offsets_ms))).collect()
    }

    #[test]
    fn places_that_see_a_server_wrong_are_counted() {
        let good: &[_] = &[Some(0.0), Some(1.0), Some(0.0), Some(-1.0)];
        let third_wrong: &[_] = &[Some(0.0), Some(1.0), Some(30.0), Some(-1.0)];
        // The clock of this place is wrong, and its servers still agree with each other.
        let ahead: &[_] = &[Some(-80.0), Some(-79.0), Some(-50.0), Some(-81.0)];
        let all = roster(&[good, third_wrong, ahead, third_wrong]);
        let quorum = count(&all, &|_| true, 100 * S);
        assert_eq!((quorum.wrong_places, &*quorum.wrong_server, quorum.unreachable.len()), (3, "s2", 0));
        assert_eq!(count(&all, &|vantage| vantage != "v3", 100 * S).wrong_places, 2, "a silent place");
        assert_eq!(count(&all, &|_| true, 900 * S), Quorum::default(), "nothing is polled any more");
    }

    #[test]
    fn two_servers_at_a_place_accuse_neither() {
        assert_eq!(count(&roster(&[&[Some(0.0), Some(90.0)]]), &|_| true, 100 * S).wrong_places, 0);
    }

    #[test]
    fn server_that_one_place_reaches_is_reachable() {
        let all = roster(&[&[None, None, Some(0.0)], &[Some(0.0), None, Some(0.0)]]);
        assert_eq!(count(&all, &|_| true, 100 * S).unreachable, ["s1"]);
    }
}
