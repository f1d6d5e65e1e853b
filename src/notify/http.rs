//! One HTTP request to a receiver, and the meaning of its response.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode};

use super::signs::{self, Reply, Verdict, judge, wait_in_body};
use super::{Failure, Retry};
use crate::config::{Hidden, Notifier as Config};
use crate::outbound::{self, Masks};

/// The media type of JSON.
pub(super) const JSON: &str = "application/json";
/// Maximum number of bytes read from a response. Some services repeat the message, with up to six bytes for each
/// character.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// An HTTP client for one receiver.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
    /// Secrets that are masked in responses which repeat them.
    masks: Masks,
}

/// A request to send.
pub(super) struct Request<'a> {
    pub method: Method,
    pub url: &'a str,
    pub content_type: &'a str,
    pub headers: Vec<(&'a str, String)>,
    pub body: Vec<u8>,
}

impl<'a> Request<'a> {
    /// A POST request with a JSON body.
    pub(super) fn json(url: &'a str, body: &serde_json::Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { method: Method::POST, url, content_type: JSON, headers: Vec::new(), body }
    }

    pub(super) fn header(mut self, name: &'a str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Http {
    /// A client for the notifier. The values of `hidden` are masked in all responses.
    pub(super) fn new<'h>(config: &Config, hidden: impl IntoIterator<Item = &'h Hidden>) -> Result<Self, String> {
        let builder = outbound::builder(config.timeout, config.ca_pem.as_deref(), config.proxy.as_ref())?;
        let client =
            builder.build().map_err(|why| format!("cannot create an HTTP client: {}", outbound::innermost(&why)))?;
        Ok(Self { client, masks: Masks::of(hidden) })
    }

    /// Sends the request once. Returns the response if it is the confirmation that `sign` looks for.
    pub(super) async fn send(
        &self,
        request: Request<'_>,
        sign: impl Fn(&Reply<'_>) -> Verdict,
    ) -> Result<String, Failure> {
        let headers = headers(&request)?;
        let sent = outbound::Sent::default();
        let body = sent.watch(request.body);
        let response = self.client.request(request.method, request.url).headers(headers).body(body).send().await;
        match response {
            Ok(response) => self.read(response, sign).await,
            Err(error) if error.is_builder() => Err(Failure::new(Retry::Paused, "the URL is invalid")),
            Err(error) => {
                let failure = Failure::on_the_way(self.masks.apply(&outbound::failure(error)));
                // The receiver may have accepted a request that was fully sent.
                let unanswered = sent.is_whole() && failure.retry == Retry::Backoff;
                Err(if unanswered { Failure { retry: Retry::Unanswered, ..failure } } else { failure })
            }
        }
    }

    async fn read(&self, response: Response, sign: impl Fn(&Reply<'_>) -> Verdict) -> Result<String, Failure> {
        let (status, after) = (response.status(), outbound::retry_after(response.headers()));
        let (bytes, fault) = outbound::body_or_fault(response, MAX_BODY_BYTES).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // Masked once more, because the reason no longer has the escapes of JSON.
        let said = || self.masks.apply(&reason(status, &self.masks.apply(&text)));
        if let Some(retry) = judge(status, after.or_else(|| wait_in_body(&text))) {
            return Err(Failure::new(retry, said()));
        }
        match (sign(&Reply { status, text: &text }), fault) {
            (Verdict::Taken, _) => Ok(said()),
            (_, Some(fault)) => Err(Failure::new(Retry::Unanswered, format!("{status}, and then {fault}"))),
            (Verdict::Not(retry, why), None) => Err(Failure::new(retry, format!("{why}: {}", said()))),
        }
    }
}

fn headers(request: &Request<'_>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let all = [(CONTENT_TYPE.as_str(), request.content_type.to_owned())].into_iter().chain(request.headers.clone());
    for (name, value) in all {
        let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name_, mut value) =
            pair.ok_or_else(|| Failure::new(Retry::Paused, format!("the header {name} has an invalid name or value")))?;
        value.set_sensitive(true);
        headers.insert(name_, value);
    }
    Ok(headers)
}

fn reason(status: StatusCode, text: &str) -> String {
    let hint = outbound::hint(status);
    let said = signs::shown(text);
    if said.is_empty() { format!("{status}{hint}") } else { format!("{status}{hint}: {said}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reason_is_one_line_of_bounded_length() {
        let said = reason(StatusCode::BAD_GATEWAY, &"x\n".repeat(100_000));
        assert!(said.len() < 400 && !said.contains('\n'), "{said}");
        assert_eq!(wait_in_body(r#"{"ok":false,"parameters":{"retry_after":7}}"#), Some(Duration::from_secs(7)));
        assert_eq!(wait_in_body("<html>"), None);
    }
}
