//! Courses of clocks that time daemons correct: oscillators whose rate changes with the temperature, loops that correct
//! them, clocks that are set from time to time, and machines that are paused.

use std::f64::consts::TAU;

use ntp_monitor_core::world::Dice;
use ntp_monitor_core::world::fleet::Course;

/// The time between two points of a course, in seconds.
const EVERY_S: f64 = 4.0;
/// The time between two corrections of a time daemon, in seconds.
const CORRECTED_S: f64 = 64.0;
/// A time daemon sets a clock that is off by more than this, in seconds.
const SET_BEYOND_S: f64 = 0.128;

/// How a clock is corrected.
#[derive(Debug, Clone, Copy)]
pub enum Daemon {
    /// A phase-locked loop with this time constant in seconds, as ntpd and chronyd have.
    Loop(f64),
    /// The clock is set once in so many seconds, as by a timer that runs ntpdate.
    SetEvery(f64),
    /// Nothing corrects it.
    Free,
}

/// A change of the rate of an oscillator.
#[derive(Debug, Clone, Copy)]
pub enum Heat {
    /// From this time on, the rate changes by so many seconds per second, with a time constant in seconds.
    Step(f64, f64, f64),
    /// A sine of this amplitude and period.
    Wave(f64, f64),
}

impl Heat {
    fn rate(self, t_s: f64) -> f64 {
        match self {
            Self::Step(from_s, rate, tau_s) => rate * (1.0 - (-(t_s - from_s).max(0.0) / tau_s).exp()),
            Self::Wave(rate, period_s) => rate * (TAU * t_s / period_s).sin(),
        }
    }
}

/// An oscillator, its daemon, and its machine.
#[derive(Debug, Clone)]
pub struct Clock {
    /// The usual rate of the oscillator, in seconds per second.
    pub rate: f64,
    pub heat: Vec<Heat>,
    pub daemon: Daemon,
    /// The scatter of what the daemon measures, in seconds.
    pub measured_s: f64,
    /// When the machine is paused, and for how long; all of its clocks stand still.
    pub paused: Vec<(f64, f64)>,
}

impl Clock {
    pub fn corrected(rate: f64, daemon: Daemon, measured_s: f64) -> Self {
        Self { rate, heat: Vec::new(), daemon, measured_s, paused: Vec::new() }
    }

    /// The course over `duration_s`. A daemon that corrects the rate knows the usual one.
    pub fn course(&self, duration_s: f64, dice: &mut Dice) -> Course {
        let mut course = Course { every_s: EVERY_S, ..Course::default() };
        let mut correction = if matches!(self.daemon, Daemon::Loop(_)) { -self.rate } else { 0.0 };
        let (mut clock_s, mut oscillator_s, mut slew) = (0.0, 0.0, 0.0);
        let mut due_s = CORRECTED_S * dice.unit();
        for point in 0..=(duration_s / EVERY_S) as usize {
            let t_s = EVERY_S * point as f64;
            course.clock_s.push(clock_s);
            course.oscillator_s.push(oscillator_s);
            let rate = self.rate + self.heat.iter().map(|heat| heat.rate(t_s)).sum::<f64>();
            let is_now = |at_s: f64| (t_s..t_s + EVERY_S).contains(&at_s);
            let paused_s: f64 = self.paused.iter().filter(|(at_s, _)| is_now(*at_s)).map(|(_, for_s)| for_s).sum();
            clock_s += (rate + correction + slew) * EVERY_S - paused_s;
            oscillator_s += rate * EVERY_S - paused_s;
            if t_s < due_s {
                continue;
            }
            let measured_s = clock_s + self.measured_s * dice.normal();
            match self.daemon {
                Daemon::Loop(_) if measured_s.abs() > SET_BEYOND_S => clock_s -= measured_s,
                Daemon::Loop(tau_s) => {
                    slew = -measured_s / tau_s;
                    correction -= measured_s * CORRECTED_S / (4.0 * tau_s * tau_s);
                }
                Daemon::SetEvery(_) => clock_s -= measured_s,
                Daemon::Free => {}
            }
            due_s += match self.daemon {
                Daemon::SetEvery(every_s) => every_s,
                _ => CORRECTED_S,
            };
        }
        course
    }
}

/// A course of a server's clock, which has no raw clock.
pub fn server_course(duration_s: f64, error_s: impl Fn(f64) -> f64) -> Course {
    let points = 0..=(duration_s / EVERY_S) as usize;
    Course {
        every_s: EVERY_S,
        clock_s: points.map(|point| error_s(EVERY_S * point as f64)).collect(),
        oscillator_s: Vec::new(),
    }
}
