//! Claims of a verdict that the samples must support: across a restart of the machine.

use super::*;

const AT_S: f64 = 15_000.0;

/// Whether any verdict of these worlds says this.
fn is_said(entries: &[Entry], text: &str) -> bool {
    entries.iter().any(|e| e.sentence.contains(text))
}

#[test]
fn clock_set_across_a_restart_is_not_called_unset() {
    for (seed, size_s) in [20.0, -3.0, 0.7, 0.04, -20.0].into_iter().enumerate() {
        let mut world = World::ordinary(seed as u64 + 1, 5, 64.0, 40_000.0);
        world.faults = vec![
            Fault::Pause { from_s: AT_S, until_s: AT_S + 200.0 },
            Fault::LocalStep { at_s: AT_S + 100.0, size_s },
            Fault::LocalStep { at_s: AT_S + 3000.0, size_s: -size_s },
        ];
        // Both clocks that count from the boot begin again.
        let up_ns = 80_000_000_000_000;
        let restarted = world.samples().map(|mut sample| {
            if sample.at.wall_ns > world.start_unix_s * 1_000_000_000 + (AT_S * 1e9) as i64 + 50_000_000_000 {
                sample.at = Stamp::new(sample.at.wall_ns, sample.at.mono_ns - up_ns, sample.at.raw_ns + up_ns);
            }
            sample
        });
        let entries = entries_of(restarted, &mut Attribution::new());
        let states: Vec<_> = entries.iter().map(|e| e.state).collect();
        assert!(!is_said(&entries, "provably"), "{size_s} s: {entries:?}");
        assert_eq!(states, [State::Consistent, State::LocalWrong, State::Consistent], "{size_s} s: {entries:?}");
    }
}
