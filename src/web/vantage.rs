//! The parameter `vantage`. Without it, the response is about this vantage. A hub also answers for every vantage whose
//! samples it stores. Requests about other vantages are rejected, never answered with this vantage's data.
//!
//! The middleware removes the parameter from the query, so handlers do not see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError, web};
use tokio::sync::Semaphore;

use super::State;
use super::openapi::{self, Vantages};
use super::params::Target;
use super::problem::Problem;
use super::view::row::Row;
use super::view::rows::Picture;
use crate::store::StoreError;
use crate::store::read::Reader;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::sample::{Sample, SeriesKey, ServerIdent};
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::events::Event;
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::stats::window::Window;

/// Maximum number of samples that are judged for one response.
const MOST_SAMPLES: usize = 200_000;
/// Another vantage's current state is judged from the longest of these spans, in seconds, that has at most
/// [`MOST_SAMPLES`].
const SPANS_S: [i64; 3] = [3600, 600, 60];

/// Another vantage that a request asks about.
#[derive(Debug, Clone)]
struct Other(Arc<str>);

/// Replaces the parameter by a value for [`Vantage::of`], or rejects the request.
///
/// # Errors
/// Errors of the handler.
pub async fn resolve(mut request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let row = openapi::row_of(request.request()).filter(|row| row.path.starts_with("/api/v1/"));
    let (Some(row), Some((asked, rest))) = (row, split(request.query_string())) else {
        return next.call(request).await;
    };
    let Some(state) = request.app_data::<web::Data<State>>().cloned() else { return next.call(request).await };
    match other(&state, row.vantages, asked).await {
        Ok(other) => {
            other.map(|other| request.extensions_mut().insert(other));
            change_query(&mut request, &rest);
            next.call(request).await
        }
        Err(problem) => Ok(request.into_response(problem.error_response())),
    }
}

/// The values of the parameter, and the query without it; `None` if the query does not have it.
fn split(query: &str) -> Option<(BTreeSet<String>, String)> {
    let is_ours = |part: &&str| part.split('=').next() == Some("vantage");
    let (ours, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_ours);
    let values = web::Query::<Vec<(String, String)>>::from_query(&ours.join("&")).ok()?.into_inner();
    (!ours.is_empty()).then(|| (values.into_iter().map(|(_, value)| value).collect(), rest.join("&")))
}

fn change_query(request: &mut ServiceRequest, query: &str) {
    let mut parts = request.uri().clone().into_parts();
    let path = request.uri().path();
    parts.path_and_query = if query.is_empty() { path.parse().ok() } else { format!("{path}?{query}").parse().ok() };
    // The rest of a valid URI is valid too.
    if let Ok(uri) = Uri::from_parts(parts) {
        request.head_mut().uri = uri;
    }
}

/// The requested vantage, if it is not this one.
async fn other(state: &State, answered: Vantages, asked: BTreeSet<String>) -> Result<Option<Other>, Problem> {
    if answered == Vantages::None {
        return Err(Problem::bad_request("this endpoint has no parameter \"vantage\""));
    }
    let mut asked = asked.into_iter();
    let (Some(name), None) = (asked.next(), asked.next()) else {
        return Err(Problem::bad_request("vantage: must be given once"));
    };
    if name == state.config.borrow().monitor.vantage {
        return Ok(None);
    }
    let wanted = name.clone();
    let is_known =
        !name.is_empty() && state.store.read(move |reader| Ok(!reader.series_of_vantage(&wanted)?.is_empty())).await?;
    match (is_known, answered) {
        (false, _) => Err(Problem::not_found(format!("this service has no samples of a vantage {name:?}"))),
        (true, Vantages::All) => Ok(Some(Other(name.into()))),
        (true, _) => Err(Problem::not_found(format!("only the vantage {name:?} itself has this data"))),
    }
}

type SeriesByServer = BTreeMap<Arc<str>, Vec<SeriesKey>>;

/// The vantage that a response is about.
pub struct Vantage {
    state: web::Data<State>,
    /// The name of another vantage with the series of each of its servers; `None` for this vantage.
    other: Option<(Arc<str>, SeriesByServer)>,
}

impl Vantage {
    /// The vantage that `request` asks about.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of(request: &HttpRequest, state: &web::Data<State>) -> Result<Self, Problem> {
        let asked = request.extensions().get::<Other>().cloned();
        let state = state.clone();
        let Some(Other(name)) = asked else { return Ok(Self { state, other: None }) };
        let wanted = Arc::clone(&name);
        let series = state.store.read(move |reader| reader.series_of_vantage(&wanted)).await?;
        let mut servers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for series in series {
            servers.entry(Arc::clone(&series.key.server)).or_default().push(series.key);
        }
        Ok(Self { state, other: Some((name, servers)) })
    }

    #[must_use]
    pub fn is_other(&self) -> bool {
        self.other.is_some()
    }

    /// The server or series that `id` names.
    ///
    /// # Errors
    /// 404 when there is none.
    pub fn find(&self, id: &str) -> Result<Target, Problem> {
        let Some((vantage, servers)) = &self.other else { return Target::find(&self.state, id) };
        if let Some((name, _)) = servers.get_key_value(id) {
            return Ok(Target { name: Arc::clone(name), address: None });
        }
        let series = id.rsplit_once('@').and_then(|(name, address)| {
            let address = address.parse().ok()?;
            servers.get(name)?.iter().find(|key| key.address == Some(address))
        });
        let none = || Problem::not_found(format!("there is no server {id:?} at the vantage {vantage:?}"));
        series.map(|key| Target { name: Arc::clone(&key.server), address: key.address }).ok_or_else(none)
    }

    /// The series of the target: all that are polled now, or the requested one.
    #[must_use]
    pub fn keys(&self, target: &Target) -> Vec<SeriesKey> {
        let is_meant = |key: &SeriesKey| target.address.is_none() || key.address == target.address;
        if let Some((_, servers)) = &self.other {
            return servers.get(&target.name).into_iter().flatten().filter(|key| is_meant(key)).cloned().collect();
        }
        if target.address.is_some() {
            return vec![SeriesKey::here(&target.name, target.address)];
        }
        let snapshot = self.state.snapshot.borrow();
        snapshot.series_of(&target.name).into_iter().map(|(key, _)| SeriesKey::clone(key)).collect()
    }

    /// Every server with these tags. A hub does not know the tags of other vantages.
    #[must_use]
    pub fn tagged(&self, tags: &[(String, Option<String>)]) -> Vec<Arc<str>> {
        if let Some((_, servers)) = &self.other {
            return servers.keys().filter(|_| tags.is_empty()).cloned().collect();
        }
        let config = self.state.config.borrow();
        let is_meant = |ident: &&Arc<ServerIdent>| {
            let has = |(key, value): &(String, Option<String>)| {
                ident.tags.get(key).is_some_and(|has| value.as_ref().is_none_or(|value| value == has))
            };
            tags.iter().all(has)
        };
        config.servers.iter().map(|server| &server.ident).filter(is_meant).map(|it| Arc::clone(&it.name)).collect()
    }

    /// Runs `work` with a reader in which a server and an address identify a series of this vantage. All its reads see the
    /// same commit.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let name = self.other.as_ref().map(|(name, _)| Arc::clone(name)).unwrap_or_default();
        self.state.store.read(move |reader| reader.seen_from(&name, |reader| reader.at_one_commit(work))).await
    }

    /// The current state of its servers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        if self.other.is_none() {
            return Ok(self.state.snapshot.borrow().clone());
        }
        for span_s in SPANS_S {
            let from = move |last_ns: i64| last_ns.saturating_sub(span_s * 1_000_000_000);
            if let Some((snapshot, _)) = self.judge(from, i64::MAX).await? {
                return Ok(Arc::new(snapshot));
            }
        }
        Err(too_many())
    }

    /// The rows of its servers, with the snapshot that they show.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn rows(&self) -> Result<(Arc<Snapshot>, Vec<Row>), Problem> {
        let (config, snapshot, health) = self.state.now();
        if self.other.is_none() {
            let rows = Picture::new(&config, &snapshot, &health).rows();
            return Ok((snapshot, rows));
        }
        let snapshot = self.snapshot().await?;
        let rows = Picture::new(&config, &snapshot, &Health::default()).rows_of_snapshot();
        Ok((snapshot, rows))
    }

    /// The events found in its samples of a span; `None` for this vantage, whose events are stored.
    ///
    /// # Errors
    /// When the store cannot be read, or has too many samples of the span.
    pub async fn events(&self, from_ns: i64, to_ns: i64) -> Result<Option<Vec<Event>>, Problem> {
        if self.other.is_none() {
            return Ok(None);
        }
        let judged = self.judge(move |_| from_ns, to_ns).await?;
        judged.map(|(_, events)| Some(events)).ok_or_else(too_many)
    }

    /// Judges the stored samples of another vantage, from a start that is computed from the time of its last sample;
    /// `None` if they are too many.
    async fn judge(
        &self,
        from_ns: impl Fn(i64) -> i64 + Send + 'static,
        to_ns: i64,
    ) -> Result<Option<(Snapshot, Vec<Event>)>, Problem> {
        // Judging takes a lot of processor time, so only one request does it at a time.
        static TURN: Semaphore = Semaphore::const_new(1);
        let turn = TURN.acquire().await.ok();
        let name = self.other.as_ref().map(|(name, _)| Arc::clone(name)).unwrap_or_default();
        let judged = self.state.store.read(move |reader| {
            let _turn = turn;
            let Some(samples) = samples(reader, &name, from_ns, to_ns)? else { return Ok(None) };
            Ok(Some(judge(samples)))
        });
        Ok(judged.await?)
    }
}

fn too_many() -> Problem {
    Problem::bad_request(format!("there are more than {MOST_SAMPLES} samples to judge: choose a shorter span"))
}

/// The samples of a vantage by time, with this host's vantage name; `None` if they are too many.
fn samples(
    reader: &Reader,
    vantage: &Arc<str>,
    from_ns: impl Fn(i64) -> i64,
    to_ns: i64,
) -> Result<Option<Vec<Arc<Sample>>>, StoreError> {
    let series = reader.series_of_vantage(vantage)?;
    let from_ns = from_ns(series.iter().map(|one| one.last_seen_ns).max().unwrap_or(0));
    let servers: BTreeSet<Arc<str>> = series.into_iter().map(|one| one.key.server).collect();
    let mut found = Vec::new();
    for name in servers {
        let limit = MOST_SAMPLES + 1 - found.len();
        let page = reader.seen_from(vantage, |reader| reader.samples(&name, None, from_ns, to_ns, limit))?;
        let ident = ServerIdent::named(&name);
        found.extend(page.into_iter().map(|one| Arc::new(Sample { server: Arc::clone(&ident), ..one.sample })));
        if found.len() > MOST_SAMPLES {
            return Ok(None);
        }
    }
    found.sort_by_key(|sample| sample.at.wall_ns);
    Ok(Some(found))
}

/// The result that the vantage itself would compute from these samples, without the data of its kernel and time daemon.
fn judge(samples: Vec<Arc<Sample>>) -> (Snapshot, Vec<Event>) {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
    let mut events = Vec::new();
    for sample in &samples {
        analysis.observe(sample);
        analysis.take_events().into_iter().for_each(|event| event.upsert(&mut events));
    }
    let at = samples.last().map_or(ntp_monitor_core::clock::Stamp::new(0, 0, 0), |sample| sample.at);
    (analysis.snapshot(at), events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_is_taken_out_of_the_query() {
        let of = |query: &str| split(query).map(|(values, rest)| (values.into_iter().collect::<Vec<_>>(), rest));
        assert_eq!(of(""), None);
        assert_eq!(of("from=-1h&id=a"), None);
        assert_eq!(of("vantage=ams%2D1"), Some((vec!["ams-1".to_owned()], String::new())));
        assert_eq!(of("id=a&vantage=b&id=c"), Some((vec!["b".to_owned()], "id=a&id=c".to_owned())));
        assert_eq!(of("vantage=a&vantage=b").map(|(values, _)| values.len()), Some(2));
    }
}
