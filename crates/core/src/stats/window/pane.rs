//! Sub-windows of fixed width, and the tiers through which samples move as they age.

use std::collections::VecDeque;

use crate::sample::Timestamping;
use crate::stats::distribution::{Distribution, Sealed};
use crate::stats::loss::{Ending, Outcomes};
use crate::stats::summary::Assembly;
use crate::stats::trend::Point;

/// The part of a poll that the statistics need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub at_ns: i64,
    pub offset_s: f64,
    pub delay_s: f64,
    pub ending: Ending,
    pub way: Option<Timestamping>,
}

impl Record {
    /// Offset and delay, if the poll gave a sample.
    pub fn point(&self) -> Option<Point> {
        let at_s = self.at_ns as f64 / 1e9;
        self.ending.is_success().then_some(Point { at_s, offset_s: self.offset_s, delay_s: self.delay_s })
    }

    pub fn add_to(&self, assembly: &mut Assembly) {
        assembly.begins_at(self.at_ns);
        assembly.outcomes.record_ending(self.ending);
        if let Some(point) = self.point() {
            assembly.way(self.way).points.push(point);
        }
    }
}

/// The polls of one sub-window.
#[derive(Debug)]
pub(super) struct Pane {
    /// Its beginning, in multiples of the tier's width.
    index: i64,
    first_ns: i64,
    last_ns: i64,
    outcomes: Outcomes,
    ways: Vec<PaneWay>,
}

#[derive(Debug)]
struct PaneWay {
    way: Option<Timestamping>,
    lowest: Point,
    values: Values,
}

/// Only the newest pane of a tier grows; the others are stored in compact form.
#[derive(Debug)]
enum Values {
    Growing(Box<Distribution>),
    Sealed(Box<Sealed>),
}

impl Values {
    fn grow(&mut self) -> &mut Distribution {
        if let Self::Sealed(sealed) = self {
            *self = Self::Growing(Box::new(sealed.open()));
        }
        match self {
            Self::Growing(values) => values,
            Self::Sealed(_) => unreachable!("it was opened above"),
        }
    }

    fn seal(&mut self) {
        if let Self::Growing(values) = self {
            *self = Self::Sealed(Box::new(Sealed::new(values)));
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Self::Growing(values) => values.memory_bytes(),
            Self::Sealed(sealed) => sealed.memory_bytes(),
        }
    }
}

impl Pane {
    fn new(index: i64, first_ns: i64) -> Self {
        Self { index, first_ns, last_ns: first_ns, outcomes: Outcomes::default(), ways: Vec::new() }
    }

    fn add(&mut self, record: &Record) {
        self.last_ns = record.at_ns;
        self.outcomes.record_ending(record.ending);
        if let Some(point) = record.point() {
            self.way(record.way, point).add(&point);
        }
    }

    fn merge(&mut self, mut other: Self) {
        self.last_ns = other.last_ns;
        self.outcomes.merge(&other.outcomes);
        for theirs in &mut other.ways {
            self.way(theirs.way, theirs.lowest).merge(theirs.values.grow());
        }
    }

    /// The values of one timestamping method. `candidate` may become its lowest-delay sample.
    fn way(&mut self, way: Option<Timestamping>, candidate: Point) -> &mut Distribution {
        let at = self.ways.iter().position(|known| known.way == way).unwrap_or_else(|| {
            self.ways.push(PaneWay { way, lowest: candidate, values: Values::Growing(Box::default()) });
            self.ways.len() - 1
        });
        let known = &mut self.ways[at];
        if candidate.delay_s < known.lowest.delay_s {
            known.lowest = candidate;
        }
        known.values.grow()
    }

    fn seal(&mut self) {
        self.ways.iter_mut().for_each(|way| way.values.seal());
        self.ways.shrink_to_fit();
    }

    fn add_to(&self, assembly: &mut Assembly) {
        assembly.begins_at(self.first_ns);
        assembly.outcomes.merge(&self.outcomes);
        for way in &self.ways {
            match &way.values {
                Values::Growing(values) => assembly.way(way.way).merge(values, way.lowest),
                Values::Sealed(sealed) => assembly.way(way.way).merge(&sealed.open(), way.lowest),
            }
        }
    }

    fn memory_bytes(&self) -> usize {
        let ways: usize = self.ways.iter().map(|way| way.values.memory_bytes()).sum();
        self.ways.capacity() * size_of::<PaneWay>() + ways
    }
}

/// Panes of one width, oldest first.
#[derive(Debug)]
pub(super) struct Tier {
    width_ns: i64,
    /// How long a pane is kept after its end.
    keep_ns: i64,
    panes: VecDeque<Pane>,
}

impl Tier {
    pub fn new(width_ns: i64, keep_ns: i64) -> Self {
        Self { width_ns, keep_ns, panes: VecDeque::new() }
    }

    /// How long a pane is kept after its end.
    pub fn keep_ns(&self) -> i64 {
        self.keep_ns
    }

    /// Removes all panes, and their memory.
    pub fn clear(&mut self) {
        self.panes = VecDeque::new();
    }

    /// Adds a poll that is not older than any in this tier.
    pub fn add(&mut self, record: &Record) {
        self.newest_at(record.at_ns).add(record);
    }

    /// Adds a finished pane, not older than any here, of a tier whose width divides this one's.
    pub fn merge(&mut self, pane: Pane) {
        self.newest_at(pane.first_ns).merge(pane);
    }

    /// Removes and returns the oldest pane if it is too old for this tier.
    pub fn pop_older(&mut self, now_ns: i64) -> Option<Pane> {
        let end_ns = self.panes.front()?.index.saturating_add(1).saturating_mul(self.width_ns);
        if end_ns.saturating_add(self.keep_ns) <= now_ns { self.panes.pop_front() } else { None }
    }

    /// Adds every pane with a poll at `start_ns` or later.
    pub fn add_to(&self, start_ns: i64, assembly: &mut Assembly) {
        let within = self.panes.iter().filter(|pane| pane.last_ns >= start_ns);
        within.for_each(|pane| pane.add_to(assembly));
    }

    pub fn memory_bytes(&self) -> usize {
        let panes: usize = self.panes.iter().map(Pane::memory_bytes).sum();
        self.panes.capacity() * size_of::<Pane>() + panes
    }

    fn newest_at(&mut self, at_ns: i64) -> &mut Pane {
        let index = at_ns.div_euclid(self.width_ns);
        if self.panes.back().is_none_or(|newest| newest.index != index) {
            if let Some(finished) = self.panes.back_mut() {
                finished.seal();
            }
            self.panes.push_back(Pane::new(index, at_ns));
        }
        self.panes.back_mut().expect("a pane was pushed above")
    }
}
