//! Single polls in 22 bytes each, oldest first. Offsets and delays are kept to 37 significant bits: 0.01 ns in a second.

use std::collections::VecDeque;

use super::pane::Record;
use crate::sample::Timestamping;
use crate::stats::loss::Ending;

/// Memory grows by so many polls. A queue that doubles would be half empty in the mean.
const GROWTH: usize = 32;

/// Polls that are kept one by one.
#[derive(Debug, Default)]
pub(super) struct Polls {
    /// Times are kept as differences from this one.
    begin_ns: i64,
    kept: VecDeque<Packed>,
}

#[derive(Debug, Clone, Copy)]
struct Packed {
    after: Span,
    offset: Short,
    delay: Short,
    ending: Ending,
    way: Option<Timestamping>,
}

/// A number without the last two bytes of its fraction.
#[derive(Debug, Clone, Copy)]
struct Short([u8; 6]);

/// Nanoseconds, at most [`Span::LONGEST`].
#[derive(Debug, Clone, Copy)]
struct Span([u8; 6]);

impl Span {
    /// 78 hours.
    const LONGEST: i64 = (1 << 48) - 1;

    fn of(ns: i64) -> Self {
        let [.., a, b, c, d, e, f] = ns.clamp(0, Self::LONGEST).to_be_bytes();
        Self([a, b, c, d, e, f])
    }

    fn ns(self) -> i64 {
        let [a, b, c, d, e, f] = self.0;
        i64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

impl Short {
    fn of(value: f64) -> Self {
        // Half of the last bit that is kept, so that the number is rounded. A carry into the exponent is right.
        let bits = value.to_bits().saturating_add(1 << 15).to_be_bytes();
        Self([bits[0], bits[1], bits[2], bits[3], bits[4], bits[5]])
    }

    fn value(self) -> f64 {
        let [a, b, c, d, e, f] = self.0;
        f64::from_bits(u64::from_be_bytes([a, b, c, d, e, f, 0, 0]))
    }
}

impl Polls {
    /// No two polls are further apart.
    pub const LONGEST_NS: i64 = Span::LONGEST;

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Adds a poll, which is not older than the last one and at most [`Polls::LONGEST_NS`] younger than the oldest.
    pub fn push(&mut self, record: &Record) {
        if self.kept.is_empty() {
            self.begin_ns = record.at_ns;
        }
        if record.at_ns.saturating_sub(self.begin_ns) > Span::LONGEST {
            self.begin_with_oldest();
        }
        if self.kept.len() == self.kept.capacity() {
            self.kept.reserve_exact(GROWTH);
        }
        let Record { at_ns, offset_s, delay_s, ending, way } = *record;
        let after = Span::of(at_ns.saturating_sub(self.begin_ns));
        self.kept.push_back(Packed { after, offset: Short::of(offset_s), delay: Short::of(delay_s), ending, way });
    }

    pub fn pop_front(&mut self) -> Option<Record> {
        let oldest = self.kept.pop_front()?;
        Some(self.record(oldest))
    }

    /// When the oldest poll ended.
    pub fn front_ns(&self) -> Option<i64> {
        self.kept.front().map(|oldest| self.at_ns(oldest))
    }

    /// The polls from `start_ns` on.
    pub fn since(&self, start_ns: i64) -> impl Iterator<Item = Record> {
        let from = self.kept.partition_point(|poll| self.at_ns(poll) < start_ns);
        self.kept.range(from..).map(|poll| self.record(*poll))
    }

    pub fn memory_bytes(&self) -> usize {
        self.kept.capacity() * size_of::<Packed>()
    }

    fn record(&self, poll: Packed) -> Record {
        let Packed { offset, delay, ending, way, .. } = poll;
        Record { at_ns: self.at_ns(&poll), offset_s: offset.value(), delay_s: delay.value(), ending, way }
    }

    fn at_ns(&self, poll: &Packed) -> i64 {
        self.begin_ns.saturating_add(poll.after.ns())
    }

    fn begin_with_oldest(&mut self) {
        let first_ns = self.kept.front().map_or(0, |oldest| oldest.after.ns());
        self.kept.iter_mut().for_each(|poll| poll.after = Span::of(poll.after.ns() - first_ns));
        self.begin_ns = self.begin_ns.saturating_add(first_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::sample;

    const DAY_NS: i64 = 86_400 * 1_000_000_000;

    fn record(at_ns: i64, offset_s: f64) -> Record {
        let ending = Ending::of(&sample(0.0, 0.0, 0.01));
        Record { at_ns, offset_s, delay_s: 0.0123, ending, way: Some(Timestamping::Kernel) }
    }

    #[test]
    fn poll_takes_22_bytes_and_keeps_eleven_digits() {
        assert_eq!(size_of::<Packed>(), 22);
        for value in [0.0, -0.0, 1e-9, -0.001_234_567_890_123, 3_600.123_456_789, f64::MIN_POSITIVE, -4e9] {
            let kept = Short::of(value).value();
            assert!((kept - value).abs() <= 1e-11 * value.abs(), "{value} became {kept}");
        }
    }

    #[test]
    fn polls_come_back_with_their_times() {
        let mut polls = Polls::default();
        (0..100).for_each(|k| polls.push(&record(k * 16_000_000_001, k as f64)));
        assert!(polls.memory_bytes() <= 128 * 22);
        assert_eq!((polls.len(), polls.front_ns()), (100, Some(0)));
        let since: Vec<_> = polls.since(98 * 16_000_000_001).map(|poll| (poll.at_ns, poll.offset_s)).collect();
        assert_eq!(since, [(98 * 16_000_000_001, 98.0), (99 * 16_000_000_001, 99.0)]);
        assert_eq!(polls.pop_front().unwrap().offset_s, 0.0);
    }

    #[test]
    fn polls_that_are_weeks_apart_keep_their_times() {
        let mut polls = Polls::default();
        for k in 0..10 {
            if polls.len() > 1 {
                polls.pop_front();
            }
            polls.push(&record(k * 2 * DAY_NS, 0.0));
        }
        let at: Vec<_> = polls.since(i64::MIN).map(|poll| poll.at_ns).collect();
        assert_eq!(at, [16 * DAY_NS, 18 * DAY_NS]);
    }
}
