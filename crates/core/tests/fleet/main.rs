//! The fleet's verdict over seeded worlds whose truth is known. The usual run takes seconds; `NTP_MONITOR_FLEET_SEEDS=200`
//! makes the long one, with a row for each kind.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a failed unwrap is a failed test

mod kinds;
mod score;

use kinds::KINDS;
use score::Total;

/// How many worlds of each kind: what the environment says, or a few.
fn seeds() -> u64 {
    std::env::var("NTP_MONITOR_FLEET_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// Seeds of worlds that were not looked at while the rules were made.
const HELD_OUT: u64 = 1_000_000;

#[test]
fn worlds_are_judged_right_and_nobody_is_accused_wrongly() {
    let (seeds, only) = (seeds(), std::env::var("NTP_MONITOR_FLEET_KIND").ok().filter(|it| !it.is_empty()));
    let mut all = Total::default();
    for (name, make) in KINDS.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| name.contains(only.as_str()))) {
        let mut of_kind = Total::default();
        for seed in 0..seeds {
            let seed = if seed % 3 == 2 { HELD_OUT + seed } else { seed };
            of_kind.add(&score::judge(&make(seed)), seed);
        }
        println!("{name:<36} {of_kind}");
        all.merge(&of_kind);
    }
    println!("{:<36} {all}", "all");
    assert!(all.right() >= 0.98, "{all}");
    assert_eq!(all.wrong, 0, "{all}");
    assert!(all.contained() >= 0.999, "{all}");
    assert_eq!(all.outside_strict, 0, "{all}");
}
