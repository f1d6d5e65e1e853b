//! `[[notifier]]` as it is written. It lists the keys of all types; `validate::notifier` checks which of them
//! each type accepts and requires.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::model::{MailTls, NotifierType};
use crate::config::units::{Secret, Span};

/// `[[notifier]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Notifier {
    /// Name of the notifier; unique.
    #[schemars(extend("examples" = ["ops-chat"]))]
    pub name: String,
    /// Type of the notifier. Each type has keys of its own, see docs/NOTIFIERS.md.
    #[schemars(extend("examples" = ["slack"]))]
    #[serde(rename = "type")]
    pub kind: NotifierType,
    /// Timeout of one attempt.
    #[schemars(extend("default" = "10s"))]
    pub timeout: Span,
    /// Most messages per minute; further messages are queued.
    #[schemars(extend("default" = 30), range(min = 1, max = 10_000))]
    pub rate: u32,
    /// Certificates (PEM) to trust in addition to those of the system.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/ca.pem"]))]
    pub ca_file: Option<PathBuf>,
    /// all but email: URL of an HTTP or SOCKS proxy, which may contain a user name and a password, or "environment" to use
    /// HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. Without this key no proxy is used.
    #[schemars(extend("examples" = ["http://proxy.example.net:3128"]))]
    pub proxy: Option<Secret>,
    /// A file with the proxy's URL.
    pub proxy_file: Option<PathBuf>,
    /// slack, teams, webhook, heartbeat: where to send. A secret: anyone who knows the URL can send to it.
    pub url: Option<Secret>,
    /// A file with the url; a relative path is looked up in systemd's credentials first, as for every _file key. The file is
    /// read again when the receiver rejects the notifier.
    pub url_file: Option<PathBuf>,
    /// pagerduty, telegram, ntfy: base URL of the service.
    #[schemars(extend("x-default" = "the public service", "examples" = ["https://ntfy.example.net"]))]
    pub api_url: Option<String>,
    /// webhook: the key with which requests are signed (HMAC-SHA256).
    pub secret: Option<Secret>,
    /// A file that holds the secret.
    pub secret_file: Option<PathBuf>,
    /// webhook: additional headers, such as Authorization.
    #[schemars(extend("examples" = [{ "Authorization": "Bearer …" }]))]
    pub headers: Option<BTreeMap<String, Secret>>,
    /// webhook: a template for the body; without it the body is JSON.
    pub body_template: Option<String>,
    /// webhook: content type of the body that body_template produces.
    #[schemars(extend("default" = "application/json"))]
    pub content_type: Option<String>,
    /// webhook, heartbeat: text that the response contains if the receiver accepts; without it, see docs/NOTIFIERS.md.
    #[schemars(extend("examples" = ["\"errcode\":0"]))]
    pub expect: Option<String>,
    /// pagerduty: the integration key of the service.
    pub routing_key: Option<Secret>,
    /// A file that holds the routing_key.
    pub routing_key_file: Option<PathBuf>,
    /// ntfy: the topic. A secret on servers where anyone who knows a topic can read it.
    pub topic: Option<Secret>,
    /// A file that holds the topic.
    pub topic_file: Option<PathBuf>,
    /// telegram: the bot's token. ntfy: an access token.
    pub token: Option<Secret>,
    /// A file that holds the token.
    pub token_file: Option<PathBuf>,
    /// telegram: the chat: a number or @channel.
    #[schemars(extend("examples" = ["-1001234567890"]))]
    pub chat_id: Option<String>,
    /// telegram: the topic of a group with topics.
    #[schemars(extend("examples" = [7]), range(min = 1))]
    pub message_thread_id: Option<i64>,
    /// heartbeat: time between two requests, at least 15 s.
    #[schemars(extend("default" = "60s"))]
    pub interval: Option<Span>,
    /// heartbeat: URL to request while the service is failing; without it no request is sent then.
    pub fail_url: Option<Secret>,
    /// A file that holds the fail_url.
    pub fail_url_file: Option<PathBuf>,
    /// email: host name of the SMTP server.
    #[schemars(extend("examples" = ["mail.example.net"]))]
    pub host: Option<String>,
    /// email: port of the SMTP server; default 587, with tls = "tls" 465, with tls = "none" 25.
    #[schemars(extend("examples" = [587]))]
    pub port: Option<u16>,
    /// email: encryption of the connection.
    #[schemars(extend("default" = "starttls"))]
    pub tls: Option<MailTls>,
    /// email: name of this host in the greeting (HELO); relays often require a fully qualified one.
    #[schemars(extend("x-default" = "the fully qualified name of this host", "examples" = ["ntp.example.net"]))]
    pub hello: Option<String>,
    /// email: the sender.
    #[schemars(extend("examples" = ["NTP monitor <ntp@example.net>"]))]
    pub from: Option<String>,
    /// email: addresses of the receivers.
    #[schemars(extend("examples" = [["ops@example.net"]]))]
    pub to: Option<Vec<String>>,
    /// email: user name for the SMTP server; without it no login is attempted.
    #[schemars(extend("examples" = ["ntp"]))]
    pub username: Option<String>,
    /// email: the password.
    pub password: Option<Secret>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
}
