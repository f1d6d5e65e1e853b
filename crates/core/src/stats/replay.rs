//! Runs recorded samples through the analysis of the live service, with their own timestamps, and collects its results.
//!
//! The statistics of a server are exact over the whole span and combine all its addresses; if there are several, each
//! is reported as well. They take 32 bytes a poll: a year of five servers at 64 s takes 80 MB. The last [`VERDICTS`]
//! verdicts are kept.

mod totals;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde::Serialize;

use super::analysis::Analysis;
use super::caveat::Reliability;
use super::events::{Event, EventKind};
use super::intake::TimeAxis;
use super::leap::LeapSource;
use super::local::LocalState;
use super::snapshot::Snapshot;
use super::stability::Stability;
use super::summary::WindowSummary;
use super::verdict::{Entry, When};
use super::window::Window;
use crate::clock::Stamp;
use crate::sample::Sample;
use totals::Addresses;

/// The number of verdicts that are kept: enough for two years with a change every minute.
pub const VERDICTS: usize = 1_000_000;

/// A replay in progress.
#[derive(Debug)]
pub struct Replay {
    analysis: Analysis,
    servers: BTreeMap<Arc<str>, Addresses>,
    events: Events,
    reliability: Reliability,
    /// The time of the last sample.
    latest_ns: i64,
}

/// The result of a replay. Serialises to the output of `replay --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Every server by name.
    pub servers: BTreeMap<String, ServerReport>,
    /// The events by start.
    pub events: Vec<Event>,
    /// The verdicts in order of time.
    pub verdicts: Vec<Entry>,
}

/// One server over the whole span.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerReport {
    /// Distributions, loss, and other figures.
    #[serde(flatten)]
    pub summary: WindowSummary,
    /// Deviations by averaging time; empty vectors when there are none.
    pub stability: Stability,
    /// Why there are no deviations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stability_absent: Option<String>,
    /// The same for each address if there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<String, ServerReport>,
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl Replay {
    /// Creates an empty replay.
    #[must_use]
    pub fn new() -> Self {
        // A replay reports no windows; snapshots for alert rules need the last hour.
        let analysis = Analysis::new(Window::Hour, TimeAxis::Wall).remembering(VERDICTS);
        let (servers, events, reliability) = (BTreeMap::new(), Events::default(), Reliability::default());
        Self { analysis, servers, events, reliability, latest_ns: i64::MIN }
    }

    /// Processes the next sample.
    pub fn observe(&mut self, sample: &Arc<Sample>) {
        self.latest_ns = sample.at.wall_ns;
        match self.servers.get_mut(&sample.server.name) {
            Some(addresses) => addresses.observe(sample),
            None => self.servers.entry(Arc::clone(&sample.server.name)).or_default().observe(sample),
        }
        self.analysis.observe(sample);
        self.analysis.take_events().into_iter().for_each(|event| self.events.keep(event));
    }

    /// The snapshot as of `wall_ns`, for alert rules.
    pub fn snapshot(&mut self, wall_ns: i64) -> Snapshot {
        self.analysis.snapshot(Stamp::new(wall_ns, wall_ns, 0))
    }

    /// Sets the state of this host's clock from here on.
    pub fn observe_local(&mut self, local: LocalState) {
        self.reliability.add(self.latest_ns, local.distrust().is_none());
        self.analysis.observe_local(local);
    }

    /// Sets the list of leap seconds with which announcements are compared from here on.
    pub fn use_leap_list(&mut self, source: LeapSource) {
        self.analysis.use_leap_list(source);
    }

    /// The same, with a list of leap seconds.
    #[must_use]
    pub fn with_leap_list(mut self, source: LeapSource) -> Self {
        self.analysis.use_leap_list(source);
        self
    }

    /// The results, with stability at the given averaging times in seconds or at octaves.
    #[must_use]
    pub fn finish(self, taus_s: Option<&[f64]>) -> Report {
        let mut verdicts: Vec<Entry> = self.analysis.history().entries().cloned().collect();
        self.reliability.mark(&mut verdicts);
        Report { servers: reports(self.servers, taus_s), events: self.events.sorted(), verdicts }
    }
}

/// Stability takes most of the time, so servers are distributed over the cores.
fn reports(servers: BTreeMap<Arc<str>, Addresses>, taus_s: Option<&[f64]>) -> BTreeMap<String, ServerReport> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(servers.len());
    let waiting = Mutex::new(servers.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut done = Vec::new();
        while let Some((name, addresses)) = next() {
            done.push((name.to_string(), addresses.report(taus_s)));
        }
        done
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let done = threads.into_iter().flat_map(|thread| thread.join().expect("a panic of a worker is one of ours"));
        done.collect()
    })
}

/// Events by their key; a later report replaces an earlier one.
#[derive(Debug, Default)]
struct Events {
    all: Vec<Event>,
    places: HashMap<(EventKind, Option<String>, Option<String>, When), usize>,
}

impl Events {
    fn keep(&mut self, event: Event) {
        let key = |(kind, start): (EventKind, When)| (kind, event.server.clone(), event.address.clone(), start);
        let earlier = event.replaces.and_then(|known_as| self.places.remove(&key(known_as)));
        let key = key((event.kind, event.start));
        match earlier.or_else(|| self.places.get(&key).copied()) {
            Some(place) => {
                self.places.insert(key, place);
                self.all[place] = event;
            }
            None => {
                self.places.insert(key, self.all.len());
                self.all.push(event);
            }
        }
    }

    fn sorted(self) -> Vec<Event> {
        let mut all = self.all;
        all.sort_by_key(|event| event.start);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::stability::of_samples;
    use super::super::summary::summarise;
    use super::*;
    use crate::sample::ServerIdent;
    use crate::world::{Fault, World};

    fn replay(world: &World) -> (Vec<Arc<Sample>>, Report) {
        let samples: Vec<_> = world.samples().map(Arc::new).collect();
        let mut replay = Replay::new();
        samples.iter().for_each(|sample| replay.observe(sample));
        (samples, replay.finish(None))
    }

    #[test]
    fn the_figures_are_those_of_an_exact_summary() {
        let (samples, report) = replay(&World::ordinary(7, 3, 64.0, 86_400.0));
        for (name, got) in &report.servers {
            let own: Vec<&Sample> = samples.iter().map(|s| &**s).filter(|s| *s.server.name == **name).collect();
            let expected = summarise(own.iter().copied());
            assert_eq!((got.summary.n, &got.summary.offset), (expected.n, &expected.offset));
            assert_eq!((got.summary.loss, got.summary.covers_s), (expected.loss, expected.covers_s));
            assert_eq!(got.stability, of_samples(own.into_iter(), None).unwrap());
        }
    }

    #[test]
    fn server_step_is_found_and_json_has_the_documented_keys() {
        let mut world = World::ordinary(3, 5, 64.0, 6.0 * 3600.0);
        world.faults.push(Fault::ServerStep { server: 1, at_s: 3.0 * 3600.0, size_s: 0.12 });
        let (_, report) = replay(&world);
        let last = report.verdicts.last().unwrap();
        assert_eq!(last.blamed.iter().map(|blame| blame.server.as_str()).collect::<Vec<_>>(), ["ntp2"]);
        let json = serde_json::to_value(&report).unwrap();
        for key in ["n", "offset", "delay", "loss", "stability"] {
            assert!(json["servers"]["ntp1"].get(key).is_some(), "{key}");
        }
        for key in ["tau_s", "oadev", "mdev", "tdev", "hdev", "mtie", "n"] {
            assert!(!json["servers"]["ntp1"]["stability"][key].as_array().unwrap().is_empty(), "{key}");
        }
        assert!(report.events.iter().any(|event| event.kind == EventKind::ServerStep));
    }

    #[test]
    fn step_of_a_server_is_one_event_with_its_size_and_onset() {
        let (mut sized, mut in_time, mut events) = (0, 0, 0);
        for seed in 1..=20 {
            let mut world = World::ordinary(seed, 5, 64.0, 6.0 * 3600.0);
            let at_s = 3.0 * 3600.0;
            let start_ns = world.samples().next().unwrap().at.wall_ns;
            world.faults.push(Fault::ServerStep { server: 1, at_s, size_s: 0.12 });
            let (_, report) = replay(&world);
            for event in report.events.iter().filter(|event| event.kind == EventKind::ServerStep) {
                let late_s = (event.start.0 - start_ns) as f64 / 1e9 - at_s;
                events += 1;
                sized += usize::from(event.detail.starts_with("+0.1"));
                in_time += usize::from(late_s.abs() <= 2.0 * 64.0);
            }
        }
        assert_eq!((events, sized, in_time), (20, 20, 20));
    }

    #[test]
    fn each_address_of_a_server_has_its_own_figures() {
        let (samples, one) = replay(&World::ordinary(7, 2, 64.0, 86_400.0));
        let renamed = samples.iter().map(|sample| Sample { server: ServerIdent::named("pool"), ..(**sample).clone() });
        let mut replay = Replay::new();
        renamed.for_each(|sample| replay.observe(&Arc::new(sample)));
        let report = replay.finish(None);
        let pool = &report.servers["pool"];
        assert_eq!(pool.addresses.len(), 2);
        assert_eq!(pool.summary.n, pool.addresses.values().map(|address| address.summary.n).sum::<u64>());
        assert!(pool.stability.tau_s.is_empty() && pool.stability_absent.is_some());
        for alone in one.servers.values() {
            let same = |it: &&ServerReport| it.summary.n == alone.summary.n && it.stability == alone.stability;
            assert!(pool.addresses.values().any(|address| same(&address)));
        }
    }

    #[test]
    fn replay_without_samples_gives_an_empty_report() {
        let json = serde_json::to_value(Replay::new().finish(None)).unwrap();
        assert_eq!(json, serde_json::json!({ "servers": {}, "events": [], "verdicts": [] }));
    }
}
