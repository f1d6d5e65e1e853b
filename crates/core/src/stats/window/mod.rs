//! Named windows over the samples of one server, in bounded memory.
//!
//! Single polls are kept for an hour, at most [`ServerWindows::MAX_SINGLE`] of them; the last 63 are kept however old.
//! Windows made of single polls are exact. Older polls move into panes that become coarser with age: 5 minutes within
//! the first hour, an hour up to a day, 12 hours up to a week. Panes hold exact moments and counts, and mergeable
//! sketches for quantiles (1 %).
//!
//! A window begins at its exact time if single polls reach back that far. Otherwise it begins with the pane that
//! contains this time, so that it covers at most one pane more: 25 h for the 24 h window, 7.5 days for the 7 d window.
//! Each summary states the span that it covers.
//!
//! Memory: about 8 bytes for each poll of the last hour (5 kB at most), and at most 54 panes, whose size grows with the
//! spread of their values, not with their number. Measured by `benches/stats.rs` with offsets spread over 1 ms, in kB
//! of each server, for windows up to 1 h, 24 h and 7 d: 3, 15 and 29 when polled each 64 s; 9, 26 and 46 each 16 s.

mod packed;
mod pane;
mod polls;

use super::histogram::DisplayHistogram;
use super::intake::{Intake, Refusal, Refusals, TimeAxis};
use super::loss::Ending;
use super::reach::Reach;
use super::state::ServerState;
use super::summary::{Assembly, WindowSummary};
use crate::clock::Stamp;
use crate::sample::Sample;
use packed::TIME_UNIT_NS;
use pane::{Record, Tier};
use polls::Polls;

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const HOUR_NS: i64 = 60 * MINUTE_NS;

/// A named span up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    /// `5m`.
    FiveMinutes,
    /// `1h`.
    Hour,
    /// `24h`.
    Day,
    /// `7d`.
    Week,
}

impl Window {
    /// Every window, shortest first.
    pub const ALL: [Self; 4] = [Self::FiveMinutes, Self::Hour, Self::Day, Self::Week];

    /// The name in the API and in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// The inverse of [`Window::label`].
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.label() == label)
    }

    /// Its length in seconds.
    #[must_use]
    pub fn length_s(self) -> f64 {
        self.length_ns() as f64 / SECOND_NS as f64
    }

    fn length_ns(self) -> i64 {
        match self {
            Self::FiveMinutes => 5 * MINUTE_NS,
            Self::Hour => HOUR_NS,
            Self::Day => 24 * HOUR_NS,
            Self::Week => 7 * 24 * HOUR_NS,
        }
    }
}

/// The windows of one server's series.
#[derive(Debug)]
pub struct ServerWindows {
    intake: Intake,
    state: ServerState,
    singles: Polls,
    /// From the finest and newest to the coarsest and oldest.
    tiers: Box<[Tier]>,
}

impl ServerWindows {
    /// The most polls that are kept one by one.
    pub const MAX_SINGLE: usize = 512;

    /// Up to this many polls stay single however old, so that a rarely polled server needs no panes for its last hours.
    const FEW: usize = 63;

    /// The most offsets that [`ServerWindows::recent_s`] gives. So many polls are always kept one by one.
    pub const RECENT: usize = 30;

    /// The most points in the trend of a window, which bounds its cost.
    const TREND_POINTS: usize = 64;

    /// Windows up to 7 d over samples in the order of `axis`.
    #[must_use]
    pub fn new(axis: TimeAxis) -> Self {
        Self::up_to(Window::Week, axis)
    }

    /// Windows up to `longest` only, to save memory. A longer window then covers only what is kept.
    #[must_use]
    pub fn up_to(longest: Window, axis: TimeAxis) -> Self {
        let tiers = [
            (5 * MINUTE_NS, HOUR_NS, Window::FiveMinutes),
            (HOUR_NS, 24 * HOUR_NS, Window::Day),
            (12 * HOUR_NS, 7 * 24 * HOUR_NS, Window::Week),
        ];
        let needed = tiers.into_iter().filter(|(_, _, from)| *from <= longest);
        Self {
            intake: Intake::new(axis),
            state: ServerState::default(),
            singles: Polls::default(),
            tiers: needed.map(|(width_ns, keep_ns, _)| Tier::new(width_ns, keep_ns)).collect(),
        }
    }

    /// Adds a poll. Amortised O(log n).
    ///
    /// # Errors
    /// Why the sample was refused. Then nothing but the count of refusals changes.
    pub fn observe(&mut self, sample: &Sample) -> Result<(), Refusal> {
        let at_ns = self.intake.admit(sample)?;
        self.state.record(at_ns as f64 / SECOND_NS as f64, sample);
        let (offset_s, delay_s) = sample.measure.map_or((0.0, 0.0), |measure| (measure.offset_s, measure.delay_s));
        let ending = Ending::of(sample);
        let at_ns = whole(at_ns);
        self.age(at_ns);
        self.singles.push(&Record { at_ns, offset_s, delay_s, ending, way: sample.timestamping });
        Ok(())
    }

    /// The summary of a window that ends at `now`, or at the last sample if that is later.
    #[must_use]
    pub fn summary(&self, window: Window, now: Stamp) -> WindowSummary {
        let now_ns = self.end_ns(now);
        self.assemble(window, now_ns).finish(now_ns, &self.state, self.intake.refused)
    }

    /// An earlier summary with current reach, score, jitter, clock filter and refusals, which cost little.
    #[must_use]
    pub fn brought_up_to_date(&self, summary: &WindowSummary, now: Stamp) -> WindowSummary {
        let filter = self.state.filtered(self.end_ns(now) as f64 / SECOND_NS as f64);
        WindowSummary {
            jitter_s: filter.map(|filtered| filtered.jitter_s),
            filter,
            reach: self.state.reach,
            score: self.state.score,
            refused: self.intake.refused,
            ..summary.clone()
        }
    }

    /// The histogram of the signed offsets of a window. `None` when it holds no sample.
    #[must_use]
    pub fn offset_histogram(&self, window: Window, now: Stamp) -> Option<DisplayHistogram> {
        let mut assembly = self.assemble(window, self.end_ns(now));
        let way = assembly.main_way()?;
        let singles = way.points.iter().map(|point| (point.offset_s, 1));
        let merged = way.merged.iter().flat_map(|merged| merged.offsets.values());
        DisplayHistogram::of(&singles.chain(merged).collect::<Vec<_>>())
    }

    /// Continues the reach of the address that this one replaces.
    pub fn continue_reach(&mut self, reach: Reach) {
        self.state.reach = reach;
    }

    /// The offsets of the newest polls in seconds, oldest first, at most `count` and [`ServerWindows::RECENT`]; NaN for a
    /// poll without a sample.
    pub fn recent_s(&self, count: usize) -> impl Iterator<Item = f32> {
        let offset_s = |poll: Record| poll.point().map_or(f32::NAN, |point| point.offset_s as f32);
        self.singles.newest(count.min(Self::RECENT)).map(offset_s)
    }

    /// Reach, score and clock filter.
    #[must_use]
    pub fn state(&self) -> &ServerState {
        &self.state
    }

    /// The samples refused so far, by reason.
    #[must_use]
    pub fn refused(&self) -> Refusals {
        self.intake.refused
    }

    /// The memory held for this server in bytes, allocations included.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let tiers: usize = self.tiers.iter().map(|tier| size_of::<Tier>() + tier.memory_bytes()).sum();
        size_of::<Self>() + self.singles.memory_bytes() + tiers
    }

    fn end_ns(&self, now: Stamp) -> i64 {
        self.intake.axis.ns(now).max(self.intake.last_ns().unwrap_or(i64::MIN))
    }

    fn assemble(&self, window: Window, now_ns: i64) -> Assembly {
        let start_ns = whole(now_ns.saturating_sub(window.length_ns()));
        let mut assembly = Assembly::new(Self::TREND_POINTS);
        self.tiers.iter().rev().for_each(|tier| tier.add_to(start_ns, &mut assembly));
        self.singles.since(start_ns).for_each(|record| record.add_to(&mut assembly));
        assembly
    }

    /// Makes room for a poll at `now_ns`: moves polls and panes that are too old, or too many, to the next tier.
    fn age(&mut self, now_ns: i64) {
        let hour_ago_ns = now_ns.saturating_sub(HOUR_NS);
        let shown_from_ns = now_ns.saturating_sub(self.tiers.last().map_or(HOUR_NS, Tier::keep_ns));
        while let Some(oldest_ns) = self.singles.front_ns() {
            let n = self.singles.len();
            if n < Self::FEW || (n < Self::MAX_SINGLE && oldest_ns >= hour_ago_ns) {
                break;
            }
            let Some(oldest) = self.singles.pop_front() else { break };
            if oldest.at_ns < shown_from_ns {
                // No window begins so early, and the polls in the panes are older.
                self.tiers.iter_mut().for_each(Tier::clear);
            } else if let Some(finest) = self.tiers.first_mut() {
                finest.add(&oldest);
            }
        }
        for i in 0..self.tiers.len() {
            while let Some(pane) = self.tiers[i].pop_older(now_ns) {
                if let Some(coarser) = self.tiers.get_mut(i + 1) {
                    coarser.merge(pane);
                }
            }
        }
    }
}

/// Rounds a time down to the unit of kept polls. Beginnings of windows are rounded too, so that no poll is missed.
fn whole(ns: i64) -> i64 {
    ns.div_euclid(TIME_UNIT_NS).saturating_mul(TIME_UNIT_NS)
}

#[cfg(test)]
mod tests;
