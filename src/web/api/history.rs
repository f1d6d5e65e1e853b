//! Measurements of one server: samples, statistics over a window, stability, rejected replies.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::points::{Samples, points};
use crate::history::rolled;
use crate::history::span::Span;
use crate::store::read::Reader;
use crate::store::{StoreError, StoredSample};
use crate::web::State;
use crate::web::openapi::{Body, Endpoint, FROM, ID, STEP, TO, Vantages, query};
use crate::web::params::{self, Range, Target};
use crate::web::problem::Problem;
use crate::web::respond;
use crate::web::vantage::Vantage;
use ntp_monitor_core::ntp::{Check, CheckRow};
use ntp_monitor_core::sample::{Evidence, Sample, SeriesKey};
use ntp_monitor_core::stats::histogram::DisplayHistogram;
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::stability::{self, Stability};
use ntp_monitor_core::stats::summary::{WindowSummary, summarise};
use ntp_monitor_core::stats::verdict::When;
use ntp_monitor_core::stats::window::{ServerWindows, Window};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/servers/{id}/samples", || web::to(samples))
        .about("Samples or summaries, at a resolution that gives at most 2000 points.")
        .of(Vantages::All)
        .taking(&[ID, FROM, TO, STEP])
        .giving(Body::json::<Samples>("from, to, resolution (raw, 5m, 1h), step_s, samples."))
        .or(&[304, 404, 503]),
    Endpoint::get("/api/v1/servers/{id}/stats", || web::to(stats))
        .about("Statistics of a window that ends now, or of any span.")
        .of(Vantages::All)
        .taking(&[
            ID,
            query("window", "string", "5m, 1h, 24h or 7d. Default: 1h. Cannot be combined with from and to."),
            FROM,
            TO,
        ])
        .giving(Body::json::<Stats>("window, from, to, series: name, address, stats, histogram."))
        .or(&[304, 404, 503]),
    Endpoint::get("/api/v1/servers/{id}/stability", || web::to(stability))
        .about("Allan, modified, time and Hadamard deviations, MTIE and TIE rms of the offsets (NIST SP 1065).")
        .of(Vantages::All)
        .taking(&[ID, FROM, TO, query("taus", "string", "Averaging times in seconds, separated by commas.")])
        .giving(Body::json::<StabilityBody>("from, to, series: name, address, stability, reason."))
        .or(&[304, 404, 503]),
    Endpoint::get("/api/v1/servers/{id}/evidence", || web::to(evidence))
        .about("The latest rejected replies, with the result of every check and the four timestamps.")
        .of(Vantages::Own)
        .taking(&[ID])
        .giving(Body::json::<EvidenceBody>("evidence, oldest first."))
        .or(&[304, 404, 503]),
];

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// Maximum number of samples held in memory. Beyond it, stability needs a shorter span and statistics use window sums.
const MOST_SAMPLES: usize = 50_000;

/// A span and a resolution.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplesQuery {
    from: Option<String>,
    to: Option<String>,
    /// The requested distance between two points, such as `5m`.
    step: Option<String>,
}

impl SamplesQuery {
    /// The span (by default one hour) and the distance between points.
    pub(super) fn read(&self, now_ns: i64) -> Result<(Range, Option<Duration>), Problem> {
        let range = Range::parse(self.from.as_deref(), self.to.as_deref(), HOUR, now_ns)?;
        Ok((range, params::step(self.step.as_deref())?))
    }
}

/// `GET /api/v1/servers/{id}/samples`.
pub async fn samples(
    request: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
    query: web::Query<SamplesQuery>,
) -> Result<HttpResponse, Problem> {
    let vantage = Vantage::of(&request, &state).await?;
    let target = vantage.find(&id)?;
    let (range, step) = query.read(state.clock.now().wall_ns)?;
    let body: Samples = vantage.read(move |reader| points(reader, &target, range, step)).await?;
    respond::json(&request, &body)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    /// `5m`, `1h`, `24h` or `7d`; the default is `1h`.
    window: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Stats {
    /// `null` when the request gave a span.
    window: Option<&'static str>,
    from: When,
    to: When,
    series: Vec<SeriesStats>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct SeriesStats {
    name: String,
    address: Option<String>,
    stats: WindowSummary,
    /// The histogram of the signed offsets; `null` if there are none.
    histogram: Option<DisplayHistogram>,
}

/// `GET /api/v1/servers/{id}/stats`.
pub async fn stats(
    request: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
    query: web::Query<StatsQuery>,
) -> Result<HttpResponse, Problem> {
    let vantage = Vantage::of(&request, &state).await?;
    let target = vantage.find(&id)?;
    let now = state.clock.now();
    let (window, range) = match (&query.window, &query.from, &query.to) {
        (Some(_), None, None) | (None, None, None) => {
            let window = named_window(query.window.as_deref().unwrap_or(Window::Hour.label()))?;
            let to_ns = now.wall_ns;
            (Some(window), Range { from_ns: to_ns - (window.length_s() * 1e9) as i64, to_ns })
        }
        (None, from, to) => (None, Range::parse(from.as_deref(), to.as_deref(), HOUR, now.wall_ns)?),
        (Some(_), ..) => return Err(Problem::bad_request("window: cannot be combined with from and to")),
    };
    let keys = vantage.keys(&target);
    let series = vantage.read(move |reader| {
        keys.into_iter().map(|key| series_stats(reader, key, window, range)).collect::<Result<Vec<_>, _>>()
    });
    let (from, to) = (When(range.from_ns), When(range.to_ns));
    respond::json(&request, &Stats { window: window.map(Window::label), from, to, series: series.await? })
}

fn named_window(text: &str) -> Result<Window, Problem> {
    Window::parse(text).ok_or_else(|| {
        let known = Window::ALL.map(Window::label).join(", ");
        Problem::bad_request(format!("window: {text:?} is none of {known}"))
    })
}

/// Exact statistics up to [`MOST_SAMPLES`]; beyond it they come from window sums, which bounds the memory.
fn series_stats(
    reader: &Reader,
    key: SeriesKey,
    window: Option<Window>,
    range: Range,
) -> Result<SeriesStats, StoreError> {
    let span = Span { from_ns: range.from_ns, to_ns: range.to_ns };
    let page = reader.samples(&key.server, key.address, range.from_ns, range.to_ns, MOST_SAMPLES)?;
    let is_complete = page.len() < MOST_SAMPLES
        && (window.is_some() || reader.samples_reach_back(&key.server, range.from_ns, range.to_ns)?);
    let (stats, histogram) = if is_complete {
        let samples = || page.iter().map(|stored| &stored.sample);
        let offsets: Vec<_> = samples().filter_map(Sample::offset_s).map(|offset_s| (offset_s, 1)).collect();
        (summarise(samples()), DisplayHistogram::of(&offsets))
    } else if let Some(window) = window {
        stats_of_window(reader, &key, window, range, page)?
    } else {
        let (stats, offsets) = rolled::figures(reader, &key.server, key.address, span)?;
        (stats, DisplayHistogram::of(&offsets))
    };
    Ok(SeriesStats { name: key.server.to_string(), address: text(&key), stats, histogram })
}

/// Statistics from window sums, fed one page of samples at a time.
fn stats_of_window(
    reader: &Reader,
    key: &SeriesKey,
    window: Window,
    range: Range,
    mut page: Vec<StoredSample>,
) -> Result<(WindowSummary, Option<DisplayHistogram>), StoreError> {
    let mut windows = ServerWindows::up_to(window, TimeAxis::Wall);
    let mut now = None;
    while let Some(last) = page.last().map(|stored| stored.sample.at) {
        for stored in &page {
            // The summary counts samples that are rejected here.
            let _ = windows.observe(&stored.sample);
        }
        now = Some(last);
        let next_ns = last.wall_ns.saturating_add(1);
        page = reader.samples(&key.server, key.address, next_ns, range.to_ns, MOST_SAMPLES)?;
    }
    Ok(now.map_or_else(
        || (summarise(std::iter::empty()), None),
        |now| (windows.summary(window, now), windows.offset_histogram(window, now)),
    ))
}

/// A span and averaging times.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StabilityQuery {
    from: Option<String>,
    to: Option<String>,
    /// Averaging times in seconds, separated by commas; the default is octaves.
    taus: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct StabilityBody {
    from: When,
    to: When,
    series: Vec<SeriesStability>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct SeriesStability {
    name: String,
    address: Option<String>,
    /// `null` when it cannot be computed; `reason` says why.
    stability: Option<Stability>,
    reason: Option<String>,
}

/// `GET /api/v1/servers/{id}/stability`.
pub async fn stability(
    request: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
    query: web::Query<StabilityQuery>,
) -> Result<HttpResponse, Problem> {
    let vantage = Vantage::of(&request, &state).await?;
    let target = vantage.find(&id)?;
    let range = Range::parse(query.from.as_deref(), query.to.as_deref(), DAY, state.clock.now().wall_ns)?;
    let taus = params::taus(query.taus.as_deref())?;
    let keys = vantage.keys(&target);
    let series = vantage.read(move |reader| {
        keys.into_iter().map(|key| series_stability(reader, &key, range, taus.as_deref())).collect::<Result<_, _>>()
    });
    let (from, to) = (When(range.from_ns), When(range.to_ns));
    respond::json(&request, &StabilityBody { from, to, series: series.await? })
}

fn series_stability(
    reader: &Reader,
    key: &SeriesKey,
    range: Range,
    taus: Option<&[f64]>,
) -> Result<SeriesStability, StoreError> {
    let samples = reader.samples(&key.server, key.address, range.from_ns, range.to_ns, MOST_SAMPLES)?;
    let found = if samples.len() < MOST_SAMPLES {
        stability::of_samples(samples.iter().map(|stored| &stored.sample), taus).map_err(|why| why.to_string())
    } else {
        Err(format!("the span holds more than {MOST_SAMPLES} samples: choose a shorter one"))
    };
    let reason = found.as_ref().err().cloned();
    Ok(SeriesStability { name: key.server.to_string(), address: text(key), stability: found.ok(), reason })
}

#[derive(Debug, JsonSchema, Serialize)]
struct EvidenceBody {
    /// Oldest first.
    evidence: Vec<Refusal>,
}

/// A rejected reply.
#[derive(Debug, JsonSchema, Serialize)]
struct Refusal {
    /// When it arrived.
    time: When,
    address: Option<String>,
    /// The first check that failed, and its meaning.
    failed: Option<&'static str>,
    explanation: Option<Cow<'static, str>>,
    checks: Vec<CheckResult>,
    /// The sender's address and port; `null` if not recorded.
    sender: Option<String>,
    t1: Moment,
    t2: Moment,
    t3: Moment,
    t4: Moment,
    /// The first bytes of the datagram, hexadecimal.
    datagram: String,
}

#[derive(Debug, JsonSchema, Serialize)]
struct CheckResult {
    check: &'static str,
    passed: bool,
}

/// One of the four timestamps.
#[derive(Debug, JsonSchema, Serialize)]
struct Moment {
    /// In the notation of RFC 5905: hexadecimal seconds and fraction since 1900.
    ntp: String,
    /// RFC 3339; `null` when the timestamp is zero, which means unknown.
    time: Option<When>,
}

/// `GET /api/v1/servers/{id}/evidence`.
pub async fn evidence(
    request: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let target = Target::find(&state, &id)?;
    let kept = state.store.read(move |reader| reader.evidence(&target.name, target.address)).await?;
    let evidence = kept.iter().map(|(key, evidence)| Refusal::of(key, evidence)).collect();
    respond::json(&request, &EvidenceBody { evidence })
}

impl Refusal {
    fn of(key: &SeriesKey, evidence: &Evidence) -> Self {
        let failed = evidence.checks.first_failure();
        let near_ns = evidence.at.wall_ns;
        let moment = |time: ntp_monitor_core::ntp::NtpTimestamp| Moment {
            ntp: time.to_string(),
            time: (!time.is_zero()).then(|| When(time.to_unix_ns(near_ns))),
        };
        Self {
            time: When(near_ns),
            address: text(key),
            failed: failed.map(Check::label),
            explanation: evidence.explain(key.address),
            checks: checks(evidence.checks),
            sender: evidence.sender.map(|sender| sender.to_string()),
            t1: moment(evidence.t1),
            t2: moment(evidence.t2),
            t3: moment(evidence.t3),
            t4: moment(evidence.t4),
            datagram: evidence.datagram.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

fn checks(row: CheckRow) -> Vec<CheckResult> {
    let made = Check::ALL.into_iter().filter_map(|check| row.result(check).map(|passed| (check, passed)));
    made.map(|(check, passed)| CheckResult { check: check.label(), passed }).collect()
}

fn text(key: &SeriesKey) -> Option<String> {
    key.address.map(|address| address.to_string())
}
