//! Polls of one server in about 7 bytes each.

use super::pane::Record;
use crate::sample::Timestamping;
use crate::stats::loss::Ending;
use crate::stats::packed::Rows;

/// Times are kept in this unit.
pub(super) const TIME_UNIT_NS: i64 = 1_000_000;
/// Offsets and delays are kept in units of 2^-30 s, 0.93 ns.
const UNITS_IN_A_SECOND: f64 = (1_u64 << 30) as f64;

/// Polls in order of time.
#[derive(Debug)]
pub(super) struct Block {
    /// Times, offsets, delays.
    rows: Rows<3>,
    /// How the polls ended and were timestamped, if that is the same for all.
    common: (Ending, Option<Timestamping>),
    /// The same for each poll, if they differ.
    endings: Box<[(Ending, Option<Timestamping>)]>,
}

impl Block {
    /// Packs at most 255 polls that are in order of time, with times in whole units.
    pub fn of(polls: &[Record]) -> Self {
        let units = |seconds: f64| (seconds * UNITS_IN_A_SECOND).round() as i64;
        let row = |poll: &Record| [poll.at_ns / TIME_UNIT_NS, units(poll.offset_s), units(poll.delay_s)];
        let endings: Vec<_> = polls.iter().map(|poll| (poll.ending, poll.way)).collect();
        let is_uniform = endings.windows(2).all(|pair| pair[0] == pair[1]);
        Self {
            rows: Rows::of(&polls.iter().map(row).collect::<Vec<_>>()),
            common: endings.first().copied().unwrap_or_default(),
            endings: if is_uniform { Box::default() } else { endings.into() },
        }
    }

    /// The number of polls.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The polls, oldest first.
    pub fn polls(&self) -> impl Iterator<Item = Record> {
        self.rows.rows().enumerate().map(|(i, [time, offset, delay])| {
            let (ending, way) = self.endings.get(i).copied().unwrap_or(self.common);
            let seconds = |units: i64| units as f64 / UNITS_IN_A_SECOND;
            Record { at_ns: time * TIME_UNIT_NS, offset_s: seconds(offset), delay_s: seconds(delay), ending, way }
        })
    }

    /// The size of its allocations in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.endings.len() * size_of::<(Ending, Option<Timestamping>)>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::testing::{lost, sample};

    fn record(at_ms: i64, offset_s: f64, delay_s: f64, is_lost: bool) -> Record {
        let ending = Ending::of(&if is_lost { lost(0.0) } else { sample(0.0, 0.0, 0.01) });
        let way = (!is_lost).then_some(Timestamping::Kernel);
        Record { at_ns: at_ms * TIME_UNIT_NS, offset_s, delay_s, ending, way }
    }

    fn assert_kept(polls: &[Record], error: f64) {
        let kept: Vec<_> = Block::of(polls).polls().collect();
        assert_eq!(kept.len(), polls.len());
        for (kept, poll) in kept.iter().zip(polls) {
            assert_eq!((kept.at_ns, kept.ending, kept.way), (poll.at_ns, poll.ending, poll.way));
            assert!((kept.offset_s - poll.offset_s).abs() <= error, "{kept:?} {poll:?}");
            assert!((kept.delay_s - poll.delay_s).abs() <= error, "{kept:?} {poll:?}");
        }
    }

    #[test]
    fn polls_over_the_internet_take_seven_bytes() {
        let polls: Vec<_> = (0..64_i64)
            .map(|k| {
                let noise = (k * 7919 % 64) as f64 / 64.0 - 0.5;
                record(k * 16_000 + k * 104_729 % 7 * 300, noise * 4e-4, 0.02 + noise * 4e-4, false)
            })
            .collect();
        let bytes = Block::of(&polls).memory_bytes();
        assert!(bytes <= 7 * 64, "{bytes}");
        assert_kept(&polls, 4.7e-10);
    }

    proptest! {
        #[test]
        fn any_polls_come_back(
            polls in prop::collection::vec((any::<i64>(), -4.3e9..4.3e9_f64, 0.0..4.3e9_f64, any::<bool>()), 0..70),
        ) {
            let polls = polls.into_iter().map(|(at, o, d, lost)| record(at / 4 / TIME_UNIT_NS, o, d, lost));
            let mut polls: Vec<_> = polls.collect();
            polls.sort_by_key(|poll| poll.at_ns);
            assert_kept(&polls, 1e-6);
        }
    }
}
