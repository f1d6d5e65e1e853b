//! Counts the outcomes of polls.
//!
//! Loss is the share of polls without a sample. The causes are counted separately. A burst succeeds with its first good
//! reply, so requests are counted separately from polls.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::sample::{Outcome, Sample};

/// The number of polls by outcome. Serialises as an object with the outcomes that occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// In the order of [`Outcome::LABELS`].
    counts: [u32; Outcome::LABELS.len()],
    sent: u32,
    lost: u32,
}

/// The outcome of one poll in three bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ending {
    /// Position in [`Outcome::LABELS`].
    pub outcome: u8,
    pub sent: u8,
    pub lost: u8,
}

impl Ending {
    pub fn of(sample: &Sample) -> Self {
        let small = |n: u16| u8::try_from(n).unwrap_or(u8::MAX);
        Self { outcome: index_of(&sample.outcome), sent: small(sample.sent), lost: small(sample.lost) }
    }

    pub fn is_success(self) -> bool {
        usize::from(self.outcome) == SAMPLE
    }
}

impl Outcomes {
    /// Counts a poll.
    pub fn record(&mut self, sample: &Sample) {
        self.record_ending(Ending::of(sample));
    }

    /// Creates the counts from stored numbers: polls by outcome, in the order of [`Outcome::LABELS`], and requests.
    #[must_use]
    pub fn from_counts(outcomes: [u64; Outcome::LABELS.len()], sent: u64, lost: u64) -> Self {
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self { counts: outcomes.map(small), sent: small(sent), lost: small(lost) }
    }

    /// Counts every poll of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = mine.saturating_add(theirs);
        }
        self.sent = self.sent.saturating_add(other.sent);
        self.lost = self.lost.saturating_add(other.lost);
    }

    /// All polls.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }

    /// Polls that gave a sample.
    #[must_use]
    pub fn successes(&self) -> u64 {
        u64::from(self.counts[SAMPLE])
    }

    /// The share of polls that gave a sample, 0 to 1; absent without polls.
    #[must_use]
    pub fn success_ratio(&self) -> Option<f64> {
        let polls = self.polls();
        (polls > 0).then(|| self.successes() as f64 / polls as f64)
    }

    /// The share of polls that gave no sample, 0 to 1; absent without polls.
    #[must_use]
    pub fn loss_ratio(&self) -> Option<f64> {
        let polls = self.polls();
        (polls > 0).then(|| (polls - self.successes()) as f64 / polls as f64)
    }

    /// The outcomes that occurred, by [`Outcome::label`], in the order of display.
    pub fn by_label(&self) -> impl Iterator<Item = (&'static str, u32)> {
        Outcome::LABELS.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// Requests sent in these polls: more than polls when bursts are on.
    #[must_use]
    pub fn requests_sent(&self) -> u64 {
        u64::from(self.sent)
    }

    /// Requests of these polls without an accepted reply.
    #[must_use]
    pub fn requests_lost(&self) -> u64 {
        u64::from(self.lost)
    }

    pub(super) fn record_ending(&mut self, ending: Ending) {
        if let Some(count) = self.counts.get_mut(usize::from(ending.outcome)) {
            *count = count.saturating_add(1);
        }
        self.sent = self.sent.saturating_add(u32::from(ending.sent));
        self.lost = self.lost.saturating_add(u32::from(ending.lost));
    }
}

impl Serialize for Outcomes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (label, count) in self.by_label() {
            map.serialize_entry(label, &count)?;
        }
        map.end()
    }
}

const SAMPLE: usize = 0;

/// The position of an outcome in [`Outcome::LABELS`].
fn index_of(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Sample => SAMPLE as u8,
        Outcome::Timeout => 1,
        Outcome::Refused => 2,
        Outcome::Kiss(_) => 3,
        Outcome::Rejected(_) => 4,
        Outcome::Unsynchronised(_) => 5,
        Outcome::Dns(_) => 6,
        Outcome::Fault(_) => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::ntp::{Check, KissCode};

    fn one_of_each() -> [Outcome; 8] {
        [
            Outcome::Sample,
            Outcome::Timeout,
            Outcome::Refused,
            Outcome::Kiss(KissCode::RATE),
            Outcome::Rejected(Check::Origin),
            Outcome::Unsynchronised(None),
            Outcome::Dns("no such name".into()),
            Outcome::Fault("no socket".into()),
        ]
    }

    #[test]
    fn every_outcome_is_counted_under_its_own_label() {
        for outcome in one_of_each() {
            assert_eq!(Outcome::LABELS[usize::from(index_of(&outcome))], outcome.label());
        }
    }

    #[test]
    fn loss_counts_polls_without_sample_and_causes_add_up() {
        let mut outcomes = Outcomes::default();
        assert_eq!((outcomes.loss_ratio(), outcomes.success_ratio()), (None, None));
        one_of_each().into_iter().for_each(|outcome| outcomes.record(&Sample { outcome, ..testing::lost(0.0) }));
        assert_eq!(outcomes.loss_ratio(), Some(0.875));
        assert_eq!(outcomes.success_ratio(), Some(0.125));
        assert_eq!(outcomes.by_label().map(|(_, count)| count).sum::<u32>(), 8);
        assert_eq!((outcomes.requests_sent(), outcomes.requests_lost()), (8, 8));
    }

    #[test]
    fn json_names_only_the_outcomes_that_occurred() {
        let mut outcomes = Outcomes::default();
        outcomes.record(&testing::sample(0.0, 0.0, 0.01));
        outcomes.record(&testing::sample(1.0, 0.0, 0.01));
        outcomes.record(&testing::lost(2.0));
        assert_eq!(serde_json::to_string(&outcomes).unwrap(), r#"{"sample":2,"timeout":1}"#);
    }
}
