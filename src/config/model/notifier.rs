//! `[[notifier]]`: whom to tell, and how.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use crate::outbound::Hidden;
use crate::outbound::Proxy;

/// One `[[notifier]]`; names are unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifier {
    /// What it is called.
    pub name: String,
    /// Deadline of one attempt.
    pub timeout: Duration,
    /// Messages a minute at most.
    pub per_minute: u32,
    /// Certificates that are trusted beside those of the system, as PEM.
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
    /// As the configuration names it.
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

/// What each type needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    Slack(Hidden),
    Email(Email),
    Webhook(Webhook),
    Pagerduty {
        /// Where the API is.
        api_url: String,
        routing_key: Hidden,
    },
    Ntfy {
        api_url: String,
        topic: Hidden,
        token: Option<Hidden>,
    },
    Telegram {
        /// Where the API is.
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
    /// The server that takes it.
    pub host: String,
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    pub from: lettre::message::Mailbox,
    /// The receivers, at least one.
    pub to: Vec<lettre::message::Mailbox>,
    /// Who logs in, with the password.
    pub login: Option<(String, Hidden)>,
    /// The name of this host in the greeting; `None` for its fully qualified name.
    pub hello: Option<String>,
}

/// `tls` of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum MailTls {
    /// Begins in plain text and must become encrypted before anything is sent.
    #[default]
    Starttls,
    /// Encrypted from the first byte.
    Tls,
    /// Not encrypted: for this machine or a relay on the local network.
    None,
}

/// A request to any URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub url: Hidden,
    /// The key that it is signed with.
    pub secret: Option<Hidden>,
    pub headers: Vec<(String, Hidden)>,
    /// What the body looks like, when it is not the usual JSON.
    pub body_template: Option<String>,
    /// What the body of the template is.
    pub content_type: String,
    /// The text that a response contains if the receiver has taken the message.
    pub expect: Option<String>,
}

/// The dead man's switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// What to ask for while all is well.
    pub url: Hidden,
    /// What to ask for while the service is failing.
    pub fail_url: Option<Hidden>,
    pub interval: Duration,
    /// The text that the response of `url` contains if the beat counts.
    pub expect: Option<String>,
}
