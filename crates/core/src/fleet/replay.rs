//! Judges recorded samples of several vantages.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::placing::placed;
use super::verdict::{FleetReport, FleetVerdict};
use super::witness::{VantageGroups, Witness};
use super::{Fleet, FleetConfig};
use crate::sample::Sample;

/// The most samples that wait to be put in order. When there are more, the older half is judged, and samples that
/// arrive later for that time are out of order.
const WAITING: usize = 250_000;
/// The same while there is only one vantage.
const WAITING_ALONE: usize = 20_000;
/// The longest first round, in nanoseconds.
const LONGEST_FIRST_NS: i64 = 64_000_000_000;

/// A replay in progress. Samples are judged in the order of true time as far as it is known: a recorded time is that of
/// the vantage's clock, corrected by its servers and its monotonic clock if it is far off.
#[derive(Debug)]
pub struct FleetReplay {
    fleet: Fleet,
    groups: VantageGroups,
    waiting: Vec<Arc<Sample>>,
    vantages: BTreeSet<Arc<str>>,
    next_ns: Option<i64>,
}

impl FleetReplay {
    /// A replay without samples. Recordings do not say within which `groups` of vantages a private address is the same
    /// server.
    #[must_use]
    pub fn new(groups: VantageGroups) -> Self {
        Self {
            fleet: Fleet::new(FleetConfig::default()),
            groups,
            waiting: Vec::new(),
            vantages: BTreeSet::new(),
            next_ns: None,
        }
    }

    /// Takes the next sample. Those of one vantage may be ordered by its clock, even if that was set back meanwhile.
    pub fn observe(&mut self, sample: &Arc<Sample>) {
        if !self.vantages.contains(&sample.server.vantage) {
            self.vantages.insert(Arc::clone(&sample.server.vantage));
        }
        self.waiting.push(Arc::clone(sample));
        let most = if self.vantages.len() > 1 { WAITING } else { WAITING_ALONE };
        if self.waiting.len() >= most {
            let mut older = placed(std::mem::take(&mut self.waiting));
            self.waiting = older.split_off(older.len() / 2).into_iter().map(|(_, sample)| sample).collect();
            self.judge(older, &mut |_, _| {});
        }
    }

    /// Every verdict, and the skew matrix at the end. Calls `progress` with the number of samples judged so far.
    pub fn finish(self, progress: &mut dyn FnMut(usize)) -> FleetReport {
        self.finish_with(progress, &mut |_, _| {})
    }

    /// Like [`FleetReplay::finish`], and calls `each` with the instant and the verdict of each round, as known then.
    pub fn finish_with(
        mut self,
        progress: &mut dyn FnMut(usize),
        each: &mut dyn FnMut(i64, &FleetVerdict),
    ) -> FleetReport {
        let mut rest = placed(std::mem::take(&mut self.waiting)).into_iter();
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

    fn judge(&mut self, samples: Vec<(i64, Arc<Sample>)>, each: &mut dyn FnMut(i64, &FleetVerdict)) {
        for (at_ns, sample) in samples {
            if let Some(next_ns) = self.next_ns.filter(|next_ns| at_ns > *next_ns) {
                let round_ns = self.round_ns();
                each(next_ns, &self.fleet.judge(next_ns));
                // Skip rounds within a gap.
                let rounds = (at_ns - next_ns) / round_ns.max(1);
                self.next_ns = Some(next_ns + (rounds + 1) * round_ns);
            }
            let witness = Witness::of(&sample, &self.groups.of(&sample.server.vantage));
            self.fleet.observe(&sample.server.vantage, &witness, &sample, at_ns);
            // The first round is as long as the poll interval that the first sample states: what is wrong from the
            // beginning is known as such for a few rounds only.
            self.next_ns = self.next_ns.or_else(|| Some(at_ns + self.round_ns().min(LONGEST_FIRST_NS)));
        }
    }

    fn round_ns(&self) -> i64 {
        (self.fleet.round_s() * 1e9) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::fleet::verdict::FleetState;
    use crate::sample::{Measure, Outcome, ServerIdent};
    use crate::world::fleet::FleetWorld;

    #[test]
    fn what_is_wrong_from_the_beginning_is_wrong_since_the_first_sample() {
        let mut world = FleetWorld::lan(1, 4, 5);
        (world.duration_s, world.servers[4].error_s) = (200.0, 0.08);
        world.polls_s.fill(2.0);
        let mut replay = FleetReplay::new(VantageGroups::default());
        let (samples, _) = world.run();
        samples.iter().for_each(|it| replay.observe(&it.sample));
        let report = replay.finish(&mut |_| {});
        let found = report.verdicts.iter().find(|it| it.state == FleetState::ServerWrong);
        let since = found.and_then(|it| it.since).unwrap_or_else(|| panic!("{:#?}", report.verdicts));
        let late_ns = since.0 - samples[0].sample.at.wall_ns;
        assert!(late_ns.abs() < 2_000_000_000, "{late_ns}: {:#?}", report.verdicts);
    }

    #[test]
    fn recordings_of_any_times_are_judged() {
        let mut replay = FleetReplay::new(VantageGroups::default());
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
