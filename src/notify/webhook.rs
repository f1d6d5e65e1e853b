//! An HTTP request to any URL: one per alert of a notification, or one with the body of a template.
//!
//! `Idempotency-Key` is the same for every attempt. With a secret, [`SIGNATURE`] authenticates the sender and the time:
//! `t=UNIX_SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of `UNIX_SECONDS.BODY`.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde::Serialize;
use sha2::Sha256;

use super::fingerprint::fingerprint;
use super::http::{Http, JSON, Request};
use super::{Failure, Notifier, Progress, Retry, Sending, signs};
use crate::config::{Hidden, Notifier as Config, Webhook as Settings};
use crate::report::message::Report;
use ntp_monitor_core::alert::body::BodyTemplate;
use ntp_monitor_core::alert::notification::{Instance, Notification, Severity, Status};

/// The maximum number of alerts in the body of a template; more take several requests.
const CHUNK: usize = 100;
/// The header by which receivers recognise an alert. Its value is the same for the beginning and the end, and at all
/// hubs of a fleet.
const FINGERPRINT: &str = "X-Ntp-Monitor-Fingerprint";
/// The name of the signature header.
pub const SIGNATURE: &str = "X-Ntp-Monitor-Signature";

pub(super) struct Webhook {
    http: Http,
    settings: Settings,
    template: Option<BodyTemplate>,
}

/// The request body for an alert. Its keys are stable.
#[derive(Debug, Serialize)]
struct Body<'a> {
    status: Status,
    alert: &'a str,
    severity: Severity,
    server: Option<&'a str>,
    value: Option<f64>,
    summary: &'a str,
    description: &'a str,
    labels: &'a BTreeMap<String, String>,
    started_at: jiff::Timestamp,
    ended_at: Option<jiff::Timestamp>,
    vantage: &'a str,
    url: Option<&'a str>,
}

/// The request body for a report. Its keys are stable.
#[derive(Debug, Serialize)]
struct ReportBody<'a> {
    /// Always `report`, which distinguishes it from an alert.
    status: &'a str,
    title: &'a str,
    summary: &'a str,
    text: &'a str,
}

impl Webhook {
    pub(super) fn new(config: &Config, settings: &Settings) -> Result<Self, String> {
        let headers = settings.headers.iter().map(|(_, value)| value);
        let http = Http::new(config, [&settings.url].into_iter().chain(&settings.secret).chain(headers))?;
        let template = settings.body_template.as_deref().map(BodyTemplate::new).transpose()?;
        Ok(Self { http, settings: settings.clone(), template })
    }

    async fn post(&self, key: String, fingerprint: Option<String>, body: Vec<u8>) -> Result<String, Failure> {
        let content_type = if self.template.is_some() { &self.settings.content_type } else { JSON };
        let mut headers: Vec<(&str, String)> =
            self.settings.headers.iter().map(|(name, value)| (name.as_str(), value.expose().to_owned())).collect();
        headers.push(("Idempotency-Key", key));
        headers.extend(fingerprint.map(|fingerprint| (FINGERPRINT, fingerprint)));
        if let Some(secret) = &self.settings.secret {
            let now_s = crate::clock::now().wall_ns.div_euclid(1_000_000_000);
            headers.push((SIGNATURE, signature(secret, now_s, &body)?));
        }
        let request = Request { method: Method::POST, url: self.settings.url.expose(), content_type, headers, body };
        self.http.send(request, |reply| signs::webhook(reply, self.settings.expect.as_deref())).await
    }

    /// Sends one request for the chunk of alerts with this number.
    async fn chunk(&self, notification: &Notification, template: &BodyTemplate, n: usize) -> Result<String, Failure> {
        let alerts = notification.alerts.chunks(CHUNK).nth(n).unwrap_or_default().to_vec();
        let part = Notification { alerts, ..notification.clone() };
        let refused = |why| Failure::new(Retry::Refused, format!("the body_template cannot be rendered: {why}"));
        let body = template.render(&part).map_err(refused)?;
        self.post(part_key(notification, n, notification.alerts.len() > CHUNK), None, body.into_bytes()).await
    }

    /// Sends one request for the alert with this number.
    async fn one(&self, notification: &Notification, n: usize) -> Result<String, Failure> {
        let alert = &notification.alerts[n];
        let (body, fingerprint) = (body(notification, alert)?, fingerprint(notification, alert));
        self.post(part_key(notification, n, notification.alerts.len() > 1), Some(fingerprint), body).await
    }
}

impl Notifier for Webhook {
    fn deliver<'a>(&'a self, notification: &'a Notification, progress: &'a mut Progress) -> Sending<'a> {
        let alerts = notification.alerts.len();
        match &self.template {
            Some(template) => Box::pin(
                progress.each(alerts.div_ceil(CHUNK), move |n| Box::pin(self.chunk(notification, template, n))),
            ),
            None => Box::pin(progress.each(alerts, move |n| Box::pin(self.one(notification, n)))),
        }
    }

    fn send_report<'a>(&'a self, report: &'a Report, _: &'a mut Progress) -> Sending<'a> {
        let Report { key, title, summary, text, .. } = report;
        let body = ReportBody { status: "report", title, summary, text };
        Box::pin(async move {
            if self.template.is_some() {
                return Err(Failure::new(Retry::Refused, "a notifier with body_template cannot send reports"));
            }
            let body = serde_json::to_vec(&body).map_err(|why| Failure::new(Retry::Refused, why.to_string()))?;
            self.post(key.clone(), None, body).await
        })
    }
}

/// The idempotency key of one request of a notification.
fn part_key(notification: &Notification, n: usize, has_several: bool) -> String {
    if has_several { format!("{}/{n}", notification.key) } else { notification.key.clone() }
}

fn body(notification: &Notification, instance: &Instance) -> Result<Vec<u8>, Failure> {
    let body = Body {
        status: notification.status,
        alert: &notification.alert,
        severity: notification.severity,
        server: instance.server.as_deref(),
        // JSON cannot represent infinity.
        value: instance.value.filter(|value| value.is_finite()),
        summary: &instance.summary,
        description: &notification.description,
        labels: &instance.labels,
        started_at: instance.started_at,
        ended_at: instance.ended_at,
        vantage: &notification.vantage,
        url: notification.url.as_deref(),
    };
    serde_json::to_vec(&body).map_err(|why| Failure::new(Retry::Refused, why.to_string()))
}

fn signature(secret: &Hidden, now_s: i64, body: &[u8]) -> Result<String, Failure> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .map_err(|why| Failure::new(Retry::Paused, why.to_string()))?;
    mac.update(format!("{now_s}.").as_bytes());
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("t={now_s},v1={hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_has_exactly_the_documented_keys_in_order() {
        let news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        let text = String::from_utf8(body(&news, &news.alerts[0]).unwrap()).unwrap();
        let keys = [
            "status",
            "alert",
            "severity",
            "server",
            "value",
            "summary",
            "description",
            "labels",
            "started_at",
            "ended_at",
            "vantage",
            "url",
        ];
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed.as_object().unwrap().len(), keys.len());
        let at: Vec<usize> = keys.iter().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
        assert!(at.is_sorted(), "{text}");
        assert_eq!((&parsed["status"], &parsed["ended_at"]), (&"firing".into(), &serde_json::Value::Null));
    }

    #[test]
    fn value_that_is_not_finite_is_absent() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.alerts[0].value = Some(f64::INFINITY);
        let text = String::from_utf8(body(&news, &news.alerts[0]).unwrap()).unwrap();
        assert!(text.contains("\"value\":null"), "{text}");
    }

    /// Output of `printf '%s' '1700000000.{}' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn signature_matches_openssl() {
        let expected = "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";
        assert_eq!(signature(&"key".into(), 1_700_000_000, b"{}").unwrap(), expected);
    }
}
