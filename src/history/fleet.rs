//! Judges a period from the samples of all vantages of a fleet in the store of a hub.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Add;
use std::sync::Arc;

use serde::Serialize;

use super::span::Span;
use crate::store::StoreError;
use crate::store::read::Reader;
use ntp_monitor_core::fleet::replay::FleetReplay;
use ntp_monitor_core::fleet::skew::{FromMedian, from_median};
use ntp_monitor_core::fleet::verdict::{FleetReport, FleetVerdict};
use ntp_monitor_core::sample::{Sample, ServerIdent};
use ntp_monitor_core::stats::verdict::When;

/// Maximum number of samples that are judged; the latest are used.
const MOST_SAMPLES: u64 = 1_000_000;
/// Number of samples between two progress reports.
const PROGRESS_EVERY: u64 = 50_000;
/// The name of this host's samples in a store that does not know it.
const THIS_HOST: &str = "this host";

/// The results of a period for the whole fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleetSurvey {
    /// The first sample that was judged. Earlier ones have expired or would exceed the limit.
    pub judged_from: When,
    /// Every vantage, by name.
    pub vantages: Vec<SurveyedVantage>,
    /// Every server that a verdict calls wrong, by name.
    pub servers: Vec<WrongServer>,
    /// The verdicts, and the differences of the clocks at the end of the period.
    #[serde(flatten)]
    pub found: FleetReport,
}

/// One vantage in the period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SurveyedVantage {
    pub name: String,
    pub polls: u64,
    pub answered: u64,
    pub servers: usize,
    /// Its latest sample, by its own clock.
    pub latest: When,
    /// Its clock minus the median of all vantages' clocks at the end; `null` if no common server connects them.
    pub clock: Option<FromMedian>,
    /// For how long verdicts called it wrong, in seconds.
    pub wrong_s: f64,
    /// Whether one of these verdicts was proven.
    pub proven: bool,
}

/// A server that verdicts called wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WrongServer {
    pub server: String,
    /// The largest number of places that saw the error at the same time.
    pub wrong_from: usize,
    /// The number of places that measured the server then.
    pub seen_from: usize,
    /// For how long verdicts called it wrong, in seconds.
    pub wrong_s: f64,
    /// The largest error that was proven at least, in seconds.
    pub gap_s: Option<f64>,
    pub proven: bool,
}

/// Judges the samples of all vantages. `None` if the store has no samples of other vantages.
///
/// # Errors
/// When the store cannot be read.
pub fn survey(
    reader: &Reader,
    span: Span,
    progress: &mut dyn FnMut(u64, i64),
) -> Result<Option<FleetSurvey>, StoreError> {
    if reader.series()?.iter().all(|one| one.key.vantage.is_empty()) {
        return Ok(None);
    }
    let Some(from_ns) = first_judged_ns(reader, span)? else { return Ok(None) };
    let here = reader.vantage()?.filter(|name| !name.is_empty()).unwrap_or_else(|| THIS_HOST.to_owned());
    let (mut replay, mut tally, mut count) = (FleetReplay::new(reader.fleet_groups()?), Tally::new(&here), 0_u64);
    for stored in reader.since(from_ns) {
        let sample = stored?.sample;
        if sample.at.wall_ns >= span.to_ns {
            break;
        }
        count += 1;
        if count.is_multiple_of(PROGRESS_EVERY) {
            progress(count, sample.at.wall_ns);
        }
        replay.observe(&tally.add(sample));
    }
    let found = replay.finish(&mut |_| {});
    Ok((count > 0).then(|| tally.finish(When(from_ns), span, found)))
}

/// The first sample of the period, or a later instant if the period has too many samples.
fn first_judged_ns(reader: &Reader, span: Span) -> Result<Option<i64>, StoreError> {
    let first = reader.since(span.from_ns).next().transpose()?.map(|stored| stored.sample.at.wall_ns);
    let Some(first_ns) = first.filter(|first_ns| *first_ns < span.to_ns) else { return Ok(None) };
    let polls: u64 = reader.counts(first_ns, span.to_ns)?.iter().map(|one| one.counts.polls()).sum();
    let share = MOST_SAMPLES as f64 / polls.max(MOST_SAMPLES) as f64;
    let judged = Span { from_ns: first_ns, ..span };
    Ok(Some(if share < 1.0 { span.to_ns - (judged.length_s() * share * 1e9) as i64 } else { first_ns }))
}

/// Counts the polls of each vantage.
struct Tally {
    here: Arc<str>,
    idents: BTreeMap<Arc<str>, Arc<ServerIdent>>,
    vantages: BTreeMap<Arc<str>, Polls>,
}

#[derive(Default)]
struct Polls {
    polls: u64,
    answered: u64,
    servers: BTreeSet<Arc<str>>,
    latest_ns: i64,
}

impl Tally {
    fn new(here: &str) -> Self {
        Self { here: here.into(), idents: BTreeMap::new(), vantages: BTreeMap::new() }
    }

    /// Counts a sample; returns it with the name of its vantage.
    fn add(&mut self, mut sample: Sample) -> Arc<Sample> {
        if sample.server.vantage.is_empty() {
            let here = &self.here;
            let named = self.idents.entry(Arc::clone(&sample.server.name));
            let named = named
                .or_insert_with(|| Arc::new(ServerIdent { vantage: Arc::clone(here), ..(*sample.server).clone() }));
            sample.server = Arc::clone(named);
        }
        let polls = self.vantages.entry(Arc::clone(&sample.server.vantage)).or_default();
        polls.polls += 1;
        polls.answered += u64::from(sample.outcome.is_success());
        if !polls.servers.contains(&sample.server.name) {
            polls.servers.insert(Arc::clone(&sample.server.name));
        }
        polls.latest_ns = polls.latest_ns.max(sample.at.wall_ns);
        Arc::new(sample)
    }

    fn finish(self, judged_from: When, span: Span, found: FleetReport) -> FleetSurvey {
        let clocks = from_median(&found.skew);
        // Nothing is known of the time after the last sample.
        let latest_ns = self.vantages.values().map(|polls| polls.latest_ns).max().unwrap_or(span.from_ns);
        let span = Span { to_ns: span.to_ns.min(latest_ns), ..span };
        let vantages = self.vantages.into_iter().map(|(name, polls)| {
            let blamed = |it: &FleetVerdict| it.vantages.iter().find(|it| *it.vantage == *name).map(|it| it.proven);
            SurveyedVantage {
                polls: polls.polls,
                answered: polls.answered,
                servers: polls.servers.len(),
                latest: When(polls.latest_ns),
                clock: clocks.iter().find(|clock| *clock.vantage == *name).cloned(),
                wrong_s: found
                    .verdicts
                    .iter()
                    .filter(|it| blamed(it).is_some())
                    .map(|it| length_s(it, span))
                    .fold(0.0, f64::add),
                proven: found.verdicts.iter().any(|it| blamed(it) == Some(true)),
                name: name.to_string(),
            }
        });
        FleetSurvey { judged_from, vantages: vantages.collect(), servers: wrong_servers(&found, span), found }
    }
}

fn wrong_servers(found: &FleetReport, span: Span) -> Vec<WrongServer> {
    let mut all: BTreeMap<&str, WrongServer> = BTreeMap::new();
    for verdict in &found.verdicts {
        for blamed in &verdict.servers {
            let one = all.entry(&blamed.server).or_insert_with(|| WrongServer {
                server: blamed.server.clone(),
                wrong_from: 0,
                seen_from: 0,
                wrong_s: 0.0,
                gap_s: None,
                proven: false,
            });
            (one.wrong_from, one.seen_from) =
                (one.wrong_from, one.seen_from).max((blamed.wrong_from, blamed.seen_from));
            one.wrong_s += length_s(verdict, span);
            one.gap_s = one.gap_s.into_iter().chain(blamed.gap_s).reduce(f64::max);
            one.proven |= blamed.proven;
        }
    }
    all.into_values().collect()
}

/// For how long a verdict held within the period that was polled, in seconds.
fn length_s(verdict: &FleetVerdict, span: Span) -> f64 {
    let from_ns = verdict.since.map_or(span.from_ns, |since| since.0.max(span.from_ns));
    let to_ns = verdict.until.map_or(span.to_ns, |until| until.0.min(span.to_ns));
    Span { from_ns, to_ns: to_ns.max(from_ns) }.length_s()
}
