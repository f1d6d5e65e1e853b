//! Summarises a period from the store: the figures of every server, the verdicts and the events.
//!
//! Samples are processed by the same code that runs live, with their own timestamps. They are kept for some days only,
//! and at most [`MOST_SAMPLES`] are read, which takes about 32 bytes of memory each. For older or longer periods,
//! figures come from hourly rollups, without verdicts and stability.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::coverage::{Attendance, Coverage, Presence};
use super::happening::Happening;
use super::nts::{self, Authenticated, NtsSurvey};
use super::rolled;
use super::span::Span;
use super::standing::{self, Standing};
use super::stretches::Stretches;
use crate::store::read::Reader;
use crate::store::{Grain, StoreError};
use ntp_monitor_core::sample::Sample;
use ntp_monitor_core::stats::replay::{Replay, Report, ServerReport};
use ntp_monitor_core::stats::stability::Stability;
use ntp_monitor_core::stats::verdict::{Entry, When};

/// Maximum number of samples that are read individually.
pub const MOST_SAMPLES: u64 = 1_000_000;
/// Maximum number of events returned; the latest are kept.
pub const MOST_EVENTS: usize = 5000;
/// The store records the time of a server's latest sample to this accuracy.
const SEEN_STEP_NS: i64 = 300_000_000_000;
/// Number of samples between two progress reports.
const PROGRESS_EVERY: u64 = 50_000;

/// What the figures are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Every sample of the period.
    Samples,
    /// Hourly rollups, because the samples have expired or are too many.
    Rollups,
}

impl Source {
    /// The name, for a table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Rollups => "rollups",
        }
    }
}

/// The figures of one server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Surveyed {
    /// What the figures are computed from. Those of the last polls (jitter, reach, score) and the stability always come
    /// from samples.
    #[serde(rename = "from")]
    pub source: Source,
    pub standing: Standing,
    /// How it was authenticated; absent without NTS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nts: Option<NtsSurvey>,
    /// When it was polled and when it gave samples.
    #[serde(skip)]
    pub presence: Presence,
    /// The figures, as `replay` prints them.
    #[serde(flatten)]
    pub figures: ServerReport,
}

/// The result of a survey. Serialises to the output of `stats --json`, a superset of `replay --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    pub from: When,
    pub to: When,
    /// How much of the period was monitored.
    pub coverage: Coverage,
    /// The part of the period that has passed.
    #[serde(skip)]
    pub past: Span,
    /// The time in which at least one of the servers was polled.
    #[serde(skip)]
    pub monitored: Stretches,
    /// The first sample used for verdicts; `null` if there were no samples, or too many.
    pub judged_from: Option<When>,
    /// Every server that was polled, by name.
    pub servers: BTreeMap<String, Surveyed>,
    /// The events, by start.
    pub events: Vec<Happening>,
    /// The verdicts in order of time.
    pub verdicts: Vec<Entry>,
}

impl Survey {
    /// Whether a verdict calls the clock of this server wrong. A wrong path does not count.
    #[must_use]
    pub fn accuses(&self, server: &str) -> bool {
        standing::accuses(&self.verdicts, server)
    }
}

/// Why a survey failed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A server that was never polled.
    #[error("no server {name:?} in the store; it has {}", listed(.known))]
    UnknownServer {
        name: String,
        /// The names in the store.
        known: Vec<String>,
    },
}

/// A list of names for an error message, of limited length.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    match names.len() {
        0 => "none yet".to_owned(),
        n if n > SHOWN => format!("{} and {} more", shown.join(", "), n - SHOWN),
        _ => shown.join(", "),
    }
}

/// The figures of a server while the survey is made.
type Figures = (Source, ServerReport, Presence, Option<NtsSurvey>);

/// For each server that was polled before the period, the time up to which an error may be older than the period: two
/// polls after its first sample.
fn begun(figures: &BTreeMap<String, Figures>, seen: &BTreeMap<Arc<str>, Span>, span: Span) -> BTreeMap<String, i64> {
    let is_older = |name: &str| seen.get(name).is_some_and(|seen| seen.from_ns < span.from_ns);
    let older = figures.iter().filter(|(name, _)| is_older(name));
    let begun = older.filter_map(|(name, (_, one, presence, _))| {
        let interval_s = one.summary.covers_s.unwrap_or(0.0) / one.summary.polls.max(1) as f64;
        Some((name.clone(), presence.answered.first_ns()?.saturating_add((2e9 * interval_s) as i64)))
    });
    begun.collect()
}

/// Corrects the sentence of a verdict about servers that were wrong from the beginning of the period, at the latest at
/// the time that `begun` has for each: they may have been wrong before.
fn not_since_the_span(entry: &mut Entry, begun: &BTreeMap<String, i64>) {
    for blame in &entry.blamed {
        if let Some(since) = blame.since.filter(|since| begun.get(&blame.server).is_some_and(|ns| since.0 <= *ns)) {
            entry.sentence =
                entry.sentence.replace(&format!("since {since}"), "since the beginning of the span or before");
        }
    }
}

/// What to survey.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The servers to include; all if empty. Verdicts always consider all servers.
    pub servers: Vec<String>,
    /// Averaging times of the stability in seconds; octaves if absent.
    pub taus_s: Option<Vec<f64>>,
    /// The current time, in nanoseconds since 1970. The part of the period after it does not count as unmonitored.
    pub now_ns: i64,
}

/// Surveys a period. `progress` is called now and then with the number of samples read so far, and their latest time.
///
/// # Errors
/// When the store cannot be read, or does not know a requested server.
pub fn survey(
    reader: &Reader,
    span: Span,
    request: &Request,
    progress: &mut dyn FnMut(u64, i64),
) -> Result<Survey, SurveyError> {
    let names = names(reader, &request.servers)?;
    let seen = seen(reader)?;
    // Recorded samples lie in the past, even if this host's clock now shows an earlier time.
    let latest_ns = seen
        .values()
        .map(|seen| seen.to_ns)
        .filter(|latest_ns| *latest_ns > request.now_ns.saturating_add(SEEN_STEP_NS));
    let now_ns = latest_ns.max().unwrap_or(request.now_ns);
    let past = Span { to_ns: span.to_ns.min(now_ns).max(span.from_ns), ..span };
    let mut met = Met::default();
    let (judged, judged_from) = judge(reader, span, request.taus_s.as_deref(), &mut met, progress)?;
    let is_too_long = judged.is_none();
    let Report { mut servers, mut verdicts, .. } = judged.unwrap_or_else(|| Replay::new().finish(None));
    let mut figures = BTreeMap::new();
    for name in names {
        let seen = seen.get(&name).copied().unwrap_or(span);
        let of_samples = servers.remove(&*name).map(|figures| (figures, met.attendance.take(&name)));
        let is_sampled = !is_too_long && reader.samples_reach_back(&name, span.from_ns, span.to_ns)?;
        let (source, one, presence) = match of_samples {
            Some((figures, presence)) if is_sampled => (Source::Samples, figures, presence),
            // Its rollups would be about polls outside of the span.
            None if is_sampled => continue,
            of_samples => of_rollups(reader, &name, span, seen, of_samples)?,
        };
        if one.summary.polls > 0 {
            let nts = nts::survey(reader, &name, past, &met.authenticated)?;
            figures.insert(name.to_string(), (source, one, presence.clipped(past), nts));
        }
    }
    let begun = begun(&figures, &seen, span);
    verdicts.iter_mut().for_each(|entry| not_since_the_span(entry, &begun));
    let monitored = Stretches::union(figures.values().map(|(_, _, presence, _)| &presence.polled));
    let surveyed = |(name, (source, figures, presence, nts)): (String, Figures)| {
        let outcomes = &figures.summary.outcomes;
        let standing = Standing::of(&verdicts, &name, &presence, outcomes, &monitored);
        (name, Surveyed { source, standing, nts, presence, figures })
    };
    let servers = figures.into_iter().map(surveyed).collect();
    let events = reader.events(span.from_ns, span.to_ns, MOST_EVENTS)?.into_iter().map(Happening::from);
    Ok(Survey {
        from: When(span.from_ns),
        to: When(span.to_ns),
        coverage: Coverage::of(&monitored, span, past),
        judged_from: judged_from.map(When),
        servers,
        events: events.collect(),
        verdicts,
        past,
        monitored,
    })
}

/// The requested names, or all names in the store if none is requested.
///
/// # Errors
/// When the store cannot be read, or does not know a name.
pub fn names(reader: &Reader, wanted: &[String]) -> Result<BTreeSet<Arc<str>>, SurveyError> {
    let all: BTreeSet<Arc<str>> = reader.series_here()?.into_iter().map(|series| series.key.server).collect();
    if wanted.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        all.get(name.as_str()).cloned().ok_or_else(|| SurveyError::UnknownServer {
            name: name.clone(),
            known: all.iter().map(ToString::to_string).collect(),
        })
    };
    wanted.iter().map(find).collect()
}

/// When the first sample was stored; `None` if the store is empty.
///
/// # Errors
/// When the store cannot be read.
pub fn first_seen_ns(reader: &Reader) -> Result<Option<i64>, StoreError> {
    Ok(seen(reader)?.into_values().map(|seen| seen.from_ns).min())
}

/// For each server, the period from its first to its latest sample.
fn seen(reader: &Reader) -> Result<BTreeMap<Arc<str>, Span>, StoreError> {
    let mut all: BTreeMap<Arc<str>, Span> = BTreeMap::new();
    for series in reader.series_here()? {
        let to_ns = series.last_seen_ns.saturating_add(SEEN_STEP_NS);
        let seen = Span { from_ns: series.first_seen_ns, to_ns };
        all.entry(series.key.server)
            .and_modify(|all| *all = Span { from_ns: all.from_ns.min(seen.from_ns), to_ns: all.to_ns.max(to_ns) })
            .or_insert(seen);
    }
    Ok(all)
}

/// The counts over all samples.
#[derive(Default)]
struct Met {
    attendance: Attendance,
    authenticated: Authenticated,
}

/// Runs the samples of the period through the analysis, unless they are too many; also returns the time of the first
/// one.
fn judge(
    reader: &Reader,
    span: Span,
    taus_s: Option<&[f64]>,
    met: &mut Met,
    progress: &mut dyn FnMut(u64, i64),
) -> Result<(Option<Report>, Option<i64>), StoreError> {
    let Some(first_ns) = samples(reader, span).next().transpose()?.map(|sample| sample.at.wall_ns) else {
        return Ok((Some(Replay::new().finish(None)), None));
    };
    let polls: u64 = reader.counts_here(first_ns, span.to_ns)?.iter().map(|one| one.counts.polls()).sum();
    if polls > MOST_SAMPLES {
        return Ok((None, None));
    }
    let (mut replay, mut count) = (Replay::new(), 0_u64);
    let mut local = reader.local_rows(first_ns, span.to_ns, usize::MAX)?.into_iter().peekable();
    for sample in samples(reader, span) {
        let sample = sample?;
        while let Some(row) = local.next_if(|row| row.wall_ns() <= sample.at.wall_ns) {
            replay.observe_local(row.state());
        }
        count += 1;
        if count.is_multiple_of(PROGRESS_EVERY) {
            progress(count, sample.at.wall_ns);
        }
        met.attendance.add(&sample);
        met.authenticated.add(&sample);
        replay.observe(&Arc::new(sample));
    }
    Ok((Some(replay.finish(taus_s)), Some(first_ns)))
}

/// The stored samples of the period, by time, in bounded memory.
pub fn samples(reader: &Reader, span: Span) -> impl Iterator<Item = Result<Sample, StoreError>> {
    let within = move |one: &Result<Sample, StoreError>| {
        one.as_ref().is_ok_and(|sample| sample.at.wall_ns < span.to_ns) || one.is_err()
    };
    reader.since_here(span.from_ns).map(|stored| stored.map(|stored| stored.sample)).take_while(within)
}

/// The figures of one server and when it was polled, from rollups; what rollups do not have is from samples.
fn of_rollups(
    reader: &Reader,
    name: &str,
    span: Span,
    seen: Span,
    judged: Option<(ServerReport, Presence)>,
) -> Result<(Source, ServerReport, Presence), StoreError> {
    let Span { from_ns, to_ns } = span;
    let rollups = reader.rollups(name, None, Grain::Hour, from_ns, to_ns)?;
    let rollups = || rollups.iter().map(|(_, rollup)| rollup);
    let mut summary = rolled::summary(rollups(), to_ns);
    let presence = Presence::of_rollups(rollups(), seen);
    let figures = match judged {
        Some((ServerReport { summary: of_samples, stability, stability_absent, addresses }, _)) => {
            summary.jitter_s = of_samples.jitter_s;
            summary.filter = of_samples.filter;
            summary.reach = of_samples.reach;
            summary.score = of_samples.score;
            ServerReport { summary, stability, stability_absent, addresses }
        }
        None => ServerReport {
            summary,
            stability: Stability::default(),
            stability_absent: Some(
                "the store has no samples of this period, or too many to read individually".to_owned(),
            ),
            addresses: BTreeMap::new(),
        },
    };
    Ok((Source::Rollups, figures, presence))
}
