//! Percentages with two decimals that add up to 100 %, and that never round an incomplete share up to 100 %.

use super::units::NOTHING;

/// One hundred per cent in the smallest unit that is shown, 0.01 %.
const WHOLE: u64 = 10_000;

/// A share between 0 and 1, such as `99.95 %`. Only a complete share is `100.00 %`, and only an empty one is `0.00 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    let [text, _] = percentages([share, 1.0 - share]);
    text
}

/// The parts of a whole as percentages that add up to 100.00 %, by the method of the largest remainder. A part that is
/// not zero shows at least 0.01 %. Without any part there is nothing to show.
#[must_use]
pub fn percentages<const N: usize>(parts: [f64; N]) -> [String; N] {
    let parts = parts.map(|part| if part.is_finite() { part.max(0.0) } else { 0.0 });
    let total: f64 = parts.iter().sum();
    if total <= 0.0 {
        return std::array::from_fn(|_| NOTHING.to_owned());
    }
    units(parts.map(|part| part / total)).map(|units| format!("{}.{:02} %", units / 100, units % 100))
}

/// The shares in units of 0.01 %, with the sum [`WHOLE`].
fn units<const N: usize>(shares: [f64; N]) -> [u64; N] {
    // A share of 0.07 must not become 6.99 % because the product is a little below 700.
    let exact = shares.map(|share| share * WHOLE as f64 + 1e-9);
    let mut units: [u64; N] = std::array::from_fn(|n| (exact[n] as u64).max(u64::from(shares[n] > 0.0)));
    let mut by_remainder: Vec<usize> = (0..N).filter(|n| exact[*n] >= 1.0).collect();
    by_remainder.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    for n in by_remainder.into_iter().cycle().take(N) {
        if units.iter().sum::<u64>() >= WHOLE {
            break;
        }
        units[n] += 1;
    }
    while units.iter().sum::<u64>() > WHOLE {
        if let Some(largest) = units.iter_mut().max() {
            *largest -= 1;
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_complete_shares_are_called_complete() {
        let shown = [1.0, 0.999_999, 0.07, 1e-9, 0.0].map(percent);
        assert_eq!(shown, ["100.00 %", "99.99 %", "7.00 %", "0.01 %", "0.00 %"]);
    }

    #[test]
    fn thirds_add_up_to_a_hundred() {
        assert_eq!(percentages([1.0, 1.0, 1.0]), ["33.34 %", "33.33 %", "33.33 %"]);
        assert_eq!(percentages([0.0, 0.0]), [NOTHING, NOTHING]);
    }

    proptest! {
        #[test]
        fn any_parts_add_up_and_small_ones_are_shown(parts in prop::array::uniform5(prop_oneof![
            2 => 0.0..1.0_f64, 1 => Just(0.0), 1 => 0.0..1e-7_f64
        ])) {
            let total: f64 = parts.iter().sum();
            prop_assume!(total > 0.0);
            let units = units(parts.map(|part| part / total));
            prop_assert_eq!(units.iter().sum::<u64>(), WHOLE);
            for (part, units) in parts.into_iter().zip(units) {
                prop_assert_eq!(part > 0.0, units > 0);
                prop_assert!(part == total || units < WHOLE);
                prop_assert!((units as f64 - part / total * WHOLE as f64).abs() <= 5.0);
            }
        }
    }
}
