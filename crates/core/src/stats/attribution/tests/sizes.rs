//! The numbers of an accusation are those of the error.

use super::*;

/// The verdicts on a server that accuse it without a proof: the size that they state, and the sentence.
fn inferred(world: &World, server: &str) -> Vec<(Option<f64>, String)> {
    let (mut attribution, mut said) = (Attribution::new(), Vec::new());
    for sample in world.samples() {
        if attribution.observe(&sample) == Ok(true) {
            let verdict = attribution.verdict();
            let of_server = verdict.blamed().filter(|it| &*it.server == server && !it.proven);
            said.extend(of_server.map(|it| (it.size_s, it.sentence.clone())));
        }
    }
    said
}

/// The level of a server that is wrong from the start is learned from wrong replies, which are not far from it.
#[test]
fn error_from_the_start_is_not_described_by_a_residue() {
    let mut inferred_words = 0;
    for seed in [1, 4, 6, 10] {
        let mut world = World::lan(seed, 5, 64.0, 57_600.0);
        world.faults = vec![Fault::ServerStep { server: 1, at_s: 0.0, size_s: 0.001_05 }];
        for (stated_s, sentence) in inferred(&world, "ntp2") {
            assert!(stated_s.is_none_or(|it| (0.000_3..0.001_6).contains(&it)), "seed {seed}: {sentence}");
            assert_eq!(stated_s.is_some(), sentence.contains("it moved by"), "{sentence}");
            inferred_words += 1;
        }
    }
    assert!(inferred_words > 20);
}

#[test]
fn bad_replies_that_come_and_go_are_described_by_their_median() {
    for seed in [3, 6, 8, 9] {
        let mut world = World::ordinary(seed, 5, 64.0, 57_600.0);
        world.faults = vec![Fault::Intermittent { server: 1, from_s: 8000.0, until_s: 1e12, size_s: 0.06, share: 0.5 }];
        let samples = inferred(&world, "ntp2").into_iter().skip(5);
        let wrong: Vec<_> =
            samples.filter(|(size_s, _)| size_s.is_none_or(|it| (it / 0.06 - 1.0).abs() > 0.1)).collect();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:?}");
    }
}
