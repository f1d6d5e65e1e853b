//! The columns of a block. A column that is empty, or zero throughout, is one bit in the mask at the start.

use std::borrow::Cow;

use super::ints::{put_varint, take, take_varint};
use super::{floats, ints};

/// The form of a column that is encoded as differences from expected values.
const NEAR: u8 = 1;
const PLAIN: u8 = 0;
/// The units of an NTP timestamp per second. Reference ages are whole numbers of these units.
const TICKS_PER_S: f64 = 4_294_967_296.0;
const LONGEST_AGE_TICKS: f64 = (1_u64 << 62) as f64;

/// Columns being written.
#[derive(Debug, Default)]
pub(super) struct Columns {
    mask: u64,
    count: u32,
    bytes: Vec<u8>,
}

impl Columns {
    fn next(&mut self, is_there: bool) -> Option<&mut Vec<u8>> {
        self.mask |= u64::from(is_there) << self.count;
        self.count += 1;
        is_there.then_some(&mut self.bytes)
    }

    pub(super) fn ints(&mut self, values: impl Iterator<Item = i64>) {
        let values: Vec<i64> = values.collect();
        if let Some(bytes) = self.next(values.iter().any(|value| *value != 0)) {
            ints::encode(&values, bytes);
        }
    }

    pub(super) fn floats(&mut self, values: impl Iterator<Item = f64>) {
        let values: Vec<f64> = values.collect();
        if let Some(bytes) = self.next(values.iter().any(|value| value.to_bits() != 0)) {
            floats::encode(&values, bytes);
        }
    }

    /// Numbers that are close to the `expected` ones, which the reader can compute.
    pub(super) fn near(&mut self, values: &[f64], expected: impl Iterator<Item = f64>) {
        let from = values.iter().zip(expected);
        let differences = from.map(|(value, expected)| bits(*value).wrapping_sub(bits(expected))).collect::<Vec<_>>();
        self.shorter(values, Some(&differences));
    }

    /// Ages of events that rarely change, so that they mostly grow with the wall clock.
    pub(super) fn ages(&mut self, ages_s: &[f64], walls_ns: impl Iterator<Item = i64>) {
        let differences = ages_s.iter().zip(walls_ns).map(|(age_s, wall_ns)| {
            let ticks = age_s * TICKS_PER_S;
            let is_exact = ticks.fract() == 0.0 && ticks.abs() < LONGEST_AGE_TICKS && bits(*age_s) != bits(-0.0);
            is_exact.then(|| (ticks as i64).wrapping_sub(wall_ticks(wall_ns)))
        });
        let differences: Option<Vec<i64>> = differences.collect();
        self.shorter(ages_s, differences.as_deref());
    }

    fn shorter(&mut self, values: &[f64], differences: Option<&[i64]>) {
        let Some(bytes) = self.next(!values.is_empty()) else { return };
        let mut plain = vec![PLAIN];
        floats::encode(values, &mut plain);
        if let Some(differences) = differences {
            let mut near = vec![NEAR];
            ints::encode(differences, &mut near);
            if near.len() < plain.len() {
                plain = near;
            }
        }
        bytes.append(&mut plain);
    }

    pub(super) fn texts<'a>(&mut self, texts: impl Iterator<Item = Cow<'a, str>>) {
        let (mut places, mut known) = (Vec::new(), Vec::<Cow<'a, str>>::new());
        for text in texts {
            let place = known.iter().position(|one| *one == text).unwrap_or_else(|| {
                known.push(text);
                known.len() - 1
            });
            places.push(place as i64);
        }
        let Some(bytes) = self.next(!places.is_empty()) else { return };
        put_varint(bytes, known.len() as u64);
        for text in known {
            put_varint(bytes, text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        }
        ints::encode(&places, bytes);
    }

    pub(super) fn finish(self, bytes: &mut Vec<u8>) {
        put_varint(bytes, self.mask);
        bytes.extend_from_slice(&self.bytes);
    }
}

/// Columns being read, in the order in which they were written.
#[derive(Debug)]
pub(super) struct Reading<'r, 'b> {
    mask: u64,
    rest: &'r mut &'b [u8],
}

impl<'r, 'b> Reading<'r, 'b> {
    pub(super) fn begin(rest: &'r mut &'b [u8]) -> Option<Self> {
        Some(Self { mask: take_varint(rest)?, rest })
    }

    fn is_there(&mut self) -> bool {
        let is_there = self.mask & 1 != 0;
        self.mask >>= 1;
        is_there
    }

    pub(super) fn ints(&mut self, count: usize) -> Option<Vec<i64>> {
        if self.is_there() { ints::decode(self.rest, count) } else { Some(vec![0; count]) }
    }

    pub(super) fn floats(&mut self, count: usize) -> Option<Vec<f64>> {
        if self.is_there() { floats::decode(self.rest, count) } else { Some(vec![0.0; count]) }
    }

    pub(super) fn near(&mut self, expected: &[f64]) -> Option<Vec<f64>> {
        self.differing(expected.len(), |n, difference| {
            f64::from_bits(bits(expected[n]).wrapping_add(difference).cast_unsigned())
        })
    }

    pub(super) fn ages(&mut self, walls_ns: &[i64]) -> Option<Vec<f64>> {
        self.differing(walls_ns.len(), |n, difference| {
            difference.wrapping_add(wall_ticks(walls_ns[n])) as f64 / TICKS_PER_S
        })
    }

    fn differing(&mut self, count: usize, value: impl Fn(usize, i64) -> f64) -> Option<Vec<f64>> {
        if !self.is_there() {
            return (count == 0).then(Vec::new);
        }
        match *take(self.rest, 1)? {
            [PLAIN] => floats::decode(self.rest, count),
            [NEAR] => Some(ints::decode(self.rest, count)?.into_iter().enumerate().map(|(n, d)| value(n, d)).collect()),
            _ => None,
        }
    }

    pub(super) fn texts(&mut self, count: usize) -> Option<Vec<String>> {
        if !self.is_there() {
            return (count == 0).then(Vec::new);
        }
        let mut known = Vec::new();
        for _ in 0..take_varint(self.rest)? {
            let length = usize::try_from(take_varint(self.rest)?).ok()?;
            known.push(str::from_utf8(take(self.rest, length)?).ok()?);
        }
        let places = ints::decode(self.rest, count)?;
        places.into_iter().map(|place| Some((*known.get(usize::try_from(place).ok()?)?).to_owned())).collect()
    }
}

fn bits(value: f64) -> i64 {
    value.to_bits().cast_signed()
}

/// The wall clock in units of an NTP timestamp (2^-32 s).
fn wall_ticks(wall_ns: i64) -> i64 {
    ((i128::from(wall_ns) << 32) / 1_000_000_000) as i64
}
