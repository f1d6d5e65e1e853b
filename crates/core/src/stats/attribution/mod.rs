//! Who is wrong, over time: the own clock, a server, or the path between.
//!
//! Every server's offsets are brought onto one common grid (interpolated at the same instants, because servers are asked
//! at different times), and each grid cell is looked at four ways: the majority of the correctness intervals, the movement
//! that a majority of servers shares (the own clock's, seen from outside), the movement of each server against it, and the
//! delays. A finding needs several cells in a row to begin and to end, and its onset is then estimated backwards.
//!
//! Pure and the same live and in replay: time is the samples' own. Memory is bounded: about 3 kB per server address and
//! 4 kB for what they share. A sample costs O(log n) amortised, n being the number of servers: each cell takes one sample
//! of each server and is sorted once; medians, shapes and slopes are worked out every eighth cell or when something begins.

mod baselines;
mod change;
mod clock;
mod common;
mod engine;
mod findings;
mod grain;
mod journal;
mod judge;
mod looks;
mod paths;
mod robust;
mod series;
mod settle;
mod since;
mod timeline;
mod wander;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Stamp;
use crate::sample::{Outcome, Sample, SeriesKey};
use crate::stats::events::Event;
use crate::stats::local::{ClockMove, LocalState, StepDetector};
use crate::stats::verdict::Verdict;
use engine::Engine;
use series::{Point, Series};
pub use timeline::Refusal;
use timeline::{Place, Timeline};

/// The verdict's numbers are refreshed at least every so many cells, also when nothing changed.
const REFRESH_CELLS: u64 = 16;
/// Moves of the own clock that are remembered to explain what servers show.
const CLOCK_MOVES: usize = 16;
/// What 32 bits of NTP seconds can express; a number beyond it is no measurement.
const NTP_RANGE_S: f64 = 4_294_967_296.0;
/// A series that was not polled for this long is forgotten (a pool name moved on).
const FORGET_AFTER_S: f64 = 86_400.0;

/// The analysis. Feed it every sample in the order in which polls ended; read the verdict at any time.
#[derive(Debug)]
pub struct Attribution {
    engine: Engine,
    index: HashMap<SeriesKey, usize>,
    /// The series of each server name, in order.
    by_name: HashMap<Arc<str>, Vec<usize>>,
    /// Series whose address is not known yet.
    unresolved: usize,
    timeline: Timeline,
    steps: StepDetector,
    clock_moves: std::collections::VecDeque<ClockMove>,
    /// The largest step of the own clock that can have gone unnoticed; absent without a raw clock.
    doubt_s: Option<f64>,
    local: LocalState,
    last_s: f64,
    last_wall_ns: i64,
    refused: u64,
    events: Vec<Event>,
    journal: journal::Journal,
    verdict: Verdict,
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
            index: HashMap::new(),
            by_name: HashMap::new(),
            unresolved: 0,
            timeline: Timeline::default(),
            steps: StepDetector::default(),
            clock_moves: std::collections::VecDeque::new(),
            doubt_s: None,
            local: LocalState::default(),
            last_s: 0.0,
            last_wall_ns: 0,
            refused: 0,
            events: Vec::new(),
            journal: journal::Journal::default(),
            verdict: Verdict::nothing_yet(),
            judged_at: 0,
        }
    }

    /// Takes one poll, whatever came of it. Returns whether the verdict was worked out anew.
    ///
    /// # Errors
    /// Why the sample was not used; nothing else is changed by it.
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

    /// Tells what the kernel and a time daemon say of the own clock. Live only; replay has no such knowledge.
    pub fn observe_local(&mut self, state: LocalState) {
        self.engine.dirty |= self.local.distrust() != state.distrust();
        self.local = state;
    }

    /// Forgets every server whose name is not in `names`, which are in order: the configuration changed.
    pub fn servers_changed(&mut self, names: &[&str]) {
        self.engine.series.retain(|s| names.binary_search(&&*s.ident.name).is_ok());
        self.reindex();
    }

    /// The verdict as it stands.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What happened since the last call, oldest first; see [`Event`] for how to keep them.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// What each server that was heard says of leap seconds, for [`crate::stats::leap::judge_announcements`]. One that
    /// changes what it says again and again has no say.
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
        // Not true of a NaN either.
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
        let series = &mut self.engine.series[i];
        if t_s <= series.last_poll_s {
            self.refused += 1;
            return Err(Refusal::OutOfOrder);
        }
        self.watch_clock(sample, t_s, restarted);
        self.engine.polled(i, t_s);
        let series = &mut self.engine.series[i];
        series.watch.observe(sample, &mut self.events);
        let was_lost = series.reach.is_lost();
        match (&sample.outcome, &sample.measure) {
            (Outcome::Sample, Some(m)) => {
                series.reach.answered();
                series.unsynchronised = false;
                let (theta_s, delay_s, lambda_s) = (m.offset_s, m.delay_s.max(0.0), m.root_distance_s);
                series.accept(Point { t_s, theta_s, delay_s, lambda_s }, &mut self.engine.grain);
            }
            (Outcome::Unsynchronised(_), _) => {
                series.reach.answered();
                series.unsynchronised = true;
            }
            (Outcome::Fault(_), _) => {}
            _ => series.reach.failed(t_s),
        }
        self.engine.dirty |= was_lost != self.engine.series[i].reach.is_lost();
        self.engine.advance(t_s);
        (self.last_s, self.last_wall_ns) = (self.last_s.max(t_s), sample.at.wall_ns);
        Ok(self.judge_if_due())
    }

    fn find_or_add(&mut self, sample: &Sample, t_s: f64) -> usize {
        let key = sample.key();
        if let Some(i) = self.index.get(&key) {
            return *i;
        }
        // A name that does not resolve at the moment is the server that it was.
        let same_name = self.by_name.entry(Arc::clone(&sample.server.name)).or_default();
        let known = match sample.address {
            None => same_name.first(),
            Some(_) if self.unresolved == 0 => None,
            Some(_) => same_name.iter().find(|i| self.engine.series[**i].address.is_none()),
        };
        let known = known.copied();
        let i = known.unwrap_or_else(|| {
            self.engine.add(Series::new(&sample.server, sample.address, t_s));
            self.engine.series.len() - 1
        });
        if known.is_none() {
            same_name.push(i);
        }
        match (sample.address, known) {
            (Some(_), Some(i)) => {
                self.engine.series[i].address = sample.address;
                self.unresolved -= 1;
            }
            (None, None) => self.unresolved += 1,
            _ => {}
        }
        self.index.insert(key, i);
        i
    }

    fn judge_if_due(&mut self) -> bool {
        // At most once a cell, however many servers change at once; and before every server had its turn there is nothing
        // to say.
        let cells = self.engine.cell - self.judged_at;
        if cells > 0 && (self.engine.dirty || cells >= REFRESH_CELLS) {
            self.engine.dirty = false;
            self.judged_at = self.engine.cell;
            self.judge();
            if self.engine.cell % 1024 < REFRESH_CELLS {
                self.forget_silent();
            }
            return true;
        }
        false
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
        self.index.clear();
        self.by_name.clear();
        for (i, s) in self.engine.series.iter().enumerate() {
            self.by_name.entry(Arc::clone(&s.ident.name)).or_default().push(i);
            self.index.insert(
                SeriesKey { server: s.ident.name.clone(), vantage: s.ident.vantage.clone(), address: s.address },
                i,
            );
        }
        self.unresolved = self.engine.series.iter().filter(|s| s.address.is_none()).count();
        self.engine.present.clear();
        self.engine.dirty = true;
        self.engine.count_live(self.last_s);
    }
}
