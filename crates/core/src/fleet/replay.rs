//! Recorded samples of several vantages through the fleet's verdict.

use std::sync::Arc;

use super::verdict::{FleetReport, FleetVerdict};
use super::witness::Witness;
use super::{Fleet, FleetConfig};
use crate::sample::Sample;

/// Samples that wait to be put in order. When there are more, the older half is judged: what comes later is out of order.
const WAITING: usize = 250_000;
/// The same while there is one vantage only.
const WAITING_ALONE: usize = 20_000;
/// Offsets of a vantage from which it is known how far off its clock is.
const OFFSETS: usize = 9;
/// A vantage whose clock is off by more than this is put on the time of the servers, in seconds.
const FAR_OFF_S: f64 = 0.5;

/// Recorded times outside of 1970 to 2116 count as these, so that no difference of two overflows.
const TIMES_NS: std::ops::RangeInclusive<i64> = 0..=i64::MAX / 2;

/// A replay under way. Samples are judged in the order of true time as well as it is known: a recorded time is the
/// vantage's clock, and when that is far off it is corrected by what the servers say.
#[derive(Debug)]
pub struct FleetReplay {
    fleet: Fleet,
    waiting: Vec<(i64, Arc<Sample>)>,
    /// The last offsets of each vantage.
    offsets: Vec<(Arc<str>, Vec<f64>)>,
    next_ns: Option<i64>,
}

impl Default for FleetReplay {
    fn default() -> Self {
        Self::new()
    }
}

impl FleetReplay {
    /// A replay that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { fleet: Fleet::new(FleetConfig::default()), waiting: Vec::new(), offsets: Vec::new(), next_ns: None }
    }

    /// Takes the next sample; those of one vantage come in its own order.
    pub fn observe(&mut self, sample: &Arc<Sample>) {
        let at_ns = self.true_ns(sample);
        self.waiting.push((at_ns, Arc::clone(sample)));
        let most = if self.offsets.len() > 1 { WAITING } else { WAITING_ALONE };
        if self.waiting.len() >= most {
            self.sort();
            let rest = self.waiting.split_off(self.waiting.len() / 2);
            let older = std::mem::replace(&mut self.waiting, rest);
            self.judge(older, &mut |_, _| {});
        }
    }

    /// Every verdict, and the skew matrix at the end. `progress` learns how many samples were judged.
    pub fn finish(self, progress: &mut dyn FnMut(usize)) -> FleetReport {
        self.finish_with(progress, &mut |_, _| {})
    }

    /// As [`FleetReplay::finish`]; `each` also learns the verdict of each round, with its instant, as it was known then.
    pub fn finish_with(
        mut self,
        progress: &mut dyn FnMut(usize),
        each: &mut dyn FnMut(i64, &FleetVerdict),
    ) -> FleetReport {
        self.sort();
        let mut rest = std::mem::take(&mut self.waiting).into_iter();
        let mut judged = 0;
        loop {
            let batch: Vec<_> = rest.by_ref().take(100_000).collect();
            if batch.is_empty() {
                break;
            }
            judged += batch.len();
            self.judge(batch, each);
            progress(judged);
        }
        if let Some(last_ns) = self.next_ns {
            self.fleet.judge(last_ns);
        }
        self.fleet.report()
    }

    fn sort(&mut self) {
        self.waiting.sort_by_key(|(at_ns, _)| *at_ns);
    }

    fn judge(&mut self, samples: Vec<(i64, Arc<Sample>)>, each: &mut dyn FnMut(i64, &FleetVerdict)) {
        for (at_ns, sample) in samples {
            match self.next_ns {
                None => self.next_ns = Some(at_ns + self.round_ns()),
                Some(next_ns) if at_ns > next_ns => {
                    let round_ns = self.round_ns();
                    each(next_ns, &self.fleet.judge(next_ns));
                    // Nothing is judged in the middle of a gap.
                    let rounds = (at_ns - next_ns) / round_ns.max(1);
                    self.next_ns = Some(next_ns + (rounds + 1) * round_ns);
                }
                Some(_) => {}
            }
            // Recordings do not say which vantages are near each other: a private address is the same server when it has
            // the same name.
            let witness = Witness::of(&sample, &sample.server.name);
            self.fleet.observe(&sample.server.vantage, &witness, &sample, at_ns);
        }
    }

    fn round_ns(&self) -> i64 {
        (self.fleet.round_s() * 1e9) as i64
    }

    fn true_ns(&mut self, sample: &Sample) -> i64 {
        let vantage = &sample.server.vantage;
        let at = self.offsets.iter().position(|(name, _)| name == vantage).unwrap_or_else(|| {
            self.offsets.push((Arc::clone(vantage), Vec::new()));
            self.offsets.len() - 1
        });
        let offsets = &mut self.offsets[at].1;
        if let Some(offset_s) = sample.offset_s() {
            if offsets.len() == OFFSETS {
                offsets.remove(0);
            }
            offsets.push(offset_s);
        }
        let mut sorted = offsets.clone();
        sorted.sort_by(f64::total_cmp);
        let middle_s = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let correction_ns = if middle_s.abs() > FAR_OFF_S { (middle_s * 1e9) as i64 } else { 0 };
        sample.at.wall_ns.saturating_add(correction_ns).clamp(*TIMES_NS.start(), *TIMES_NS.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::sample::{Measure, Outcome, ServerIdent};

    #[test]
    fn recordings_of_any_times_are_judged() {
        let mut replay = FleetReplay::new();
        for n in 0..200_i64 {
            let wall_ns = [i64::MIN, -1, 0, 1_800_000_000_000_000_000 + n * 64_000_000_000, i64::MAX][n as usize % 5];
            for vantage in ["ams", "ber", "fra"] {
                for (name, offset_s) in [("a", 0.0), ("b", 0.001), ("c", 4e9)] {
                    let server = ServerIdent::seen_from(vantage, name);
                    replay.observe(&Arc::new(Sample {
                        measure: Some(Measure { offset_s, delay_s: 0.01, root_distance_s: 0.02 }),
                        ..Sample::unasked(Stamp::new(wall_ns, n, 0), server, Outcome::Sample, 64.0)
                    }));
                }
            }
        }
        assert!(!replay.finish(&mut |_| {}).verdicts.is_empty());
    }
}
