//! One request to InfluxDB, and the meaning of the response for its lines.
//!
//! influxdb2 builds the points. Requests use a separate HTTP client, because that of influxdb2 drops the headers of a
//! response, so that `Retry-After` cannot be honoured, and reads the body of an error without a limit.

use std::future::Future;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::ExposeSecret;

use crate::config::Influx;
use crate::outbound::{body, builder, failure, hint, retry_after, short};

/// The result of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    Done,
    /// The failure may be temporary (429, 408, 5xx, no response): send the same lines again later.
    Retry {
        reason: String,
        /// The time to wait that the server asked for.
        after: Option<Duration>,
    },
    /// The request is larger than the server accepts (413).
    TooLarge,
    /// The server rejects the content (400, 422), with its message. It may have kept the good lines.
    Invalid(String),
    /// The server rejects the client, not the lines (401, 403, 404, a redirect, any other 4xx): an operator must act.
    Paused(String),
}

/// Why a client cannot be created from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientFault {
    /// The URL is invalid. The message does not contain it, because it may include a password.
    #[error("influxdb.url: {0}")]
    Url(String),
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

/// A client for one bucket. Does not follow redirects, uses HTTP/1.1 only, and applies the configured time-out.
#[derive(Debug, Clone)]
pub struct InfluxClient {
    http: Client,
    write_url: Url,
    ready_url: Url,
}

impl InfluxClient {
    /// A client for the configured bucket. Does not connect yet.
    ///
    /// # Errors
    /// When the URL or the token is invalid.
    pub fn new(config: &Influx) -> Result<Self, ClientFault> {
        let base = base_url(&config.url)?;
        let token = config.token.expose_secret();
        let mut headers = HeaderMap::new();
        if !token.is_empty() {
            headers.insert(AUTHORIZATION, authorization(token)?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let http = builder(config.timeout, config.ca_pem.as_deref(), config.proxy.as_ref())
            .map_err(ClientFault::Client)?
            .default_headers(headers)
            .build()
            .map_err(|error| ClientFault::Client(error.to_string()))?;
        let mut ready_url = base.clone();
        ready_url.set_path("/ready");
        Ok(Self { http, write_url: write_url(base, config), ready_url })
    }

    /// Whether the server reports that it is ready (`/ready`; VictoriaMetrics supports this too).
    ///
    /// # Errors
    /// Why it is not ready.
    pub async fn ready(&self) -> Result<(), String> {
        let response = self.http.get(self.ready_url.clone()).send().await.map_err(failure)?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(reason(status, &body(response).await)) }
    }
}

impl LineWriter for InfluxClient {
    async fn write(&self, lines: Vec<u8>) -> WriteOutcome {
        match self.http.post(self.write_url.clone()).body(lines).send().await {
            Ok(response) => classify(response).await,
            Err(error) => WriteOutcome::Retry { reason: failure(error), after: None },
        }
    }
}

fn base_url(text: &str) -> Result<Url, ClientFault> {
    let fault = |why: &str| Err(ClientFault::Url(why.to_owned()));
    let url = Url::parse(text).map_err(|error| ClientFault::Url(format!("not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return fault("must begin with http:// or https://");
    }
    if !url.has_host() {
        return fault("must contain a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return fault("must not hold a user name or password; use the token");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return fault("must end after the port: a path would be dropped silently");
    }
    Ok(url)
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

fn write_url(mut base: Url, config: &Influx) -> Url {
    base.set_path("/api/v2/write");
    base.query_pairs_mut()
        .append_pair("org", &config.org)
        .append_pair("bucket", &config.bucket)
        .append_pair("precision", "ns");
    base
}

/// Maps the HTTP status to an outcome.
async fn classify(response: Response) -> WriteOutcome {
    let status = response.status();
    if status.is_success() {
        return WriteOutcome::Done;
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return WriteOutcome::TooLarge;
    }
    let after = retry_after(response.headers());
    let reason = reason(status, &body(response).await);
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => WriteOutcome::Invalid(reason),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => WriteOutcome::Retry { reason, after },
        status if status.is_server_error() => WriteOutcome::Retry { reason, after },
        _ => WriteOutcome::Paused(reason),
    }
}

/// InfluxDB's message (`{"code": …, "message": …}`), or the beginning of any other body.
fn reason(status: StatusCode, body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
    let text = message.map_or_else(|| String::from_utf8_lossy(body), Into::into);
    let hint = hint(status);
    if text.trim().is_empty() { format!("{status}{hint}") } else { format!("{status}{hint}: {}", short(&text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, token: &str) -> Influx {
        Influx {
            url: url.to_owned(),
            org: "an org".to_owned(),
            bucket: "b&c=d".to_owned(),
            token: token.to_owned().into(),
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
        for bad in
            ["not a url", "http://", "localhost:8086", "mailto:x@y", "ftp://h", "http://h/prefix", "http://h?x=1"]
        {
            let fault = InfluxClient::new(&config(bad, "t")).unwrap_err();
            assert!(matches!(fault, ClientFault::Url(_)), "{bad}: {fault}");
        }
        let fault = InfluxClient::new(&config("http://me:secret@h", "t")).unwrap_err();
        assert!(!fault.to_string().contains("secret"));
        for good in ["http://127.0.0.1:8086", "https://influx.example.net/", "http://[::1]:8086"] {
            assert!(InfluxClient::new(&config(good, "t")).is_ok(), "{good}");
        }
    }

    #[test]
    fn token_invalid_in_a_header_is_rejected_and_never_shown() {
        let fault = InfluxClient::new(&config("http://h", "se\ncret")).unwrap_err();
        assert!(matches!(fault, ClientFault::Token(_)) && !fault.to_string().contains("cret"));
        let client = InfluxClient::new(&config("http://h", "hush-hush")).unwrap();
        assert!(!format!("{client:?}").contains("hush"));
    }

    #[test]
    fn organisation_and_bucket_are_encoded() {
        let client = InfluxClient::new(&config("http://h:1", "t")).unwrap();
        assert_eq!(client.write_url.as_str(), "http://h:1/api/v2/write?org=an+org&bucket=b%26c%3Dd&precision=ns");
    }

    #[test]
    fn reason_is_one_short_line() {
        let json = br#"{"code":"invalid","message":"partial write:\nfield type conflict"}"#;
        assert_eq!(reason(StatusCode::BAD_REQUEST, json), "400 Bad Request: partial write: field type conflict");
        assert_eq!(reason(StatusCode::BAD_GATEWAY, b" "), "502 Bad Gateway");
        assert!(reason(StatusCode::PERMANENT_REDIRECT, b"").contains("configure the final URL"));
        assert!(reason(StatusCode::BAD_GATEWAY, &[b'x'; 9000]).len() < 400);
    }
}
