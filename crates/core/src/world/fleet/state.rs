//! The state of a running fleet simulation: clocks, paths, and the result of each poll.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::{Course, FleetFault, FleetWorld, START_UNIX_S, What, ordered};
use crate::clock::Stamp;
use crate::ntp::{Leap, RefId};
use crate::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};
use crate::world::Dice;

const WANDER_TAU_S: f64 = 4000.0;
/// The share of a clock's wander that is that of its oscillator, which the raw clock shares. The rest is corrections.
const OSCILLATOR: f64 = 0.7;

/// When, offset and delay, in seconds.
type Measured = (f64, f64, f64);

pub(super) struct State<'a> {
    world: &'a FleetWorld,
    pub dice: Dice,
    idents: Vec<Vec<Arc<ServerIdent>>>,
    addresses: Vec<SocketAddr>,
    /// Delay and asymmetry of each path.
    paths: Vec<Vec<(f64, f64)>>,
    wander: Vec<(f64, f64)>,
    /// Past measurements by vantage and server, for vantages that replay them.
    measured: BTreeMap<(usize, usize), VecDeque<Measured>>,
}

fn course_s(courses: &[Course], at: usize, t_s: f64) -> f64 {
    courses.get(at).map_or(0.0, |course| course.at(t_s))
}

impl<'a> State<'a> {
    pub fn new(world: &'a FleetWorld) -> Self {
        let mut dice = Dice::new(world.seed.wrapping_mul(0x9e37_79b9).wrapping_add(41));
        let name = |s: usize| FleetWorld::server(world.servers[s].same_as.unwrap_or(s));
        let ident = |v: usize, s: usize| ServerIdent::seen_from(&FleetWorld::vantage(v), &name(s));
        let (vantages, servers) = (world.sees.len(), world.servers.len());
        let idents = (0..vantages).map(|v| (0..servers).map(|s| ident(v, s)).collect()).collect();
        let address = |s: usize| {
            let [high, low] = u16::try_from(s).unwrap_or(0).to_be_bytes();
            let ip: IpAddr = match world.servers[s].same_as {
                Some(_) => Ipv6Addr::new(0x2001, 0xdb8, s as u16 + 1, 0, 0, 0, 0, 1).into(),
                None => Ipv4Addr::new(198, 18 + high, low, 1).into(),
            };
            SocketAddr::new(ip, 123)
        };
        let mut path = || {
            let (low, high) = world.delays_s;
            (dice.between(low, high), world.asymmetry * dice.between(-1.0, 1.0))
        };
        let paths = (0..vantages).map(|_| (0..servers).map(|_| path()).collect()).collect();
        let wander = (0..vantages).map(|_| (2.0 * world.wander_s * dice.between(-1.0, 1.0), 0.0)).collect();
        let addresses = (0..servers).map(address).collect();
        Self { world, dice, idents, addresses, paths, wander, measured: BTreeMap::new() }
    }

    /// The error of a vantage's clock, positive when it is ahead.
    pub fn clock_s(&mut self, vantage: usize, t_s: f64) -> f64 {
        let (wander_s, at_s) = &mut self.wander[vantage];
        if t_s > *at_s {
            let keep = (-(t_s - *at_s) / WANDER_TAU_S).exp();
            *wander_s = keep * *wander_s + (1.0 - keep * keep).sqrt() * self.world.wander_s * self.dice.normal();
            *at_s = t_s;
        }
        *wander_s + self.set_s(vantage, t_s) + self.raw_s(vantage, t_s) + course_s(&self.world.courses, vantage, t_s)
    }

    fn set_s(&self, vantage: usize, t_s: f64) -> f64 {
        let of = |fault: &FleetFault| match fault.what {
            What::Set(v, by_s) if v == vantage => by_s,
            What::Follow(v, server, tau_s) if v == vantage => self.followed_s(server, t_s, tau_s),
            _ => 0.0,
        };
        self.world.active(t_s).map(of).sum()
    }

    /// The faults of a server's clock behind a low pass of first order.
    fn followed_s(&self, server: usize, t_s: f64, tau_s: f64) -> f64 {
        let of = |fault: &FleetFault| {
            let age_s = t_s - fault.from_s;
            let share = 1.0 - (-age_s / tau_s).exp();
            match &fault.what {
                What::Server(s, by_s, _) if *s == server => by_s * share,
                What::ServerDrift(s, rate) if *s == server => rate * (age_s - tau_s * share),
                _ => 0.0,
            }
        };
        self.world.active(t_s).map(of).sum()
    }

    /// The error of the oscillator, which the raw clock shares.
    fn raw_s(&self, vantage: usize, t_s: f64) -> f64 {
        let of = |fault: &FleetFault| match fault.what {
            What::Drift(v, rate) if v == vantage => rate * (t_s - fault.from_s),
            What::Froze(v, by_s) if v == vantage => -by_s,
            _ => 0.0,
        };
        self.world.active(t_s).map(of).sum()
    }

    fn server_s(&self, vantage: usize, server: usize, t_s: f64) -> f64 {
        let of = |fault: &FleetFault| match &fault.what {
            What::Server(s, by_s, seen_by) if *s == server && (seen_by.is_empty() || seen_by.contains(&vantage)) => {
                *by_s
            }
            What::ServerDrift(s, rate) if *s == server => rate * (t_s - fault.from_s),
            _ => 0.0,
        };
        self.world.servers[server].error_s
            + self.world.active(t_s).map(of).sum::<f64>()
            + course_s(&self.world.server_courses, server, t_s)
    }

    /// One-way delays to the server and back.
    fn delays_s(&mut self, vantage: usize, server: usize, t_s: f64) -> (f64, f64) {
        let (delay_s, asymmetry) = self.paths[vantage][server];
        let (mut out_s, mut back_s) = (delay_s * (0.5 + asymmetry / 2.0), delay_s * (0.5 - asymmetry / 2.0));
        let heavy = |dice: &mut Dice| if dice.unit() < 0.02 { 15.0 } else { 1.0 };
        let queue_s = self.world.queue_s;
        out_s += self.dice.exponential(queue_s) * heavy(&mut self.dice);
        back_s += self.dice.exponential(queue_s) * heavy(&mut self.dice);
        let is_here =
            |v: &Option<usize>, s: &Option<usize>| v.is_none_or(|v| v == vantage) && s.is_none_or(|s| s == server);
        for fault in self.world.active(t_s) {
            match &fault.what {
                What::OneWay(v, s, by_s) if is_here(v, s) => {
                    out_s += by_s.max(0.0);
                    back_s += (-by_s).max(0.0);
                }
                What::BothWays(v, s, by_s) if is_here(v, s) => {
                    out_s += by_s;
                    back_s += by_s;
                }
                What::Queue(v, s, mean_s) if is_here(v, s) => back_s += self.dice.exponential(*mean_s),
                _ => {}
            }
        }
        (out_s, back_s)
    }

    /// The value that a false report adds to the offset.
    fn lie_s(&mut self, vantage: usize, server: usize, t_s: f64) -> f64 {
        let mut by_s = 0.0;
        for fault in self.world.active(t_s) {
            match fault.what {
                What::Lie(v, s, lie_s) if v == vantage && s.is_none_or(|s| s == server) => by_s += lie_s,
                What::Noise(v, scatter_s) if v == vantage => by_s += scatter_s * self.dice.normal(),
                _ => {}
            }
        }
        by_s
    }

    /// The error of one reply in addition to that of the server's clock.
    fn reply_s(&mut self, server: usize, t_s: f64) -> f64 {
        let mut by_s = 2e-6 * self.dice.normal();
        for fault in self.world.active(t_s) {
            match fault.what {
                What::ServerNoise(s, scatter_s) if s == server => by_s += scatter_s * self.dice.normal(),
                What::OneOfMany(s, off_s, share) if s == server => {
                    by_s += if self.dice.unit() < share { off_s } else { 0.0 };
                }
                _ => {}
            }
        }
        by_s
    }

    /// Offset and delay that the vantage reports: the current measurement, or an earlier one if it replays.
    fn replayed(&mut self, vantage: usize, server: usize, t_s: f64, measured: (f64, f64)) -> (f64, f64) {
        let lag = |fault: &FleetFault| match fault.what {
            What::Replay(v, lag_s) if v == vantage => Some(lag_s),
            _ => None,
        };
        if !self.world.faults.iter().any(|fault| lag(fault).is_some()) {
            return measured;
        }
        let lag_s = self.world.active(t_s).find_map(lag);
        let known = self.measured.entry((vantage, server)).or_default();
        known.push_back((t_s, measured.0, measured.1));
        let Some(lag_s) = lag_s else { return measured };
        known.iter().rev().find(|it| it.0 <= t_s - lag_s).map_or(measured, |it| (it.1, it.2))
    }

    /// `None` while the vantage does not report.
    pub fn poll(&mut self, t_s: f64, vantage: usize, server: usize) -> Option<Sample> {
        let has = |what: What| self.world.active(t_s).any(|fault| fault.what == what);
        let is_silent =
            has(What::Silent(vantage)) || has(What::Suspended(vantage)) || has(What::Unpolled(vantage, server));
        let is_dead = has(What::Dead(server));
        let claims_nothing = has(What::ClaimNothing(vantage));
        let clock_s = self.clock_s(vantage, t_s);
        let (out_s, back_s) = self.delays_s(vantage, server, t_s);
        let is_lost = is_dead || self.dice.unit() < self.world.loss;
        let server_s = self.server_s(vantage, server, t_s) + self.reply_s(server, t_s);
        let offset_s = server_s - clock_s + (out_s - back_s) / 2.0 + self.lie_s(vantage, server, t_s);
        let shown = |fault: &FleetFault| match fault.what {
            What::ShortDelay(v, share) if v == vantage => share,
            _ => 1.0,
        };
        let share: f64 = self.world.active(t_s).map(shown).product();
        let (offset_s, delay_s) = self.replayed(vantage, server, t_s, (offset_s, share * (out_s + back_s)));
        if is_silent {
            return None;
        }
        let dispersion_s = if claims_nothing { 0.0 } else { self.world.servers[server].dispersion_s };
        let reply = Reply {
            stratum: 2,
            leap: Leap::None,
            refid: RefId(self.world.servers[server].refid),
            precision_log2: -23,
            root_delay_s: dispersion_s,
            root_dispersion_s: dispersion_s,
            reference_age_s: None,
        };
        let root_distance_s = delay_s / 2.0 + 1.5 * dispersion_s;
        let misread_s = self.misread_s(vantage, t_s);
        Some(Sample {
            at: self.stamp(t_s, clock_s, vantage, misread_s),
            server: Arc::clone(&self.idents[vantage][server]),
            address: Some(self.addresses[server]),
            outcome: if is_lost { Outcome::Timeout } else { Outcome::Sample },
            reply: (!is_lost).then_some(reply),
            measure: (!is_lost).then_some(Measure { offset_s, delay_s, root_distance_s }),
            poll_s: self.world.polls_s[vantage],
            timestamping: Some(Timestamping::Kernel),
            authentication: Authentication::None,
            mode: Mode::Basic,
            nts: None,
            sent: 1,
            lost: u16::from(is_lost),
            evidence: None,
            rejected: Vec::new(),
            rejected_count: 0,
        })
    }

    /// By how much the raw clock is read wrong.
    fn misread_s(&mut self, vantage: usize, t_s: f64) -> f64 {
        let of = |fault: &FleetFault| match fault.what {
            What::RawMisread(v, most_s, share) if v == vantage => Some((most_s, share)),
            _ => None,
        };
        let Some((most_s, share)) = self.world.active(t_s).find_map(of) else { return 0.0 };
        if self.dice.unit() < share { most_s * self.dice.between(-1.0, 1.0) } else { 0.0 }
    }

    fn stamp(&self, t_s: f64, clock_s: f64, vantage: usize, misread_s: f64) -> Stamp {
        let wall_ns = START_UNIX_S * 1_000_000_000 + ordered(t_s + clock_s);
        let is_raw = |fault: &FleetFault| fault.what != What::NoRaw(vantage);
        if !self.world.has_raw || !self.world.active(t_s).all(is_raw) {
            return Stamp::new(wall_ns, 0, 0);
        }
        let slept = |fault: &FleetFault| match fault.what {
            What::Suspended(v) if v == vantage && fault.until_s <= t_s => fault.until_s - fault.from_s,
            _ => 0.0,
        };
        let asleep_s: f64 = self.world.faults.iter().map(slept).sum();
        let booted = |fault: &FleetFault| (fault.what == What::Reboot(vantage)).then_some(fault.from_s - 5.0);
        let boot_s = self.world.active(t_s).find_map(booted).unwrap_or(-86_400.0 * (vantage + 1) as f64);
        let uptime_s = t_s - boot_s - asleep_s;
        let course_s = self.world.courses.get(vantage).map_or(0.0, |course| course.oscillator_at(t_s));
        let oscillator_s = OSCILLATOR * self.wander[vantage].0 + self.raw_s(vantage, t_s) + course_s;
        let raw = ordered(uptime_s + 7e-6 * t_s + oscillator_s + misread_s);
        Stamp { boot_ns: ordered(asleep_s), ..Stamp::new(wall_ns, ordered(uptime_s), wall_ns - raw) }
    }
}
