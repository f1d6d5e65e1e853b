//! Numbers as text, appended to a buffer. Writing numbers is most of the work of a line, and most of them are short.

use std::io::Write as _;

/// Whole numbers up to here are exact in 64 bits of floating point, and of integers.
const LARGEST_WHOLE: f64 = 9.0e15;

/// Appends the shortest decimal that reads back to the same value, never with an exponent. `value` is finite.
pub(super) fn push_f64(out: &mut Vec<u8>, value: f64) {
    let whole = value as i64;
    // A zero with a sign is left to the standard library, which shows it.
    if value.abs() <= LARGEST_WHOLE && (whole as f64).to_bits() == value.to_bits() {
        push_i64(out, whole);
    } else {
        write!(out, "{value}").expect("writing to memory does not fail");
    }
}

/// Appends an integer.
pub(super) fn push_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(out, value.unsigned_abs());
}

/// Appends a count.
pub(super) fn push_u64(out: &mut Vec<u8>, value: u64) {
    let digits = value.checked_ilog10().unwrap_or(0) as usize + 1;
    push_padded(out, value, digits);
}

/// Appends the last `digits` decimal digits of `value`, with leading zeros.
pub(super) fn push_padded(out: &mut Vec<u8>, mut value: u64, digits: usize) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Appends nanoseconds as seconds with nine decimals.
pub(super) fn push_nanos(out: &mut Vec<u8>, ns: i64) {
    if ns < 0 {
        out.push(b'-');
    }
    push_u64(out, ns.unsigned_abs() / 1_000_000_000);
    out.push(b'.');
    push_padded(out, ns.unsigned_abs() % 1_000_000_000, 9);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_at_the_edges_are_those_of_the_standard_library() {
        for value in [0.0, -0.0, 1.0, -64.0, 9.0e15, 9.1e15, -1e300, 1e-300, 0.1, f64::MAX, i64::MIN as f64] {
            assert_eq!(text(|out| push_f64(out, value)), value.to_string());
        }
        for value in [0, 9, 10, -1, i64::MIN, i64::MAX] {
            assert_eq!(text(|out| push_i64(out, value)), value.to_string());
        }
        assert_eq!(text(|out| push_u64(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(text(|out| push_nanos(out, -1)), "-0.000000001");
        assert_eq!(text(|out| push_nanos(out, 2_500_000_000)), "2.500000000");
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_standard_library(float: f64, whole in -1_000_000_i64..1_000_000, integer: i64) {
            prop_assert_eq!(text(|out| push_f64(out, float)), float.to_string());
            prop_assert_eq!(text(|out| push_f64(out, whole as f64)), (whole as f64).to_string());
            prop_assert_eq!(text(|out| push_i64(out, integer)), integer.to_string());
        }
    }
}
