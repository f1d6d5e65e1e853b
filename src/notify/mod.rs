//! Notifications: each `[[notifier]]` takes them from a queue on disk (`store::notices`) and delivers them, in order
//! within each rule, until the receiver has accepted them.
//!
//! A channel (`slack`, `email`, …) makes one attempt and classifies a failure ([`Retry`]); the `dispatcher` decides
//! when the next attempt is made; `state` is what health, metrics and the API show. Delivery is at least once: a crash
//! between the receiver's response and its record in the store repeats the message, with the same key, so that a
//! receiver can detect the repeat.
//!
//! Limits: a request never lasts longer than the notifier's time-out; redirects are not followed; at most 64 KiB of a
//! response are read; no message or error contains a secret.

mod board;
pub mod dispatcher;
mod email;
mod fingerprint;
mod heartbeat;
mod hello;
mod http;
mod ntfy;
mod pagerduty;
mod progress;
mod rate;
mod renewal;
mod signs;
mod slack;
mod smtp;
mod smtp_stream;
mod state;
mod teams;
mod telegram;
mod trial;
mod webhook;
mod words;

use std::time::Duration;

use futures_util::future::{BoxFuture, ready};

use crate::config::{Channel, Notifier as Config};
use crate::outbound;
use crate::report::message::Report;
use ntp_monitor_core::alert::notification::Notification;

pub use board::Board;
pub use heartbeat::{Beat, beat};
pub use progress::Progress;
pub use state::NotifierState;
pub use trial::{Trial, trial, try_out};
pub use webhook::SIGNATURE;

/// One notification channel. An attempt ends within the notifier's time-out.
pub trait Notifier: Send + Sync {
    /// Makes one attempt to deliver the parts of a notification that `progress` lacks, and updates `progress`. Success
    /// with rejections in it means that the rejected parts will never be delivered.
    fn deliver<'a>(&'a self, notification: &'a Notification, progress: &'a mut Progress) -> Sending<'a>;

    /// Makes one attempt to send a report. Mail gets all of it, a webhook its text, chats its summary; others reject
    /// it.
    fn send_report<'a>(&'a self, _report: &'a Report, _progress: &'a mut Progress) -> Sending<'a> {
        Box::pin(ready(Err(Failure::new(Retry::Refused, "a notifier of this type cannot send reports"))))
    }
}

/// An attempt in progress. Returns the receiver's response, or why the message was not delivered.
pub type Sending<'a> = BoxFuture<'a, Result<String, Failure>>;

/// Why a message was not delivered, and when to retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    pub retry: Retry,
    /// The reason, for a person; one line, without secrets.
    pub why: String,
    /// Whether it concerns some receivers of this message only, so that other messages need not wait.
    pub is_partial: bool,
}

impl Failure {
    #[must_use]
    pub fn new(retry: Retry, why: impl Into<String>) -> Self {
        Self { retry, why: why.into(), is_partial: false }
    }

    /// A failed connection, or one that ended before the response. Usually temporary, except for an untrusted
    /// certificate.
    fn on_the_way(why: String) -> Self {
        match outbound::trust::certificate_fault(&why) {
            Some(fault) => Self::new(Retry::Paused, format!("{fault} ({why})")),
            None => Self::new(Retry::Backoff, why),
        }
    }
}

/// When to make the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The failure may be temporary (no response, 5xx, SMTP 4yz): retry after a growing wait.
    Backoff,
    /// The receiver asked to wait at least this long.
    After(Duration),
    /// The message was fully sent and no usable response came, so the receiver may have accepted it. It is repeated a
    /// limited number of times, with long waits.
    Unanswered,
    /// The receiver rejects the notifier, not the message (401, 404, a redirect, a wrong password): an operator must
    /// act.
    Paused,
    /// The receiver rejects this message (400, 413). It is retried, because the configuration may be at fault, and
    /// dropped once others are accepted.
    Refused,
}

/// A notifier cannot be set up, because its certificates or its template are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("notifier {name}: {why}")]
pub struct BuildError {
    pub name: String,
    pub why: String,
}

/// Creates a configured notifier, on a blocking thread, because reading the system's certificates takes some time. Does
/// not connect. When the receiver rejects it, it reads the files of its secrets again.
///
/// # Errors
/// When the TLS library rejects the certificates, or the template is invalid.
pub async fn set_up(config: &Config) -> Result<Box<dyn Notifier>, BuildError> {
    let (name, config) = (config.name.clone(), config.clone());
    let built = tokio::task::spawn_blocking(move || {
        build(&config).map(|notifier| boxed(renewal::Renewing::new(&config, notifier)))
    })
    .await;
    built.unwrap_or_else(|_| Err(BuildError { name, why: "the set-up was aborted".to_owned() }))
}

fn build(config: &Config) -> Result<Box<dyn Notifier>, BuildError> {
    let built: Result<Box<dyn Notifier>, String> = match &config.channel {
        Channel::Slack(url) => slack::Slack::new(config, url).map(boxed),
        Channel::Email(email) => email::Email::new(config, email).map(boxed),
        Channel::Webhook(webhook) => webhook::Webhook::new(config, webhook).map(boxed),
        Channel::Pagerduty { api_url, routing_key } => {
            pagerduty::Pagerduty::new(config, api_url, routing_key).map(boxed)
        }
        Channel::Ntfy { api_url, topic, token } => ntfy::Ntfy::new(config, api_url, topic, token.as_ref()).map(boxed),
        Channel::Telegram { api_url, token, chat } => telegram::Telegram::new(config, api_url, token, chat).map(boxed),
        Channel::Teams(url) => teams::Teams::new(config, url).map(boxed),
        Channel::Heartbeat(beat) => heartbeat::Beat::new(config, beat).map(boxed),
    };
    built.map_err(|why| BuildError { name: config.name.clone(), why })
}

fn boxed<N: Notifier + 'static>(notifier: N) -> Box<dyn Notifier> {
    Box::new(notifier)
}
