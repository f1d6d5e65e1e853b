//! A simulation of many vantages that poll common servers, with clocks, paths, faults and false reports at known times.

mod course;
mod state;

use std::sync::Arc;

use super::Dice;
use crate::sample::Sample;
pub use course::Course;
use state::State;

/// The description of a simulated fleet. Times are seconds since its start, sizes seconds.
#[derive(Debug, Clone)]
pub struct FleetWorld {
    /// The seed: the same one gives the same samples.
    pub seed: u64,
    /// The duration in seconds.
    pub duration_s: f64,
    /// The poll interval of each vantage, in seconds.
    pub polls_s: Vec<f64>,
    /// The servers.
    pub servers: Vec<FleetServer>,
    /// Whether a vantage polls a server: one row for each vantage.
    pub sees: Vec<Vec<bool>>,
    /// The wander of each vantage's clock, as one standard deviation.
    pub wander_s: f64,
    /// The shortest and the longest round trip of a path.
    pub delays_s: (f64, f64),
    /// The largest share of a round trip that is in one direction more than in the other.
    pub asymmetry: f64,
    /// The mean queueing delay in each direction.
    pub queue_s: f64,
    /// The share of polls that are lost.
    pub loss: f64,
    /// Whether stamps show that the wall clock was set.
    pub has_raw: bool,
    /// The faults.
    pub faults: Vec<FleetFault>,
    /// The course of the clock of each vantage beyond its wander and its faults; vantages without one have none.
    pub courses: Vec<Course>,
    /// The course of the clock of each server beyond its error and its faults; servers without one have none.
    pub server_courses: Vec<Course>,
}

/// A server of a simulated fleet.
#[derive(Debug, Clone)]
pub struct FleetServer {
    /// The error of its clock, within its claim.
    pub error_s: f64,
    /// Its root dispersion in seconds. Its root delay is as large.
    pub dispersion_s: f64,
    /// Its upstream.
    pub refid: [u8; 4],
    /// The server whose name it shares; this entry is the IPv6 address of that server.
    pub same_as: Option<usize>,
}

/// A fault from `from_s` to `until_s`.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetFault {
    /// When it begins.
    pub from_s: f64,
    /// When it ends.
    pub until_s: f64,
    /// The kind of fault.
    pub what: What,
}

/// The kinds of faults.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A server's clock is off by this much as seen from these vantages; from all if the list is empty.
    Server(usize, f64, Vec<usize>),
    /// A server's clock gains this many seconds per second.
    ServerDrift(usize, f64),
    /// A vantage's clock is stepped by this much; its raw clock shows it.
    Set(usize, f64),
    /// A vantage's clock and its raw clock stand still for this long.
    Froze(usize, f64),
    /// A vantage's clock gains this many seconds per second.
    Drift(usize, f64),
    /// These cells take longer on the way to the server (positive) or on the way back. `None` means every vantage, or
    /// every server.
    OneWay(Option<usize>, Option<usize>, f64),
    /// These cells take longer in both directions.
    BothWays(Option<usize>, Option<usize>, f64),
    /// Queues of this mean delay on the way back.
    Queue(Option<usize>, Option<usize>, f64),
    /// A vantage reports the offset of a server (`None`: of all servers) displaced by this much.
    Lie(usize, Option<usize>, f64),
    /// A vantage reports random offsets of this scatter.
    Noise(usize, f64),
    /// A vantage reports a claim of zero for every server.
    ClaimNothing(usize),
    /// A vantage does not report.
    Silent(usize),
    /// A server does not answer.
    Dead(usize),
    /// Each reply of a server is displaced at random by this scatter.
    ServerNoise(usize, f64),
    /// One of several hosts behind a server's address is off by the first value; the second is its share of the
    /// replies.
    OneOfMany(usize, f64, f64),
    /// A vantage reports its measurements of this many seconds ago as new.
    Replay(usize, f64),
    /// A vantage reports this share of each round trip.
    ShortDelay(usize, f64),
    /// A vantage starts again: its monotonic and raw clocks start from zero.
    Reboot(usize),
    /// A vantage does not poll a server.
    Unpolled(usize, usize),
    /// The clock of a vantage follows the faults of a server with this time constant in seconds, as if its time daemon
    /// had no other server.
    Follow(usize, usize, f64),
    /// A vantage is suspended until the fault ends: its monotonic and raw clocks stand still, its wall clock continues.
    Suspended(usize),
    /// A vantage has no raw clock.
    NoRaw(usize),
    /// The raw clock of a vantage is read wrong by up to this much, either way, in this share of its samples.
    RawMisread(usize, f64, f64),
}

/// A sample, and when it was taken.
#[derive(Debug, Clone)]
pub struct FleetSample {
    /// Seconds of true time since the start.
    pub at_s: f64,
    /// The index of the vantage.
    pub vantage: usize,
    /// The index of the server.
    pub server: usize,
    /// The reported sample.
    pub sample: Arc<Sample>,
}

const START_UNIX_S: i64 = 1_772_000_000;

impl FleetWorld {
    /// Vantages and servers on the Internet: 2 to 20 ms round trip, clocks that wander by 0.5 ms (one sigma).
    #[must_use]
    pub fn internet(seed: u64, vantages: usize, servers: usize) -> Self {
        let mut dice = Dice::new(seed ^ 0x00f1_ee70);
        let server = |n: usize| FleetServer {
            error_s: dice.between(-1e-3, 1e-3),
            dispersion_s: dice.between(1e-3, 4e-3),
            refid: [10, u8::try_from(n % 250).unwrap_or(0), (dice.bits() % 250) as u8, 7],
            same_as: None,
        };
        Self {
            seed,
            duration_s: 150.0 * 64.0,
            polls_s: vec![64.0; vantages],
            servers: (0..servers).map(server).collect(),
            sees: vec![vec![true; servers]; vantages],
            wander_s: 5e-4,
            delays_s: (0.002, 0.02),
            asymmetry: 0.2,
            queue_s: 3e-4,
            loss: 0.01,
            has_raw: true,
            faults: Vec::new(),
            courses: Vec::new(),
            server_courses: Vec::new(),
        }
    }

    /// A company network: 0.2 to 0.6 ms round trip, tight claims, quiet clocks.
    #[must_use]
    pub fn lan(seed: u64, vantages: usize, servers: usize) -> Self {
        let mut world = Self::internet(seed, vantages, servers);
        world.delays_s = (2e-4, 6e-4);
        world.queue_s = 5e-6;
        world.wander_s = 1e-5;
        for server in &mut world.servers {
            server.error_s *= 0.02;
            server.dispersion_s *= 0.1;
        }
        world
    }

    /// Adds a fault.
    #[must_use]
    pub fn with(mut self, from_s: f64, until_s: f64, what: What) -> Self {
        self.faults.push(FleetFault { from_s, until_s, what });
        self
    }

    /// The name of a vantage.
    #[must_use]
    pub fn vantage(at: usize) -> String {
        format!("v{}", at + 1)
    }

    /// The name of a server.
    #[must_use]
    pub fn server(at: usize) -> String {
        format!("n{}", at + 1)
    }

    /// The samples in the order in which they are taken, and the error of every vantage's clock at the end.
    #[must_use]
    pub fn run(&self) -> (Vec<FleetSample>, Vec<f64>) {
        let mut state = State::new(self);
        let mut samples = Vec::new();
        let mut next: Vec<(f64, usize, usize)> = Vec::new();
        for (v, row) in self.sees.iter().enumerate() {
            for (s, _) in row.iter().enumerate().filter(|(_, sees)| **sees) {
                next.push((state.dice.between(0.0, self.polls_s[v]), v, s));
            }
        }
        let mut order: std::collections::BinaryHeap<_> =
            next.iter().enumerate().map(|(at, it)| std::cmp::Reverse((ordered(it.0), at))).collect();
        while let Some(std::cmp::Reverse((_, at))) = order.pop() {
            let (t_s, vantage, server) = next[at];
            if t_s >= self.duration_s {
                continue;
            }
            if let Some(sample) = state.poll(t_s, vantage, server) {
                samples.push(FleetSample { at_s: t_s, vantage, server, sample: Arc::new(sample) });
            }
            let poll_s = self.polls_s[vantage];
            next[at].0 = t_s + poll_s * (1.0 + state.dice.between(-1.0, 1.0) / 32.0);
            order.push(std::cmp::Reverse((ordered(next[at].0), at)));
        }
        let clocks = (0..self.sees.len()).map(|vantage| state.clock_s(vantage, self.duration_s)).collect();
        (samples, clocks)
    }

    fn active(&self, t_s: f64) -> impl Iterator<Item = &FleetFault> {
        self.faults.iter().filter(move |fault| (fault.from_s..fault.until_s).contains(&t_s))
    }
}

/// Nanoseconds as an integer, which has a total order.
fn ordered(t_s: f64) -> i64 {
    (t_s * 1e9) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_cells_are_within_their_path_bounds() {
        let world = FleetWorld::internet(3, 3, 4).with(0.0, 9600.0, What::Queue(Some(1), None, 0.02));
        let (samples, clocks) = world.run();
        assert!(samples.len() > 1500 && clocks.len() == 3);
        for it in samples {
            let Some(measure) = it.sample.measure else { continue };
            let true_s =
                world.servers[it.server].error_s - (it.sample.at.wall_ns as f64 / 1e9 - it.at_s - START_UNIX_S as f64);
            assert!((measure.offset_s - true_s).abs() <= measure.delay_s / 2.0 + 1e-4, "{it:?}");
        }
    }

    #[test]
    fn raw_clock_distinguishes_a_set_clock_from_a_frozen_one() {
        let world = |what| FleetWorld::internet(5, 1, 1).with(4800.0, 9600.0, what);
        let moved = |world: FleetWorld| {
            let (samples, _) = world.run();
            (samples[samples.len() - 1].sample.at.raw_ns - samples[0].sample.at.raw_ns) as f64 / 1e9
        };
        assert!((moved(world(What::Set(0, 0.05))) - 0.05 + 7e-6 * 9600.0).abs() < 0.01);
        assert!((moved(world(What::Froze(0, 0.05))) + 7e-6 * 9600.0).abs() < 0.01);
    }
}
