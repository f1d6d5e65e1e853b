//! Finds honest parties among those that verdicts name: right for all of the time of the verdict, with a grace.

use std::collections::BTreeMap;
use std::fmt;

use ntp_monitor_core::fleet::replay::FleetReplay;
use ntp_monitor_core::fleet::verdict::{BlamedServer, BlamedVantage, FleetKind, FleetState, FleetVerdict};
use ntp_monitor_core::fleet::witness::VantageGroups;
use ntp_monitor_core::world::fleet::{FleetWorld, What};

use super::decidable::{GRACE, Known, Named};
use super::score::{since_s, until_s};
use super::wild::Wild;

/// A clock must have moved by this share of what is stated.
const SHARE: f64 = 0.5;
/// Polls of the slowest vantage before a verdict in which a clock may have moved.
const MOVED_WITHIN: f64 = 60.0;
/// A step that lasts for so many polls of the slowest vantage must be found.
const FOUND_WITHIN: f64 = 15.0;

/// An honest party that a verdict names.
#[derive(Debug, Clone)]
pub struct Accused {
    pub party: String,
    pub is_proven: bool,
    /// The beginning of the first verdict.
    pub since_s: f64,
    /// For how long in all.
    pub lasts_s: f64,
    /// For how long of that the readings show that the party did not move.
    pub decidable_s: f64,
    /// The largest size that is stated.
    pub size_s: f64,
    pub sentence: String,
}

impl fmt::Display for Accused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.is_proven { "proven" } else { "inferred" };
        let Self { party, since_s, lasts_s, decidable_s, size_s, sentence, .. } = self;
        write!(f, "{party} {how} from {since_s:.0} for {lasts_s:.0} s ({decidable_s:.0} s decidable), ")?;
        write!(f, "{:.3} ms: {sentence}", 1e3 * size_s)
    }
}

/// What is wrong with the verdicts on a drawn world.
#[derive(Debug, Default)]
pub struct Wrongs {
    pub accused: Vec<Accused>,
    /// Clear faults that no verdict names.
    pub missed: Vec<String>,
    /// How many clear faults there were.
    pub clear: usize,
}

/// What is true in a world.
pub struct Truth<'a> {
    pub world: &'a FleetWorld,
    /// The poll interval of the slowest vantage.
    pub poll_s: f64,
}

pub fn judge(wild: &Wild, shows: bool) -> Wrongs {
    let world = &wild.world;
    let (samples, _) = world.run();
    let mut replay = FleetReplay::new(VantageGroups::default());
    samples.iter().for_each(|it| replay.observe(&it.sample));
    let report = replay.finish_with(&mut |_| {}, &mut |_, _| {});
    let truth = Truth::new(world);
    let known = Known::new(&truth, &samples);
    let (mut wrongs, mut spans) = (Wrongs::default(), Spans::default());
    for verdict in &report.verdicts {
        if shows {
            println!("{:>6.0} to {:>6.0}: {}", since_s(verdict), until_s(verdict), verdict.sentence);
        }
        spans.take(verdict, GRACE * truth.poll_s);
        truth.accused(verdict, &known, &spans, &mut wrongs.accused);
    }
    truth.missed(&report.verdicts, &mut wrongs);
    wrongs
}

/// Since when and until when each server and vantage is named without a pause.
#[derive(Default)]
struct Spans(BTreeMap<String, (f64, f64)>);

impl Spans {
    fn take(&mut self, verdict: &FleetVerdict, pause_s: f64) {
        let servers = verdict.servers.iter().map(|it| &it.server);
        for name in servers.chain(verdict.vantages.iter().map(|it| &it.vantage)) {
            let span = self.0.entry(name.clone()).or_insert((since_s(verdict), 0.0));
            let is_new = since_s(verdict) > span.1 + pause_s;
            *span = (if is_new { since_s(verdict) } else { span.0 }, until_s(verdict));
        }
    }

    fn since_s(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |span| span.0)
    }
}

impl<'a> Truth<'a> {
    fn new(world: &'a FleetWorld) -> Self {
        Self { world, poll_s: world.polls_s.iter().copied().fold(0.0, f64::max) }
    }

    /// The error of a server's clock as most vantages see it.
    pub fn server_s(&self, server: usize, t_s: f64) -> f64 {
        let faults = self.world.faults.iter().filter(|it| (it.from_s..it.until_s).contains(&t_s));
        let of = faults.map(|it| match &it.what {
            What::Server(s, by_s, some) if *s == server && some.is_empty() => *by_s,
            What::ServerDrift(s, rate) if *s == server => rate * (t_s - it.from_s),
            _ => 0.0,
        });
        let course_s = self.world.server_courses.get(server).map_or(0.0, |course| course.at(t_s));
        self.world.servers[server].error_s + of.sum::<f64>() + course_s
    }

    /// The error of a vantage's clock but for its wander.
    pub fn vantage_s(&self, vantage: usize, t_s: f64) -> f64 {
        self.clock_s(vantage, t_s, false)
    }

    /// The same, or if the raw clock shows what is `known` of it, the rest.
    pub fn clock_s(&self, vantage: usize, t_s: f64, is_known: bool) -> f64 {
        let faults = self.world.faults.iter().filter(|it| (it.from_s..it.until_s).contains(&t_s));
        let of = faults.map(|it| match it.what {
            What::Set(v, by_s) if v == vantage && !is_known => by_s,
            What::Drift(v, rate) if v == vantage => rate * (t_s - it.from_s),
            _ => 0.0,
        });
        let course = self.world.courses.get(vantage);
        of.sum::<f64>() + course.map_or(0.0, |it| if is_known { it.oscillator_at(t_s) } else { it.at(t_s) })
    }

    pub fn has(&self, (from_s, to_s): (f64, f64), is: impl Fn(&What) -> bool) -> bool {
        self.world.faults.iter().any(|it| it.from_s < to_s && it.until_s > from_s && is(&it.what))
    }

    fn window(&self, verdict: &FleetVerdict) -> (f64, f64) {
        let grace_s = GRACE * self.poll_s;
        (since_s(verdict) - grace_s, until_s(verdict).min(self.world.duration_s) + grace_s)
    }

    /// The least and the largest error within a time.
    fn range(&self, error_s: impl Fn(f64) -> f64, (from_s, to_s): (f64, f64)) -> (f64, f64) {
        let times = (0..).map(|n| from_s.max(0.0) + 4.0 * f64::from(n)).take_while(|t_s| *t_s <= to_s);
        let ends = |(low, high): (f64, f64), error: f64| (low.min(error), high.max(error));
        times.map(error_s).fold((f64::INFINITY, f64::NEG_INFINITY), ends)
    }

    /// Whether a clock moved as stated shortly before or within a time, or since it is named and is still displaced.
    fn has_moved(&self, error_s: impl Fn(f64) -> f64, named_s: f64, size_s: f64, window: (f64, f64)) -> bool {
        let before_s = error_s((named_s - GRACE * self.poll_s).max(0.0));
        let (low, high) = self.range(&error_s, window);
        let displaced_s = (before_s - low).max(high - before_s);
        let (low, high) = self.range(&error_s, (window.0 - MOVED_WITHIN * self.poll_s, window.1));
        displaced_s.max(high - low) >= SHARE * size_s.abs()
    }

    fn is_server_wrong(&self, server: usize, it: &BlamedServer, named_s: f64, window: (f64, f64)) -> bool {
        // What one vantage alone reports of a server rests on its word, and the assumption of the verdict says so.
        let mut readers = (0..self.world.sees.len()).filter(|v| self.world.sees[*v][server]);
        if let (Some(only), None) = (readers.next(), readers.next())
            && self.has(window, |what| matches!(what, What::Lie(v, ..) if *v == only))
        {
            return true;
        }
        let is_split =
            self.has(window, |what| matches!(what, What::Server(s, _, some) if *s == server && !some.is_empty()));
        let error_s = |t_s| self.server_s(server, t_s);
        let (low, high) = self.range(error_s, window);
        let is_beyond = high.max(-low) > 1.5 * self.world.servers[server].dispersion_s;
        let size_s = it.size_s.or(it.gap_s).unwrap_or(0.0);
        is_split || is_beyond || (!it.proven && self.has_moved(error_s, named_s, size_s, window))
    }

    fn is_vantage_wrong(&self, vantage: usize, it: &BlamedVantage, named_s: f64, window: (f64, f64)) -> bool {
        let is_lying = self.has(window, |what| matches!(what, What::Lie(v, ..) if *v == vantage));
        if is_lying || it.kind == FleetKind::FalseReports {
            return is_lying;
        }
        let error_s = |t_s| self.vantage_s(vantage, t_s);
        if let Some(gap_s) = it.gap_s.filter(|_| it.proven) {
            let (low, high) = self.range(error_s, window);
            return high.max(-low) >= SHARE * gap_s;
        }
        self.has_moved(error_s, named_s, it.size_s.or(it.gap_s).unwrap_or(0.0), window)
    }

    fn is_path_wrong(&self, vantage: Option<usize>, server: Option<usize>, window: (f64, f64)) -> bool {
        let meets = |a: &Option<usize>, b: Option<usize>| a.is_none() || b.is_none() || *a == b;
        self.has(window, |what| match what {
            What::OneWay(v, s, _) | What::BothWays(v, s, _) | What::Queue(v, s, _) => {
                meets(v, vantage) && meets(s, server)
            }
            What::Lie(v, s, _) => meets(&Some(*v), vantage) && meets(s, server),
            What::Server(s, _, some) => meets(&Some(*s), server) && !some.is_empty(),
            _ => false,
        })
    }

    fn accused(&self, verdict: &FleetVerdict, known: &Known, spans: &Spans, accused: &mut Vec<Accused>) {
        let window = self.window(verdict);
        let (since_s, lasts_s) = (since_s(verdict), until_s(verdict).min(self.world.duration_s) - since_s(verdict));
        // A verdict that was superseded at its onset says nothing.
        if lasts_s < 1.0 {
            return;
        }
        let mut add = |party: String, named: Named, is_proven: bool, size_s: f64| {
            let decidable_s = known.decidable_s(named, size_s, (since_s, since_s + lasts_s));
            let sentence = verdict.sentence.clone();
            match accused.iter_mut().find(|it| it.party == party && it.is_proven == is_proven) {
                Some(known) => {
                    known.lasts_s += lasts_s;
                    known.decidable_s += decidable_s;
                    known.size_s = if size_s.abs() > known.size_s.abs() { size_s } else { known.size_s };
                }
                None => accused.push(Accused { party, is_proven, since_s, lasts_s, decidable_s, size_s, sentence }),
            }
        };
        let index = |name: &str| name[1..].parse::<usize>().ok().map(|number| number - 1);
        for it in &verdict.servers {
            let (server, size_s) = (index(&it.server).unwrap(), it.size_s.or(it.gap_s).unwrap_or(0.0));
            if !self.is_server_wrong(server, it, spans.since_s(&it.server), window) {
                let party = format!("server:{} {:?}", it.server, it.kind);
                add(party, Named::Server(server), it.proven, size_s);
            }
        }
        for it in &verdict.vantages {
            let (vantage, size_s) = (index(&it.vantage).unwrap(), it.size_s.or(it.gap_s).unwrap_or(0.0));
            if !self.is_vantage_wrong(vantage, it, spans.since_s(&it.vantage), window) {
                let party = format!("vantage:{} {:?}", it.vantage, it.kind);
                add(party, Named::Vantage(vantage), it.proven, size_s);
            }
        }
        for it in &verdict.paths {
            let (vantage, server) = (index(&it.vantage), index(&it.server));
            if !self.is_path_wrong(vantage, server, window) {
                add(format!("path:{}/{}", it.vantage, it.server), Named::Path(vantage, server), false, 0.0);
            }
        }
    }

    /// Steps of servers and vantages beyond what paths and claims can hide, which no verdict names.
    fn missed(&self, verdicts: &[FleetVerdict], wrongs: &mut Wrongs) {
        let (world, hidden_s) = (self.world, 2.0 * self.world.delays_s.1);
        for fault in &world.faults {
            let (name, by_s, readers) = match &fault.what {
                What::Server(s, by_s, some) if some.is_empty() => {
                    (FleetWorld::server(*s), *by_s, world.sees.iter().filter(|sees| sees[*s]).count())
                }
                What::Set(v, by_s) => (FleetWorld::vantage(*v), *by_s, world.sees[*v].iter().filter(|it| **it).count()),
                _ => continue,
            };
            let end_s = fault.until_s.min(world.duration_s);
            let claims_s = world.servers.iter().map(|it| 1.5 * it.dispersion_s).fold(0.0, f64::max);
            if by_s.abs() < hidden_s + claims_s || end_s - fault.from_s < FOUND_WITHIN * self.poll_s || readers < 2 {
                continue;
            }
            wrongs.clear += 1;
            let is_then = |it: &&FleetVerdict| until_s(it) > fault.from_s && since_s(it) < end_s;
            let names = |it: &FleetVerdict| {
                it.state == FleetState::Undecidable
                    || it.servers.iter().any(|it| it.server == name)
                    || it.vantages.iter().any(|it| it.vantage == name)
            };
            if !verdicts.iter().filter(is_then).any(names) {
                wrongs.missed.push(format!("{name} by {:.1} ms at {:.0} s", 1e3 * by_s, fault.from_s));
            }
        }
    }
}
