//! `GET /api/v1/stream`: server-sent events.
//!
//! The first event is `hello`; its `resumed` says whether no event was lost since `Last-Event-ID`. The stream of a
//! reader that is too slow ends; it reconnects with its last number and gets the events that are still kept. The kernel
//! closes a connection whose reader does not read (see [`super::super::serve`]). A stream also ends with its token or
//! session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, timeout_at};

use super::{Frame, Hub, KEPT, Subscription, Topic};
use crate::web::State;
use crate::web::auth::{Admission, Gate};
use crate::web::openapi::{Body, Endpoint, Vantages, header, query};
use crate::web::problem::Problem;

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/api/v1/stream", || web::to(stream))
    .about(
        "Live events, as server-sent events: hello, sample, verdict, health, alert, and beat after a second without \
         any other. Send Last-Event-ID to resume.",
    )
    .of(Vantages::Own)
    .taking(&[
        query("events", "string", "sample, verdict, health, alert; separated by commas. Default: all."),
        query("server", "string", "The configured name of a server, to get only its samples."),
        query("last_event_id", "string", "Like the header Last-Event-ID, which takes precedence."),
        header("Last-Event-ID", "The number of the last event that the client received."),
    ])
    .giving(Body::text("text/event-stream", "Events; the data of each is JSON."))
    .or(&[503])];

/// A `beat` is sent after this much silence, so that a reader notices within three seconds that the stream has ended,
/// dead connections are found, and proxies do not time out.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a browser waits before it reconnects, in milliseconds.
const RETRY_MS: u32 = 3000;

/// The query parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamQuery {
    /// Topics, separated by commas: `sample`, `verdict`, `health`, `alert`; the default is all.
    events: Option<String>,
    /// Only samples of the server with this configured name; the default is all servers.
    server: Option<String>,
    /// Like the header `Last-Event-ID`, which takes precedence.
    last_event_id: Option<String>,
}

/// The frames that a reader asked for.
struct EventFilter {
    topics: Vec<Topic>,
    server: Option<String>,
}

impl EventFilter {
    fn parse(query: &StreamQuery) -> Result<Self, Problem> {
        let topic = |label: &str| {
            let refused =
                || Problem::bad_request(format!("events: {label:?} is none of sample, verdict, health, alert"));
            Topic::parse(label).ok_or_else(refused)
        };
        let topics = match &query.events {
            Some(labels) => labels.split(',').map(|label| topic(label.trim())).collect::<Result<_, _>>()?,
            None => Topic::ALL.to_vec(),
        };
        Ok(Self { topics, server: query.server.clone() })
    }

    fn admits(&self, frame: &Frame) -> bool {
        let wanted = |server: &str| self.server.as_deref().is_none_or(|filter| filter == server);
        self.topics.contains(&frame.topic()) && frame.server().is_none_or(wanted)
    }
}

/// A connected reader.
struct Reader {
    hub: Hub,
    filter: EventFilter,
    hello: Option<Bytes>,
    behind: VecDeque<Arc<Frame>>,
    live: Receiver<Arc<Frame>>,
    admission: Admission,
    _place: OwnedSemaphorePermit,
}

/// `GET /api/v1/stream`.
pub async fn stream(
    request: HttpRequest,
    state: web::Data<State>,
    gate: web::Data<Gate>,
    query: web::Query<StreamQuery>,
) -> Result<HttpResponse, Problem> {
    let filter = EventFilter::parse(&query)?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Compression would delay events.
        .insert_header((CONTENT_ENCODING, "identity"))
        .insert_header(("X-Accel-Buffering", "no"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let hub = state.hub.clone();
    let place = Arc::clone(&hub.0.places).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many readers of the stream: try again later")
    })?;
    let header = request.headers().get("Last-Event-ID").and_then(|value| value.to_str().ok());
    let Subscription { begin, behind, live, resumed } = hub.subscribe(header.or(query.last_event_id.as_deref()));
    let id = hub.id_of(begin);
    let hello = format!("retry: {RETRY_MS}\nid: {id}\nevent: hello\ndata: {{\"resumed\":{resumed}}}\n\n");
    let admission = Admission::of(request.headers(), gate, state.config.clone());
    let reader = Reader { hub, filter, hello: Some(hello.into()), behind, live, admission, _place: place };
    Ok(response.streaming(reader.events()))
}

impl Reader {
    fn events(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        unfold(self, |mut reader| async move {
            let next = reader.next().await?;
            Some((Ok(next), reader))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        let due = Instant::now() + HEARTBEAT;
        loop {
            if !self.admission.holds() {
                return None;
            }
            let waited = match self.behind.pop_front() {
                Some(frame) => Ok(Ok(frame)),
                None => tokio::select! {
                    () = self.admission.changed() => continue,
                    waited = timeout_at(due, self.live.recv()) => waited,
                },
            };
            let frame = match waited {
                Err(_) => return Some(Bytes::from_static(b"event: beat\ndata: {}\n\n")),
                Ok(Ok(frame)) => frame,
                Ok(Err(RecvError::Lagged(_))) => {
                    self.hub.0.cut_off.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
                Ok(Err(RecvError::Closed)) => return None,
            };
            if self.filter.admits(&frame) && self.admission.holds() {
                return Some(self.write(&frame));
            }
        }
    }

    fn write(&self, frame: &Frame) -> Bytes {
        let (id, event, data) = (self.hub.id_of(frame.number), frame.topic().label(), frame.data());
        let mut text = format!("id: {id}\nevent: {event}\ndata: ").into_bytes();
        text.extend_from_slice(&data);
        text.extend_from_slice(b"\n\n");
        text.into()
    }
}

/// The server polls no more frames for a reader that does not read, so this stream cannot notice the lag itself.
impl Drop for Reader {
    fn drop(&mut self) {
        if self.live.len() > KEPT {
            self.hub.0.cut_off.fetch_add(1, Ordering::Relaxed);
        }
    }
}
