//! A simulation with true time, a local clock, servers behind noisy network paths, and faults at known times. It
//! generates the samples that a monitor would measure, so that the analysis can be tested against the truth.
//!
//! A path has an asymmetric minimum delay (a constant error within the bound), exponential queueing in each direction,
//! and sometimes a much longer queue. The same seed gives the same samples on every machine.

mod dice;
pub mod fleet;
mod model;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::clock::Stamp;
use crate::ntp::{Leap, RefId};
use crate::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};
use crate::stats::leap::smeared_minus_utc_s;
pub use dice::Dice;
pub use model::{Fault, ServerModel};

/// The description of a simulation.
#[derive(Debug, Clone)]
pub struct World {
    /// The seed of the random generator. The same seed gives the same samples.
    pub seed: u64,
    /// The start of the simulation in Unix time.
    pub start_unix_s: i64,
    /// The duration of the simulation, in seconds.
    pub duration_s: f64,
    /// The servers.
    pub servers: Vec<ServerModel>,
    /// The faults that occur.
    pub faults: Vec<Fault>,
    /// Whether samples carry `mono_ns` and `raw_ns`.
    pub has_raw: bool,
    /// Whether samples carry `boot_ns`, which shows a suspension.
    pub has_boot: bool,
    /// The wander of the disciplined local clock (one standard deviation), in seconds.
    pub wander_s: f64,
    /// The frequency error of the raw clock in ppm, positive when it gains. The wall clock is corrected for it.
    pub oscillator_ppm: f64,
}

/// The time constant of the local clock's wander, in seconds.
const WANDER_TAU_S: f64 = 2000.0;

impl World {
    /// Typical servers on the Internet: 8 to 60 ms round trip, at most 20 % asymmetry, some queueing, 1 % loss.
    #[must_use]
    pub fn ordinary(seed: u64, servers: usize, poll_s: f64, duration_s: f64) -> Self {
        let mut dice = Dice::new(seed);
        let servers = (0..servers)
            .map(|i| {
                let third = u8::try_from(i % 250).unwrap_or(0);
                let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, third, 1)), 123);
                ServerModel {
                    ident: ServerIdent::named(&format!("ntp{}", i + 1)),
                    address,
                    poll_s,
                    delay_s: dice.between(0.008, 0.06),
                    asymmetry: dice.between(-0.2, 0.2),
                    queue_s: dice.between(0.0001, 0.0008),
                    tail: dice.between(0.005, 0.03),
                    loss: 0.01,
                    noise_s: dice.between(2e-5, 1e-4),
                    error_s: dice.between(-0.0005, 0.0005),
                    root_delay_s: dice.between(0.0005, 0.015),
                    root_dispersion_s: dice.between(0.001, 0.012),
                    upstream: third,
                }
            })
            .collect();
        let start_unix_s = 1_772_000_000;
        Self {
            seed,
            start_unix_s,
            duration_s,
            servers,
            faults: Vec::new(),
            has_raw: true,
            has_boot: false,
            wander_s: 2e-4,
            oscillator_ppm: 12.0,
        }
    }

    /// Servers on a local network: 100 to 500 µs round trip, microseconds of noise, no loss, a steady local clock.
    #[must_use]
    pub fn lan(seed: u64, servers: usize, poll_s: f64, duration_s: f64) -> Self {
        let mut world = Self::ordinary(seed, servers, poll_s, duration_s);
        let mut dice = Dice::new(seed ^ 0x1a4);
        for server in &mut world.servers {
            (server.delay_s, server.asymmetry) = (dice.between(1e-4, 5e-4), dice.between(-0.1, 0.1));
            (server.queue_s, server.tail) = (dice.between(1e-6, 4e-6), dice.between(0.0, 0.02));
            (server.loss, server.noise_s) = (0.0, dice.between(1e-6, 3e-6));
            (server.error_s, server.root_delay_s) = (dice.between(-1e-5, 1e-5), dice.between(0.0, 1e-4));
            server.root_dispersion_s = dice.between(1e-4, 4e-4);
        }
        world.wander_s = 5e-6;
        world
    }

    /// Generates the samples in the order in which the polls end.
    #[must_use]
    pub fn samples(&self) -> Samples<'_> {
        let mut dice = Dice::new(self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(77));
        let next = self.servers.iter().map(|s| dice.between(0.0, s.poll_s)).collect();
        let polls = vec![0; self.servers.len()];
        let seed = self.seed.wrapping_mul(0x2545_f491);
        let wanders = (0..self.faults.len() as u64).map(|k| Wander::new(seed ^ (k << 32))).collect();
        Samples { world: self, dice, next, polls, wander_s: 0.0, wander_at_s: 0.0, local_s: 0.0, wanders }
    }

    /// The error of the local clock from faults in seconds, positive when it is ahead of true time.
    fn local_fault_s(&self, t_s: f64) -> f64 {
        let of = |fault: &Fault| match *fault {
            Fault::LocalStep { at_s, size_s } if t_s >= at_s => size_s,
            Fault::LocalSettling { at_s, size_s, tau_s, period_s } if t_s >= at_s => {
                let passed_s = t_s - at_s;
                size_s * (-passed_s / tau_s).exp() * (std::f64::consts::TAU * passed_s / period_s).cos()
            }
            Fault::LocalSlew { from_s, until_s, ppm } => ppm * 1e-6 * (t_s.min(until_s) - from_s).max(0.0),
            Fault::Freeze { from_s, until_s } => -(t_s.min(until_s) - from_s).max(0.0),
            Fault::Leap { at_s, done: false } if t_s >= at_s => 1.0,
            _ => 0.0,
        };
        self.faults.iter().map(of).sum::<f64>() + self.local_drift_s(t_s)
    }

    /// How far the monotonic clock is behind because the machine was suspended or frozen, and the suspended part of it.
    fn stood_still_s(&self, t_s: f64) -> (f64, f64) {
        let of = |fault: &Fault| match *fault {
            Fault::Suspend { from_s, until_s } => (1.0, (t_s.min(until_s) - from_s).max(0.0)),
            Fault::Freeze { from_s, until_s } => (0.0, (t_s.min(until_s) - from_s).max(0.0)),
            _ => (0.0, 0.0),
        };
        let all = self.faults.iter().map(of);
        all.fold((0.0, 0.0), |(all_s, suspended_s), (share, s)| (all_s + s, suspended_s + share * s))
    }

    /// Seconds of leap seconds that UTC has inserted since the start.
    fn leaped_s(&self, t_s: f64) -> f64 {
        let of = |fault: &&Fault| matches!(**fault, Fault::Leap { at_s, .. } if t_s >= at_s);
        self.faults.iter().filter(of).count() as f64
    }

    /// The leap indicator that a server announces. One that smears a leap second does not announce it.
    fn leap(&self, which: usize, t_s: f64) -> Leap {
        let soon = |fault: &Fault| matches!(*fault, Fault::Leap { at_s, .. } if (at_s - 86_400.0..at_s).contains(&t_s));
        let falsely = |fault: &Fault| {
            matches!(*fault, Fault::LeapFlag { server, from_s, until_s }
                if server == which && (from_s..until_s).contains(&t_s))
        };
        let smears = |fault: &Fault| matches!(*fault, Fault::Smear { server, .. } if server == which);
        let announces = self.faults.iter().any(soon) && !self.faults.iter().any(smears);
        if announces || self.faults.iter().any(falsely) { Leap::Insert } else { Leap::None }
    }

    /// How long the machine has been running. Its monotonic and raw clocks begin again when it is restarted.
    fn uptime_s(&self, t_s: f64) -> f64 {
        let restart = |fault: &Fault| match *fault {
            Fault::Restart { until_s, .. } if t_s >= until_s => Some(t_s - until_s + 20.0),
            _ => None,
        };
        self.faults.iter().filter_map(restart).fold(86_400.0 + t_s, f64::min)
    }

    fn poll_interval_s(&self, which: usize, t_s: f64) -> f64 {
        let of = |fault: &Fault| match *fault {
            Fault::Interval { from_s, until_s, poll_s } if (from_s..until_s).contains(&t_s) => Some(poll_s),
            _ => None,
        };
        self.faults.iter().find_map(of).unwrap_or(self.servers[which].poll_s)
    }

    /// The part of the local clock's error that comes from the oscillator, which the raw clock shares.
    fn local_drift_s(&self, t_s: f64) -> f64 {
        let of = |fault: &Fault| match *fault {
            Fault::LocalDrift { at_s, ppm } => ppm * 1e-6 * (t_s - at_s).max(0.0),
            _ => 0.0,
        };
        self.faults.iter().map(of).sum()
    }

    /// The error of a server's clock from its steps, drifts, smears and oscillations, in seconds, positive when it is
    /// ahead of true time.
    #[must_use]
    pub fn server_fault_s(&self, which: usize, t_s: f64) -> f64 {
        let of = |fault: &Fault| match *fault {
            Fault::ServerStep { server, at_s, size_s } if server == which && t_s >= at_s => size_s,
            Fault::ServerDrift { server, at_s, ppm } if server == which => ppm * 1e-6 * (t_s - at_s).max(0.0),
            Fault::Smear { server, midnight_unix_s } if server == which => {
                let noon_s = (midnight_unix_s - self.start_unix_s) as f64 - 43_200.0;
                smeared_minus_utc_s(t_s - noon_s).unwrap_or(0.0)
            }
            Fault::ServerSine { server, from_s, amplitude_s, period_s } if server == which && t_s >= from_s => {
                amplitude_s * (std::f64::consts::TAU * (t_s - from_s) / period_s).sin()
            }
            _ => 0.0,
        };
        self.faults.iter().map(of).sum()
    }

    fn is_paused(&self, t_s: f64) -> bool {
        let during = |f: &Fault| match *f {
            Fault::Pause { from_s, until_s }
            | Fault::Suspend { from_s, until_s }
            | Fault::Restart { from_s, until_s }
            | Fault::Freeze { from_s, until_s } => (from_s..until_s).contains(&t_s),
            _ => false,
        };
        self.faults.iter().any(during)
    }

    fn is_absent(&self, which: usize, t_s: f64) -> bool {
        self.faults.iter().any(|fault| {
            matches!(*fault, Fault::Absent { server, from_s, until_s }
                if server == which && (from_s..until_s).contains(&t_s))
        })
    }

    /// The offset as a coarse clock shows it.
    fn rounded_s(&self, which: usize, offset_s: f64) -> f64 {
        let of = |fault: &Fault| match *fault {
            Fault::Grain { server, grain_s } if server == which => Some(grain_s),
            _ => None,
        };
        self.faults.iter().find_map(of).map_or(offset_s, |grain_s| (offset_s / grain_s).round() * grain_s)
    }

    /// The stratum and the upstream that a server states.
    fn upstream(&self, which: usize, t_s: f64) -> (u8, u8) {
        let of = |fault: &Fault| match *fault {
            Fault::Upstreams { server, every_s } if server == which => Some((t_s / every_s) as u64 % 6),
            _ => None,
        };
        let turn = self.faults.iter().find_map(of).unwrap_or(0) as u8;
        (2 + turn % 3, self.servers[which].upstream + 40 * turn % 200)
    }

    fn is_silent(&self, which: usize, t_s: f64) -> bool {
        self.faults.iter().any(|fault| match *fault {
            Fault::Silence { server, from_s, until_s } => {
                server.is_none_or(|s| s == which) && (from_s..until_s).contains(&t_s)
            }
            _ => false,
        })
    }
}

/// See [`World::samples`].
#[derive(Debug)]
pub struct Samples<'a> {
    world: &'a World,
    dice: Dice,
    next: Vec<f64>,
    polls: Vec<u32>,
    wander_s: f64,
    wander_at_s: f64,
    local_s: f64,
    /// A random process for each fault, so that the random numbers of other faults do not depend on it.
    wanders: Vec<Wander>,
}

/// A stationary first-order process with a standard deviation of 1.
#[derive(Debug)]
struct Wander {
    dice: Dice,
    value: f64,
    at_s: f64,
}

impl Wander {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Self { value: dice.normal(), dice, at_s: 0.0 }
    }

    fn at(&mut self, t_s: f64, tau_s: f64) -> f64 {
        let keep = (-(t_s - self.at_s) / tau_s).exp();
        self.value = keep * self.value + (1.0 - keep * keep).sqrt() * self.dice.normal();
        self.at_s = t_s;
        self.value
    }
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        self.next_timed().map(|(_, sample)| sample)
    }
}

impl Samples<'_> {
    /// The next sample with its true time, in seconds since the start.
    pub fn next_timed(&mut self) -> Option<(f64, Sample)> {
        loop {
            let (which, t_s) = self.next.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1))?;
            if t_s >= self.world.duration_s {
                return None;
            }
            let poll_s = self.world.poll_interval_s(which, t_s);
            self.next[which] += poll_s * (1.0 + self.dice.between(-1.0, 1.0) / 32.0);
            if !self.world.is_paused(t_s) && !self.world.is_absent(which, t_s) {
                return Some((t_s, self.poll(which, t_s)));
            }
        }
    }

    /// The true error of the local clock at the last sample, in seconds, positive when it is ahead.
    #[must_use]
    pub fn local_error_s(&self) -> f64 {
        self.local_s
    }

    fn poll(&mut self, which: usize, t_s: f64) -> Sample {
        let server = &self.world.servers[which];
        self.wander(t_s);
        let local_s = self.wander_s + self.world.local_fault_s(t_s);
        self.local_s = local_s;
        let lost = self.dice.unit() < server.loss || self.world.is_silent(which, t_s);
        let (out_s, back_s) = self.path(which, t_s);
        let server_s = server.error_s + server.noise_s * self.dice.normal() + self.world.server_fault_s(which, t_s);
        let server_s = server_s + self.bad_reply_s(which, t_s) + self.server_wander_s(which, t_s);
        let delay_s = out_s + back_s;
        let (stratum, upstream) = self.world.upstream(which, t_s);
        let reply = Reply {
            stratum,
            leap: self.world.leap(which, t_s),
            refid: RefId([10, 0, upstream, 7]),
            precision_log2: -23,
            root_delay_s: server.root_delay_s,
            root_dispersion_s: server.root_dispersion_s,
            reference_age_s: None,
        };
        let measure = Measure {
            offset_s: self.world.rounded_s(which, server_s - local_s + (out_s - back_s) / 2.0),
            delay_s,
            root_distance_s: delay_s / 2.0
                + reply.root_delay_s / 2.0
                + reply.root_dispersion_s
                + 2.0 * reply.precision_s(),
        };
        Sample {
            at: self.stamp(t_s, local_s),
            server: Arc::clone(&server.ident),
            address: Some(server.address),
            outcome: if lost { Outcome::Timeout } else { Outcome::Sample },
            reply: (!lost).then_some(reply),
            measure: (!lost).then_some(measure),
            poll_s: self.world.poll_interval_s(which, t_s),
            timestamping: Some(Timestamping::Kernel),
            authentication: Authentication::None,
            mode: Mode::Basic,
            sent: 1,
            lost: u16::from(lost),
            evidence: None,
            rejected: Vec::new(),
            nts: None,
            rejected_count: 0,
        }
    }

    /// One-way delays to the server and back.
    fn path(&mut self, which: usize, t_s: f64) -> (f64, f64) {
        let server = &self.world.servers[which];
        let mut out_s = server.delay_s * (0.5 + server.asymmetry / 2.0) + self.queue(server);
        let mut back_s = server.delay_s * (0.5 - server.asymmetry / 2.0) + self.queue(server);
        for (fault, wander) in self.world.faults.iter().zip(&mut self.wanders) {
            match *fault {
                Fault::RouteChange { server, at_s, until_s, one_way_s }
                    if server == which && (at_s..until_s).contains(&t_s) =>
                {
                    out_s += one_way_s.max(0.0);
                    back_s += (-one_way_s).max(0.0);
                }
                Fault::Route { server, from_s, until_s, out_s: out, back_s: back }
                    if server == which && (from_s..until_s).contains(&t_s) =>
                {
                    out_s = (out_s + out).max(1e-5);
                    back_s = (back_s + back).max(1e-5);
                }
                Fault::Congestion { from_s, until_s, mean_s } if (from_s..until_s).contains(&t_s) => {
                    back_s += 0.5 * mean_s + self.dice.exponential(0.5 * mean_s);
                }
                Fault::Queue { server, mean_s, tau_s, share_out } if server == which => {
                    let queue_s = mean_s * wander.at(t_s, tau_s).powi(2);
                    out_s += share_out * queue_s * wander.dice.exponential(1.0);
                    back_s += (1.0 - share_out) * queue_s * wander.dice.exponential(1.0);
                }
                _ => {}
            }
        }
        (out_s, back_s)
    }

    fn bad_reply_s(&mut self, which: usize, t_s: f64) -> f64 {
        self.polls[which] += 1;
        let mut bad_s = 0.0;
        for fault in &self.world.faults {
            if let Fault::Intermittent { server, from_s, until_s, size_s, share } = *fault
                && server == which
                && (from_s..until_s).contains(&t_s)
            {
                let is_bad = if share == 0.5 { self.polls[which].is_multiple_of(2) } else { self.dice.unit() < share };
                bad_s += if is_bad { size_s } else { 0.0 };
            }
        }
        bad_s
    }

    fn server_wander_s(&mut self, which: usize, t_s: f64) -> f64 {
        let mut wander_s = 0.0;
        for (fault, wander) in self.world.faults.iter().zip(&mut self.wanders) {
            if let Fault::ServerWander { server, sigma_s, tau_s } = *fault
                && server == which
            {
                wander_s += sigma_s * wander.at(t_s, tau_s);
            }
        }
        wander_s
    }

    fn queue(&mut self, server: &ServerModel) -> f64 {
        let heavy = self.dice.unit() < server.tail;
        self.dice.exponential(if heavy { 20.0 * server.queue_s } else { server.queue_s })
    }

    /// Advances the wander of the disciplined local clock, a stationary first-order process.
    fn wander(&mut self, t_s: f64) {
        let keep = (-(t_s - self.wander_at_s) / WANDER_TAU_S).exp();
        self.wander_s = keep * self.wander_s + (1.0 - keep * keep).sqrt() * self.world.wander_s * self.dice.normal();
        self.wander_at_s = t_s;
    }

    fn stamp(&self, t_s: f64, local_s: f64) -> Stamp {
        let ns = |s: f64| (s * 1e9).round() as i64;
        let (still_s, suspended_s) = self.world.stood_still_s(t_s);
        let wall_ns = self.world.start_unix_s * 1_000_000_000 + ns(t_s + local_s - self.world.leaped_s(t_s));
        if !self.world.has_raw {
            return Stamp::new(wall_ns, 0, 0);
        }
        let uptime_s = self.world.uptime_s(t_s) - still_s;
        let raw = ns(uptime_s + self.world.oscillator_ppm * 1e-6 * (t_s - still_s) + self.world.local_drift_s(t_s));
        let boot_ns = if self.world.has_boot { ns(suspended_s) } else { 0 };
        Stamp { boot_ns, ..Stamp::new(wall_ns, ns(uptime_s), wall_ns - raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_samples() {
        let world = World::ordinary(7, 4, 64.0, 7200.0);
        assert_eq!(world.samples().collect::<Vec<_>>(), world.samples().collect::<Vec<_>>());
        let other = World::ordinary(8, 4, 64.0, 7200.0);
        assert_ne!(world.samples().next(), other.samples().next());
    }

    #[test]
    fn absent_server_is_not_polled_and_coarse_offsets_are_multiples() {
        let mut world = World::ordinary(3, 3, 64.0, 6400.0);
        world.faults =
            vec![Fault::Absent { server: 0, from_s: 0.0, until_s: 3200.0 }, Fault::Grain { server: 1, grain_s: 1e-3 }];
        let mut samples = world.samples();
        while let Some((t_s, sample)) = samples.next_timed() {
            assert!(*sample.server.name != *"ntp1" || t_s >= 3200.0);
            let steps = sample.offset_s().filter(|_| *sample.server.name == *"ntp2").map_or(0.0, |o| o / 1e-3);
            assert!((steps - steps.round()).abs() < 1e-9);
        }
    }

    #[test]
    fn correct_servers_stay_within_their_root_distance() {
        let mut world = World::ordinary(3, 5, 64.0, 86_400.0);
        world.wander_s = 0.0;
        for m in world.samples().filter_map(|s| s.measure) {
            assert!(m.offset_s.abs() <= m.root_distance_s, "{m:?}");
        }
    }

    #[test]
    fn raw_difference_shows_a_local_step_but_no_drift() {
        let mut world = World::ordinary(3, 3, 64.0, 7200.0);
        world.faults =
            vec![Fault::LocalStep { at_s: 3600.0, size_s: 0.06 }, Fault::LocalDrift { at_s: 0.0, ppm: 100.0 }];
        let samples: Vec<_> = world.samples().collect();
        let moved = (samples[samples.len() - 1].at.raw_ns - samples[0].at.raw_ns) as f64 / 1e9;
        assert!((moved - (0.06 - 12e-6 * 7200.0)).abs() < 2e-3, "{moved}");
    }
}
