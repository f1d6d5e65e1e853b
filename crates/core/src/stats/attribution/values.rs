//! The last values of a series, in ten bytes each.
//!
//! Values and delays are numbers of single precision, which is far below the noise of a measurement: 1 ns of 10 ms. The
//! time is that since the value before, in two bytes: in ticks of 1/64 s up to 64 s, then in 2^-11 of itself.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Values that are kept: five and a half hours at a poll interval of 64 s.
pub(super) const KEPT: usize = 320;
/// Memory grows by so many values.
const GROWTH: usize = 16;
/// Times are kept in units of this many seconds.
const TICK_S: f64 = 1.0 / 64.0;
/// Bits of a time below its exponent.
const TIME_BITS: u32 = 11;
/// The shortest delay in seconds: its sign says something else.
const LEAST_DELAY_S: f64 = 1e-12;

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

    /// Changes all values but the newest `newest`.
    pub fn change_before(&mut self, newest: usize, change: impl Fn(&mut Value)) {
        let older = self.packed.len().saturating_sub(newest);
        for packed in self.packed.iter_mut().take(older) {
            let mut value = packed.value();
            change(&mut value);
            *packed = Packed { ticks: packed.ticks, ..Packed::of(0, value) };
        }
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
        (!self.is_empty()).then_some(self.begin_s + self.oldest as f64 * TICK_S)
    }
}

/// A value and the ticks since the value before, without padding.
#[derive(Debug, Clone, Copy)]
struct Packed {
    ticks: [u8; 2],
    value: [u8; 4],
    /// Negative: it does not teach.
    delay: [u8; 4],
}

impl Packed {
    fn of(ticks: u64, of: Value) -> Self {
        let delay = of.delay.max(LEAST_DELAY_S) as f32;
        Self {
            ticks: shortened(ticks).to_le_bytes(),
            value: (of.value as f32).to_le_bytes(),
            delay: if of.teaches { delay } else { -delay }.to_le_bytes(),
        }
    }

    fn ticks(self) -> u64 {
        whole(u16::from_le_bytes(self.ticks))
    }

    fn value(self) -> Value {
        let delay = f64::from(f32::from_le_bytes(self.delay));
        Value { value: f32::from_le_bytes(self.value).into(), delay: delay.abs(), teaches: delay >= 0.0 }
    }
}

/// A whole number as an exponent and [`TIME_BITS`] bits: numbers of up to one bit more stay as they are, of larger ones the
/// lowest bits are dropped. What is too large is the largest, 2000 years.
fn shortened(n: u64) -> u16 {
    let shift = (u64::BITS - n.leading_zeros()).saturating_sub(TIME_BITS + 1);
    u16::try_from((u64::from(shift) << TIME_BITS) + (n >> shift)).unwrap_or(u16::MAX)
}

/// The number that [`shortened`] made shorter.
fn whole(code: u16) -> u64 {
    let (exponent, code) = (code >> TIME_BITS, u64::from(code));
    let mask = (1 << TIME_BITS) - 1;
    if exponent <= 1 { code } else { (code & mask | 1 << TIME_BITS) << (exponent - 1) }
}

/// The binary form of the values: as in memory.
mod octets {
    use std::collections::VecDeque;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Packed;

    pub(super) fn serialize<S: Serializer>(values: &VecDeque<Packed>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|packed| (packed.ticks, packed.value, packed.delay)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<VecDeque<Packed>, D::Error> {
        let octets = Vec::<([u8; 2], [u8; 4], [u8; 4])>::deserialize(from)?;
        Ok(octets.into_iter().map(|(ticks, value, delay)| Packed { ticks, value, delay }).collect())
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
    fn memory_is_ten_bytes_for_each_value_that_is_kept() {
        let mut values = Values::default();
        for k in 0..2000 {
            values.push(f64::from(k) * 16.0, Value { value: f64::from(k), delay: 0.01, teaches: k % 2 == 0 });
            assert!(values.packed.capacity() < values.len() + GROWTH);
        }
        assert_eq!((values.packed.capacity(), size_of::<Packed>()), (KEPT, 10));
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
                assert!((0.0..=gap_s / 2048.0 + TICK_S).contains(&(t_s - newest_s)), "{t_s}: {newest_s}");
            }
            let last_s = values.newest_first().last().unwrap().0;
            assert_eq!(values.oldest_s(), Some(last_s));
        }
    }

    #[test]
    fn values_after_a_gap_of_months_keep_their_times() {
        let day_s = 86_400.0;
        for gap_s in [25.0 * day_s, 60.0 * day_s, 3000.0 * day_s] {
            let mut values = Values::default();
            let times_s = [0.0, 64.0, 128.0, 192.0].map(|t_s| gap_s + t_s);
            for t_s in [-64.0, 0.0].into_iter().chain(times_s) {
                values.push(t_s, Value { value: 0.0, delay: 0.01, teaches: true });
            }
            let mut newest = values.newest_first();
            for t_s in times_s.into_iter().rev() {
                let kept_s = newest.next().unwrap().0;
                assert!((0.0..=gap_s / 2048.0 + TICK_S).contains(&(t_s - kept_s)), "{t_s}: {kept_s}");
            }
        }
    }

    #[test]
    fn time_that_is_too_large_is_the_largest() {
        assert!((6e10..1e15).contains(&kept(1e15, 0.0, 0.01).0));
        assert_eq!((whole(u16::MAX), shortened(u64::MAX)), (4095 << 30, u16::MAX));
    }

    proptest! {
        #[test]
        fn values_and_delays_have_single_precision(value in -1e9..1e9_f64, delay in 1e-9..1e3_f64) {
            let expected = Value { value: f64::from(value as f32), delay: f64::from(delay as f32), teaches: false };
            prop_assert_eq!(kept(1.0, value, delay).1, expected);
        }

        #[test]
        fn order_of_times_is_kept(a in 0..1_u64 << 40, b in 0..1_u64 << 40) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(shortened(low) <= shortened(high) && whole(shortened(low)) <= low);
            prop_assert!(low >= 4095 << 30 || low - whole(shortened(low)) <= low >> TIME_BITS);
        }
    }
}
