//! The last values of a series, in eight bytes each.
//!
//! The units are ticks of 1/64 s for times and 2^-32 s, the resolution of NTP timestamps, for values and delays. A number
//! with more significant bits than its field has is rounded, as a floating-point number is. This is the resolution that
//! remains, always far below the noise of a measurement:
//!
//! | field | bits | resolution | up to |
//! |---|---|---|---|
//! | time since the value before | 14 | 1/64 s up to 16 s, then 2^-9 of it: 1/8 s of 64 s | years |
//! | whether it teaches | 1 | | |
//! | delay | 23 | 0.2 ns up to 0.1 ms, then 2^-18 of it: 0.1 µs of 50 ms | a day |
//! | value | 26 | 0.2 ns up to 0.2 ms, then 2^-19 of it: 0.1 µs of 100 ms | 68 years |

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Values that are kept: five and a half hours at a poll interval of 64 s.
pub(super) const KEPT: usize = 320;
/// Memory grows by so many values.
const GROWTH: usize = 16;
/// Times are kept in units of this many seconds.
const TICK_S: f64 = 1.0 / 64.0;
/// Units of values and delays in a second.
const UNITS: f64 = 4_294_967_296.0;
/// Bits of each number below its exponent.
const TIME_BITS: u32 = 9;
const DELAY_BITS: u32 = 18;
const VALUE_BITS: u32 = 19;
/// Where each field begins in the eight bytes; the time begins at 0.
const TEACHES_AT: u32 = 14;
const DELAY_AT: u32 = 15;
const VALUE_AT: u32 = 38;
const NEGATIVE_AT: u32 = 63;

/// A value that is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value {
    /// The value, from the anchor.
    pub value: f64,
    /// The delay and, as if it were one, what else makes the value uncertain.
    pub delay: f64,
    /// Whether the usual level is learned from it.
    pub teaches: bool,
}

/// The newest [`KEPT`] values. An iterator over them starts with the oldest and goes both ways.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Values {
    #[serde(with = "octets")]
    packed: VecDeque<Packed>,
    /// The time of the first value since all were forgotten.
    begin_s: f64,
    /// The times of the oldest and of the newest value, in ticks since then.
    oldest: u64,
    newest: u64,
}

impl Values {
    pub fn len(&self) -> usize {
        self.packed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// The time of the first value since all were forgotten, perhaps no longer kept.
    pub fn begin_s(&self) -> f64 {
        self.begin_s
    }

    pub fn clear(&mut self) {
        self.packed.clear();
    }

    /// Appends a value; the oldest falls out when there are too many. Times only go forward.
    pub fn push(&mut self, t_s: f64, value: Value) {
        if self.packed.is_empty() {
            (self.begin_s, self.oldest, self.newest) = (t_s, 0, 0);
        } else if self.packed.len() == KEPT {
            self.packed.pop_front();
            self.oldest += self.packed.front().map_or(0, |next| next.ticks());
        } else if self.packed.len() == self.packed.capacity() {
            // Never more than are kept: a server has little else in memory.
            self.packed.reserve_exact(GROWTH.min(KEPT - self.packed.len()));
        }
        let ticks = ((t_s - self.begin_s) / TICK_S) as u64;
        let packed = Packed::of(ticks.saturating_sub(self.newest), value);
        // From the time as it is kept, so that rounding does not add up.
        self.newest += packed.ticks();
        self.packed.push_back(packed);
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator {
        self.packed.iter().map(|packed| packed.value())
    }

    /// The newest values with their times, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = (f64, Value)> {
        let mut ticks = self.newest;
        self.packed.iter().rev().map(move |packed| {
            let t_s = self.begin_s + ticks as f64 * TICK_S;
            ticks = ticks.saturating_sub(packed.ticks());
            (t_s, packed.value())
        })
    }

    /// The time of the oldest value that is kept.
    pub fn oldest_s(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.begin_s + self.oldest as f64 * TICK_S)
    }
}

/// A value and the ticks since the value before.
#[derive(Debug, Clone, Copy)]
struct Packed(u64);

impl Packed {
    fn of(ticks: u64, of: Value) -> Self {
        let size = |x_s: f64, bits| rounded(((x_s.abs() * UNITS) as u64).min(i64::MAX as u64), bits);
        // The time is rounded down: no value is later than it was measured.
        let time = floored(ticks, TIME_BITS).min(mask(TEACHES_AT));
        let delay = size(of.delay.max(0.0), DELAY_BITS).min(mask(VALUE_AT - DELAY_AT));
        let value = size(of.value, VALUE_BITS);
        let (teaches, negative) = (u64::from(of.teaches), u64::from(of.value < 0.0));
        Self(time | delay << DELAY_AT | teaches << TEACHES_AT | value << VALUE_AT | negative << NEGATIVE_AT)
    }

    fn ticks(self) -> u64 {
        whole(self.0 & mask(TEACHES_AT), TIME_BITS)
    }

    fn value(self) -> Value {
        let size_s = |at: u32, until: u32, bits| whole(self.0 >> at & mask(until - at), bits) as f64 / UNITS;
        let value = size_s(VALUE_AT, NEGATIVE_AT, VALUE_BITS);
        Value {
            value: if self.0 >> NEGATIVE_AT == 1 { -value } else { value },
            delay: size_s(DELAY_AT, VALUE_AT, DELAY_BITS),
            teaches: self.0 >> TEACHES_AT & 1 == 1,
        }
    }
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// A whole number as an exponent and `bits` bits: numbers of up to one bit more stay as they are, of larger ones the
/// lowest bits are dropped.
fn floored(n: u64, bits: u32) -> u64 {
    let shift = shift(n, bits);
    (u64::from(shift) << bits) + (n >> shift)
}

/// The same, rounded to the nearest. A carry gives the next exponent.
fn rounded(n: u64, bits: u32) -> u64 {
    let shift = shift(n, bits);
    (u64::from(shift) << bits) + ((n + (1 << shift >> 1)) >> shift)
}

fn shift(n: u64, bits: u32) -> u32 {
    (u64::BITS - n.leading_zeros()).saturating_sub(bits + 1)
}

/// The number that [`floored`] or [`rounded`] made smaller.
fn whole(code: u64, bits: u32) -> u64 {
    let exponent = code >> bits;
    if exponent <= 1 { code } else { (code & mask(bits) | 1 << bits) << (exponent - 1) }
}

/// The binary form of the values: as in memory.
mod octets {
    use std::collections::VecDeque;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Packed;

    pub(super) fn serialize<S: Serializer>(values: &VecDeque<Packed>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|packed| packed.0.to_le_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<VecDeque<Packed>, D::Error> {
        let octets = Vec::<[u8; 8]>::deserialize(from)?;
        Ok(octets.into_iter().map(|octets| Packed(u64::from_le_bytes(octets))).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(t_s: f64, value: f64, delay: f64) -> (f64, Value) {
        let mut values = Values::default();
        values.push(0.0, Value { value: 0.0, delay: 0.0, teaches: true });
        values.push(t_s, Value { value, delay, teaches: false });
        values.newest_first().next().unwrap()
    }

    #[test]
    fn memory_is_eight_bytes_for_each_value_that_is_kept() {
        let mut values = Values::default();
        for k in 0..2000 {
            values.push(f64::from(k) * 16.0, Value { value: f64::from(k), delay: 0.01, teaches: k % 2 == 0 });
            assert!(values.packed.capacity() < values.len() + GROWTH);
        }
        assert_eq!((values.packed.capacity(), size_of::<Packed>()), (KEPT, 8));
        assert_eq!(values.oldest_s(), Some(1680.0 * 16.0));
        let oldest = Value { value: 1680.0, delay: kept(1.0, 0.0, 0.01).1.delay, teaches: true };
        assert_eq!(values.iter().next(), Some(oldest));
    }

    #[test]
    fn rounding_of_times_does_not_add_up() {
        for gap_s in [0.01, 64.3, 1000.7, 86_400.9] {
            let mut values = Values::default();
            for k in 0..1000 {
                let t_s = 77.7 + f64::from(k) * gap_s;
                values.push(t_s, Value { value: 0.0, delay: 0.01, teaches: true });
                let newest_s = values.newest_first().next().unwrap().0;
                assert!((0.0..=gap_s / 512.0 + TICK_S).contains(&(t_s - newest_s)), "{t_s}: {newest_s}");
            }
            let last_s = values.newest_first().last().unwrap().0;
            assert_eq!(values.oldest_s(), Some(last_s));
        }
    }

    #[test]
    fn what_is_too_large_is_the_largest() {
        let (t_s, value) = kept(1e9, -1e30, f64::INFINITY);
        assert!((9e8..=1e9).contains(&t_s) && value.value < -2e9 && value.delay > 1e5, "{t_s} {value:?}");
    }

    proptest! {
        #[test]
        fn resolution_is_that_of_the_table(
            sign in prop::bool::ANY, value in -10.0..9.0_f64, delay in -10.0..3.5_f64,
        ) {
            let (value, delay) = (10_f64.powf(value) * if sign { -1.0 } else { 1.0 }, 10_f64.powf(delay));
            let got = kept(1.0, value, delay).1;
            let half = |size: f64, bits: i32| (0.5 * 2_f64.powi(-bits) * size).max(1.0 / UNITS);
            prop_assert!((got.value - value).abs() <= half(value.abs(), 19), "{value} {got:?}");
            prop_assert!((got.delay - delay).abs() <= half(delay, 18), "{delay} {got:?}");
            prop_assert!(!got.teaches);
        }

        #[test]
        fn order_of_numbers_is_kept(a in 0..1_u64 << 62, b in 0..1_u64 << 62) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(rounded(low, 18) <= rounded(high, 18) && floored(low, 9) <= floored(high, 9));
            prop_assert!(whole(floored(low, 9), 9) <= low);
        }
    }
}
