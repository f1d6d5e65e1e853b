//! The verdict with its history and its events, and its state in a binary form that the next process continues from.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::attribution::{Attribution, saved};
use super::events::{Event, Moment, Recorder};
use super::leap::LeapKeeper;
use super::verdict::{History, When};
use crate::sample::Sample;

/// The number of verdicts in the history.
const REMEMBERED: usize = 256;
/// The version of the binary form. Change it with every change of what the state contains.
const VERSION: u16 = 9;

/// The verdict, its history and its events.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Judgement {
    #[serde(with = "saved")]
    pub(super) attribution: Attribution,
    #[serde(skip)]
    pub(super) history: History,
    pub(super) leap: LeapKeeper,
    pub(super) recorder: Recorder,
}

/// Why a saved state cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SavedError {
    /// Another version of this program wrote it.
    #[error("its version is {0}, this program writes version {VERSION}")]
    Version(u16),
    /// It is truncated or damaged.
    #[error("it is damaged")]
    Damaged,
}

impl Judgement {
    /// The same, remembering this many verdicts.
    #[must_use]
    pub fn remembering(mut self, verdicts: usize) -> Self {
        self.history = History::new(verdicts);
        self
    }

    /// Takes one poll that ended at `now`. Returns whether it was used.
    pub fn observe(&mut self, sample: &Sample, now: Moment) -> bool {
        let judged = self.attribution.observe(sample);
        let mut events = self.attribution.take_events();
        if judged == Ok(true) {
            self.history.record(self.attribution.verdict(), now.when);
            self.leap.look(&self.attribution.announcements(), now.when, now.at_s, &mut events);
        }
        events.into_iter().for_each(|event| self.recorder.record(event, now));
        let counts = judged.is_ok() && !self.attribution.holds_back();
        if counts {
            self.recorder.tick(now);
        }
        counts
    }

    /// Takes a poll that an earlier process recorded, unless it was taken before. Returns whether it was taken.
    pub fn catch_up(&mut self, sample: &Sample) -> bool {
        let now = Moment { at_s: sample.at.mono_ns as f64 / 1e9, when: When(sample.at.wall_ns) };
        !self.attribution.knows(sample) && self.observe(sample, now)
    }

    /// Forgets every server whose name is not in `names`.
    pub fn forget_all_but(&mut self, names: &[String]) {
        let kept: HashSet<&str> = names.iter().map(String::as_str).collect();
        let gone = self.attribution.names().filter(|name| !kept.contains(&**name)).collect();
        self.forget(&gone);
    }

    pub(super) fn forget(&mut self, servers: &HashSet<Arc<str>>) {
        self.attribution.forget(servers);
        servers.iter().for_each(|server| self.recorder.forget(server, None));
    }

    /// The wall clock of the newest poll, in nanoseconds since 1970; zero before the first.
    #[must_use]
    pub fn last_wall_ns(&self) -> i64 {
        self.attribution.last_wall_ns()
    }

    /// The open events.
    pub fn lasting(&self) -> impl Iterator<Item = Event> {
        self.recorder.open()
    }

    /// The state in binary form, less than 4 kB for each server. `None` while a poll waits to be confirmed; try later.
    #[must_use]
    pub fn save(&self) -> Option<Vec<u8>> {
        self.save_to(Vec::new())
    }

    /// Like [`Judgement::save`], appended to `to`, which may compress the state while it is written.
    #[must_use]
    pub fn save_to<W: Extend<u8>>(&self, mut to: W) -> Option<W> {
        if self.attribution.holds_back() {
            return None;
        }
        to.extend(VERSION.to_le_bytes());
        postcard::to_extend(self, to).ok()
    }

    /// Restores the state that [`Judgement::save`] wrote. Its later verdicts and events are those that the saved one
    /// would have given.
    ///
    /// # Errors
    /// When another version wrote it, or when it is damaged.
    pub fn restore(saved: &[u8]) -> Result<Self, SavedError> {
        let (version, state) = saved.split_first_chunk::<2>().ok_or(SavedError::Damaged)?;
        match u16::from_le_bytes(*version) {
            VERSION => postcard::from_bytes(state).map_err(|_| SavedError::Damaged),
            other => Err(SavedError::Version(other)),
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new(REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Fault, World};

    /// The verdict after each poll of a world, and all reports of events, with a save and a restore before some polls.
    fn followed(world: &World, kills: &[usize]) -> (Vec<String>, Vec<Event>) {
        let (mut judgement, mut said, mut events) = (Judgement::default(), Vec::new(), Vec::new());
        for (k, sample) in world.samples().enumerate() {
            if kills.contains(&k) {
                let saved = judgement.save().unwrap();
                judgement = Judgement::restore(&saved).unwrap();
                assert!(!judgement.catch_up(&world.samples().nth(k - 1).unwrap()), "it was taken before");
            }
            judgement.catch_up(&sample);
            said.push(format!("{:?}", judgement.attribution.verdict()));
            events.extend(judgement.recorder.take());
        }
        (said, events)
    }

    #[test]
    fn twenty_kills_change_no_verdict_and_no_event() {
        let faults = [
            vec![Fault::ServerDrift { server: 1, at_s: 20_000.0, ppm: 2.0 }],
            vec![Fault::ServerStep { server: 2, at_s: 20_000.0, size_s: 0.012 }],
            vec![Fault::LocalStep { at_s: 20_000.0, size_s: 0.03 }],
        ];
        for (seed, faults) in (1..).zip(faults) {
            let world = World { faults, ..World::ordinary(seed, 5, 64.0, 40_000.0) };
            let of_all = world.samples().count();
            let kills: Vec<usize> = (0..20).map(|k| of_all / 3 + k * (of_all / 31) + 7 * k % 5).collect();
            let (whole, cut) = (followed(&world, &[]), followed(&world, &kills));
            let differs = whole.0.iter().zip(&cut.0).position(|(a, b)| a != b);
            assert_eq!(differs.map(|k| (k, &whole.0[k], &cut.0[k])), None, "seed {seed}");
            assert_eq!(whole.1, cut.1, "seed {seed}");
        }
    }

    #[test]
    fn state_of_one_more_server_takes_at_most_four_kilobytes() {
        let size = |servers: usize| {
            let mut judgement = Judgement::default();
            for sample in World::ordinary(1, servers, 64.0, 30_000.0).samples() {
                judgement.catch_up(&sample);
            }
            judgement.save().unwrap().len()
        };
        let more = (size(8) - size(4)) / 4;
        assert!((2000..=4096).contains(&more), "{more} bytes");
    }

    #[test]
    fn state_of_another_version_and_a_damaged_one_are_refused() {
        let saved = Judgement::default().save().unwrap();
        let mut other = saved.clone();
        other[0] = 99;
        assert_eq!(Judgement::restore(&other).unwrap_err(), SavedError::Version(99));
        for length in 0..saved.len() {
            assert_eq!(Judgement::restore(&saved[..length]).unwrap_err(), SavedError::Damaged, "{length} bytes");
        }
    }
}
