//! Requests to InfluxDB.
//!
//! influxdb2 builds the points. Requests use a separate HTTP client, because that of influxdb2 drops the headers of a
//! response, so that `Retry-After` cannot be honoured, and reads the body of an error without a limit.

use std::future::Future;
use std::io::Write;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};

use super::answer::{Answer, WriteOutcome};
use crate::config::Influx;
use crate::outbound::{Masks, base_url, below, body, builder, failure, retry_after, trust};

/// Smaller bodies are sent as they are.
const WORTH_COMPRESSING: usize = 1024;

/// Why a client cannot be created from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientFault {
    /// The URL is invalid. The message does not contain it, because it may include a password.
    #[error("influxdb.url: {0}")]
    Url(&'static str),
    /// The token is invalid.
    #[error("influxdb.token: {0}")]
    Token(&'static str),
    /// The HTTP library reported an error.
    #[error("influxdb: cannot create an HTTP client: {0}")]
    Client(String),
}

/// Sends lines to a database. Separates the sender from the network.
pub trait LineWriter: Send + Sync + 'static {
    /// Sends whole lines once and returns the result. Never fails: a failure is an outcome.
    fn write(&self, lines: Vec<u8>) -> impl Future<Output = WriteOutcome> + Send;
}

/// A client for one bucket. Does not follow redirects, uses HTTP/1.1 only, and applies the configured time-out. If the
/// database rejects its token, it reads the token's file again.
#[derive(Debug, Clone)]
pub struct InfluxClient(Arc<Mutex<Connection>>);

/// The current settings of requests; replaced when a secret has changed.
#[derive(Debug, Clone)]
struct Connection {
    config: Arc<Influx>,
    http: Client,
    write_url: Url,
    /// The token, masked in answers that repeat it.
    masks: Masks,
    encoding: Encoding,
}

/// Whether bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// Compressed, but the server has not accepted that yet.
    Untested,
    Gzip,
    /// The server rejects compressed bodies, or is on this host, where compressing costs more than it saves.
    Plain,
}

impl InfluxClient {
    /// A client for the configured bucket. Does not connect yet.
    ///
    /// # Errors
    /// When the URL or the token is invalid.
    pub fn new(config: &Influx) -> Result<Self, ClientFault> {
        Ok(Self(Arc::new(Mutex::new(Connection::new(config.clone())?))))
    }

    /// Checks whether the token may write to the bucket, with a write without points, which writes nothing: InfluxDB
    /// checks the points after everything else, and other databases accept it.
    ///
    /// # Errors
    /// Why lines would be rejected.
    pub async fn may_write(&self) -> Result<(), String> {
        match self.attempt(Vec::new()).await {
            WriteOutcome::Done => Ok(()),
            WriteOutcome::TooLarge => Err(StatusCode::PAYLOAD_TOO_LARGE.to_string()),
            WriteOutcome::Invalid(why) => Err(why.reason),
            WriteOutcome::Paused(reason)
            | WriteOutcome::TooOld { reason, .. }
            | WriteOutcome::Retry { reason, .. }
            | WriteOutcome::TooSlow { reason, .. } => Err(reason),
        }
    }

    /// Makes one request, and a second one without compression if the body may have been rejected because of it.
    async fn attempt(&self, lines: Vec<u8>) -> WriteOutcome {
        let connection = self.connection();
        let (status, outcome) = connection.send(lines.clone()).await;
        if !connection.compresses(&lines) {
            return outcome;
        }
        let is_unsupported = status == Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let is_suspect = connection.encoding == Encoding::Untested && matches!(outcome, WriteOutcome::Invalid(_));
        if !is_unsupported && !is_suspect {
            if outcome.is_accepted() {
                self.learn(Encoding::Gzip);
            }
            return outcome;
        }
        let (_, outcome) = Connection { encoding: Encoding::Plain, ..connection }.send(lines).await;
        self.learn(if is_unsupported || outcome.is_accepted() { Encoding::Plain } else { Encoding::Gzip });
        outcome
    }

    /// Reads the files of secrets again. Returns whether one has changed.
    async fn renew(&self) -> bool {
        let Connection { config, encoding, .. } = self.connection();
        let made = tokio::task::spawn_blocking(move || config.renewed().map(Connection::new)).await;
        let Ok(Some(Ok(connection))) = made else { return false };
        *self.lock() = Connection { encoding, ..connection };
        true
    }

    fn learn(&self, encoding: Encoding) {
        self.lock().encoding = encoding;
    }

    fn connection(&self) -> Connection {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineWriter for InfluxClient {
    async fn write(&self, lines: Vec<u8>) -> WriteOutcome {
        match self.attempt(lines.clone()).await {
            WriteOutcome::Paused(_) if self.renew().await => self.attempt(lines).await,
            outcome => outcome,
        }
    }
}

impl Connection {
    fn new(config: Influx) -> Result<Self, ClientFault> {
        let base = base_url(&config.url).map_err(ClientFault::Url)?;
        let mut headers = HeaderMap::new();
        if !config.token.expose().is_empty() {
            headers.insert(AUTHORIZATION, authorization(config.token.expose())?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let http = builder(config.timeout, config.ca_pem.as_deref(), config.proxy.as_ref())
            .map_err(ClientFault::Client)?
            .default_headers(headers)
            .build()
            .map_err(|error| ClientFault::Client(failure(error)))?;
        let write_url = write_url(&base, &config);
        let masks = Masks::of([&config.token]);
        let is_local = config.proxy.is_none() && is_loopback(&write_url);
        let encoding = if is_local { Encoding::Plain } else { Encoding::Untested };
        Ok(Self { config: Arc::new(config), http, write_url, masks, encoding })
    }

    fn compresses(&self, lines: &[u8]) -> bool {
        self.encoding != Encoding::Plain && lines.len() >= WORTH_COMPRESSING
    }

    /// Makes one request. Returns the status, if there was a response, and the outcome.
    async fn send(&self, lines: Vec<u8>) -> (Option<StatusCode>, WriteOutcome) {
        let mut request = self.http.post(self.write_url.clone());
        let is_empty = lines.is_empty();
        if !self.compresses(&lines) {
            request = request.body(lines);
        } else {
            // Large bodies take milliseconds, and the caller must not block.
            let Ok(Ok(body)) = tokio::task::spawn_blocking(move || gzip(&lines)).await else {
                return (
                    None,
                    WriteOutcome::Retry { reason: "the request was not compressed".to_owned(), after: None },
                );
            };
            request = request.header(CONTENT_ENCODING, "gzip").body(body);
        }
        match request.send().await {
            Ok(response) => (Some(response.status()), judge(response, is_empty, &self.masks).await),
            Err(error) if error.is_timeout() => (None, WriteOutcome::TooSlow { reason: failure(error), after: None }),
            Err(error) => (None, unreachable(failure(error))),
        }
    }
}

/// The outcome of a failed connection. An untrusted certificate needs an operator.
fn unreachable(why: String) -> WriteOutcome {
    match trust::certificate_fault(&why) {
        Some(fault) => WriteOutcome::Paused(format!("{fault} ({why})")),
        None => WriteOutcome::Retry { reason: why, after: None },
    }
}

/// The outcome of a response to a write; `is_empty` if the write had no points.
async fn judge(response: Response, is_empty: bool, masks: &Masks) -> WriteOutcome {
    let (status, after) = (response.status(), retry_after(response.headers()));
    let is_html = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let body = masks.apply(&String::from_utf8_lossy(&body(response).await));
    let answer = Answer { status, is_html, after, body: body.as_bytes() };
    if is_empty && answer.lacks_only_points() { WriteOutcome::Done } else { answer.judge() }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

fn authorization(token: &str) -> Result<HeaderValue, ClientFault> {
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ClientFault::Token(
            "contains a blank, a line break or another character that a header does not allow",
        ));
    }
    let mut value = HeaderValue::try_from(format!("Token {token}"))
        .map_err(|_| ClientFault::Token("cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn write_url(base: &Url, config: &Influx) -> Url {
    let mut url = below(base, "/api/v2/write");
    url.query_pairs_mut()
        .append_pair("org", &config.org)
        .append_pair("bucket", &config.bucket)
        .append_pair("precision", "ns");
    url
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(url: &str, token: &str) -> Influx {
        Influx {
            url: url.to_owned(),
            org: "an org".to_owned(),
            bucket: "b&c=d".to_owned(),
            token: token.into(),
            batch: 10,
            flush_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            ca_pem: None,
            proxy: None,
            outbox_max_age: Duration::from_secs(1),
            outbox_max_bytes: 1,
        }
    }

    #[test]
    fn invalid_url_is_rejected_with_a_reason() {
        for bad in ["not a url", "http://", "localhost:8086", "mailto:x@y", "ftp://h", "http://h?x=1"] {
            let fault = InfluxClient::new(&config(bad, "t")).unwrap_err();
            assert!(matches!(fault, ClientFault::Url(_)), "{bad}: {fault}");
        }
        let fault = InfluxClient::new(&config("http://me:secret@h", "t")).unwrap_err();
        assert!(!fault.to_string().contains("secret"));
    }

    #[test]
    fn token_invalid_in_a_header_is_rejected_and_never_shown() {
        let fault = InfluxClient::new(&config("http://h", "se\ncret")).unwrap_err();
        assert!(matches!(fault, ClientFault::Token(_)) && !fault.to_string().contains("cret"));
        let client = InfluxClient::new(&config("http://h", "hush-hush")).unwrap();
        assert!(!format!("{client:?}").contains("hush"));
    }

    #[test]
    fn bodies_for_this_host_are_not_compressed() {
        let compresses = |url: &str| {
            let connection = InfluxClient::new(&config(url, "t")).unwrap().connection();
            connection.compresses(&[0; WORTH_COMPRESSING])
        };
        assert!(!["http://127.0.0.1:8086", "http://localhost", "https://[::1]/db"].into_iter().any(compresses));
        assert!(["http://192.0.2.1:8086", "http://influxdb:8086", "https://[2001:db8::1]"].into_iter().all(compresses));
    }

    #[test]
    fn organisation_and_bucket_are_encoded_below_a_path() {
        let client = InfluxClient::new(&config("http://h:1/db/", "t")).unwrap();
        let url = client.connection().write_url;
        assert_eq!(url.as_str(), "http://h:1/db/api/v2/write?org=an+org&bucket=b%26c%3Dd&precision=ns");
    }
}
