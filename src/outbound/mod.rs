//! Common parts of outgoing HTTP requests: HTTP/1.1, a time-out, our name, no redirects, and a proxy only if the
//! configuration says so. Responses are read up to a limit, and no error contains a URL, which may include a secret.

mod base;
mod masks;
mod proxy;
mod secret;
mod sent;
pub mod trust;
mod waiting;

use std::time::Duration;

use ntp_monitor_core::text::plain::is_disruptive;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode};

pub use base::{base_url, below};
pub use masks::Masks;
pub use proxy::Proxy;
pub use secret::Hidden;
pub use sent::Sent;
pub use waiting::{retry_after, seconds};

/// Maximum number of bytes read from the body of an error.
const MAX_ERROR_BYTES: usize = 8 * 1024;
/// Maximum length of a reason.
const MAX_REASON_CHARS: usize = 300;

/// The name of this program in requests; some firewalls reject requests without one.
const USER_AGENT: &str = concat!("ntp-monitor/", env!("CARGO_PKG_VERSION"));

/// A client whose requests time out after `timeout`. It trusts the certificates of the system and those in `ca_pem`, and
/// uses no proxy but the given one.
///
/// # Errors
/// When `ca_pem` contains an invalid certificate, or the proxy cannot be used.
pub fn builder(timeout: Duration, ca_pem: Option<&str>, proxy: Option<&Proxy>) -> Result<ClientBuilder, String> {
    let tls = trust::client(ca_pem)?;
    // Data and secrets go only where the configuration says, so the environment is ignored here.
    let builder = Client::builder().http1_only().redirect(Policy::none()).timeout(timeout).no_proxy();
    let builder = builder.user_agent(USER_AGENT).use_preconfigured_tls(tls);
    match proxy {
        Some(proxy) => proxy.apply(builder),
        None => Ok(builder),
    }
}

/// A hint what to check after this status; empty if the status is clear.
#[must_use]
pub fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => " (redirects are not followed: configure the final URL)",
        401 | 403 => " (the receiver denied access: check the secret)",
        404 | 410 => " (no such receiver: check the URL)",
        407 => " (a proxy on the way requires a login)",
        _ => "",
    }
}

/// The beginning of a body. Read errors are ignored, because the status is sufficient.
pub async fn body(response: Response) -> Vec<u8> {
    body_or_fault(response, MAX_ERROR_BYTES).await.0
}

/// At most `limit` bytes of a body, and why it could not be read.
pub async fn body_or_fault(mut response: Response, limit: usize) -> (Vec<u8>, Option<String>) {
    let mut bytes = Vec::new();
    while bytes.len() < limit {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = limit - bytes.len();
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Ok(None) => break,
            Err(error) => return (bytes, Some(failure(error))),
        }
    }
    (bytes, None)
}

/// The innermost cause of a failed request ("connection refused"), without the URL.
#[must_use]
pub fn failure(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no response in time".to_owned();
    }
    let why = innermost(&error.without_url());
    if let Some(why) = why.strip_prefix("tunnel error: ") {
        return format!("the proxy does not connect to the server ({why}): check the key proxy");
    }
    match trust::handshake_fault(&why) {
        Some(fault) => format!("{fault} ({why})"),
        None => why,
    }
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

/// One line of limited length without control characters, suitable for logs.
#[must_use]
pub fn short(text: &str) -> String {
    text.trim().chars().take(MAX_REASON_CHARS).map(|c| if is_disruptive(c) { ' ' } else { c }).collect()
}
