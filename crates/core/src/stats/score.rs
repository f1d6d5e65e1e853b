//! The score of the NTP Pool, as its monitor computes it (ntppool/monitor, commit c06769b6, 2026-04-28).
//!
//! It measures reachability and plausibility, not accuracy: root distance is not considered. The pool hands out servers
//! that score above 10; a perfect one converges to 20. Polls that failed on our side (names that do not resolve, faults
//! of this host) do not change the score, because the pool's monitor does not submit them.

use serde::{Serialize, Serializer};

use crate::ntp::KissCode;
use crate::sample::{Outcome, Sample};

/// The score of one server, which starts at 0. Serialises as a number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PoolScore(f64);

/// The effect of one poll on a score.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    step: f64,
    /// The score is at most this afterwards.
    cap: Option<f64>,
}

impl PoolScore {
    /// The score now, about −100 to 20.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// Adds the result of a poll.
    pub fn record(&mut self, sample: &Sample) {
        if let Some(step) = step_of(sample) {
            self.apply(step);
        }
    }

    /// Adds many polls at once, given their number by outcome, in the order of [`Outcome::LABELS`], and their mean
    /// offset. The score changes as if every poll had the mean effect.
    pub fn record_sums(&mut self, outcomes: &[u64; Outcome::LABELS.len()], mean_offset_s: Option<f64>) {
        let offset = mean_offset_s.map(|offset_s| step_of_offset(offset_s, 0));
        let steps = [offset.map_or(-4.0, |step| step.step), -5.0, -4.0, -3.5, -4.0, -4.0];
        let polls: u64 = outcomes.iter().take(steps.len()).sum();
        if polls == 0 {
            return;
        }
        let total: f64 = outcomes.iter().zip(steps).map(|(polls, step)| *polls as f64 * step).sum();
        let kept = 0.95_f64.powf(polls as f64);
        let score = self.0 * kept + total / polls as f64 / 0.05 * (1.0 - kept);
        self.0 = offset.and_then(|step| step.cap).map_or(score, |cap| score.min(cap));
    }

    fn apply(&mut self, Step { step, cap }: Step) {
        let score = self.0 * 0.95 + step;
        self.0 = cap.map_or(score, |cap| score.min(cap));
    }
}

impl Serialize for PoolScore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

fn step_of(sample: &Sample) -> Option<Step> {
    let plain = |step| Some(Step { step, cap: None });
    match &sample.outcome {
        Outcome::Sample => {
            let stratum = sample.reply.map_or(0, |reply| reply.stratum);
            sample.offset_s().map_or(plain(-4.0), |offset_s| Some(step_of_offset(offset_s, stratum)))
        }
        Outcome::Timeout => plain(-5.0),
        Outcome::Kiss(code) if code.is_denial() => Some(Step { step: -10.0, cap: Some(-50.0) }),
        Outcome::Kiss(code) if *code == KissCode::RATE => plain(-3.5),
        Outcome::Unsynchronised(_) if sample.reply.is_some_and(|reply| reply.stratum == 0) => {
            Some(Step { step: -2.0, cap: Some(5.0) })
        }
        Outcome::Unsynchronised(_) | Outcome::Kiss(_) | Outcome::Refused | Outcome::Rejected(_) => plain(-4.0),
        Outcome::Dns(_) | Outcome::Fault(_) => None,
    }
}

fn step_of_offset(offset_s: f64, stratum: u8) -> Step {
    let magnitude = offset_s.abs();
    if magnitude > 3.0 {
        return Step { step: -4.0, cap: Some(-20.0) };
    }
    let step = match magnitude {
        _ if stratum >= 8 => -4.0,
        m if m > 0.75 => -2.0,
        m if m > 0.1 => -2.308 * m + 0.731,
        m if m > 0.025 => (-6.667 * m + 1.167).min(1.0),
        _ => 1.0,
    };
    Step { step, cap: None }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    /// The table of the monitor's own unit test, which allows 0.01.
    #[test]
    fn steps_are_those_that_the_pool_publishes() {
        let published = [
            (0.0, 1.0),
            (10.0, 1.0),
            (25.0, 1.0),
            (26.0, 0.993),
            (50.0, 0.833),
            (100.0, 0.5),
            (200.0, 0.270),
            (400.0, -0.192),
            (600.0, -0.654),
            (749.0, -0.998),
            (750.0, -1.0),
            (1000.0, -2.0),
        ];
        for (offset_ms, expected) in published {
            let step = step_of_offset(offset_ms / 1e3, 2).step;
            assert!((step - expected).abs() <= 0.01, "{offset_ms} ms: {step}");
            assert_eq!(step, step_of_offset(-offset_ms / 1e3, 2).step);
        }
    }

    /// The edges of the monitor's formula, evaluated from its source.
    #[test]
    fn steps_change_just_above_each_limit() {
        let cases = [
            (0.0250001, 1, 1.0, None),
            (0.026, 1, 0.993658, None),
            (0.1, 1, 0.5003, None),
            (0.1000001, 1, 0.500199769, None),
            (0.75, 1, -1.0, None),
            (0.7500001, 1, -2.0, None),
            (3.0, 1, -2.0, None),
            (3.0000001, 1, -4.0, Some(-20.0)),
            (0.001, 7, 1.0, None),
            (0.001, 8, -4.0, None),
            (5.0, 8, -4.0, Some(-20.0)),
        ];
        for (offset_s, stratum, step, cap) in cases {
            let got = step_of_offset(offset_s, stratum);
            assert!((got.step - step).abs() < 1e-6 && got.cap == cap, "{offset_s} s: {got:?}");
        }
    }

    #[test]
    fn score_of_sums_settles_where_that_of_single_polls_does() {
        let mut counts = [0; Outcome::LABELS.len()];
        (counts[0], counts[1], counts[6]) = (900, 100, 50);
        let (mut sums, mut single) = (PoolScore::default(), PoolScore::default());
        sums.record_sums(&counts, Some(1e-3));
        for k in 0..1000 {
            single.apply(Step { step: if k % 10 == 0 { -5.0 } else { 1.0 }, cap: None });
        }
        assert!((sums.value() - 8.0).abs() < 1e-9, "{}", sums.value());
        assert!((sums.value() - single.value()).abs() < 3.0, "{} {}", sums.value(), single.value());
        sums.record_sums(&[0; Outcome::LABELS.len()], None);
        assert!((sums.value() - 8.0).abs() < 1e-9, "no poll changes nothing");
        sums.record_sums(&counts, Some(5.0));
        assert!(sums.value() <= -20.0, "a wrong server is capped");
    }

    /// The branches of the monitor that do not depend on an offset.
    #[test]
    fn polls_without_an_offset_cost_the_points_of_the_pool() {
        let cases = [
            (Outcome::Timeout, 2, 20.0, 14.0),
            (Outcome::Kiss(KissCode::RATE), 0, 20.0, 15.5),
            (Outcome::Kiss(KissCode::DENY), 0, 20.0, -50.0),
            (Outcome::Kiss(KissCode::RSTR), 0, 20.0, -50.0),
            (Outcome::Unsynchronised(None), 0, 20.0, 5.0),
            (Outcome::Unsynchronised(None), 16, 20.0, 15.0),
            (Outcome::Refused, 2, 20.0, 15.0),
            (Outcome::Dns("no such name".into()), 2, 20.0, 20.0),
            (Outcome::Fault("no socket".into()), 2, 20.0, 20.0),
        ];
        for (outcome, stratum, before, after) in cases {
            let mut sample = testing::sample(0.0, 0.0, 0.01);
            sample.reply.as_mut().unwrap().stratum = stratum;
            let mut score = PoolScore(before);
            score.record(&Sample { outcome: outcome.clone(), measure: None, ..sample });
            assert_eq!(score.value(), after, "{outcome:?}");
        }
    }

    /// Sequences computed with the monitor's update rule.
    #[test]
    fn scores_follow_the_published_sequences() {
        let good = Step { step: 1.0, cap: None };
        let timeout = Step { step: -5.0, cap: None };
        let after = |start: f64, first: Step, then: Step, times: usize| {
            let mut score = PoolScore(start);
            score.apply(first);
            (0..times).for_each(|_| score.apply(then));
            score.value()
        };
        let sequences = [
            (after(0.0, good, good, 59), 19.078_604_02),
            (after(20.0, timeout, good, 20), 17.849_084_466),
            (after(20.0, timeout, timeout, 9), -28.151_567_291),
            (after(20.0, Step { step: -10.0, cap: Some(-50.0) }, good, 5), -34.164_665_625),
            (after(20.0, Step { step: -4.0, cap: Some(-20.0) }, good, 5), -10.951_237_5),
        ];
        for (got, expected) in sequences {
            assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
        }
    }
}
