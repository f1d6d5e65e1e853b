//! HTTP requests that leave this host: what every client has in common. HTTP/1.1, a deadline, no redirects, no proxy of
//! the environment; answers are read to a bound, and no error shows a URL, which may hold a secret.

pub mod trust;

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};

/// An answer's body is read this far.
pub const MAX_BODY_BYTES: usize = 8 * 1024;
/// A reason is kept this long.
const MAX_REASON_CHARS: usize = 300;

/// A client whose every request ends within `timeout`. It trusts the system's certificates and those in `ca_pem`.
///
/// # Errors
/// When `ca_pem` cannot be used.
pub fn builder(timeout: Duration, ca_pem: Option<&str>) -> Result<ClientBuilder, String> {
    let tls = trust::client(ca_pem)?;
    // No proxy of the environment: data and secrets go where the configuration says.
    let builder = Client::builder().http1_only().redirect(Policy::none()).timeout(timeout).no_proxy();
    Ok(builder.use_preconfigured_tls(tls))
}

/// `Retry-After` in seconds. The form with a date is ignored: it would need a wall clock that can be trusted.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The beginning of a body; what cannot be read counts as absent, for the status has said enough.
pub async fn body(mut response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_BODY_BYTES - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == MAX_BODY_BYTES {
            break;
        }
    }
    bytes
}

/// What went wrong on the way, with its innermost cause ("connection refused"). The URL is left out.
#[must_use]
pub fn failure(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    innermost(&error.without_url())
}

/// The innermost cause of an error, on one line.
#[must_use]
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    short(&cause.to_string())
}

/// One line of bounded length without control characters, fit for logs.
#[must_use]
pub fn short(text: &str) -> String {
    text.trim().chars().take(MAX_REASON_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
