//! Whether readings can show that a party did not move, by the true courses of the clocks and paths of a world.
//!
//! Only differences of clocks are seen, each at an instant of its own. That a clock rests is therefore seen only beside
//! clocks that rest. Three numbers decide, all of them of the time shortly before an instant:
//!
//! - A vantage reads its servers one after the other. It vouches for a server unless its own clock leaves a straight line
//!   within a poll interval by as much as what is stated, its reports are false, or its path to the server changes.
//!   More than half of the vantages that read a server must vouch for it.
//! - More than half of the servers that a vantage reads must rest, as seen by it.
//! - More than half of all clocks must rest, or else those that move may as well be at rest.
//!
//! What the raw clock of a vantage shows of its clock is known without any server, so it does not count.

use ntp_monitor_core::world::fleet::{FleetSample, FleetWorld, What};

use super::honest::Truth;
use super::score::START_NS;

/// Polls of the slowest vantage before an instant that matter: a finding takes about as long to begin and to end.
pub const GRACE: f64 = 5.0;
/// A clock moves if it leaves a straight line by this share of what is stated.
const SHARE: f64 = 0.5;
/// A path is named when it is displaced by so many times the mean of its queues.
const NAMED: f64 = 4.0;

/// A party that a verdict names, with `None` for every vantage or every server of a link.
#[derive(Debug, Clone, Copy)]
pub enum Named {
    Server(usize),
    Vantage(usize),
    Path(Option<usize>, Option<usize>),
}

/// What is known of the clocks of a world.
pub struct Known<'a> {
    truth: &'a Truth<'a>,
    world: &'a FleetWorld,
    /// For each vantage, the wander of its clock when it took a sample.
    wander: Vec<Vec<(f64, f64)>>,
}

impl<'a> Known<'a> {
    pub fn new(truth: &'a Truth<'a>, samples: &[FleetSample]) -> Self {
        let world = truth.world;
        let mut wander = vec![Vec::new(); world.sees.len()];
        for it in samples {
            let clock_s = (it.sample.at.wall_ns - START_NS) as f64 / 1e9 - it.at_s;
            wander[it.vantage].push((it.at_s, clock_s - truth.vantage_s(it.vantage, it.at_s)));
        }
        Self { truth, world, wander }
    }

    /// For how long of a time, in seconds, readings show that the named party did not move by `size_s`.
    pub fn decidable_s(&self, named: Named, size_s: f64, (from_s, to_s): (f64, f64)) -> f64 {
        let every_s = self.truth.poll_s / 4.0;
        let times = (0..).map(|n| from_s + every_s * f64::from(n)).take_while(|t_s| *t_s < to_s);
        let each = times.map(|t_s| (t_s, every_s.min(to_s - t_s)));
        each.filter(|(t_s, _)| self.is_decidable(named, size_s, *t_s))
            .map(|(_, for_s)| for_s)
            .fold(0.0, |all_s, for_s| all_s + for_s)
    }

    fn is_decidable(&self, named: Named, size_s: f64, t_s: f64) -> bool {
        let (vantages, servers) = (self.world.sees.len(), self.world.servers.len());
        let least_s = SHARE
            * match named {
                Named::Path(..) => NAMED * self.world.queue_s,
                _ => size_s.abs(),
            };
        let window = (t_s - GRACE * self.truth.poll_s, t_s);
        let vouches = |v: usize, s: usize| self.vouches(v, s, least_s, window);
        let rests = |s: usize| self.rests(s, least_s, window);
        let seen = |v: usize, s: usize| self.world.sees[v][s];
        let are_most = |all: usize, good: usize| 2 * good > all;
        let of_server = |s: usize| {
            let readers = || (0..vantages).filter(|v| seen(*v, s));
            are_most(readers().count(), readers().filter(|v| vouches(*v, s)).count())
        };
        let of_vantage = |v: usize| {
            let read = || (0..servers).filter(|s| seen(v, *s));
            are_most(read().count(), read().filter(|s| rests(*s) && !self.is_path_changed(v, *s, window)).count())
        };
        let still =
            (0..vantages).filter(|v| self.unseen_bend_s(*v, window, GRACE * self.truth.poll_s) < least_s).count()
                + (0..servers).filter(|s| rests(*s)).count();
        are_most(vantages + servers, still)
            && match named {
                Named::Server(s) => of_server(s),
                Named::Vantage(v) => of_vantage(v),
                Named::Path(Some(v), Some(s)) => vouches(v, s) && rests(s) && of_vantage(v) && of_server(s),
                Named::Path(Some(v), None) => of_vantage(v),
                Named::Path(None, Some(s)) => of_server(s),
                Named::Path(None, None) => true,
            }
    }

    fn vouches(&self, vantage: usize, server: usize, least_s: f64, window: (f64, f64)) -> bool {
        let is_lying = self.truth.has(window, |what| matches!(what, What::Lie(v, ..) if *v == vantage));
        !is_lying
            && !self.is_path_changed(vantage, server, window)
            && self.unseen_bend_s(vantage, window, self.world.polls_s[vantage]) < least_s
    }

    /// Whether a server's clock rests, as all vantages see it.
    fn rests(&self, server: usize, least_s: f64, window: (f64, f64)) -> bool {
        let is_split =
            self.truth.has(window, |what| matches!(what, What::Server(s, _, some) if *s == server && !some.is_empty()));
        !is_split && bend_s(|t_s| self.truth.server_s(server, t_s), window, GRACE * self.truth.poll_s) < least_s
    }

    /// Whether a path has queues, or changes within a time.
    fn is_path_changed(&self, vantage: usize, server: usize, (from_s, to_s): (f64, f64)) -> bool {
        let meets =
            |v: &Option<usize>, s: &Option<usize>| v.is_none_or(|v| v == vantage) && s.is_none_or(|s| s == server);
        let within = |at_s: f64| (from_s..to_s).contains(&at_s);
        self.world.faults.iter().any(|it| match &it.what {
            What::OneWay(v, s, _) | What::BothWays(v, s, _) => meets(v, s) && (within(it.from_s) || within(it.until_s)),
            What::Queue(v, s, _) => meets(v, s) && it.from_s < to_s && it.until_s > from_s,
            _ => false,
        })
    }

    /// By how much the clock of a vantage leaves a straight line within `span_s`, but for what its raw clock shows.
    fn unseen_bend_s(&self, vantage: usize, window: (f64, f64), span_s: f64) -> f64 {
        let is_misread =
            self.truth.has(window, |what| matches!(what, What::RawMisread(v, ..) | What::Reboot(v) if *v == vantage));
        let shows = self.world.has_raw && !is_misread;
        bend_s(|t_s| self.wander_s(vantage, t_s) + self.truth.clock_s(vantage, t_s, shows), window, span_s)
    }

    fn wander_s(&self, vantage: usize, t_s: f64) -> f64 {
        let known = &self.wander[vantage];
        let after = known.partition_point(|it| it.0 < t_s);
        match (after.checked_sub(1).and_then(|at| known.get(at)), known.get(after)) {
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (t_s - a.0) / (b.0 - a.0).max(1e-9),
            (Some(only), None) | (None, Some(only)) => only.1,
            (None, None) => 0.0,
        }
    }
}

/// The most by which a course leaves a straight line over `span_s` that ends within a window.
fn bend_s(course_s: impl Fn(f64) -> f64, (from_s, to_s): (f64, f64), span_s: f64) -> f64 {
    let half_s = span_s / 2.0;
    let times = (0..).map(|n| from_s.max(span_s) + f64::from(n) * half_s / 4.0).take_while(|t_s| *t_s <= to_s);
    times.map(|t_s| (course_s(t_s) - 2.0 * course_s(t_s - half_s) + course_s(t_s - span_s)).abs()).fold(0.0, f64::max)
}
