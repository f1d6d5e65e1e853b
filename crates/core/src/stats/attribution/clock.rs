//! What the stamps alone tell of the own clocks: restarts, pauses, steps.

use super::{Attribution, CLOCK_MOVES};
use crate::sample::Sample;
use crate::stats::events::{Event, EventKind};
use crate::stats::local::{ClockMove, StepDetector};
use crate::stats::verdict::When;

impl Attribution {
    /// Follows the own clocks: restarts, pauses, steps.
    pub(super) fn watch_clock(&mut self, sample: &Sample, t_s: f64, restarted: bool) {
        let now = When(sample.at.wall_ns);
        if restarted {
            self.steps.restart();
            let text = "The monotonic clock began anew: the machine was restarted.".to_owned();
            self.events.push(own_event(
                EventKind::MachineRestart,
                When(self.last_wall_ns),
                Some(now),
                String::new(),
                text,
            ));
        }
        let silent_s = t_s - self.last_s;
        if self.engine.tuned && silent_s > self.engine.pause_s() {
            let text = format!("The monitor did not measure for {}.", crate::stats::verdict::seconds(silent_s));
            let detail = format!("{silent_s:.0} s");
            self.events.push(own_event(EventKind::MonitorPause, When(self.last_wall_ns), Some(now), detail, text));
        }
        if let Some(step) = self.steps.observe(&sample.at) {
            self.events.push(clock_event(&step));
            if self.clock_moves.len() == CLOCK_MOVES {
                self.clock_moves.pop_front();
            }
            self.clock_moves.push_back(step);
        }
        self.doubt_s = self.steps.doubt_s().filter(|_| StepDetector::has_raw(&sample.at));
    }
}

fn own_event(kind: EventKind, start: When, end: Option<When>, detail: String, sentence: String) -> Event {
    Event { kind, server: None, address: None, start, end, detail, sentence, replaces: None }
}

fn clock_event(step: &ClockMove) -> Event {
    let kind = if step.step { EventKind::ClockStep } else { EventKind::ClockSlew };
    let way = if step.size_s > 0.0 { "forward" } else { "back" };
    let text = format!(
        "This machine's clock was set {way} by {}, proven without any server by its raw clock.",
        crate::stats::verdict::seconds(step.size_s)
    );
    own_event(kind, When(step.from_ns), Some(When(step.until_ns)), format!("{:+.6} s", step.size_s), text)
}
