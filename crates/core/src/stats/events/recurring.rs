//! Decides whether something recurs so often that it is one lasting condition with a rate, not separate events.

use serde::{Deserialize, Serialize};

use std::fmt;

use crate::stats::verdict::When;

/// The number of last polls that decide whether a condition begins.
const BEGINS_IN: u32 = 64;
/// A rate is reported again after so many polls …
const REPORTED_EACH: u64 = 32;
/// … if it has changed by so many percentage points; by less, when the polls have doubled since.
const CHANGED_BY: u32 = 5;

/// When a condition begins and ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// It begins when it happened at so many of the last 64 polls …
    pub hits: u32,
    /// … in at least so many separate runs of consecutive polls.
    pub runs: u32,
    /// It ends when it happened at no more than so many of the last 128 polls.
    pub ends_at: u32,
}

/// The last 128 polls, one bit each with the newest lowest, and the condition while it lasts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Recurring {
    /// The last 64 polls.
    recent: u64,
    /// The 64 polls before these.
    before: u64,
    /// Boxed, because a server has several of these and few of them are ever open.
    open: Option<Box<Open>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Open {
    rate: Rate,
    /// When it happened last, and the rate until then.
    last: (When, Rate),
    /// The rate that was reported last.
    reported: Option<Rate>,
}

/// How often something happened since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rate {
    pub start: When,
    hits: u64,
    polls: u64,
}

/// What is new about a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RateChange {
    /// It lasts at this rate: it has begun, or the rate has changed.
    Lasts(Rate),
    /// It ended at this time, and had this rate until then.
    Ends(Rate, When),
}

impl Recurring {
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether it did not happen at any of the last 64 polls.
    pub fn is_quiet(&self) -> bool {
        self.recent == 0
    }

    /// The share of polls, 0 to 1, while it lasts.
    pub fn share(&self) -> Option<f64> {
        self.open.as_ref().map(|open| open.rate.share())
    }

    /// Takes a poll that ended at `at`, and whether it happened there. A condition that begins now starts at `start`.
    pub fn poll(&mut self, happened: bool, at: When, start: When, rule: Rule) -> Option<RateChange> {
        self.before = self.before << 1 | self.recent >> 63;
        self.recent = self.recent << 1 | u64::from(happened);
        if self.open.is_none() {
            self.open = begun(self.recent, rule).filter(|_| happened).map(|(hits, polls)| {
                let rate = Rate { start, hits, polls };
                Box::new(Open { rate, last: (at, rate), reported: None })
            });
        } else if let Some(open) = &mut self.open {
            open.rate.hits += u64::from(happened);
            open.rate.polls += 1;
            if happened {
                open.last = (at, open.rate);
            }
        }
        if self.recent.count_ones() + self.before.count_ones() <= rule.ends_at {
            return self.open.take().map(|open| RateChange::Ends(open.last.1, open.last.0));
        }
        self.open.as_mut()?.report()
    }
}

impl Open {
    fn report(&mut self) -> Option<RateChange> {
        if let Some(reported) = self.reported {
            let (polls, changed_by) =
                (self.rate.polls - reported.polls, self.rate.percent().abs_diff(reported.percent()));
            let is_news = changed_by >= CHANGED_BY || (changed_by > 0 && polls >= reported.polls);
            if polls < REPORTED_EACH || !is_news {
                return None;
            }
        }
        self.reported = Some(self.rate);
        Some(RateChange::Lasts(self.rate))
    }
}

impl Rate {
    fn share(self) -> f64 {
        self.hits as f64 / self.polls.max(1) as f64
    }

    /// The share of polls in percent, at least 1.
    pub fn percent(self) -> u32 {
        ((self.share() * 100.0).round() as u32).max(1)
    }
}

/// As `30 % of polls`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % of polls", self.percent())
    }
}

/// How often it happened in the last 64 polls, and the number of polls since the first time, if the rule is met.
fn begun(recent: u64, rule: Rule) -> Option<(u64, u64)> {
    let runs = (recent & !(recent << 1)).count_ones();
    let is_often = recent.count_ones() >= rule.hits && runs >= rule.runs;
    is_often.then(|| (u64::from(recent.count_ones()), u64::from(BEGINS_IN - recent.leading_zeros())))
}
