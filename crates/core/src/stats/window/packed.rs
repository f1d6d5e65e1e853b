//! Polls of one server in about 7 bytes each.

use super::pane::Record;
use crate::sample::Timestamping;
use crate::stats::loss::Ending;
use crate::stats::packed::Rows;

/// Times are kept in this unit.
pub(super) const TIME_UNIT_NS: i64 = 1_000_000;
/// Offsets and delays are kept in units of 2^-30 s, 0.93 ns.
const UNITS_IN_A_SECOND: f64 = (1_u64 << 30) as f64;

/// How a poll ended and was timestamped.
type Way = (Ending, Option<Timestamping>);

/// Polls in order of time.
#[derive(Debug)]
pub(super) struct Block {
    /// Times, offsets, delays, and the place of the way in the list of `first_way` and `other_ways`. A poll without a
    /// sample has the offset and the delay of another one, so that they need no further bits.
    rows: Rows<4>,
    first_way: Way,
    other_ways: Box<[Way]>,
}

impl Block {
    /// Packs at most 255 polls that are in order of time, with times in whole units.
    pub fn of(polls: &[Record]) -> Self {
        let units = |seconds: f64| (seconds * UNITS_IN_A_SECOND).round() as i64;
        let measured = |poll: &Record| [units(poll.offset_s), units(poll.delay_s)];
        let mut last = polls.iter().find(|poll| poll.ending.is_success()).map_or([0; 2], measured);
        let mut ways: Vec<Way> = Vec::new();
        let row = |poll: &Record| {
            if poll.ending.is_success() {
                last = measured(poll);
            }
            let way = (poll.ending, poll.way);
            let place = ways.iter().position(|known| *known == way).unwrap_or_else(|| {
                ways.push(way);
                ways.len() - 1
            });
            [poll.at_ns / TIME_UNIT_NS, last[0], last[1], place as i64]
        };
        let rows = Rows::of(&polls.iter().map(row).collect::<Vec<_>>());
        let other_ways = ways.get(1..).unwrap_or_default().into();
        Self { rows, first_way: ways.first().copied().unwrap_or_default(), other_ways }
    }

    /// The number of polls.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The polls, oldest first.
    pub fn polls(&self) -> impl Iterator<Item = Record> {
        self.polls_from(0)
    }

    /// The polls from a place on.
    pub fn polls_from(&self, begin: usize) -> impl Iterator<Item = Record> {
        self.rows.rows_from(begin).map(|row| self.poll(row))
    }

    fn poll(&self, [time, offset, delay, place]: [i64; 4]) -> Record {
        let other = usize::try_from(place - 1).ok().and_then(|other| self.other_ways.get(other));
        let (ending, way) = other.copied().unwrap_or(self.first_way);
        let seconds = |units: i64| if ending.is_success() { units as f64 / UNITS_IN_A_SECOND } else { 0.0 };
        Record { at_ns: time * TIME_UNIT_NS, offset_s: seconds(offset), delay_s: seconds(delay), ending, way }
    }

    /// The size of its allocations in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.other_ways.len() * size_of::<Way>()
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
            let is_near = |kept: f64, poll_s: f64| match poll.ending.is_success() {
                true => (kept - poll_s).abs() <= error,
                false => kept == 0.0,
            };
            assert!(is_near(kept.offset_s, poll.offset_s) && is_near(kept.delay_s, poll.delay_s), "{kept:?} {poll:?}");
        }
    }

    #[test]
    fn polls_over_the_internet_take_seven_bytes() {
        for loss in [0, 10] {
            let poll = |k: i64| {
                let noise = (k * 7919 % 64) as f64 / 64.0 - 0.5;
                let is_lost = k < loss && k % 3 == 0;
                let (offset_s, delay_s) = if is_lost { (0.0, 0.0) } else { (noise * 4e-4, 0.02 + noise * 4e-4) };
                record(k * 16_000 + k * 104_729 % 7 * 300, offset_s, delay_s, is_lost)
            };
            let polls: Vec<_> = (0..64).map(poll).collect();
            let bytes = Block::of(&polls).memory_bytes();
            assert!(bytes <= 7 * 64, "{bytes}");
            assert_kept(&polls, 4.7e-10);
        }
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
