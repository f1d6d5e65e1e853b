//! Thirty-two polls of one server in about 11 bytes each: columns of whole numbers, each in as few bits as its range
//! needs.

use super::pane::Record;
use crate::sample::Timestamping;
use crate::stats::loss::Ending;

/// Seconds are kept in units of 2^-37 s, 7 ps, or of 2^-30 s where there are years of them.
const FINE: f64 = (1_u64 << 37) as f64;
const COARSE: f64 = (1_u64 << 30) as f64;
const MOST_FINE_S: f64 = (1_u64 << 25) as f64;

/// Polls in order of time.
#[derive(Debug)]
pub(super) struct Block {
    count: u8,
    is_coarse: bool,
    first_ns: i64,
    /// Times between polls in nanoseconds, offsets, delays: the least value and the width of the others above it in bits.
    leasts: [i64; 3],
    widths: [u8; 3],
    /// How the polls ended and were timestamped, if all did in the same way.
    common: (Ending, Option<Timestamping>),
    /// How each did, if not.
    endings: Box<[(Ending, Option<Timestamping>)]>,
    bits: Box<[u8]>,
}

/// Numbers from `least` on, in `width` bits each.
#[derive(Debug, Clone, Copy, Default)]
struct Column {
    least: i64,
    width: u8,
}

impl Block {
    /// Packs polls that are in order of time; at most 255.
    pub fn of(polls: &[Record]) -> Self {
        let is_coarse = polls.iter().any(|poll| poll.offset_s.abs().max(poll.delay_s.abs()) >= MOST_FINE_S);
        let scale = if is_coarse { COARSE } else { FINE };
        let first_ns = polls.first().map_or(0, |poll| poll.at_ns);
        let mut before_ns = first_ns;
        let gap = |poll: &Record| poll.at_ns.wrapping_sub(std::mem::replace(&mut before_ns, poll.at_ns));
        let values: [Vec<i64>; 3] = [
            polls.iter().map(gap).collect(),
            polls.iter().map(|poll| (poll.offset_s * scale).round() as i64).collect(),
            polls.iter().map(|poll| (poll.delay_s * scale).round() as i64).collect(),
        ];
        let columns = values.each_ref().map(|values| Column::of(values));
        let mut bits = Bits::default();
        for (column, values) in columns.iter().zip(&values) {
            values.iter().for_each(|value| bits.push(column.offset(*value), column.width));
        }
        let endings: Vec<_> = polls.iter().map(|poll| (poll.ending, poll.way)).collect();
        let is_uniform = endings.windows(2).all(|pair| pair[0] == pair[1]);
        Self {
            count: u8::try_from(polls.len()).unwrap_or(u8::MAX),
            is_coarse,
            first_ns,
            leasts: columns.map(|column| column.least),
            widths: columns.map(|column| column.width),
            common: endings.first().copied().unwrap_or_default(),
            endings: if is_uniform { Box::default() } else { endings.into() },
            bits: bits.bytes.into(),
        }
    }

    /// The number of polls.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// The polls, oldest first.
    pub fn polls(&self) -> impl Iterator<Item = Record> {
        let scale = if self.is_coarse { COARSE } else { FINE };
        let (count, mut at_ns) = (usize::from(self.count), self.first_ns);
        let begins = self.widths.map(|width| usize::from(width) * count);
        let begins = [0, begins[0], begins[0] + begins[1]];
        (0..count).map(move |i| {
            let value = |k: usize| {
                let column = Column { least: self.leasts[k], width: self.widths[k] };
                let width = usize::from(column.width);
                column.value(read(&self.bits, begins[k] + i * width, width))
            };
            at_ns = at_ns.wrapping_add(value(0));
            let (ending, way) = self.endings.get(i).copied().unwrap_or(self.common);
            Record { at_ns, offset_s: value(1) as f64 / scale, delay_s: value(2) as f64 / scale, ending, way }
        })
    }

    /// What it holds outside of itself, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bits.len() + self.endings.len() * size_of::<(Ending, Option<Timestamping>)>()
    }
}

impl Column {
    fn of(values: &[i64]) -> Self {
        let (least, most) = values.iter().fold((i64::MAX, i64::MIN), |(a, b), value| (a.min(*value), b.max(*value)));
        let span = if values.is_empty() { 0 } else { most.wrapping_sub(least).cast_unsigned() };
        Self { least, width: (u64::BITS - span.leading_zeros()) as u8 }
    }

    fn offset(self, value: i64) -> u64 {
        value.wrapping_sub(self.least).cast_unsigned()
    }

    fn value(self, offset: u64) -> i64 {
        self.least.wrapping_add(offset.cast_signed())
    }
}

/// Numbers one after another, the lowest bit first.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    /// Appends the lowest `width` bits of `value`, which has no others.
    fn push(&mut self, value: u64, width: u8) {
        let (first, shifted) = (self.count / 8, u128::from(value) << (self.count % 8));
        self.count += usize::from(width);
        self.bytes.resize(self.count.div_ceil(8), 0);
        for (octet, part) in self.bytes.iter_mut().skip(first).zip(shifted.to_le_bytes()) {
            *octet |= part;
        }
    }
}

/// The number of `width` bits that begins at a bit.
fn read(bytes: &[u8], begin: usize, width: usize) -> u64 {
    let (first, shift) = (begin / 8, begin % 8);
    let mut window = [0; 16];
    let end = bytes.len().min(first + 9);
    window[..end - first.min(end)].copy_from_slice(&bytes[first.min(end)..end]);
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    (u128::from_le_bytes(window) >> shift) as u64 & mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::testing::{lost, sample};

    fn record(at_ns: i64, offset_s: f64, delay_s: f64, is_lost: bool) -> Record {
        let ending = Ending::of(&if is_lost { lost(0.0) } else { sample(0.0, 0.0, 0.01) });
        Record { at_ns, offset_s, delay_s, ending, way: (!is_lost).then_some(Timestamping::Kernel) }
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
    fn polls_over_the_internet_take_eleven_bytes() {
        let polls: Vec<_> = (0..32_i64)
            .map(|k| {
                let noise = (k * 7919 % 32) as f64 / 32.0 - 0.5;
                record(k * 16_000_000_000 + k * 104_729 % 7 * 300_000_000, noise * 4e-4, 0.02 + noise * 4e-4, false)
            })
            .collect();
        let bytes = Block::of(&polls).memory_bytes();
        assert!(bytes <= 11 * 32, "{bytes}");
        assert_kept(&polls, 4e-12);
    }

    proptest! {
        #[test]
        fn any_polls_come_back(
            polls in prop::collection::vec((any::<i64>(), -4.3e9..4.3e9_f64, 0.0..4.3e9_f64, any::<bool>()), 0..40),
        ) {
            let mut polls: Vec<_> = polls.into_iter().map(|(at, o, d, lost)| record(at / 4, o, d, lost)).collect();
            polls.sort_by_key(|poll| poll.at_ns);
            assert_kept(&polls, 1e-6);
        }
    }
}
