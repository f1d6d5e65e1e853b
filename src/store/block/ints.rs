//! Sequences of integers, encoded as differences in as few bits as their spread needs.
//!
//! A sequence begins with one byte: the order of the differences (0 to 2), and either the width of each remainder in
//! bits or a code for remainders as varints. The shortest of these forms is used. Arithmetic wraps, so every sequence
//! is restored exactly.

/// The width code of remainders that are varints.
const VARINTS: u8 = 65;
const FORMS: u8 = 66;

/// Appends `values`; nothing for an empty sequence.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let forms = (0..3.min(values.len())).flat_map(|order| {
        let (seeds, rest) = differences(values, order);
        [packed(order, &seeds, &rest), varints(order, &seeds, &rest)]
    });
    if let Some(shortest) = forms.min_by_key(Vec::len) {
        out.extend_from_slice(&shortest);
    }
}

/// Reads a sequence of `count` values; `None` if the bytes are not a valid encoding.
pub(super) fn decode(rest: &mut &[u8], count: usize) -> Option<Vec<i64>> {
    if count == 0 {
        return Some(Vec::new());
    }
    let form = take(rest, 1)?[0];
    let (order, width) = (usize::from(form / FORMS), form % FORMS);
    if order >= 3.min(count) {
        return None;
    }
    let seeds = (0..order).map(|_| take_signed(rest)).collect::<Option<Vec<_>>>()?;
    let mut values = match width {
        VARINTS => (order..count).map(|_| take_signed(rest)).collect::<Option<Vec<_>>>()?,
        _ => unpack(rest, count - order, u32::from(width))?,
    };
    for seed in seeds.into_iter().rev() {
        let mut last = seed;
        values.insert(0, seed);
        for value in &mut values[1..] {
            last = last.wrapping_add(*value);
            *value = last;
        }
    }
    Some(values)
}

/// The differences of the given order, and the first value of each lower order.
fn differences(values: &[i64], order: usize) -> (Vec<i64>, Vec<i64>) {
    let (mut seeds, mut rest) = (Vec::new(), values.to_vec());
    for _ in 0..order {
        seeds.push(rest[0]);
        rest = rest.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    }
    (seeds, rest)
}

fn begin(order: usize, width: u8, seeds: &[i64]) -> Vec<u8> {
    let mut bytes = vec![order as u8 * FORMS + width];
    seeds.iter().for_each(|seed| put_signed(&mut bytes, *seed));
    bytes
}

fn varints(order: usize, seeds: &[i64], rest: &[i64]) -> Vec<u8> {
    let mut bytes = begin(order, VARINTS, seeds);
    rest.iter().for_each(|value| put_signed(&mut bytes, *value));
    bytes
}

/// The smallest value, and the difference of each value from it.
fn packed(order: usize, seeds: &[i64], rest: &[i64]) -> Vec<u8> {
    let least = rest.iter().copied().min().unwrap_or(0);
    let above = |value: &i64| value.wrapping_sub(least).cast_unsigned();
    let width = 64 - rest.iter().map(above).max().unwrap_or(0).leading_zeros();
    let mut bytes = begin(order, width as u8, seeds);
    put_signed(&mut bytes, least);
    let (mut held, mut bits) = (0_u128, 0);
    for value in rest {
        held |= u128::from(above(value)) << bits;
        bits += width;
        while bits >= 8 {
            bytes.push(held as u8);
            (held, bits) = (held >> 8, bits - 8);
        }
    }
    if bits > 0 {
        bytes.push(held as u8);
    }
    bytes
}

fn unpack(rest: &mut &[u8], count: usize, width: u32) -> Option<Vec<i64>> {
    let least = take_signed(rest)?;
    let mut bytes = take(rest, (count * width as usize).div_ceil(8))?.iter();
    let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
    let (mut held, mut bits) = (0_u128, 0);
    let mut next = || {
        while bits < width {
            held |= u128::from(*bytes.next()?) << bits;
            bits += 8;
        }
        let above = held as u64 & mask;
        (held, bits) = (held >> width, bits - width);
        Some(least.wrapping_add(above.cast_signed()))
    };
    (0..count).map(|_| next()).collect()
}

pub(super) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

pub(super) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn put_signed(bytes: &mut Vec<u8>, value: i64) {
    put_varint(bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

fn take_signed(rest: &mut &[u8]) -> Option<i64> {
    let value = take_varint(rest)?;
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// Splits off the first `count` bytes.
pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(values: &[i64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        bytes
    }

    #[track_caller]
    fn comes_back(values: &[i64]) {
        let bytes = [encoded(values), vec![7, 7]].concat();
        let mut rest = &bytes[..];
        assert_eq!(decode(&mut rest, values.len()).as_deref(), Some(values));
        assert_eq!(rest, [7, 7], "what follows is left");
    }

    #[test]
    fn every_short_sequence_of_edge_values_comes_back() {
        let edges = [0, 1, -1, 63, 64, -64, -65, 127, 128, 255, 256, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1];
        comes_back(&[]);
        for a in edges {
            comes_back(&[a]);
            for b in edges {
                comes_back(&[a, b]);
                for c in edges {
                    comes_back(&[a, b, c]);
                    comes_back(&[a, b, c, a]);
                }
            }
        }
    }

    #[test]
    fn every_width_comes_back() {
        for width in 0..64 {
            let top = 1_i64.wrapping_shl(width);
            comes_back(&[0, top, top.wrapping_sub(1), top.wrapping_neg(), 3, top, 0, 1]);
        }
    }

    #[test]
    fn regular_sequences_take_a_few_bytes() {
        let constant: Vec<i64> = vec![1_767_225_600_000_000_000; 32];
        let rising: Vec<i64> = (0..32).map(|n| 1_767_225_600_000_000_000 + n * 16_000_000_000).collect();
        assert!(encoded(&constant).len() <= 11 && encoded(&rising).len() <= 18);
        let noisy: Vec<i64> = (0..32).map(|n| n * 7919 % 1024).collect();
        assert!(encoded(&noisy).len() <= 2 + 40, "ten bits each: {}", encoded(&noisy).len());
    }

    proptest! {
        #[test]
        fn any_sequence_comes_back(values in prop::collection::vec(any::<i64>(), 0..80)) {
            comes_back(&values);
        }

        #[test]
        fn any_walk_comes_back(start: i64, steps in prop::collection::vec(-1_000_000_i64..1_000_000, 0..80)) {
            let walk = steps.iter().scan(start, |at, step| { *at = at.wrapping_add(*step); Some(*at) });
            comes_back(&walk.collect::<Vec<_>>());
        }

        #[test]
        fn foreign_bytes_are_refused_or_read_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            count in 0..100_usize,
        ) {
            let mut rest = &bytes[..];
            prop_assert!(decode(&mut rest, count).is_none_or(|values| values.len() == count));
        }
    }
}
