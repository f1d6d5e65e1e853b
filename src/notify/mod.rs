//! Telling people: each `[[notifier]]` takes its notifications from a queue on disk (`store::notices`) and
//! delivers them, in order for each rule, until the receiver has them.
//!
//! A channel (`slack`, `email`, …) makes one attempt and says what a failure means ([`Retry`]); the `dispatcher` decides
//! when the next one is; `state` is what health, metrics and the API show. Delivery is at least once: a kill between the
//! receiver's answer and the note of it in the store repeats the message, with the same key, by which a receiver can
//! tell.
//!
//! Limits: no attempt lasts longer than the notifier's time-out; no redirect is followed; of an answer 8 KiB are read;
//! nothing said here shows a secret.

mod board;
pub mod dispatcher;
mod email;
mod heartbeat;
mod http;
mod ntfy;
mod pagerduty;
mod rate;
mod slack;
mod state;
mod teams;
mod telegram;
pub mod template;
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
pub use state::NotifierState;
pub use trial::{Trial, trial, try_out};
pub use webhook::SIGNATURE;

/// One way of telling. An attempt ends by itself within the notifier's time-out.
pub trait Notifier: Send + Sync {
    /// Makes one attempt.
    fn deliver<'a>(&'a self, notification: &'a Notification) -> Sending<'a>;

    /// Makes one attempt to send a report. Mail takes all of it, a webhook its text, chats its summary; the others none.
    fn send_report<'a>(&'a self, _report: &'a Report) -> Sending<'a> {
        Box::pin(ready(Err(Failure::new(Retry::Refused, "a notifier of this type takes no reports"))))
    }
}

/// An attempt under way: what the receiver said, or why it has not got the message.
pub type Sending<'a> = BoxFuture<'a, Result<String, Failure>>;

/// Why the receiver has not got a message, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// When to try again.
    pub retry: Retry,
    /// What happened, for a person; one line, without secrets.
    pub why: String,
}

impl Failure {
    /// A failure with its reason.
    #[must_use]
    pub fn new(retry: Retry, why: impl Into<String>) -> Self {
        Self { retry, why: why.into() }
    }

    /// There was no connection, or it ended before an answer came. Mostly time heals it; a certificate it does not.
    fn on_the_way(why: String) -> Self {
        match outbound::trust::certificate_fault(&why) {
            Some(fault) => Self::new(Retry::Paused, format!("{fault} ({why})")),
            None => Self::new(Retry::Backoff, why),
        }
    }
}

/// What a failure says about the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Time may heal it (no answer, 5xx, 4yz of SMTP): again after a wait that grows.
    Backoff,
    /// The receiver wants to be left alone for this long at least.
    After(Duration),
    /// The receiver refuses us, not the message (401, 404, a redirect, a wrong password): a person must act.
    Paused,
    /// The receiver refuses this message (400, 413). It is tried again, for the fault may be the configuration's, and
    /// given up once others are taken.
    Refused,
}

/// A notifier cannot be set up: its certificates or its template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("notifier {name}: {why}")]
pub struct BuildError {
    /// Which one.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Makes the notifier that is configured, on a thread that may block: reading the system's certificates takes a while.
/// Connects to nothing yet.
///
/// # Errors
/// When the TLS library refuses the certificates.
pub async fn set_up(config: &Config) -> Result<Box<dyn Notifier>, BuildError> {
    let (name, config) = (config.name.clone(), config.clone());
    let built = tokio::task::spawn_blocking(move || build(&config)).await;
    built.unwrap_or_else(|_| Err(BuildError { name, why: "setting it up was interrupted".to_owned() }))
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
        Channel::Telegram { api_url, token, chat_id } => {
            telegram::Telegram::new(config, api_url, token, chat_id).map(boxed)
        }
        Channel::Teams(url) => teams::Teams::new(config, url).map(boxed),
        Channel::Heartbeat(beat) => heartbeat::Beat::new(config, beat).map(boxed),
    };
    built.map_err(|why| BuildError { name: config.name.clone(), why })
}

fn boxed<N: Notifier + 'static>(notifier: N) -> Box<dyn Notifier> {
    Box::new(notifier)
}
