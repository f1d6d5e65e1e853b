//! Polls without a valid reply, where a reply that says "not synchronised" is valid: a burst when there are some in a row,
//! one lasting condition when they keep recurring.

use serde::{Deserialize, Serialize};

use super::recurring::{RateChange, Recurring, Rule};
use super::{Event, EventKind};
use crate::sample::{Outcome, Sample};
use crate::stats::verdict::When;

/// A server is lossy when six of its last 64 polls failed, in three separate runs: a single outage does not count.
const LOSSY: Rule = Rule { hits: 6, runs: RUNS as u32, ends_at: 2 };
const RUNS: usize = 3;
/// The number of failures in a row that counts as a burst, at least.
const BURST: u32 = 3;
/// The same, at most.
const LONGEST: u32 = 32;
/// Failures in a row are a burst when they are less likely than this at the usual loss.
const CHANCE: f64 = 1e-6;

/// Counts failures in a row, and watches whether failures recur.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LossWatch {
    lossy: Recurring,
    /// When the last runs of failures began, oldest first.
    runs: [When; RUNS],
    /// Failures in a row.
    lost: u32,
    is_burst: bool,
}

impl Default for LossWatch {
    fn default() -> Self {
        Self { lossy: Recurring::default(), runs: [When(0); RUNS], lost: 0, is_burst: false }
    }
}

impl LossWatch {
    /// Takes the outcome of a poll and appends the events.
    pub fn observe(&mut self, sample: &Sample, events: &mut Vec<Event>) {
        let at = When(sample.at.wall_ns);
        let is_lost = !matches!(sample.outcome, Outcome::Sample | Outcome::Unsynchronised(_));
        if is_lost && self.lost == 0 {
            self.runs.rotate_left(1);
            self.runs[RUNS - 1] = at;
        }
        // During a burst, further failures do not count as loss.
        if !self.is_burst || !is_lost {
            let turn = self.lossy.poll(is_lost, at, self.runs[0], LOSSY);
            events.extend(turn.map(|turn| lossy(sample, turn)));
        }
        if is_lost {
            self.lost += 1;
            if !self.is_burst && self.lost >= self.burst_from() {
                self.is_burst = true;
                events.push(self.burst(sample, None));
            }
        } else {
            if std::mem::take(&mut self.is_burst) {
                events.push(self.burst(sample, Some(at)));
            }
            self.lost = 0;
        }
    }

    /// How many failures in a row are a burst at the usual loss.
    fn burst_from(&self) -> u32 {
        let usual = |share: f64| ((CHANCE.ln() / share.ln()).ceil() as u32).clamp(BURST, LONGEST);
        self.lossy.share().map_or(BURST, usual)
    }

    fn burst(&self, sample: &Sample, end: Option<When>) -> Event {
        let name = &sample.server.name;
        let text = match end {
            None => format!("{name} gives no valid reply ({}).", sample.outcome.label()),
            Some(_) => {
                let but = if sample.outcome.is_success() { "" } else { ", but its clock is not synchronised" };
                format!("{name} answers again after {} polls in a row without a valid reply{but}.", self.lost)
            }
        };
        let detail = format!("{} polls", self.lost);
        Event::of(sample, EventKind::LossBurst, self.runs[RUNS - 1], end, detail, text)
    }
}

fn lossy(sample: &Sample, turn: RateChange) -> Event {
    let name = &sample.server.name;
    let (rate, end, sentence) = match turn {
        RateChange::Lasts(rate) => {
            (rate, None, format!("{name} is lossy: {} % of its polls bring no valid reply.", rate.percent()))
        }
        RateChange::Ends(rate, last) => {
            (rate, Some(last), format!("{name} was lossy: {} % of its polls brought no valid reply.", rate.percent()))
        }
    };
    Event::of(sample, EventKind::Lossy, rate.start, end, rate.to_string(), sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing;
    use crate::world::Dice;

    fn kept(polls: impl Iterator<Item = bool>) -> Vec<Event> {
        let (mut watch, mut events, mut kept) = (LossWatch::default(), Vec::new(), Vec::new());
        for (k, answered) in polls.enumerate() {
            let at_s = k as f64;
            let sample = if answered { testing::sample(at_s, 0.0, 0.01) } else { testing::lost(at_s) };
            watch.observe(&sample, &mut events);
        }
        events.into_iter().for_each(|event: Event| event.upsert(&mut kept));
        kept
    }

    fn at(k: usize) -> When {
        When(testing::stamp(k as f64).wall_ns)
    }

    fn of_kind(events: &[Event], kind: EventKind) -> usize {
        events.iter().filter(|event| event.kind == kind).count()
    }

    #[test]
    fn burst_of_loss_has_a_beginning_and_an_end_and_one_key() {
        let events = kept([true, false, true, false, false, false, false, true].into_iter());
        assert_eq!((events.len(), events[0].kind), (1, EventKind::LossBurst));
        assert_eq!((events[0].start, events[0].end), (at(3), Some(at(7))));
        assert_eq!(events[0].detail, "4 polls");
    }

    #[test]
    fn burst_that_ends_unsynchronised_says_so() {
        let (mut watch, mut events) = (LossWatch::default(), Vec::new());
        (0..3).for_each(|k| watch.observe(&testing::lost(f64::from(k)), &mut events));
        let reply = Sample { outcome: Outcome::Unsynchronised(None), ..testing::lost(3.0) };
        watch.observe(&reply, &mut events);
        let said = &events.last().unwrap().sentence;
        let expected = "answers again after 3 polls in a row without a valid reply, but its clock is not synchronised.";
        assert!(said.ends_with(expected), "{said}");
    }

    #[test]
    fn half_an_hour_of_30_percent_loss_is_one_open_event() {
        for seed in 1..=200 {
            let mut dice = Dice::new(seed);
            let events = kept((0..1800).map(|_| dice.unit() >= 0.3));
            let lossy: Vec<_> = events.iter().filter(|event| event.kind == EventKind::Lossy).collect();
            assert_eq!((lossy.len(), lossy[0].end), (1, None), "seed {seed}: {events:?}");
            let percent: u32 = lossy[0].detail.trim_end_matches(" % of polls").parse().unwrap();
            assert!((24..=36).contains(&percent), "seed {seed}: {percent}");
            assert!(of_kind(&events, EventKind::LossBurst) <= 3, "seed {seed}: {events:?}");
        }
    }

    #[test]
    fn lossy_server_that_recovers_ends_with_its_last_loss() {
        let events = kept((0..600).map(|k| k >= 300 || k % 4 != 0));
        assert_eq!((events.len(), events[0].start, events[0].end), (1, at(12), Some(at(296))), "{events:?}");
        assert_eq!(events[0].sentence, "test was lossy: 25 % of its polls brought no valid reply.");
    }

    #[test]
    fn outage_of_a_lossy_server_is_an_event_of_its_own() {
        let events = kept((0..2000).map(|k| !(1000..1500).contains(&k) && k % 3 != 0));
        assert_eq!(of_kind(&events, EventKind::Lossy), 1);
        let outage = events.iter().find(|event| event.kind == EventKind::LossBurst).unwrap();
        assert_eq!((outage.start, outage.end), (at(999), Some(at(1501))));
        let lossy = events.iter().find(|event| event.kind == EventKind::Lossy).unwrap();
        assert_eq!((lossy.end, lossy.detail.as_str()), (None, "33 % of polls"));
    }

    #[test]
    fn outages_far_apart_are_no_loss() {
        let events = kept((0..2000).map(|k| k % 100 > 5));
        assert_eq!((of_kind(&events, EventKind::Lossy), of_kind(&events, EventKind::LossBurst)), (0, 20));
    }
}
