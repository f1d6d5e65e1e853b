//! The validated configuration. A value of these types needs no further checks.

mod fleet;
mod notifier;
mod report;
mod server;

pub use fleet::{Allowed, Fleet, FleetAlerts, FleetRole, Login, Nats, NatsTls, PlanSource};
pub use notifier::{Channel, Chat, Email, Heartbeat, Hidden, MailTls, Notifier, NotifierType, Webhook};
pub use report::Report;
pub use server::{Addresses, EngineChoice, Family, Host, Nts, Server};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;
use schemars::JsonSchema;
use serde::Deserialize;

use super::network::Network;
use crate::outbound::Proxy;
use ntp_monitor_core::alert::engine::Rulebook;

/// The whole configuration of the service.
#[derive(Debug, Clone)]
pub struct Config {
    pub monitor: Monitor,
    /// `[[server]]`, each with the `[defaults]` applied; names are unique.
    pub servers: Vec<Arc<Server>>,
    pub http: Http,
    /// `[influxdb]`; nothing is missing without it.
    pub influxdb: Option<Influx>,
    pub csv: Option<Csv>,
    pub store: Store,
    pub log: Log,
    /// `[alerting]`, the built-in rules and every `[[alert]]`, and every `[[silence]]`.
    pub alerting: Arc<Rulebook>,
    pub leap: Leap,
    /// `[[notifier]]`; names are unique.
    pub notifiers: Vec<Notifier>,
    pub report: Report,
    /// `[nats]` and `[fleet]`; nothing is missing without them.
    pub fleet: Option<Fleet>,
    /// All of it as it may be shown, secrets masked: `{"values": {…}, "sources": {"http.listen": "default", …}}`.
    pub shown: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// Where this monitor looks from; a tag of everything it writes. Default: the host name.
    pub vantage: String,
    /// Whether the configuration names it.
    pub is_named: bool,
    /// Where state is kept.
    pub data_dir: PathBuf,
}

impl Config {
    /// The servers that are polled: all but the paused ones.
    #[must_use]
    pub fn active_servers(&self) -> Vec<Arc<Server>> {
        self.servers.iter().filter(|server| !server.paused).map(Arc::clone).collect()
    }

    /// Takes `vantage` in the place of the host name, unless the configuration names one.
    pub fn keep_vantage(&mut self, vantage: &str) {
        if self.monitor.is_named || self.monitor.vantage == vantage {
            return;
        }
        vantage.clone_into(&mut self.monitor.vantage);
        vantage.clone_into(&mut Arc::make_mut(&mut self.alerting).settings.vantage);
        if let Ok(mut shown) = serde_json::from_str::<serde_json::Value>(&self.shown) {
            shown["values"]["monitor"]["vantage"] = vantage.into();
            self.shown = shown.to_string().into();
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where to listen; loopback unless configured.
    pub listen: SocketAddr,
    /// Whether reading is open to everybody when listening beyond loopback.
    pub public_read: bool,
    /// Names that the service goes by, beside localhost, its addresses and those it is reached at.
    pub names: Vec<String>,
    /// Proxies whose word about the address of a client is believed.
    pub trusted_proxies: Vec<Network>,
    /// Where the service is below the root of its host: `/a/b` without a slash at its end, or empty.
    pub base_path: String,
    /// By HTTPS; `None` for HTTP.
    pub tls: Option<Tls>,
    /// Who may do what; names are unique.
    pub tokens: Vec<Token>,
}

/// `[http.tls]`, as read.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The file of the certificate, as written.
    pub certificate: PathBuf,
    /// The file of its key, as written.
    pub key: PathBuf,
    /// Where both were found.
    pub(super) files: [PathBuf; 2],
    /// When the certificate expires, in Unix time; `None` if that cannot be read.
    pub ends_unix_s: Option<i64>,
    /// What stands in them.
    pub pair: Arc<CertifiedKey>,
}

/// The same files with the same certificates; a key has one certificate.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        (&self.certificate, &self.key, &self.pair.cert) == (&other.certificate, &other.key, &other.pair.cert)
    }
}

impl Eq for Tls {}

/// One `[[http.tokens]]`. The token itself is known to its holder only.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What its holder is called.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The SHA-256 of the token.
    pub sha256: [u8; 32],
    /// Where the file of the token was found, if it is in one.
    pub file: Option<Arc<Path>>,
}

impl Token {
    /// The name of the holder of the token that the service makes for the command `health`.
    pub const OWN: &str = "ntp-monitor health";
}

/// Without the hash: a weak token could be guessed from it.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// `role`: what the holder of a token may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Role {
    /// Read.
    #[default]
    Read,
    /// Silence alerts, ask a server now.
    Operate,
    /// Change the configuration.
    Admin,
}

impl Role {
    /// As the configuration names it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Influx {
    /// `http://host:port` or `https://…`, maybe with a path, without a slash at its end.
    pub url: String,
    pub org: String,
    pub bucket: String,
    /// The token, from `token`, `token_file` or the environment.
    pub token: Hidden,
    /// Lines a request carries at most.
    pub batch: usize,
    /// Longest time that a line waits for its batch.
    pub flush_interval: Duration,
    /// Deadline of one request.
    pub timeout: Duration,
    /// Certificates that are trusted beside those of the system, as PEM.
    pub ca_pem: Option<String>,
    /// The proxy that requests go through.
    pub proxy: Option<Proxy>,
    /// The outbox drops what is older.
    pub outbox_max_age: Duration,
    /// The outbox drops its oldest beyond this many bytes.
    pub outbox_max_bytes: u64,
}

impl Influx {
    /// Reads the files of its secrets again. `None` if nothing changed. Blocks.
    #[must_use]
    pub fn renewed(&self) -> Option<Self> {
        let mut now = self.clone();
        let changed = [now.token.renew(), now.proxy.as_mut().is_some_and(Proxy::renew)];
        changed.contains(&true).then_some(now)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csv {
    /// Where the files are written.
    pub dir: PathBuf,
    /// `daily` is the only rotation; kept as a type so that another can be added.
    pub rotation: Rotation,
    /// Whether finished files are compressed (gzip).
    pub compress: bool,
    /// How long finished files are kept; `None` for ever.
    pub keep: Option<Duration>,
    /// The number of the group that may read the files.
    pub group: Option<u32>,
}

/// When a file is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Rotation {
    /// At midnight UTC.
    #[default]
    Daily,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The SQLite file; default `DATA_DIR/ntp-monitor.db`.
    pub path: PathBuf,
    /// How long raw samples are kept.
    pub raw_for: Duration,
    /// How long 5-minute rollups are kept.
    pub rollup_5m_for: Duration,
    /// How long hourly rollups are kept.
    pub rollup_1h_for: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// How records are written to stderr.
    pub format: LogFormat,
    /// A file that gets every record too.
    pub file: Option<LogFile>,
}

/// `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogLevel {
    /// A person must act.
    Error,
    /// Something is wrong.
    Warning,
    /// What a person wants to know.
    #[default]
    Info,
    /// What remotes can trigger at will, and every poll.
    Debug,
    /// Everything.
    Trace,
}

/// `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogFormat {
    /// Terminal on a terminal, journald under systemd, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Term,
    /// A JSON object a line.
    Json,
    /// The journal's own protocol, with fields.
    Journald,
}

/// Where and how the log file is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its path; finished files get their date appended.
    pub path: PathBuf,
    /// A file is finished at this size.
    pub max_bytes: u64,
    /// How many finished files are kept.
    pub keep: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leap {
    /// The list to use instead of the system's.
    pub list: Option<PathBuf>,
}
