//! The exact totals of the polls of one server over the whole span.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::ServerReport;
use crate::sample::Sample;
use crate::stats::intake::{Intake, Refusals, TimeAxis};
use crate::stats::stability::{PhaseGrid, Stability, StabilityError, usual_spacing_s};
use crate::stats::state::ServerState;
use crate::stats::summary::Assembly;
use crate::stats::trend::{MAX_POINTS, Point};

/// The totals of a server and of its addresses.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    all: Totals,
    first: Option<SocketAddr>,
    /// Empty until there is a second address, so that nothing is stored twice for servers with one.
    each: BTreeMap<SocketAddr, Totals>,
}

impl Addresses {
    pub(super) fn observe(&mut self, sample: &Sample) {
        if let Some(address) = sample.address {
            let first = *self.first.get_or_insert(address);
            if self.each.is_empty() && first != address {
                self.each.insert(first, self.all.clone());
            }
            if !self.each.is_empty() {
                self.each.entry(address).or_default().observe(sample);
            }
        }
        self.all.observe(sample);
    }

    pub(super) fn report(self, taus_s: Option<&[f64]>) -> ServerReport {
        let addresses: BTreeMap<_, _> =
            self.each.into_iter().map(|(address, totals)| (address.to_string(), totals.report(taus_s))).collect();
        if addresses.is_empty() {
            return self.all.report(taus_s);
        }
        let mut report = self.all.summarise();
        // The phases of different clocks are not one series.
        report.stability_absent = Some("several addresses: each has its own".to_owned());
        report.addresses = addresses;
        report
    }
}

/// All polls of a server or address. Times count from the first poll: since 1970 they would be coarse (0.25 µs).
#[derive(Debug, Clone)]
struct Totals {
    /// Addresses are polled independently, so the samples of each have their own order.
    intakes: HashMap<Option<SocketAddr>, Intake>,
    first_ns: Option<i64>,
    last_ns: i64,
    state: ServerState,
    assembly: Assembly,
    polls_s: Vec<f64>,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            intakes: HashMap::new(),
            first_ns: None,
            last_ns: 0,
            state: ServerState::default(),
            assembly: Assembly::new(MAX_POINTS),
            polls_s: Vec::new(),
        }
    }
}

impl Totals {
    fn observe(&mut self, sample: &Sample) {
        let intake = self.intakes.entry(sample.address).or_insert_with(|| Intake::new(TimeAxis::Wall));
        let Ok(at_ns) = intake.admit(sample) else { return };
        let at_ns = at_ns.saturating_sub(*self.first_ns.get_or_insert(at_ns));
        let at_s = at_ns as f64 / 1e9;
        self.last_ns = self.last_ns.max(at_ns);
        self.state.record(at_s, sample);
        self.assembly.outcomes.record(sample);
        self.assembly.begins_at(at_ns);
        self.polls_s.push(at_s);
        if let Some(measure) = sample.measure.filter(|_| sample.outcome.is_success()) {
            let point = Point { at_s, offset_s: measure.offset_s, delay_s: measure.delay_s };
            self.assembly.way(sample.timestamping).points.push(point);
        }
    }

    fn report(mut self, taus_s: Option<&[f64]>) -> ServerReport {
        let stability = self.stability(taus_s);
        let mut report = self.summarise();
        report.stability_absent = stability.as_ref().err().map(ToString::to_string);
        report.stability = stability.unwrap_or_default();
        report
    }

    fn summarise(self) -> ServerReport {
        let mut refused = Refusals::default();
        self.intakes.values().for_each(|intake| refused.merge(&intake.refused));
        let summary = self.assembly.finish(self.last_ns, &self.state, refused);
        ServerReport { summary, stability: Stability::default(), stability_absent: None, addresses: BTreeMap::new() }
    }

    fn stability(&mut self, taus_s: Option<&[f64]>) -> Result<Stability, StabilityError> {
        let points = self.assembly.main_way().map_or(&[][..], |way| &way.points);
        let tau0_s = usual_spacing_s(&self.polls_s).ok_or(StabilityError::TooFew(points.len()))?;
        let phases: Vec<_> = points.iter().map(|point| (point.at_s, point.offset_s)).collect();
        Ok(Stability::of(&PhaseGrid::from_samples(tau0_s, &phases)?, taus_s))
    }
}
