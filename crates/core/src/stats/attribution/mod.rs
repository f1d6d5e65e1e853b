//! Who is wrong, over time: this host's clock, a server, or the path between.
//!
//! About once in every poll interval all servers are compared with their *common mode*, the offset that they share
//! beyond their usual levels: it is the error of this host's clock, seen from outside. What remains is each server's
//! own series, in which a transient of this host's clock never appears. Each new reply is judged once: whether its
//! error range misses the majority's (a proof), and whether the means of the newest 2 to 32 values have left the level
//! by more than their learned noise (a sighting). Rules then decide who is named: a change of the path competes with a
//! fault of the server, and where counting does not decide, no party is named.
//!
//! Pure and the same live and in replay: time is the samples' own. Memory is bounded: about 4 kB per server address. A
//! sample costs O(log n) amortised, n being the number of servers.

mod bits;
mod camps;
mod clock;
mod common;
mod course;
mod decide;
mod engine;
mod finding;
mod grain;
mod heard;
mod journal;
mod judge;
mod leaps;
mod means;
mod noise;
mod own;
mod pair;
mod proof;
mod reasons;
mod robust;
pub(super) mod saved;
mod series;
mod since;
mod smear;
mod sources;
mod timeline;
mod track;
mod values;
mod watch;
mod witness;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::sample::{Outcome, Sample};
use crate::stats::events::Event;
use crate::stats::independence::{Independence, Witness as Source};
use crate::stats::verdict::Verdict;
use engine::Engine;
use own::Now;
use series::{Reply, Series};
pub use timeline::Refusal;
use timeline::{Place, Timeline};
use witness::{Jump, Witness};

/// The verdict's numbers are refreshed at least every so many rounds, also when nothing changed.
const REFRESH_ROUNDS: u64 = 4;
/// What 32 bits of NTP seconds can express; a number beyond it is no measurement.
const NTP_RANGE_S: f64 = 4_294_967_296.0;
/// A series that was not polled for this long and for 100 poll intervals is forgotten: a pool has other addresses.
const FORGET_AFTER_S: f64 = 86_400.0;

/// The analysis. Feed it every sample in the order in which polls ended; read the verdict at any time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Attribution {
    engine: Engine,
    /// The series of each server name, in order. Most names have one, so the address is compared afterwards: that takes
    /// less memory than an index of names and addresses.
    #[serde(skip)]
    by_name: HashMap<Arc<str>, Vec<usize>>,
    /// Series whose address is not known yet.
    #[serde(skip)]
    unresolved: usize,
    timeline: Timeline,
    witness: Witness,
    /// A jump of the clocks that may be a suspension or a leap second; the next reply decides.
    pending: Option<Jump>,
    /// The last restart of the machine.
    restart: Option<clock::Restart>,
    independence: Independence,
    /// The sources that the votes were counted from.
    #[serde(skip)]
    counted: Vec<(usize, Source)>,
    last_s: f64,
    last_wall_ns: i64,
    refused: u64,
    #[serde(skip)]
    events: Vec<Event>,
    journal: journal::Journal,
    /// Shared with the snapshots.
    verdict: Arc<Verdict>,
    judged_at: u64,
}

impl Default for Attribution {
    fn default() -> Self {
        Self::new()
    }
}

impl Attribution {
    /// An analysis that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            engine: Engine::new(),
            by_name: HashMap::new(),
            unresolved: 0,
            timeline: Timeline::default(),
            witness: Witness::default(),
            pending: None,
            restart: None,
            independence: Independence::of(&[]),
            counted: Vec::new(),
            last_s: 0.0,
            last_wall_ns: 0,
            refused: 0,
            events: Vec::new(),
            journal: journal::Journal::default(),
            verdict: Arc::new(Verdict::nothing_yet()),
            judged_at: 0,
        }
    }

    /// Takes one poll, with or without a reply. Returns whether the verdict was computed again.
    ///
    /// # Errors
    /// Why the sample was not used. Then nothing but the count of refusals changes.
    pub fn observe(&mut self, sample: &Sample) -> Result<bool, Refusal> {
        self.check(sample).inspect_err(|_| self.refused += 1)?;
        let mut judged = false;
        if self.timeline.held.is_some() {
            judged = self.release_held(&sample.at);
        }
        match self.timeline.place(&sample.at, sample.poll_s) {
            Place::At { t_s, restarted } => Ok(self.take(sample, t_s, restarted)? | judged),
            Place::Ahead => {
                self.timeline.held = Some(Box::new(sample.clone()));
                Ok(judged)
            }
            Place::Behind => {
                self.refused += 1;
                Err(Refusal::OutOfOrder)
            }
        }
    }

    /// Forgets these servers. O(n) in the number of series, however many servers are forgotten.
    pub fn forget(&mut self, servers: &HashSet<Arc<str>>) {
        let before = self.engine.series.len();
        self.engine.series.retain(|s| !servers.contains(&s.ident.name));
        if self.engine.series.len() != before {
            self.reindex();
        }
    }

    /// The names of all servers.
    pub fn names(&self) -> impl Iterator<Item = Arc<str>> {
        self.by_name.keys().cloned()
    }

    /// Whether this sample or a later one of its series was taken already.
    #[must_use]
    pub fn knows(&self, sample: &Sample) -> bool {
        let last = self.find(sample).map(|i| self.engine.series[i].last_ns);
        last.is_some_and(|(wall_ns, mono_ns)| wall_ns >= sample.at.wall_ns && mono_ns >= sample.at.mono_ns)
    }

    /// The wall clock of the newest sample, in nanoseconds since 1970; zero before the first.
    #[must_use]
    pub fn last_wall_ns(&self) -> i64 {
        self.last_wall_ns
    }

    /// Whether a sample is held until a second one confirms its time.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        self.timeline.held.is_some()
    }

    /// The current verdict.
    #[must_use]
    pub fn verdict(&self) -> &Arc<Verdict> {
        &self.verdict
    }

    /// What happened since the last call, oldest first; see [`Event`] for how to keep them.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The leap second that each server announces, for [`crate::stats::leap::judge_announcements`]. A server that does
    /// not answer, or that keeps changing its announcement, is left out.
    #[must_use]
    pub fn announcements(&self) -> Vec<(&str, crate::ntp::Leap)> {
        let heard = self.engine.series.iter().filter(|s| !s.reach.is_lost());
        heard.filter_map(|s| s.watch.announced().map(|leap| (&*s.ident.name, leap))).collect()
    }

    /// How many samples were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn check(&self, sample: &Sample) -> Result<(), Refusal> {
        let Some(m) = &sample.measure else { return Ok(()) };
        // False for a NaN too.
        let possible = [m.offset_s, m.delay_s, m.root_distance_s].iter().all(|x| x.abs() <= NTP_RANGE_S);
        if possible && m.root_distance_s >= 0.0 { Ok(()) } else { Err(Refusal::NotANumber) }
    }

    /// Uses the held sample when `next` confirms it, otherwise refuses it.
    fn release_held(&mut self, next: &Stamp) -> bool {
        let confirmed = self.timeline.confirms(next);
        let placed = match (&self.timeline.held, confirmed) {
            (Some(held), true) => {
                let (stamp, poll_s) = (held.at, held.poll_s);
                self.timeline.place(&stamp, poll_s)
            }
            _ => Place::Behind,
        };
        let held = self.timeline.held.take();
        if let (Some(held), Place::At { t_s, restarted }) = (held, placed) {
            return self.take(&held, t_s, restarted).unwrap_or(false);
        }
        self.refused += 1;
        false
    }

    fn take(&mut self, sample: &Sample, t_s: f64, restarted: bool) -> Result<bool, Refusal> {
        let i = self.find_or_add(sample, t_s);
        if t_s <= self.engine.series[i].last_poll_s {
            self.refused += 1;
            return Err(Refusal::OutOfOrder);
        }
        // A round that is due is closed with what was known before this sample.
        let now = self.now();
        self.engine.advance(t_s, &now);
        self.watch_clock(sample, t_s, restarted, i);
        self.engine.polled(i, t_s, sample.poll_s);
        let (moved_s, since_noon_s) = (self.witness.moved_s(), now.since_noon_s);
        let period_s = self.engine.period_s;
        let series = &mut self.engine.series[i];
        series.watch.observe(sample, &mut self.events);
        series.note_leap(since_noon_s);
        let was_lost = series.reach.is_lost();
        match (&sample.outcome, &sample.measure) {
            (Outcome::Sample, Some(m)) => {
                series.answered();
                series.unsynchronised = false;
                series.authentication = Some(sample.authentication);
                if let Some(before) = series.latest {
                    self.engine.grain.note(before.theta_s, m.offset_s);
                    series.grain.note(before.theta_s, m.offset_s);
                }
                let (theta_s, delay_s, lambda_s) = (m.offset_s, m.delay_s.max(0.0), m.root_distance_s);
                series.accept(Reply { t_s, theta_s, delay_s, lambda_s, moved_s }, period_s);
            }
            (Outcome::Unsynchronised(_), _) => {
                series.answered();
                series.unsynchronised = true;
            }
            (Outcome::Fault(_), _) => {}
            (outcome, _) => series.failed(t_s, outcome),
        }
        self.engine.dirty |= was_lost != self.engine.series[i].reach.is_lost();
        self.engine.series[i].last_ns = (sample.at.wall_ns, sample.at.mono_ns);
        (self.last_s, self.last_wall_ns) = (self.last_s.max(t_s), sample.at.wall_ns);
        Ok(self.judge_if_due())
    }

    fn now(&self) -> Now {
        let unix_s = self.last_wall_ns.div_euclid(1_000_000_000);
        let of_day_s = unix_s.rem_euclid(86_400);
        let close_s = 60 + 2 * self.engine.period_s as i64;
        let near_midnight = of_day_s.min(86_400 - of_day_s) <= close_s;
        Now {
            t_s: self.last_s,
            moved_s: self.witness.moved_s(),
            has_raw: self.witness.is_present(),
            steered: self.witness.steered(),
            near_leap: near_midnight && crate::stats::leap::is_leap_date_near(unix_s),
            doubt_s: self.witness.doubt_s(),
            since_noon_s: self.since_noon_s(),
        }
    }

    fn since_noon_s(&self) -> Option<f64> {
        crate::stats::leap::since_noon_s(self.last_wall_ns.div_euclid(1_000_000_000)).map(|s| s as f64)
    }

    /// The series of a sample. A sample without an address belongs to the first series of its name.
    fn find(&self, sample: &Sample) -> Option<usize> {
        let same_name = self.by_name.get(&sample.server.name)?;
        let is_same = |i: &&usize| {
            let series = &self.engine.series[**i];
            series.address == sample.address && series.ident.vantage == sample.server.vantage
        };
        let first = same_name.first().filter(|_| sample.address.is_none());
        same_name.iter().find(is_same).or(first).copied()
    }

    fn find_or_add(&mut self, sample: &Sample, t_s: f64) -> usize {
        if let Some(i) = self.find(sample) {
            return i;
        }
        let same_name = self.by_name.entry(Arc::clone(&sample.server.name)).or_default();
        // The first address of a name belongs to the series that had none.
        let unresolved = same_name.iter().find(|i| self.unresolved > 0 && self.engine.series[**i].address.is_none());
        if let Some(i) = unresolved {
            self.engine.series[*i].address = sample.address;
            self.unresolved -= 1;
            return *i;
        }
        let i = self.engine.series.len();
        same_name.reserve_exact(1);
        same_name.push(i);
        self.engine.add(Series::new(&sample.server, sample.address, t_s));
        self.unresolved += usize::from(sample.address.is_none());
        i
    }

    fn judge_if_due(&mut self) -> bool {
        // At most once a round, however many servers change at once, and not while the engine is silent or resumes.
        let rounds = self.engine.round - self.judged_at;
        let is_silent = self.engine.round < self.engine.silent_until;
        if rounds > 0 && !is_silent && !self.engine.is_resuming() && (self.engine.dirty || rounds >= REFRESH_ROUNDS) {
            self.engine.dirty = false;
            self.judged_at = self.engine.round;
            self.count_votes();
            self.judge();
            if self.engine.round % 1024 < REFRESH_ROUNDS {
                self.forget_silent();
            }
            return true;
        }
        false
    }

    /// Servers that depend on each other share one vote.
    fn count_votes(&mut self) {
        let heard = (0..self.engine.series.len()).filter(|i| self.is_heard(*i));
        let heard = heard.map(|i| (i, self.engine.series[i].source()));
        // Usually nothing has changed, and comparing costs much less than counting.
        if heard.clone().eq(self.counted.iter().copied()) {
            return;
        }
        self.counted = heard.collect();
        let sources = self.engine.sources(self.counted.iter().map(|(i, _)| *i));
        self.independence = Independence::of(&sources);
        for ((i, _), vote) in self.counted.iter().zip(Independence::votes(&sources)) {
            self.engine.series[*i].vote = vote;
        }
    }

    /// Whether a series has been measured lately.
    fn is_heard(&self, i: usize) -> bool {
        self.engine.series[i].votes(self.last_s, self.engine.period_s)
    }

    fn forget_silent(&mut self) {
        let now_s = self.last_s;
        let before = self.engine.series.len();
        self.engine
            .series
            .retain(|s| now_s - s.last_poll_s < FORGET_AFTER_S.max(100.0 * s.interval_s().unwrap_or(0.0)));
        if self.engine.series.len() != before {
            self.reindex();
        }
    }

    fn reindex(&mut self) {
        self.counted.clear();
        self.rebuild_index();
        self.engine.dirty = true;
        self.engine.count_live(self.last_s);
    }

    /// Computes what is derived from the list of series: both indexes and the count of unresolved ones.
    fn rebuild_index(&mut self) {
        self.by_name.clear();
        for (i, s) in self.engine.series.iter().enumerate() {
            let same_name = self.by_name.entry(Arc::clone(&s.ident.name)).or_default();
            same_name.reserve_exact(1);
            same_name.push(i);
        }
        self.unresolved = self.engine.series.iter().filter(|s| s.address.is_none()).count();
    }
}
