//! `[[notifier]]`: receivers of notifications.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use crate::outbound::Hidden;
use crate::outbound::Proxy;

/// One `[[notifier]]`; names are unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifier {
    /// The name.
    pub name: String,
    /// Deadline of one attempt.
    pub timeout: Duration,
    /// Maximum number of messages per minute.
    pub per_minute: u32,
    /// Certificates that are trusted in addition to those of the system, as PEM.
    pub ca_pem: Option<String>,
    /// The proxy that requests go through.
    pub proxy: Option<Proxy>,
    /// The type of receiver, with its settings.
    pub channel: Channel,
}

impl Notifier {
    /// Reads the files of its secrets again. `None` if nothing changed. Blocks.
    #[must_use]
    pub fn renewed(&self) -> Option<Self> {
        let mut now = self.clone();
        let mut is_changed = now.proxy.as_mut().is_some_and(Proxy::renew);
        for secret in now.channel.secrets() {
            is_changed |= secret.renew();
        }
        is_changed.then_some(now)
    }
}

/// `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum NotifierType {
    /// A Slack webhook.
    Slack,
    /// Mail by SMTP.
    Email,
    /// A request with a JSON body to any URL.
    Webhook,
    /// PagerDuty, by its Events API v2.
    Pagerduty,
    /// A topic of ntfy.
    Ntfy,
    /// A chat of Telegram.
    Telegram,
    /// A workflow webhook of Microsoft Teams.
    Teams,
    /// A URL that is requested while the service is healthy (dead man's switch).
    Heartbeat,
}

impl NotifierType {
    /// The name in the configuration.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Email => "email",
            Self::Webhook => "webhook",
            Self::Pagerduty => "pagerduty",
            Self::Ntfy => "ntfy",
            Self::Telegram => "telegram",
            Self::Teams => "teams",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// The settings of each type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    Slack(Hidden),
    Email(Email),
    Webhook(Webhook),
    Pagerduty {
        /// The base URL of the API.
        api_url: String,
        routing_key: Hidden,
    },
    Ntfy {
        api_url: String,
        topic: Hidden,
        token: Option<Hidden>,
    },
    Telegram {
        /// The base URL of the API.
        api_url: String,
        token: Hidden,
        chat: Chat,
    },
    Teams(Hidden),
    /// The dead man's switch.
    Heartbeat(Heartbeat),
}

impl Channel {
    #[must_use]
    pub fn kind(&self) -> NotifierType {
        match self {
            Self::Slack(_) => NotifierType::Slack,
            Self::Email(_) => NotifierType::Email,
            Self::Webhook(_) => NotifierType::Webhook,
            Self::Pagerduty { .. } => NotifierType::Pagerduty,
            Self::Ntfy { .. } => NotifierType::Ntfy,
            Self::Telegram { .. } => NotifierType::Telegram,
            Self::Teams(_) => NotifierType::Teams,
            Self::Heartbeat(_) => NotifierType::Heartbeat,
        }
    }
}

impl Channel {
    fn secrets(&mut self) -> Vec<&mut Hidden> {
        match self {
            Self::Slack(url) | Self::Teams(url) => vec![url],
            Self::Email(email) => email.login.iter_mut().map(|(_, password)| password).collect(),
            Self::Webhook(hook) => {
                let headers = hook.headers.iter_mut().map(|(_, value)| value);
                headers.chain([&mut hook.url]).chain(&mut hook.secret).collect()
            }
            Self::Pagerduty { routing_key, .. } => vec![routing_key],
            Self::Ntfy { topic, token, .. } => [topic].into_iter().chain(token).collect(),
            Self::Telegram { token, .. } => vec![token],
            Self::Heartbeat(beat) => [&mut beat.url].into_iter().chain(&mut beat.fail_url).collect(),
        }
    }
}

/// A chat of Telegram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// `chat_id`.
    pub id: String,
    /// `message_thread_id`: the topic of a group.
    pub topic: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The SMTP server.
    pub host: String,
    pub port: u16,
    /// The encryption of the connection.
    pub tls: MailTls,
    pub from: lettre::message::Mailbox,
    /// The receivers, at least one.
    pub to: Vec<lettre::message::Mailbox>,
    /// User name and password; `None` for no login.
    pub login: Option<(String, Hidden)>,
    /// The host name in the greeting; `None` for the fully qualified name of this host.
    pub hello: Option<String>,
}

/// `tls` of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum MailTls {
    /// The connection starts in plain text and must become encrypted before a mail is sent.
    #[default]
    Starttls,
    /// The connection is encrypted from the first byte.
    Tls,
    /// No encryption: for a relay on this host or on the local network.
    None,
}

/// A request to any URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub url: Hidden,
    /// The key of the signature.
    pub secret: Option<Hidden>,
    pub headers: Vec<(String, Hidden)>,
    /// The template of the body; `None` for the default JSON.
    pub body_template: Option<String>,
    /// The media type of the template's output.
    pub content_type: String,
    /// The text that a response contains if the receiver has accepted the message.
    pub expect: Option<String>,
}

/// The dead man's switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The URL to request while the service is healthy.
    pub url: Hidden,
    /// The URL to request while the service is failing.
    pub fail_url: Option<Hidden>,
    pub interval: Duration,
    /// The text that the response of `url` contains if the heartbeat was accepted.
    pub expect: Option<String>,
}
