//! What the stamps alone show about this host's clocks: restarts, pauses, suspensions, steps.

use serde::{Deserialize, Serialize};

use super::Attribution;
use super::finding::Finding;
use super::witness::Jump;
use crate::clock::Stamp;
use crate::sample::Sample;
use crate::stats::events::{Event, EventKind};
use crate::stats::local::ClockMove;
use crate::stats::verdict::{Kind, State, When};

/// A server that smears a leap second differs from UTC by half a second at midnight, within this, in seconds.
const SMEARED_S: f64 = 0.1;
/// An inserted second sets the clock back by one second, within this, in seconds.
const SECOND_S: f64 = 0.05;
/// A suspension shorter than this is not reported, in seconds.
const TOLD_S: f64 = 5.0;

/// A restart of the machine. Its wall clock may be wrong from then on, until it is set.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Restart {
    /// The first sample after it, on the samples' axis.
    pub t_s: f64,
    /// The wall clock at that sample.
    pub wall_ns: i64,
    /// When it was in true time, as the servers showed it first.
    pub onset: Option<When>,
}

impl Attribution {
    /// Follows the clocks of this host with a sample of the series `i`.
    pub(super) fn watch_clock(&mut self, sample: &Sample, t_s: f64, restarted: bool, i: usize) {
        let now = When(sample.at.wall_ns);
        // Without a monotonic clock, only the wall clock was set back.
        if restarted && sample.at.mono_ns == 0 {
            self.witness.restart();
            self.engine.own.restart();
            self.engine.forget_replies();
        } else if restarted {
            self.witness.restart();
            self.pending = None;
            self.engine.own.restart();
            self.engine.forget_replies();
            let text = "The monotonic clock began at zero again: the machine was restarted.".to_owned();
            let start = When(self.last_wall_ns);
            // The wall clock may be behind after it.
            let end = Some(now.max(start));
            self.events.push(own_event(EventKind::MachineRestart, start, end, String::new(), text));
            self.restart = Some(Restart { t_s, wall_ns: sample.at.wall_ns, onset: None });
        }
        let silent_s = t_s - self.last_s;
        if self.engine.tuned && silent_s > self.engine.pause_s() && restarted {
            // How long the machine was off is known only as well as its clock, which may be wrong.
            self.engine.resume();
        } else if self.engine.tuned && silent_s > self.engine.pause_s() {
            let text = format!("The monitor did not measure for {}.", crate::stats::verdict::seconds(silent_s));
            let detail = format!("{silent_s:.0} s");
            let start = When(self.last_wall_ns);
            self.events.push(own_event(EventKind::MonitorPause, start, Some(now), detail, text));
            self.engine.resume();
        }
        let suspended_s = self.witness.suspended_s(&sample.at);
        if suspended_s > 0.0 {
            self.stood_still(suspended_s, self.last_wall_ns, &sample.at);
        }
        match self.witness.ambiguous(&sample.at) {
            None => self.pending = None,
            Some(jump) if !self.is_decided(&jump, sample, i) => {
                self.pending = Some(jump);
                return;
            }
            Some(_) => {}
        }
        if let Some(step) = self.witness.observe(&sample.at) {
            self.events.push(clock_event(&step, self.is_repair(&step)));
        }
    }

    /// Whether this sample shows what a jump was. If it was no step, it no longer counts as a difference of the clocks.
    fn is_decided(&mut self, jump: &Jump, sample: &Sample, i: usize) -> bool {
        let before_s = self.engine.series[i].last_offset_s();
        let Some((before_s, measure)) = before_s.zip(sample.measure) else { return false };
        // A step changes the offset by its size, with the opposite sign. So does a leap second that this host inserts and
        // the server does not: one that smears it is half a second behind before and half a second ahead after.
        let moved_s = measure.offset_s - before_s;
        let is_half = |ahead_s: f64| (ahead_s - 0.5).abs() < SMEARED_S;
        let is_smear = is_half(-before_s) && is_half(measure.offset_s);
        let is_announced = self.engine.series.iter().any(|series| series.inserts);
        let is_second = self.now().near_leap && (jump.size_s + 1.0).abs() < SECOND_S;
        let is_leap = is_second && (is_smear || is_announced);
        if (moved_s + jump.size_s).abs() <= moved_s.abs() && !is_leap {
            return true;
        }
        self.witness.absorb(jump);
        self.stood_still(jump.size_s, jump.from.wall_ns, &jump.until);
        true
    }

    /// Whether a step of this host's clock corrects the error that the verdict names.
    fn is_repair(&self, step: &ClockMove) -> bool {
        let local = &self.verdict.local;
        let error_s = local.estimate_s.filter(|_| self.verdict.state == State::LocalWrong);
        error_s.is_some_and(|error_s| (step.size_s - error_s).abs() < 0.5 * error_s.abs())
    }

    /// The onset of a movement of this host's clock as true time, if it came with a restart of the machine.
    pub(super) fn onset_of_restart(&self, finding: &Finding) -> Option<When> {
        let near_s = super::judge::NEAR * self.engine.period_s;
        let is_it = |restart: &Restart| (finding.since_s - restart.t_s).abs() <= near_s;
        self.restart.filter(is_it)?.onset
    }

    /// Converts the time of a restart to true time, once the servers show how far the clock has been off since.
    pub(super) fn date_restart(&mut self) {
        let size_s = self.engine.own.finding.filter(|f| f.kind == Kind::Step).and_then(|f| f.size_s);
        if let Some((restart, size_s)) = self.restart.as_mut().filter(|it| it.onset.is_none()).zip(size_s) {
            restart.onset = Some(When(restart.wall_ns.saturating_add((size_s * 1e9) as i64)));
        }
    }

    fn stood_still(&mut self, size_s: f64, from_ns: i64, until: &Stamp) {
        self.timeline.skip(self.last_s, size_s);
        self.engine.forget_replies();
        if size_s >= TOLD_S {
            let text = format!("This host was suspended for {}.", crate::stats::verdict::seconds(size_s));
            let (start, end) = (When(from_ns), Some(When(until.wall_ns)));
            self.events.push(own_event(EventKind::MonitorPause, start, end, format!("{size_s:.0} s"), text));
        }
    }
}

fn own_event(kind: EventKind, start: When, end: Option<When>, detail: String, sentence: String) -> Event {
    Event { kind, server: None, address: None, start, end, detail, sentence, replaces: None }
}

/// The event of a movement, by the clock that was right: before it, or after a repair.
fn clock_event(step: &ClockMove, is_repair: bool) -> Event {
    let kind = if step.step { EventKind::ClockStep } else { EventKind::ClockSlew };
    let way = if step.size_s > 0.0 { "forward" } else { "back" };
    let how = if step.step { "set" } else { "slewed" };
    let text = format!(
        "This host's clock was {how} {way} by {}, as its raw clock shows without any server.",
        crate::stats::verdict::seconds(step.size_s)
    );
    let size_ns = (step.size_s * 1e9) as i64;
    let (from_ns, until_ns) = if is_repair {
        (step.from_ns.saturating_add(size_ns), step.until_ns)
    } else {
        (step.from_ns, step.until_ns.saturating_sub(size_ns))
    };
    let (start, end) = (When(from_ns), Some(When(until_ns.max(from_ns))));
    own_event(kind, start, end, format!("{:+.6} s", step.size_s), text)
}
