//! The current state of a server, independent of any window: reach, score and clock filter.

use super::filter::{ClockFilter, Filtered, PHI, Stage};
use super::reach::Reach;
use super::score::PoolScore;
use crate::sample::{Sample, Timestamping};

/// The precision of reading this host's clock, in seconds: 2^-24, 60 ns.
const OWN_PRECISION_S: f64 = 1.0 / 16_777_216.0;

/// The state that each accepted poll of a server updates.
#[derive(Debug, Clone)]
pub struct ServerState {
    /// Which of the last eight polls succeeded.
    pub reach: Reach,
    /// The score of the NTP Pool.
    pub score: PoolScore,
    filter: ClockFilter,
    way: Option<Timestamping>,
}

impl Default for ServerState {
    fn default() -> Self {
        Self {
            reach: Reach::default(),
            score: PoolScore::default(),
            filter: ClockFilter::new(OWN_PRECISION_S),
            way: None,
        }
    }
}

impl ServerState {
    /// Adds a poll; `at_s` is its time on the axis in use.
    pub fn record(&mut self, at_s: f64, sample: &Sample) {
        self.reach.record(sample.outcome.is_success());
        self.score.record(sample);
        if sample.outcome.is_success() {
            self.record_measure(at_s, sample);
        } else if self.reach.is_fading() {
            self.filter.shift_in_dummy();
        }
    }

    /// The output of the clock filter at `now_s` on the same axis.
    #[must_use]
    pub fn filtered(&self, now_s: f64) -> Option<Filtered> {
        self.filter.output(now_s)
    }

    fn record_measure(&mut self, at_s: f64, sample: &Sample) {
        let Some(measure) = sample.measure else { return };
        if sample.timestamping != self.way {
            // Another timestamping method shifts the offsets, which must not count as jitter of the server.
            self.filter.clear();
            self.way = sample.timestamping;
        }
        let server_precision_s = sample.reply.map_or(0.0, |reply| reply.precision_s());
        let dispersion_s = server_precision_s + OWN_PRECISION_S + PHI * measure.delay_s;
        self.filter.shift_in(Stage { at_s, offset_s: measure.offset_s, delay_s: measure.delay_s, dispersion_s });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lost, sample};
    use super::*;

    #[test]
    fn a_change_of_timestamping_resets_the_filter() {
        let mut state = ServerState::default();
        state.record(0.0, &sample(0.0, 0.001, 0.010));
        state.record(64.0, &sample(64.0, 0.002, 0.010));
        assert_eq!(state.filtered(64.0).unwrap().n, 2);
        let mut other = sample(128.0, 0.5, 0.020);
        other.timestamping = Some(Timestamping::Userland);
        state.record(128.0, &other);
        let filtered = state.filtered(128.0).unwrap();
        assert_eq!((filtered.n, filtered.offset_s), (1, 0.5));
    }

    #[test]
    fn a_silent_server_is_forgotten_by_the_filter() {
        let mut state = ServerState::default();
        state.record(0.0, &sample(0.0, 0.001, 0.010));
        (1..=9).for_each(|i| state.record(f64::from(i), &lost(f64::from(i))));
        assert!(state.filtered(9.0).is_some());
        state.record(10.0, &lost(10.0));
        assert_eq!(state.filtered(10.0), None);
    }
}
