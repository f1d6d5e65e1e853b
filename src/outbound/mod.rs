//! Common parts of outgoing HTTP requests: HTTP/1.1, a time-out, our name, no redirects, and a proxy only if the
//! configuration says so. Responses are read up to a limit, and no error contains a URL, which may include a secret.

mod proxy;
mod secret;
pub mod trust;

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ntp_monitor_core::text::plain::is_disruptive;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, Url};

pub use proxy::Proxy;
pub use secret::Hidden;

/// Maximum number of bytes read from a response body.
pub const MAX_BODY_BYTES: usize = 8 * 1024;
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

/// The URL of a service, to which the paths of its API are appended. It may have a path, for a service behind a proxy.
///
/// # Errors
/// What is wrong with it. The message does not repeat it, because it may contain a password.
pub fn base_url(text: &str) -> Result<Url, &'static str> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("must begin with http:// or https://");
    }
    let url = Url::parse(text).map_err(|_| "must name a host, such as http://127.0.0.1:8086")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user or a password; use the key for the token");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query");
    }
    if url.port() == Some(0) {
        return Err("must not contain port 0");
    }
    Ok(url)
}

/// A URL below a base URL.
#[must_use]
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// `Retry-After`: a number of seconds, also with a fraction, or a date. The date is compared with the server's own `Date`,
/// because this host's clock may be wrong.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text: &str| rfc2822::parse(text).ok().map(|at| at.timestamp());
    let value = text(RETRY_AFTER)?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let now = text(DATE).and_then(date).unwrap_or_else(Timestamp::now);
    Some(Duration::try_from(date(value)?.duration_since(now)).unwrap_or_default())
}

/// The beginning of a body. Read errors are ignored, because the status is sufficient.
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

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn base_url_may_have_a_path_and_nothing_else() {
        for (bad, part) in [
            ("h:8086", "begin with"),
            ("http://", "name a host"),
            ("http://h:99999", "name a host"),
            ("http://me:hush@h", "password"),
            ("http://h/?q=hush", "query"),
            ("http://h#hush", "query"),
        ] {
            let why = base_url(bad).unwrap_err();
            assert!(why.contains(part) && !why.contains("hush"), "{bad}: {why}");
        }
        for (good, write) in [
            ("http://h:8086", "http://h:8086/write"),
            ("https://[::1]/", "https://[::1]/write"),
            ("https://h/db/influx/", "https://h/db/influx/write"),
        ] {
            assert_eq!(below(&base_url(good).unwrap(), "/write").as_str(), write);
        }
    }

    #[test]
    fn retry_after_is_seconds_a_fraction_or_a_date() {
        const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (text, milliseconds) in [
            ("120", Some(120_000)),
            (" 1.5 ", Some(1500)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30_000)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("inf", None),
            ("later", None),
        ] {
            let pairs = [(RETRY_AFTER, text), (DATE, NOW)];
            let headers = pairs.into_iter().map(|(name, text)| (name, HeaderValue::from_static(text))).collect();
            assert_eq!(retry_after(&headers), milliseconds.map(Duration::from_millis), "{text}");
        }
    }
}
