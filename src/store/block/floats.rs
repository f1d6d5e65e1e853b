//! Sequences of floating-point numbers. Offsets, delays and what servers report are multiples of a power of two,
//! because they are differences of NTP timestamps; such sequences are encoded as integers. Any other sequence is
//! encoded by the bits of its numbers.

use super::ints::{self, take};

/// In place of a power: the values are the bits of the numbers.
const BITS: u8 = 255;
/// The largest power of two by which a sequence is multiplied.
const MOST: u8 = 120;
/// The magnitude of the integers is below two to this power.
const LARGEST: i32 = 62;

/// Appends `values`; nothing for an empty sequence.
pub(super) fn encode(values: &[f64], out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    match common_power(values) {
        Some(power) => {
            out.push(power);
            ints::encode(&values.iter().map(|value| (value * two_to(power)) as i64).collect::<Vec<_>>(), out);
        }
        None => {
            out.push(BITS);
            ints::encode(&values.iter().map(|value| value.to_bits().cast_signed()).collect::<Vec<_>>(), out);
        }
    }
}

/// Reads a sequence of `count` values; `None` if the bytes are not a valid encoding.
pub(super) fn decode(rest: &mut &[u8], count: usize) -> Option<Vec<f64>> {
    if count == 0 {
        return Some(Vec::new());
    }
    let power = take(rest, 1)?[0];
    let values = ints::decode(rest, count)?.into_iter();
    match power {
        BITS => Some(values.map(|bits| f64::from_bits(bits.cast_unsigned())).collect()),
        0..=MOST => Some(values.map(|value| value as f64 / two_to(power)).collect()),
        _ => None,
    }
}

/// Two to the power of `power`, exactly.
fn two_to(power: u8) -> f64 {
    f64::from_bits((1023 + u64::from(power)) << 52)
}

/// The least power of two that makes all values integers; `None` if there is none.
fn common_power(values: &[f64]) -> Option<u8> {
    let (mut power, mut top) = (0, i32::MIN);
    for value in values {
        let Some((lowest, highest)) = bits_of(*value)? else { continue };
        power = power.max(-lowest);
        top = top.max(highest);
    }
    let power = u8::try_from(power).ok().filter(|power| *power <= MOST)?;
    (top.saturating_add(i32::from(power)) < LARGEST).then_some(power)
}

/// The exponents of the lowest and the highest set bit of a number: `Some(None)` for zero, `None` for numbers that are
/// no integers: negative zero, infinities and NaN. Subnormal numbers are too small for any power anyway.
fn bits_of(value: f64) -> Option<Option<(i32, i32)>> {
    let bits = value.to_bits();
    if bits == 0 {
        return Some(None);
    }
    if !value.is_normal() {
        return None;
    }
    let exponent = (bits >> 52 & 0x7ff) as i32 - 1023;
    let fraction = bits & ((1 << 52) - 1);
    let below = if fraction == 0 { 0 } else { 52 - fraction.trailing_zeros() as i32 };
    Some(Some((exponent - below, exponent)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(values: &[f64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        bytes
    }

    #[track_caller]
    fn comes_back(values: &[f64]) {
        let bytes = encoded(values);
        let mut rest = &bytes[..];
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let read = decode(&mut rest, values.len()).unwrap();
        assert_eq!((bits(&read), rest), (bits(values), &[][..]), "{values:?}");
    }

    #[test]
    fn every_pair_of_edge_values_comes_back_bit_by_bit() {
        let tiny = f64::from_bits(1);
        let edges = [0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 1e-9, 2_f64.powi(-120), 2_f64.powi(-121), 2_f64.powi(61)];
        let more = [2_f64.powi(62), -(2_f64.powi(63)), f64::MAX, f64::MIN, f64::MIN_POSITIVE, tiny, f64::EPSILON];
        let odd = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001)];
        let all: Vec<f64> = edges.into_iter().chain(more).chain(odd).collect();
        comes_back(&[]);
        for a in &all {
            comes_back(&[*a]);
            for b in &all {
                comes_back(&[*a, *b, *a]);
            }
        }
    }

    #[test]
    fn differences_of_ntp_timestamps_take_their_noise_only() {
        let offsets: Vec<f64> = (0..32).map(|n| (4_000_000 + n * 7919 % 4096) as f64 / 2_f64.powi(33)).collect();
        assert!(encoded(&offsets).len() <= 6 + 48, "twelve bits each: {}", encoded(&offsets).len());
    }

    proptest! {
        #[test]
        fn any_bits_come_back(bits in prop::collection::vec(any::<u64>(), 0..70)) {
            comes_back(&bits.into_iter().map(f64::from_bits).collect::<Vec<_>>());
        }

        #[test]
        fn any_fractions_come_back(parts in prop::collection::vec(any::<i64>(), 0..70), power in 0..70) {
            comes_back(&parts.into_iter().map(|part| part as f64 / 2_f64.powi(power)).collect::<Vec<_>>());
        }

        #[test]
        fn any_ordinary_numbers_come_back(values in prop::collection::vec(-1e3..1e3_f64, 0..70)) {
            comes_back(&values);
        }
    }
}
