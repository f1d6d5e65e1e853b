//! The history of servers for charts: one request for one or many servers, at any span, in columns.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::history::course::Range as Spread;
use crate::history::span::Span;
use crate::history::trace::{Cell, Trace, TraceOptions, trace};
use crate::store::StoreError;
use crate::store::read::Reader;
use crate::web::State;
use crate::web::openapi::{Body, Endpoint, FROM, TO, Vantages, query};
use crate::web::params::{self, Range, Target};
use crate::web::problem::Problem;
use crate::web::respond;
use crate::web::vantage::Vantage;
use ntp_monitor_core::stats::verdict::When;

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/api/v1/history", || web::to(history))
    .about(
        "The history of one or more servers in columns, for charts. The service chooses the resolution: every poll, or \
         steps of at least ten seconds. No step begins before the first poll.",
    )
    .of(Vantages::All)
    .taking(&[
        query(
            "id",
            "string",
            "A server; may be repeated. Default: all servers. Unknown servers are skipped, unless all are unknown.",
        ),
        query("tag", "string", "Tags, key:value or key, separated by commas; a server must have all of them."),
        FROM,
        TO,
        query("points", "integer", "The largest number of points to return, 10 to 2000. Default: 600."),
        query("step", "string", "A fixed distance between points, such as 1d; at most 2000 points."),
        query("of", "string", "The quantities: offset, delay, jitter, score; separated by commas. Default: all."),
        query(
            "limit",
            "integer",
            "The largest number of servers, 1 to 200. Default: 64. Servers beyond it are only counted.",
        ),
    ])
    .giving(Body::json::<HistoryBody>("from, to, left_out, series: columns of equal length, by time."))
    .or(&[304, 404, 503])];

const HOUR: Duration = Duration::from_secs(3600);
const USUAL_POINTS: usize = 600;
const MOST_POINTS: usize = 2000;
const USUAL_SERIES: usize = 64;
const MOST_SERIES: usize = 200;
/// Maximum number of samples that one request reads, for all series together.
const ROWS: usize = 200_000;
/// Maximum number of samples that one request reads of one series.
const ROWS_OF_ONE: usize = 40_000;

#[derive(Debug, JsonSchema, Serialize)]
struct HistoryBody {
    from: When,
    to: When,
    /// Requested servers beyond the limit of one answer.
    left_out: usize,
    series: Vec<Columns>,
}

/// The history of one server. All columns have the same length. Unknown values are `null`. Offsets are in seconds,
/// positive when the server is ahead of this host.
#[derive(Debug, JsonSchema, Serialize)]
struct Columns {
    id: String,
    name: String,
    /// The address, when the name has several; `null`: all of its addresses.
    address: Option<String>,
    /// The time of the first recorded poll.
    began: Option<When>,
    /// The width of a step in seconds; `null` when each point is a poll.
    step_s: Option<i64>,
    /// The poll interval in seconds.
    poll_s: Option<f64>,
    /// The middle of each step, in seconds since 1970.
    time: Vec<f64>,
    polls: Vec<u64>,
    /// Polls with an offset.
    samples: Vec<u64>,
    /// Mean.
    #[schemars(with = "Vec<Option<f32>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_s: Option<Vec<f32>>,
    #[schemars(with = "Vec<Option<f32>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_min_s: Option<Vec<f32>>,
    #[schemars(with = "Vec<Option<f32>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_max_s: Option<Vec<f32>>,
    /// Mean root distance: the largest possible error of the offset, if the server is correct.
    #[schemars(with = "Vec<Option<f32>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    root_distance_s: Option<Vec<f32>>,
    /// Mean.
    #[schemars(with = "Vec<Option<f32>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_s: Option<Vec<f32>>,
    #[schemars(with = "Vec<Option<f32>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_min_s: Option<Vec<f32>>,
    #[schemars(with = "Vec<Option<f32>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_max_s: Option<Vec<f32>>,
    /// RMS of the differences of neighbouring offsets, over the last eight at each poll.
    #[schemars(with = "Vec<Option<f32>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_s: Option<Vec<f32>>,
    /// The score, computed as the NTP Pool does, at the end of each step.
    #[schemars(with = "Vec<Option<f32>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<Vec<f32>>,
}

/// The parsed query.
#[derive(Debug, Default)]
struct Question {
    ids: Vec<String>,
    tags: Vec<(String, Option<String>)>,
    from: Option<String>,
    to: Option<String>,
    points: Option<usize>,
    step: Option<String>,
    of: Option<String>,
    limit: Option<String>,
}

impl Question {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut asked = Self::default();
        let number = |name: &str, text: &str| {
            text.parse().map_err(|_| Problem::bad_request(format!("{name}: {text:?} is not a number")))
        };
        for (key, value) in pairs {
            match key.as_str() {
                "id" => asked.ids.push(value),
                "tag" => asked.tags.extend(params::tags(&value)),
                "from" => asked.from = Some(value),
                "to" => asked.to = Some(value),
                "points" => asked.points = Some(number("points", &value)?),
                "step" => asked.step = Some(value),
                "of" => asked.of = Some(value),
                "limit" => asked.limit = Some(value),
                _ => return Err(Problem::bad_request(format!("there is no parameter {key:?}"))),
            }
        }
        Ok(asked)
    }

    fn measures(&self) -> Result<Measures, Problem> {
        let Some(names) = &self.of else { return Ok(Measures::ALL) };
        let mut wanted = Measures::default();
        for name in names.split(',').map(str::trim) {
            match name {
                "offset" => wanted.offset = true,
                "delay" => wanted.delay = true,
                "jitter" => wanted.jitter = true,
                "score" => wanted.score = true,
                _ => {
                    let why = format!("of: {name:?} is none of offset, delay, jitter, score");
                    return Err(Problem::bad_request(why));
                }
            }
        }
        Ok(wanted)
    }

    fn points(&self) -> Result<usize, Problem> {
        let points = self.points.unwrap_or(USUAL_POINTS);
        match (10..=MOST_POINTS).contains(&points) {
            true => Ok(points),
            false => Err(Problem::bad_request(format!("points must be from 10 to {MOST_POINTS}"))),
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Measures {
    offset: bool,
    delay: bool,
    jitter: bool,
    score: bool,
}

impl Measures {
    const ALL: Self = Self { offset: true, delay: true, jitter: true, score: true };
}

/// A line of a chart: a server, or one address of a server with several.
#[derive(Debug, Clone)]
struct Line {
    id: String,
    name: Arc<str>,
    address: Option<SocketAddr>,
}

/// `GET /api/v1/history`.
pub async fn history(
    request: HttpRequest,
    state: web::Data<State>,
    query: web::Query<Vec<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    let asked = Question::read(query.into_inner())?;
    let range = Range::parse(asked.from.as_deref(), asked.to.as_deref(), HOUR, state.clock.now().wall_ns)?;
    let measures = asked.measures()?;
    let step = params::step(asked.step.as_deref())?;
    let step_s = step.map(|step| i64::try_from(step.as_secs().max(1)).unwrap_or(i64::MAX));
    let span = Span { from_ns: range.from_ns, to_ns: range.to_ns };
    if step_s.is_some_and(|step_s| span.length_s() / step_s as f64 > MOST_POINTS as f64) {
        return Err(Problem::bad_request(format!("step: more than {MOST_POINTS} steps in the span")));
    }
    let limit = params::limit(asked.limit.as_deref(), USUAL_SERIES, MOST_SERIES)?;
    let vantage = Vantage::of(&request, &state).await?;
    let mut lines = lines(&vantage, &asked)?;
    let left_out = lines.len().saturating_sub(limit);
    lines.truncate(limit);
    let rows = (ROWS / lines.len().max(1)).min(ROWS_OF_ONE);
    let options = TraceOptions { points: asked.points()?, step_s, rows, jitter: measures.jitter };
    let series = vantage.read(move |reader| read(reader, &lines, span, options, measures)).await?;
    respond::json(&request, &HistoryBody { from: When(range.from_ns), to: When(range.to_ns), left_out, series })
}

/// The requested lines: by id, or all servers with the tags.
fn lines(vantage: &Vantage, asked: &Question) -> Result<Vec<Line>, Problem> {
    if asked.ids.is_empty() {
        let named = |name| lines_of(vantage, &Target { name, address: None });
        return Ok(vantage.tagged(&asked.tags).into_iter().flat_map(named).collect());
    }
    let (targets, unknown): (Vec<_>, Vec<_>) = asked.ids.iter().map(|id| vantage.find(id)).partition(Result::is_ok);
    // An unknown server (just removed, for example) does not fail the request for the others.
    if let (true, Some(problem)) = (targets.is_empty(), unknown.into_iter().find_map(Result::err)) {
        return Err(problem);
    }
    Ok(targets.iter().flatten().flat_map(|target| lines_of(vantage, target)).collect())
}

/// A name with several addresses has one line for each. Any other name has one line for all addresses it ever had.
fn lines_of(vantage: &Vantage, target: &Target) -> Vec<Line> {
    let name = &target.name;
    let mut addresses: Vec<_> = vantage.keys(target).into_iter().filter_map(|key| key.address).collect();
    if target.address.is_none() && addresses.len() < 2 {
        return vec![Line { id: name.to_string(), name: Arc::clone(name), address: None }];
    }
    addresses.sort();
    let line = |address| Line { id: format!("{name}@{address}"), name: Arc::clone(name), address: Some(address) };
    addresses.into_iter().map(line).collect()
}

fn read(
    reader: &Reader,
    lines: &[Line],
    span: Span,
    options: TraceOptions,
    measures: Measures,
) -> Result<Vec<Columns>, StoreError> {
    let mut began: HashMap<(Arc<str>, Option<SocketAddr>), i64> = HashMap::new();
    for series in reader.own_series()? {
        for address in [None, series.key.address] {
            let first = began.entry((Arc::clone(&series.key.server), address)).or_insert(i64::MAX);
            *first = (*first).min(series.first_seen_ns);
        }
    }
    let columns = |line: &Line| {
        let began_ns = began.get(&(Arc::clone(&line.name), line.address)).copied();
        let trace = trace(reader, (&line.name, line.address), began_ns, span, options)?;
        Ok(Columns::of(line, &trace, measures))
    };
    lines.iter().map(columns).collect()
}

impl Columns {
    fn of(line: &Line, trace: &Trace, measures: Measures) -> Self {
        let cells = &trace.cells;
        let column = |is_wanted: bool, of: &dyn Fn(&Cell) -> Option<f64>| {
            // NaN is written as null.
            is_wanted.then(|| cells.iter().map(|cell| of(cell).map_or(f32::NAN, |value| value as f32)).collect())
        };
        let of = |part: fn(&Cell) -> Option<Spread>, value: fn(Spread) -> f64| move |cell: &Cell| part(cell).map(value);
        let offset = |cell: &Cell| cell.offset_s;
        let delay = |cell: &Cell| cell.delay_s;
        Self {
            id: line.id.clone(),
            name: line.name.to_string(),
            address: line.address.map(|address| address.to_string()),
            began: trace.began_ns.map(When),
            step_s: trace.step_s,
            poll_s: trace.poll_s,
            time: cells.iter().map(|cell| (cell.at_ns / 1_000_000) as f64 / 1e3).collect(),
            polls: cells.iter().map(|cell| cell.polls).collect(),
            samples: cells.iter().map(|cell| cell.samples).collect(),
            offset_s: column(measures.offset, &of(offset, |it| it.mean)),
            offset_min_s: column(measures.offset, &of(offset, |it| it.low)),
            offset_max_s: column(measures.offset, &of(offset, |it| it.high)),
            root_distance_s: column(measures.offset, &|cell| cell.distance_s),
            delay_s: column(measures.delay, &of(delay, |it| it.mean)),
            delay_min_s: column(measures.delay, &of(delay, |it| it.low)),
            delay_max_s: column(measures.delay, &of(delay, |it| it.high)),
            jitter_s: column(measures.jitter, &|cell| cell.jitter_s),
            score: column(measures.score, &|cell| Some(cell.score)),
        }
    }
}
