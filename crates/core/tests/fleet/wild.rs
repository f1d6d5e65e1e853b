//! Worlds that are drawn from a seed: any number of vantages and servers, intervals, delays, clocks with time daemons, and
//! up to three things that happen to them. Nothing must be named, but a party that is named must be wrong at that time.

use ntp_monitor_core::world::Dice;
use ntp_monitor_core::world::fleet::{Course, FleetWorld, What};

use super::clocks::{Clock, Daemon, Heat, server_course};
use super::kinds::END;

/// What can happen in a drawn world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    HeatOfMost,
    HeatOfSome,
    Waves,
    SetOften,
    RunFree,
    Paused,
    Jitter,
    ServerStep,
    ServerDrift,
    ServerWave,
    ServerSplit,
    VantageStep,
    VantageDrift,
    OnePath,
    AccessLink,
    ServerLink,
    BothWays,
    Congestion,
    Restart,
    RawMisread,
    Silent,
    FalseReports,
}

const EVENTS: [Event; 22] = [
    Event::HeatOfMost,
    Event::HeatOfSome,
    Event::Waves,
    Event::SetOften,
    Event::RunFree,
    Event::Paused,
    Event::Jitter,
    Event::ServerStep,
    Event::ServerDrift,
    Event::ServerWave,
    Event::ServerSplit,
    Event::VantageStep,
    Event::VantageDrift,
    Event::OnePath,
    Event::AccessLink,
    Event::ServerLink,
    Event::BothWays,
    Event::Congestion,
    Event::Restart,
    Event::RawMisread,
    Event::Silent,
    Event::FalseReports,
];

/// A drawn world and what happens in it.
pub struct Wild {
    pub world: FleetWorld,
    pub events: Vec<Event>,
}

impl Wild {
    /// The world of a seed. `only` restricts what happens to events whose names contain it.
    pub fn drawn(seed: u64, only: &str) -> Self {
        let mut draw = Draw::new(seed);
        let allowed: Vec<Event> = EVENTS.into_iter().filter(|event| format!("{event:?}").contains(only)).collect();
        let count = 1 + draw.below(3);
        let mut events = Vec::new();
        for _ in 0..count {
            let event = allowed[draw.below(allowed.len())];
            if !events.contains(&event) {
                events.push(event);
                draw.happen(event);
            }
        }
        let duration_s = draw.world.duration_s;
        draw.world.courses = draw.clocks.iter().map(|clock| clock.course(duration_s, &mut draw.dice)).collect();
        Self { world: draw.world, events }
    }
}

struct Draw {
    dice: Dice,
    world: FleetWorld,
    clocks: Vec<Clock>,
    /// The usual round trip, which gives the scale of faults.
    scale_s: f64,
}

impl Draw {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x5851_f42d).wrapping_add(11));
        let (vantages, servers) = (3 + (dice.bits() % 6) as usize, 3 + (dice.bits() % 8) as usize);
        let mut world = FleetWorld::internet(seed, vantages, servers);
        let scale_s = 4e-4 * 500f64.powf(dice.unit());
        world.delays_s = (scale_s / 4.0, scale_s);
        world.asymmetry = 0.4 * dice.unit();
        world.queue_s = scale_s * 0.05 * dice.unit();
        world.wander_s = 1e-6 * 100f64.powf(dice.unit());
        world.has_raw = dice.unit() < 0.75;
        world.loss = 0.05 * dice.unit();
        let poll = |dice: &mut Dice| f64::from(16u32 << (dice.bits() % 7));
        let usual_s = poll(&mut dice);
        let is_mixed = dice.unit() < 0.4;
        world.polls_s.iter_mut().for_each(|poll_s| *poll_s = if is_mixed { poll(&mut dice) } else { usual_s });
        let slowest_s = world.polls_s.iter().copied().fold(0.0, f64::max);
        world.duration_s = (150.0 * usual_s.max(slowest_s / 2.0)).clamp(9600.0, 90_000.0);
        let claims = 0.2 * 20f64.powf(dice.unit());
        for server in &mut world.servers {
            server.dispersion_s = (claims * scale_s * dice.between(0.2, 1.0)).max(2e-5);
            server.error_s = server.dispersion_s * dice.between(-0.5, 0.5);
        }
        if dice.unit() < 0.4 {
            for sees in &mut world.sees {
                sees.iter_mut().for_each(|sees| *sees = dice.unit() < 0.6);
                let at = (dice.bits() % servers as u64) as usize;
                sees[at] = true;
            }
        }
        let clock = |dice: &mut Dice| {
            let tau_s = 200.0 * 10f64.powf(dice.unit());
            Clock::corrected(dice.between(-8e-5, 8e-5), Daemon::Loop(tau_s), 0.02 * scale_s * dice.unit())
        };
        let clocks = (0..vantages).map(|_| clock(&mut dice)).collect();
        Self { dice, world, clocks, scale_s }
    }

    fn below(&mut self, count: usize) -> usize {
        (self.dice.bits() % count as u64) as usize
    }

    fn sign(&mut self) -> f64 {
        if self.dice.unit() < 0.5 { 1.0 } else { -1.0 }
    }

    /// A size from half of the usual round trip to 20 times it.
    fn size_s(&mut self) -> f64 {
        self.sign() * self.scale_s * 0.5 * 40f64.powf(self.dice.unit())
    }

    /// Usually until the end.
    fn span(&mut self) -> (f64, f64) {
        let duration_s = self.world.duration_s;
        let from_s = duration_s * self.dice.between(0.35, 0.6);
        let until_s = if self.dice.unit() < 0.3 { from_s + duration_s * self.dice.between(0.05, 0.3) } else { END };
        (from_s, until_s)
    }

    fn with(&mut self, (from_s, until_s): (f64, f64), what: What) {
        self.world = self.world.clone().with(from_s, until_s, what);
    }

    fn happen(&mut self, event: Event) {
        let (v, s) = (self.below(self.clocks.len()), self.below(self.world.servers.len()));
        let (span, size_s, sign) = (self.span(), self.size_s(), self.sign());
        match event {
            Event::HeatOfMost | Event::HeatOfSome => self.heat(event == Event::HeatOfMost),
            Event::Waves => self.waves(),
            Event::SetOften => self.clocks[v].daemon = Daemon::SetEvery(200.0 * 20f64.powf(self.dice.unit())),
            Event::RunFree => {
                self.clocks[v].daemon = Daemon::Free;
                self.clocks[v].rate *= 0.2;
            }
            Event::Paused => self.pause(v),
            Event::Jitter => self.jitter(v),
            Event::ServerStep => self.with(span, What::Server(s, size_s, vec![])),
            Event::ServerDrift => {
                let rate = sign * 3e-6 * 100f64.powf(self.dice.unit());
                self.with((span.0, END), What::ServerDrift(s, rate));
            }
            Event::ServerWave => self.server_wave(s),
            Event::ServerSplit => {
                let some = (0..self.clocks.len()).filter(|_| self.dice.unit() < 0.4).collect::<Vec<_>>();
                let some = if some.is_empty() { vec![v] } else { some };
                self.with(span, What::Server(s, size_s, some));
            }
            Event::VantageStep => self.with(span, What::Set(v, size_s)),
            Event::VantageDrift => {
                let rate = sign * 3e-6 * 30f64.powf(self.dice.unit());
                self.with((span.0, END), What::Drift(v, rate));
            }
            Event::OnePath => self.with(span, What::OneWay(Some(v), Some(s), size_s)),
            Event::AccessLink => self.with(span, What::OneWay(Some(v), None, size_s)),
            Event::ServerLink => self.with(span, What::OneWay(None, Some(s), size_s)),
            Event::BothWays => self.with(span, What::BothWays(Some(v), None, size_s.abs())),
            Event::Congestion => {
                let what = if sign > 0.0 { (Some(v), None) } else { (None, Some(s)) };
                self.with(span, What::Queue(what.0, what.1, size_s.abs()));
            }
            Event::Restart => self.with((span.0, END), What::Reboot(v)),
            Event::RawMisread => {
                let share = 0.02 * 50f64.powf(self.dice.unit());
                self.with((span.0, END), What::RawMisread(v, 5e-3, share));
            }
            Event::Silent => self.with(span, What::Silent(v)),
            Event::FalseReports => {
                let one = (sign > 0.0).then_some(s);
                self.with(span, What::Lie(v, one, size_s));
            }
        }
    }

    /// Vantages in one room become warmer together.
    fn heat(&mut self, are_most: bool) {
        let count = self.clocks.len();
        let heated = if are_most { count.div_ceil(2) + self.below(count / 2 + 1) } else { 1 + self.below(count / 2) };
        let rate = self.sign() * self.dice.between(2e-6, 2e-5);
        let (from_s, tau_s) = (self.span().0, 10.0 * 100f64.powf(self.dice.unit()));
        for v in 0..heated.min(count) {
            let share = self.dice.between(0.8, 1.2);
            self.clocks[v].heat.push(Heat::Step(from_s, share * rate, tau_s));
        }
    }

    fn waves(&mut self) {
        let count = self.clocks.len();
        let heated = 1 + self.below(count);
        let (rate, period_s) = (self.dice.between(5e-7, 5e-6), 1200.0 * 12f64.powf(self.dice.unit()));
        for v in 0..heated {
            self.clocks[v].heat.push(Heat::Wave(rate, period_s));
        }
    }

    fn pause(&mut self, v: usize) {
        let count = 1 + self.below(8);
        for _ in 0..count {
            let at_s = self.world.duration_s * self.dice.between(0.3, 1.0);
            let for_s = 0.002 * 100f64.powf(self.dice.unit());
            self.clocks[v].paused.push((at_s, for_s));
        }
    }

    /// Queues on a wireless link, from the beginning.
    fn jitter(&mut self, v: usize) {
        let mean_s = self.scale_s.max(2e-3) * self.dice.between(0.2, 2.0);
        self.with((-1.0, END), What::Queue(Some(v), None, mean_s));
    }

    fn server_wave(&mut self, s: usize) {
        let (size_s, period_s) = (self.size_s() / 4.0, 1200.0 * 12f64.powf(self.dice.unit()));
        let is_sawtooth = self.dice.unit() < 0.5;
        let error_s = move |t_s: f64| {
            let turn = t_s / period_s;
            size_s * if is_sawtooth { 2.0 * turn.fract() - 1.0 } else { (std::f64::consts::TAU * turn).sin() }
        };
        self.world.server_courses = vec![Course::default(); self.world.servers.len()];
        self.world.server_courses[s] = server_course(self.world.duration_s, error_s);
    }
}
