//! Steps and slews of the wall clock of one vantage, seen against its own raw clock, which is never set.

use std::collections::VecDeque;

use super::median::{median, smaller};
use crate::clock::Stamp;

/// A jump of REALTIME − MONOTONIC_RAW below this is not distinguished from jitter, in seconds.
const RAW_JITTER_S: f64 = 3e-4;
/// A change of that difference below this rate is slewing, not a step, in seconds per second.
const RAW_SLEW: f64 = 1e-4;
/// Samples of several servers end in any order; a monotonic clock that falls further was restarted.
const REBOOT_NS: i64 = 60_000_000_000;
/// A set clock differs from a leap second by less than this, in seconds, if it is one.
const LEAP_WITHIN_S: f64 = 0.02;
/// Spans over which the usual rate of that difference is learned, and how long each of them is.
const SPANS: usize = 64;
const SPAN_S: f64 = 64.0;
/// Spans from which the rate is known.
const KNOWN: usize = 4;
/// The weight of a new stamp in the share of stamps that are read wrong, and the share from which no step is believed.
const MISREAD_LEARNS: f64 = 0.1;
const MISREAD_OFTEN: f64 = 0.25;
/// A deviation from the usual rate below this is not applied: in seconds, and in seconds per second.
const SLEW_JITTER_S: f64 = 5e-5;
const SLEW_RATE: f64 = 2e-6;

/// Detects steps and slews of the wall clock of one vantage.
#[derive(Debug, Clone, Default)]
pub(super) struct RawClock {
    last: Option<(Stamp, i64)>,
    /// The beginning of the span whose rate is learned next.
    span: Option<Stamp>,
    /// The rates of the newest spans, in seconds per second.
    rates: VecDeque<f64>,
    /// The median of them, once it is known.
    rate: Option<f64>,
    /// By how much they vary.
    spread: f64,
    /// By how much the clock was set so far, without slews, in seconds.
    pub stepped_s: f64,
    doubted: Option<Doubted>,
    /// The share of stamps that showed a movement which the next one did not confirm, over the newest ones.
    misread: f64,
    /// The slew that the last stamp showed.
    slewed_s: f64,
    pending: RawStep,
    /// For how long the pending slew was collected, in seconds.
    slewed_for_s: f64,
}

/// A stamp that shows a step.
#[derive(Debug, Clone, Copy)]
struct Doubted {
    at: Stamp,
    at_ns: i64,
    moved_s: f64,
}

/// What the clocks of one vantage show since the last round.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RawStep {
    /// Whether there is a raw clock.
    pub is_known: bool,
    /// By how much the clock was set forward, in seconds.
    pub step_s: f64,
    /// By how much it was slewed forward beyond its usual correction, in seconds.
    pub slew_s: f64,
    /// By how much the usual correction may have moved it otherwise, because it changed, in seconds.
    pub unsure_s: f64,
}

impl RawStep {
    /// By how much the clock was moved forward, in seconds.
    pub fn moved_s(self) -> f64 {
        self.step_s + self.slew_s
    }
}

impl RawClock {
    /// Takes what was seen since the last round. A slew within jitter is kept for the next round, up to a span.
    pub fn take(&mut self) -> RawStep {
        let is_known = self.last.is_some();
        let RawStep { step_s, slew_s, unsure_s, .. } = std::mem::take(&mut self.pending);
        if slew_s.abs() > SLEW_JITTER_S + SLEW_RATE * self.slewed_for_s {
            self.slewed_for_s = 0.0;
            return RawStep { is_known, step_s, slew_s, unsure_s };
        }
        if self.slewed_for_s < SPAN_S {
            self.pending.slew_s = slew_s;
        } else {
            self.slewed_for_s = 0.0;
        }
        RawStep { is_known, step_s, slew_s: 0.0, unsure_s }
    }

    /// By how much the wall clock was set or slewed since the stamp before, in seconds. A suspension is neither, and the
    /// announced leap second, by which `leap_s` says that clocks are set, is none either: true time is set by as much.
    pub fn moved_s(&mut self, at: Stamp, at_ns: i64, leap_s: impl FnOnce() -> f64) -> Option<f64> {
        if at.raw_ns == 0 {
            return None;
        }
        let Some((last, last_ns)) = self.last else {
            self.begin(at, at_ns);
            return None;
        };
        let backwards_ns = last.mono_ns.saturating_sub(at.mono_ns);
        if (0..REBOOT_NS).contains(&backwards_ns) && at_ns <= last_ns {
            return None;
        }
        if backwards_ns >= REBOOT_NS {
            self.begin(at, at_ns);
            return None;
        }
        let confirmed_s = self.confirmed_s(at);
        let (last, _) = self.last?;
        let (moved_s, elapsed_s) = between(last, at, self.rate.unwrap_or(0.0));
        let may_be_leap = (moved_s.abs() - 1.0).abs() < LEAP_WITHIN_S;
        let leap_s = if may_be_leap { leap_s() } else { 0.0 };
        let is_leap = leap_s != 0.0 && (moved_s - leap_s).abs() < LEAP_WITHIN_S;
        if is_leap {
            self.last = Some((at, at_ns));
            return self.step(at, moved_s - leap_s);
        }
        if moved_s.abs() > RAW_JITTER_S + RAW_SLEW * elapsed_s {
            self.doubted = Some(Doubted { at, at_ns, moved_s });
            return confirmed_s;
        }
        self.last = Some((at, at_ns));
        let is_known = self.rate.is_some();
        self.learn(at);
        let is_known = is_known && self.is_believed(moved_s);
        if is_known {
            self.pending.slew_s += moved_s;
        }
        if self.rate.is_some() {
            self.pending.unsure_s += self.spread * elapsed_s;
            self.slewed_for_s += elapsed_s;
        }
        match confirmed_s {
            Some(confirmed_s) => Some(confirmed_s + if is_known { moved_s } else { 0.0 }),
            None => is_known.then_some(moved_s),
        }
    }

    /// Whether a slew is believed: not if many stamps show one that the next stamp takes back.
    fn is_believed(&mut self, moved_s: f64) -> bool {
        let is_taken_back = smaller(moved_s, -self.slewed_s).abs() > RAW_JITTER_S;
        if is_taken_back {
            self.misread += MISREAD_LEARNS * (1.0 - self.misread);
        }
        self.slewed_s = moved_s;
        self.misread <= MISREAD_OFTEN
    }

    fn step(&mut self, at: Stamp, moved_s: f64) -> Option<f64> {
        self.pending.step_s += moved_s;
        self.stepped_s += moved_s;
        self.span = Some(at);
        Some(moved_s)
    }

    /// The step that the stamp before showed, if this stamp shows it too: a clock that was read wrong once was not set.
    fn confirmed_s(&mut self, at: Stamp) -> Option<f64> {
        let Some(doubted) = self.doubted.take() else {
            self.misread *= 1.0 - MISREAD_LEARNS;
            return None;
        };
        let (moved_s, elapsed_s) = between(doubted.at, at, self.rate.unwrap_or(0.0));
        if moved_s.abs() > RAW_JITTER_S + RAW_SLEW * elapsed_s {
            self.misread += MISREAD_LEARNS * (1.0 - self.misread);
            return None;
        }
        if self.misread > MISREAD_OFTEN {
            self.begin(at, doubted.at_ns);
            return None;
        }
        self.last = Some((doubted.at, doubted.at_ns));
        self.step(doubted.at, doubted.moved_s)
    }

    /// Whether the last stamp shows a step that the next one must confirm.
    pub fn is_doubted(&self) -> bool {
        self.doubted.is_some()
    }

    /// Whether there is a raw clock.
    pub fn is_known(&self) -> bool {
        self.last.is_some()
    }

    fn begin(&mut self, at: Stamp, at_ns: i64) {
        (self.last, self.doubted) = (Some((at, at_ns)), None);
        self.span = Some(at);
    }

    /// Learns the usual rate from spans without a step. A rate that stays becomes the usual one.
    fn learn(&mut self, at: Stamp) {
        let Some(span) = self.span else { return };
        let (moved_s, elapsed_s) = between(span, at, 0.0);
        if elapsed_s < SPAN_S {
            return;
        }
        self.span = Some(at);
        if self.rates.len() == SPANS {
            self.rates.pop_front();
        }
        self.rates.push_back(moved_s / elapsed_s);
        if self.rates.len() >= KNOWN {
            self.rate = Some(median(self.rates.iter().copied().collect()));
            let ends = |(least, most): (f64, f64), rate: &f64| (least.min(*rate), most.max(*rate));
            let (least, most) = self.rates.iter().fold((f64::INFINITY, f64::NEG_INFINITY), ends);
            self.spread = most - least;
        }
    }
}

/// By how much the wall clock moved against the raw clock beyond `rate`, and the time between the stamps, in seconds.
fn between(from: Stamp, to: Stamp, rate: f64) -> (f64, f64) {
    let moved = |stamp: Stamp| stamp.raw_ns.wrapping_sub(stamp.boot_ns);
    let elapsed_s = to.mono_ns.saturating_sub(from.mono_ns).max(0) as f64 / 1e9;
    (moved(to).wrapping_sub(moved(from)) as f64 / 1e9 - rate * elapsed_s, elapsed_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn moves(stamps: &[(i64, i64, i64)]) -> Vec<Option<f64>> {
        let mut clock = RawClock::default();
        let stamp = |(mono_ns, raw_ns, boot_ns): &(i64, i64, i64)| Stamp {
            boot_ns: *boot_ns,
            ..Stamp::new(*mono_ns, *mono_ns, *raw_ns)
        };
        stamps.iter().map(|it| clock.moved_s(stamp(it), it.0, || 0.0)).collect()
    }

    #[test]
    fn set_clock_is_a_step_and_slewing_is_none() {
        assert_eq!(moves(&[(0, 9 * S, 0), (64 * S, 9 * S + 2_000_000, 0)]), [None, None]);
        let set = 9 * S + 50_000_000;
        assert_eq!(moves(&[(0, 9 * S, 0), (64 * S, set, 0), (65 * S, set, 0)]), [None, None, Some(0.05)]);
    }

    #[test]
    fn clock_that_is_read_wrong_once_is_not_set() {
        let wrong = 9 * S + 5_000_000;
        assert_eq!(moves(&[(0, 9 * S, 0), (9 * S, wrong, 0), (10 * S, 9 * S, 0), (11 * S, 9 * S, 0)]), [None; 4]);
    }

    #[test]
    fn suspension_and_restart_are_no_steps() {
        assert_eq!(moves(&[(0, 9 * S, 0), (64 * S, 3609 * S, 3600 * S)]), [None, None]);
        assert_eq!(moves(&[(5000 * S, 9 * S, 0), (10 * S, 6009 * S, 0)]), [None, None]);
    }

    /// The clock of a host whose correction is 12 ppm and for ten minutes 40 ppm more.
    #[test]
    fn slew_beyond_the_usual_correction_is_seen_in_full() {
        let (mut clock, mut moved_s) = (RawClock::default(), 0.0);
        for at_s in (0..3600).step_by(16) {
            let slewed_ns = 40_000 * (at_s - 1800).clamp(0, 600);
            clock.moved_s(Stamp::new(at_s * S, at_s * S, 9 * S + 12_000 * at_s + slewed_ns), at_s * S, || 0.0);
            moved_s += clock.take().moved_s();
            assert!(at_s > 1800 || moved_s == 0.0, "{at_s}: {moved_s}");
        }
        assert!((moved_s - 0.024).abs() < 1e-4, "{moved_s}");
    }

    #[test]
    fn correction_that_stays_becomes_the_usual_one() {
        let (mut clock, mut last_s) = (RawClock::default(), 0.0);
        for at_s in (0..7200).step_by(16) {
            clock.moved_s(Stamp::new(at_s * S, at_s * S, 9 * S + 30_000 * (at_s - 1800).max(0)), at_s * S, || 0.0);
            last_s = clock.take().moved_s();
        }
        assert_eq!(last_s, 0.0);
    }

    #[test]
    fn announced_leap_second_is_no_step() {
        let set = |leap_s| {
            let mut clock = RawClock::default();
            clock.moved_s(Stamp::new(0, 0, 9 * S), 0, || leap_s);
            let after = |at_s: i64| Stamp::new(at_s * S, at_s * S, 8 * S + 100_000);
            let moved_s = clock.moved_s(after(64), 64 * S, || leap_s);
            moved_s.or_else(|| clock.moved_s(after(65), 65 * S, || leap_s)).unwrap()
        };
        assert!((set(-1.0) - 1e-4).abs() < 1e-9 && (set(0.0) + 0.9999).abs() < 1e-9);
        assert!(set(1.0) < -0.9, "another direction");
    }
}
