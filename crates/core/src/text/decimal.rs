//! Appends numbers to a buffer as text. This is most of the work of writing a line, and most numbers are short.

/// Whole numbers up to this are exact as `f64` and as `i64`.
const LARGEST_WHOLE: f64 = 9.0e15;

/// Appends the shortest decimal that reads back to the same value, never with an exponent. `value` is finite. Of two
/// equally near decimals it takes the even one; the standard library takes the larger.
pub fn push_f64(out: &mut Vec<u8>, value: f64) {
    let whole = value as i64;
    if value.abs() > LARGEST_WHOLE || (whole as f64).to_bits() != value.to_bits() {
        push_shortest(out, zmij::Buffer::new().format_finite(value));
    } else {
        push_i64(out, whole);
    }
}

/// Appends a decimal such as `-1.5e-7` without an exponent.
fn push_shortest(out: &mut Vec<u8>, decimal: &str) {
    let (mantissa, exponent) = decimal.split_once('e').unwrap_or((decimal, "0"));
    let exponent: i32 = exponent.parse().expect("an exponent is a whole number");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // A whole number has a single zero after the point.
    let fraction = if fraction == "0" { "" } else { fraction };
    out.extend_from_slice(sign.as_bytes());
    if exponent == 0 {
        out.extend_from_slice(whole.as_bytes());
        push_fraction(out, 0, "", fraction);
    } else if exponent < 0 {
        // With an exponent there is one digit before the point.
        out.push(b'0');
        push_fraction(out, exponent.unsigned_abs() as usize - 1, whole, fraction);
    } else {
        let moved = fraction.len().min(exponent.unsigned_abs() as usize);
        out.extend_from_slice(whole.as_bytes());
        out.extend_from_slice(&fraction.as_bytes()[..moved]);
        out.resize(out.len() + exponent.unsigned_abs() as usize - moved, b'0');
        push_fraction(out, 0, "", &fraction[moved..]);
    }
}

/// Appends a point, zeros and digits; nothing when there is no digit.
fn push_fraction(out: &mut Vec<u8>, zeros: usize, first: &str, rest: &str) {
    if !first.is_empty() || !rest.is_empty() {
        out.push(b'.');
        out.resize(out.len() + zeros, b'0');
        out.extend_from_slice(first.as_bytes());
        out.extend_from_slice(rest.as_bytes());
    }
}

/// Appends an integer.
pub fn push_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(out, value.unsigned_abs());
}

/// Appends a count.
pub fn push_u64(out: &mut Vec<u8>, value: u64) {
    let digits = value.checked_ilog10().unwrap_or(0) as usize + 1;
    push_padded(out, value, digits);
}

/// Appends the last `digits` decimal digits of `value`, with leading zeros.
pub fn push_padded(out: &mut Vec<u8>, mut value: u64, digits: usize) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Appends nanoseconds as seconds with nine decimals.
pub fn push_nanos(out: &mut Vec<u8>, ns: i64) {
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
    fn a_number_between_two_decimals_reads_back_to_itself() {
        for value in (-40..-24).map(|log2| 2.0_f64.powi(log2)).chain([-5_025_577_473_684_473.0 / 4.0]) {
            let written = text(|out| push_f64(out, value));
            assert_eq!(written.parse::<f64>().unwrap().to_bits(), value.to_bits());
            assert_eq!(written.len(), value.to_string().len());
        }
    }

    #[test]
    fn numbers_at_the_edges_are_those_of_the_standard_library() {
        for value in [
            0.0,
            -0.0,
            1.0,
            -64.0,
            9.0e15,
            9.1e15,
            1.5e16,
            1.234_567_890_123_456_7e16,
            -1e300,
            1.5e300,
            1e-300,
            0.1,
            1e-5,
            -1.5e-7,
            5e-324,
            f64::MAX,
            f64::MIN_POSITIVE,
            i64::MIN as f64,
        ] {
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
        fn numbers_are_those_of_the_standard_library(whole in -1_000_000_i64..1_000_000, integer: i64) {
            prop_assert_eq!(text(|out| push_f64(out, whole as f64)), (whole as f64).to_string());
            prop_assert_eq!(text(|out| push_i64(out, integer)), integer.to_string());
        }

        // The texts differ for two equally near decimals.
        #[test]
        fn number_round_trips_and_is_as_short_as_in_std(float: f64) {
            let written = text(|out| push_f64(out, float));
            prop_assert_eq!(written.parse::<f64>().unwrap().to_bits(), float.to_bits());
            prop_assert_eq!(written.len(), float.to_string().len());
            prop_assert!(!written.contains('e'));
        }
    }
}
