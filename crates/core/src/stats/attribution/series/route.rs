//! The path to a server: whether its delay changed for good, and how often it does.

use serde::{Deserialize, Serialize};

use super::super::track::Track;
use super::super::watch::{Edge, Look, Watch};

/// A change of route must show in so many values without a normal one between them: queues come and go.
const ROUTE_AFTER: u8 = 7;
/// A delay that stays away from the usual one for `CHANGED_AFTER` replies is a change; after `USUAL_AFTER` replies it
/// is the usual one.
const CHANGED_AFTER: u16 = 12;
const USUAL_AFTER: u16 = 64;
/// A path is known after so many replies.
const KNOWN_FROM: usize = 48;
pub(in super::super) const YEAR_S: f64 = 365.25 * 86_400.0;
/// A path is assumed to change once a year before it is watched. This counts as much as so many years of watching.
pub(in super::super) const PRIOR_YEARS: f64 = 0.04;
const PRIOR_CHANGES: f64 = 0.04;

/// What the newest reply shows of its path.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Newest {
    /// The offset less the level.
    pub moved_s: f64,
    /// The delay above the usual one.
    pub more_s: f64,
    /// The series contains, as if it were delay, what the common mode moved since its replies, and that was much lately.
    pub disturbed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Route {
    pub watch: Watch,
    pub since_s: f64,
    pub size_s: f64,
    pub steady: bool,
    /// Replies in a row whose delay was away from the usual one.
    away: u16,
    counted: bool,
    /// What is usual was learned from enough replies.
    known: bool,
    changes: u32,
    /// Changes that no delay showed. They count for this path only.
    unseen: u32,
    watched_from_s: f64,
}

impl Route {
    pub fn new(t_s: f64) -> Self {
        Self {
            watch: Watch::default(),
            since_s: t_s,
            size_s: 0.0,
            steady: true,
            away: 0,
            counted: false,
            known: false,
            changes: 0,
            unseen: 0,
            watched_from_s: t_s,
        }
    }

    /// The changes that the delay showed, and the years watched.
    pub fn record(&self, t_s: f64) -> (f64, f64) {
        (f64::from(self.changes), (t_s - self.watched_from_s).max(0.0) / YEAR_S)
    }

    /// All changes, and the years watched.
    pub fn whole_record(&self, t_s: f64) -> (f64, f64) {
        let (changes, years) = self.record(t_s);
        (changes + f64::from(self.unseen), years)
    }

    /// Whether the delay has left its usual value for now.
    pub fn is_away(&self) -> bool {
        self.away > 0
    }

    /// Whether the delay has been away for so long that the new one is usual.
    pub fn has_settled(&self) -> bool {
        self.away >= USUAL_AFTER
    }

    /// Counts a change that has just become certain, unless some delays are short, as in a queue.
    pub fn count_change(&mut self, track: &Track) {
        let is_certain = self.away >= CHANGED_AFTER && self.known && !self.counted;
        if is_certain && track.stays_away(usize::from(CHANGED_AFTER)) {
            (self.changes, self.counted) = (self.changes + 1, true);
        }
    }

    /// The offset moved for good without a change of the delay.
    pub fn count_unseen(&mut self) {
        self.unseen += 1;
    }

    /// The offset moved and came back without a change of the delay: two changes.
    pub fn came_and_went(&mut self) {
        self.unseen += 2;
    }

    /// Replies since the delay left its usual value, if that is certain to be a change of the route.
    pub fn changed_for(&self) -> Option<u16> {
        self.counted.then_some(self.away)
    }

    /// Makes the present route the usual one.
    pub fn settle(&mut self) {
        self.away = 0;
        self.watch.reset();
    }

    /// Looks at the newest reply; a change of the delay by `material_s` may be another route. Returns whether a change of
    /// the path was opened or closed.
    pub fn look(&mut self, t_s: f64, round: u64, newest: Newest, material_s: f64, track: &Track) -> bool {
        let Some(usual) = track.usual else { return false };
        let Newest { moved_s, more_s, .. } = newest;
        let shift_s = track.excess_of_last(8);
        (self.counted, self.known) = (self.counted && self.away > 0, usual.values >= KNOWN_FROM);
        let is_away = shift_s.abs() > unseen_shift_s(usual.room_s(shift_s));
        match is_away {
            // The newest delay shows whether the route has changed, whatever the values of `track` contain.
            true if newest.disturbed && more_s * shift_s.signum() < 0.5 * shift_s.abs() => {}
            true => self.away = self.away.saturating_add(1),
            false => self.away = 0,
        }
        let limit_s = material_s.max(6.0 * usual.delay_noise_s).max(1.5 * usual.excess_s);
        let explained = moved_s.abs() <= 0.65 * more_s.abs() + 8.0 * track.sigma_s();
        let look = match more_s.abs() {
            d if d > limit_s && moved_s.abs() > 0.3 * d && explained => Look::Hit(1),
            d if d <= 0.7 * limit_s => Look::Calm,
            _ => Look::Unclear,
        };
        if self.watch.is_quiet() {
            self.since_s = t_s;
        }
        let edge = self.watch.look(round, look, ROUTE_AFTER);
        if self.watch.open {
            let (delay_s, scatter_s) = track.steady_delay(7);
            // A queue makes delays longer: shorter ones show another route, however much they scatter.
            let is_shorter = delay_s < usual.delay_s;
            self.steady =
                is_shorter || scatter_s <= (0.35 * (delay_s - usual.delay_s).abs()).max(3.0 * usual.delay_noise_s);
            if look == Look::Hit(1) {
                self.size_s = moved_s;
            }
        }
        matches!(edge, Some(Edge::Opened | Edge::Closed))
    }
}

/// A change of the delay below this is not seen, in seconds.
pub(in super::super) fn unseen_shift_s(excess_s: f64) -> f64 {
    1.5 * excess_s + 1e-4
}

/// Changes of a path per year: the mean of the rate of this path and the rate of all paths.
pub(in super::super) fn changes_a_year(own: (f64, f64), all: (f64, f64)) -> f64 {
    let rate = |(changes, years): (f64, f64)| (changes + PRIOR_CHANGES) / (years + PRIOR_YEARS);
    0.5 * (rate(own) + rate(all))
}

#[cfg(test)]
mod tests {
    use super::super::super::track::{Peers, Scratch};
    use super::*;

    const PEERS: Peers = Peers { sigmas: [f64::NAN; 5], claim_s: 1e-3, grain_s: 0.0, floor: 0.35 };

    fn newest(moved_s: f64, more_s: f64) -> Newest {
        Newest { moved_s, more_s, disturbed: false }
    }

    /// The changes that are counted when the delays of 20 replies are `more_s` above the usual one.
    fn counted(more_s: impl Fn(u32) -> f64) -> f64 {
        let (mut track, mut route, mut scratch) = (Track::new(0.0), Route::new(0.0), Scratch::default());
        for k in 0..220_u32 {
            let t_s = f64::from(k) * 64.0;
            let queue_s = 1e-4 * f64::from(k * 7 % 5) + if k >= 200 { more_s(k) } else { 0.0 };
            track.push(t_s, 0.0, 0.02 + queue_s, k < 200);
            if k < 200 && track.is_due() {
                track.learn(&PEERS, &mut scratch);
            }
            route.look(t_s, u64::from(k), newest(0.0, queue_s), 1e-3, &track);
            route.count_change(&track);
        }
        route.record(0.0).0
    }

    #[test]
    fn longer_route_is_a_change_and_a_queue_is_none() {
        assert_eq!(counted(|_| 0.01), 1.0);
        assert_eq!(counted(|k| if k % 4 == 0 { 0.0 } else { 0.01 }), 0.0);
    }

    #[test]
    fn change_that_no_delay_showed_counts_for_its_own_path_only() {
        let mut route = Route::new(0.0);
        route.came_and_went();
        assert_eq!((route.record(0.0), route.whole_record(0.0)), ((0.0, 0.0), (2.0, 0.0)));
    }

    #[test]
    fn shorter_delays_that_scatter_are_no_queue() {
        let steady = |way: f64| {
            let (mut track, mut route, mut scratch) = (Track::new(0.0), Route::new(0.0), Scratch::default());
            for k in 0..220_u32 {
                let t_s = f64::from(k) * 64.0;
                let more_s =
                    if k >= 200 { way * [0.008, 0.02, 0.012][k as usize % 3] } else { 1e-4 * f64::from(k % 5) };
                track.push(t_s, 0.5 * more_s, 0.05 + more_s, k < 200);
                if k < 200 && track.is_due() {
                    track.learn(&PEERS, &mut scratch);
                }
                let _ = route.look(t_s, u64::from(k), newest(0.5 * more_s, more_s), 1e-3, &track);
            }
            assert!(route.watch.open);
            route.steady
        };
        assert_eq!((steady(1.0), steady(-1.0)), (false, true));
    }

    #[test]
    fn path_that_changes_daily_is_expected_to_change() {
        let day = 1.0 / 365.25;
        assert!((changes_a_year((0.0, 0.0), (0.0, 0.0)) - 1.0).abs() < 1e-9);
        let after_a_day = changes_a_year((1.0, day), (5.0, 5.0 * day));
        assert!((20.0..120.0).contains(&after_a_day), "{after_a_day}");
        assert!(changes_a_year((0.0, 1.0), (0.0, 5.0)) < 0.1);
    }
}
