//! What the store says of a span: the figures of every server, the verdicts and the events.
//!
//! Samples go through the very code that runs live, in their own time. They are kept for some days only, and at most
//! [`MOST_SAMPLES`] are taken: memory is about 32 bytes each. What reaches further back, or is more, is summed up from
//! hourly rollups; it has no verdicts and no stability then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::happening::Happening;
use super::rolled;
use super::span::Span;
use crate::store::read::Reader;
use crate::store::{Grain, StoreError};
use ntp_monitor_core::sample::Sample;
use ntp_monitor_core::stats::replay::{Replay, Report, ServerReport};
use ntp_monitor_core::stats::stability::Stability;
use ntp_monitor_core::stats::verdict::{Entry, State, When};

/// More samples than this are not read one by one.
pub const MOST_SAMPLES: u64 = 1_000_000;
/// More events than the latest so many are not told.
pub const MOST_EVENTS: usize = 5000;
/// Samples between two calls of whoever wants to know how far it is.
const PROGRESS_EVERY: u64 = 50_000;

/// Where figures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Every sample of the span.
    Samples,
    /// Hourly rollups: the samples are no longer kept, or too many.
    Rollups,
}

impl Source {
    /// One word for a table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Rollups => "rollups",
        }
    }
}

/// One server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Surveyed {
    /// Where the figures come from. Those of the last polls (jitter, reach, score) and the stability always come from
    /// samples.
    #[serde(rename = "from")]
    pub source: Source,
    /// The figures, as `replay` prints them.
    #[serde(flatten)]
    pub figures: ServerReport,
}

/// What was found. Serialises as `stats --json` prints it: what `replay --json` prints, and more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    /// The beginning, of the span or of the first sample in the store.
    pub from: When,
    /// The end.
    pub to: When,
    /// Since when there were samples to judge; `null` when there were none, or too many.
    pub judged_from: Option<When>,
    /// Every server that was polled, by name.
    pub servers: BTreeMap<String, Surveyed>,
    /// What happened, by start.
    pub events: Vec<Happening>,
    /// The verdicts one after the other.
    pub verdicts: Vec<Entry>,
}

impl Survey {
    /// Whether a verdict calls the clock of this server wrong; a path that is to blame is not the server's fault.
    #[must_use]
    pub fn accuses(&self, server: &str) -> bool {
        let wrong = self.verdicts.iter().filter(|entry| entry.state == State::ServerWrong);
        wrong.flat_map(|entry| &entry.blamed).any(|blame| blame.server == server)
    }
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A server that was never polled.
    #[error("the store knows no server {name:?}; it knows {}", listed(.known))]
    UnknownServer {
        /// As it was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
}

/// Names for a sentence: not at any length.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    match names.len() {
        0 => "none yet".to_owned(),
        n if n > SHOWN => format!("{} and {} more", shown.join(", "), n - SHOWN),
        _ => shown.join(", "),
    }
}

/// What is wanted of a survey.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// These servers only; all when empty. The verdicts are those of all servers together in any case.
    pub servers: Vec<String>,
    /// Averaging times of stability in seconds; octaves unless given.
    pub taus_s: Option<Vec<f64>>,
}

/// Looks through the store. `progress` hears now and then how many samples have been read, and up to when.
///
/// # Errors
/// When the store cannot be read, or does not know a server that is asked for.
pub fn survey(
    reader: &Reader,
    span: Span,
    wish: &Wish,
    progress: &mut dyn FnMut(u64, i64),
) -> Result<Survey, SurveyError> {
    let names = names(reader, &wish.servers)?;
    let span = span.beginning_with(first_seen_ns(reader)?.unwrap_or(span.to_ns));
    let (judged, judged_from) = judge(reader, span, wish.taus_s.as_deref(), progress)?;
    let Report { mut servers, verdicts, .. } = judged.unwrap_or_else(|| Replay::new().finish(None));
    let mut surveyed = BTreeMap::new();
    for name in names {
        let one = one(reader, &name, span, servers.remove(&*name))?;
        if one.figures.summary.polls > 0 {
            surveyed.insert(name.to_string(), one);
        }
    }
    let events = reader.events(span.from_ns, span.to_ns, MOST_EVENTS)?.into_iter().map(Happening::from);
    Ok(Survey {
        from: When(span.from_ns),
        to: When(span.to_ns),
        judged_from: judged_from.map(When),
        servers: surveyed,
        events: events.collect(),
        verdicts,
    })
}

/// The names that are wanted, each of which the store knows; all when none is said.
///
/// # Errors
/// When it cannot be read, or one is not known.
pub fn names(reader: &Reader, wanted: &[String]) -> Result<BTreeSet<Arc<str>>, SurveyError> {
    let all: BTreeSet<Arc<str>> = reader.series()?.into_iter().map(|series| series.key.server).collect();
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

/// When the store begins; `None` when it is empty.
///
/// # Errors
/// When it cannot be read.
pub fn first_seen_ns(reader: &Reader) -> Result<Option<i64>, StoreError> {
    Ok(reader.series()?.into_iter().map(|series| series.first_seen_ns).min())
}

/// The samples of the span through the analysis, and since when there are any.
fn judge(
    reader: &Reader,
    span: Span,
    taus_s: Option<&[f64]>,
    progress: &mut dyn FnMut(u64, i64),
) -> Result<(Option<Report>, Option<i64>), StoreError> {
    let Some(first_ns) = samples(reader, span).next().transpose()?.map(|sample| sample.at.wall_ns) else {
        return Ok((None, None));
    };
    let polls: u64 = reader.counts(first_ns, span.to_ns)?.iter().map(|one| one.counts.polls()).sum();
    if polls > MOST_SAMPLES {
        return Ok((None, None));
    }
    let (mut replay, mut count) = (Replay::new(), 0_u64);
    for sample in samples(reader, span) {
        let sample = sample?;
        count += 1;
        if count.is_multiple_of(PROGRESS_EVERY) {
            progress(count, sample.at.wall_ns);
        }
        replay.observe(&Arc::new(sample));
    }
    Ok((Some(replay.finish(taus_s)), Some(first_ns)))
}

/// The samples of the span that are still kept, by time, in bounded memory.
pub fn samples(reader: &Reader, span: Span) -> impl Iterator<Item = Result<Sample, StoreError>> {
    let within = move |one: &Result<Sample, StoreError>| {
        one.as_ref().is_ok_and(|sample| sample.at.wall_ns < span.to_ns) || one.is_err()
    };
    reader.since(span.from_ns).map(|stored| stored.map(|stored| stored.sample)).take_while(within)
}

/// One server, from the best source there is.
fn one(reader: &Reader, name: &str, span: Span, judged: Option<ServerReport>) -> Result<Surveyed, StoreError> {
    let Span { from_ns, to_ns } = span;
    if let Some(figures) = &judged
        && reader.samples_reach_back(name, from_ns, to_ns)?
    {
        return Ok(Surveyed { source: Source::Samples, figures: figures.clone() });
    }
    let rollups = reader.rollups(name, None, Grain::Hour, from_ns, to_ns)?;
    let mut summary = rolled::summary(rollups.iter().map(|(_, rollup)| rollup), to_ns);
    let figures = match judged {
        Some(ServerReport { summary: of_samples, stability, stability_absent, addresses }) => {
            summary.jitter_s = of_samples.jitter_s;
            summary.filter = of_samples.filter;
            summary.reach = of_samples.reach;
            summary.score = of_samples.score;
            ServerReport { summary, stability, stability_absent, addresses }
        }
        None => ServerReport {
            summary,
            stability: Stability::default(),
            stability_absent: Some("of this span no samples are kept, or too many to look at one by one".to_owned()),
            addresses: BTreeMap::new(),
        },
    };
    Ok(Surveyed { source: Source::Rollups, figures })
}
