//! `[[notifier]]` as it is written. Every key of every type stands here; which of them a type has, and which it needs,
//! is said in `validate::notifier`.

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
    /// What to call it; unique.
    #[schemars(extend("examples" = ["ops-chat"]))]
    pub name: String,
    /// How it is told. Each type has keys of its own, see docs/NOTIFIERS.md.
    #[schemars(extend("examples" = ["slack"]))]
    #[serde(rename = "type")]
    pub kind: NotifierType,
    /// Deadline of one attempt.
    #[schemars(extend("default" = "10s"))]
    pub timeout: Span,
    /// Messages a minute at most; what is more waits its turn.
    #[schemars(extend("default" = 30), range(min = 1, max = 10_000))]
    pub rate: u32,
    /// Certificates (PEM) that are trusted beside those of the system.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/ca.pem"]))]
    pub ca_file: Option<PathBuf>,
    /// slack, teams, webhook, heartbeat: where to send. A secret, for whoever knows it can send too.
    pub url: Option<Secret>,
    /// A file that holds the url; a relative path is looked for among systemd's credentials first, as with every _file.
    pub url_file: Option<PathBuf>,
    /// pagerduty, telegram, ntfy: the service, when it is not the public one.
    #[schemars(extend("x-default" = "the public service", "examples" = ["https://ntfy.example.net"]))]
    pub api_url: Option<String>,
    /// webhook: the key that requests are signed with (HMAC-SHA256).
    pub secret: Option<Secret>,
    /// A file that holds the secret.
    pub secret_file: Option<PathBuf>,
    /// webhook: more headers, such as Authorization.
    #[schemars(extend("examples" = [{ "Authorization": "Bearer …" }]))]
    pub headers: Option<BTreeMap<String, Secret>>,
    /// webhook: a template of the body, instead of the usual JSON.
    pub body_template: Option<String>,
    /// webhook: what the body of the template is.
    #[schemars(extend("default" = "application/json"))]
    pub content_type: Option<String>,
    /// pagerduty: the integration key of the service.
    pub routing_key: Option<Secret>,
    /// A file that holds the routing_key.
    pub routing_key_file: Option<PathBuf>,
    /// ntfy: the topic. A secret where topics are open to whoever knows them.
    pub topic: Option<Secret>,
    /// A file that holds the topic.
    pub topic_file: Option<PathBuf>,
    /// telegram: the bot's token. ntfy: an access token.
    pub token: Option<Secret>,
    /// A file that holds the token.
    pub token_file: Option<PathBuf>,
    /// telegram: the chat, a number or @channel.
    #[schemars(extend("examples" = ["-1001234567890"]))]
    pub chat_id: Option<String>,
    /// heartbeat: time between two beats, at least 15 s.
    #[schemars(extend("default" = "60s"))]
    pub interval: Option<Span>,
    /// heartbeat: what to ask for while the service is failing; without it there is silence then.
    pub fail_url: Option<Secret>,
    /// A file that holds the fail_url.
    pub fail_url_file: Option<PathBuf>,
    /// email: the server that takes the mail.
    #[schemars(extend("examples" = ["mail.example.net"]))]
    pub host: Option<String>,
    /// email: its port; unless set 587, with tls = "tls" 465, with "none" 25.
    #[schemars(extend("examples" = [587]))]
    pub port: Option<u16>,
    /// email: how the connection is protected.
    #[schemars(extend("default" = "starttls"))]
    pub tls: Option<MailTls>,
    /// email: the sender.
    #[schemars(extend("examples" = ["NTP monitor <ntp@example.net>"]))]
    pub from: Option<String>,
    /// email: the receivers.
    #[schemars(extend("examples" = [["ops@example.net"]]))]
    pub to: Option<Vec<String>>,
    /// email: who logs in; nobody when it is not set.
    #[schemars(extend("examples" = ["ntp"]))]
    pub username: Option<String>,
    /// email: the password.
    pub password: Option<Secret>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
}
