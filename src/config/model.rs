//! The validated configuration. A value of these types needs no further checks.

mod fleet;
mod notifier;
mod report;
mod server;

pub use fleet::{Allowed, Fleet, FleetAlerts, FleetRole, Login, Nats, NatsTls, PlanSource};
pub use notifier::{Channel, Chat, Email, Heartbeat, Hidden, MailTls, Notifier, NotifierType, Webhook};
pub use report::Report;
pub use server::{Addresses, EngineChoice, Family, Host, Nts, Pace, Server};

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;
use schemars::JsonSchema;
use serde::Deserialize;

use super::network::Network;
use super::shown::ShownConfig;
use crate::outbound::Proxy;
use ntp_monitor_core::alert::engine::Rulebook;

/// The whole configuration of the service.
#[derive(Debug, Clone)]
pub struct Config {
    pub monitor: Monitor,
    /// `[[server]]`, each with `[defaults]` applied; names are unique.
    pub servers: Vec<Arc<Server>>,
    pub http: Http,
    /// `[influxdb]`; optional.
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
    /// `[nats]` and `[fleet]`; optional.
    pub fleet: Option<Fleet>,
    /// The whole configuration with secrets masked.
    pub shown: ShownConfig,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// The name of this monitor's location; a tag of everything it writes. Default: the host name.
    pub vantage: String,
    /// Whether the configuration sets it.
    pub is_named: bool,
    /// The directory of the service's data.
    pub data_dir: PathBuf,
}

impl Config {
    /// The servers that are polled: all but the paused ones.
    #[must_use]
    pub fn active_servers(&self) -> Vec<Arc<Server>> {
        self.servers.iter().filter(|server| !server.paused).map(Arc::clone).collect()
    }

    /// The same configuration, sharing equal servers with `running`. Shared servers are compared by address and use
    /// memory once.
    #[must_use]
    pub fn sharing_servers(mut self, running: &Self) -> Self {
        let known: HashMap<&str, &Arc<Server>> =
            running.servers.iter().map(|server| (&*server.ident.name, server)).collect();
        for server in &mut self.servers {
            if let Some(same) = known.get(&*server.ident.name).filter(|same| **same == server) {
                *server = Arc::clone(same);
            }
        }
        self
    }

    /// Replaces the host name with `vantage`, unless the configuration sets it.
    pub fn keep_vantage(&mut self, vantage: &str) {
        if self.monitor.is_named || self.monitor.vantage == vantage {
            return;
        }
        vantage.clone_into(&mut self.monitor.vantage);
        vantage.clone_into(&mut Arc::make_mut(&mut self.alerting).settings.vantage);
        self.shown = self.shown.named(vantage);
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The listen address; loopback by default.
    pub listen: SocketAddr,
    /// Whether reading needs no token when the service listens beyond loopback.
    pub public_read: bool,
    /// Accepted names in `Host`, besides localhost, IP addresses and the listen addresses.
    pub names: Vec<String>,
    /// Proxies whose X-Forwarded headers are trusted.
    pub trusted_proxies: Vec<Network>,
    /// The path prefix of the service: `/a/b` without a trailing slash, or empty.
    pub base_path: String,
    /// The TLS settings; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// The tokens with their roles; names are unique.
    pub tokens: Vec<Token>,
}

/// `[http.tls]` with the content of its files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The configured path of the certificate.
    pub certificate: PathBuf,
    /// The configured path of its key.
    pub key: PathBuf,
    /// The resolved paths of both.
    pub(super) files: [PathBuf; 2],
    /// When the certificate expires, in Unix time; `None` if that cannot be read.
    pub ends_unix_s: Option<i64>,
    /// The content of the files.
    pub pair: Arc<CertifiedKey>,
}

/// Equality of paths and certificates. The key is not compared, because a key has one certificate.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        (&self.certificate, &self.key, &self.pair.cert) == (&other.certificate, &other.key, &other.pair.cert)
    }
}

impl Eq for Tls {}

/// One `[[http.tokens]]`. Only the hash of the token is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The name of the token.
    pub name: String,
    /// The role of the token.
    pub role: Role,
    /// The SHA-256 of the token.
    pub sha256: [u8; 32],
    /// The resolved path of the token's file, if any.
    pub file: Option<Arc<Path>>,
}

impl Token {
    /// The name of the token that the service creates for the command `health`.
    pub const OWN: &str = "ntp-monitor health";
}

/// Does not show the hash, because a weak token could be guessed from it.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// `role`: the permissions of a token. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Role {
    /// Read.
    #[default]
    Read,
    /// Silence alerts, poll a server now.
    Operate,
    /// Change the configuration.
    Admin,
}

impl Role {
    /// The name in the configuration.
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
    /// `http://host:port` or `https://…`, optionally with a path, without a trailing slash.
    pub url: String,
    pub org: String,
    pub bucket: String,
    /// The token, from `token`, `token_file` or the environment.
    pub token: Hidden,
    /// Maximum number of lines in a request.
    pub batch: usize,
    /// The longest time that a line waits for its batch.
    pub flush_interval: Duration,
    /// Deadline of one request.
    pub timeout: Duration,
    /// Certificates that are trusted in addition to those of the system, as PEM.
    pub ca_pem: Option<String>,
    /// The proxy that requests go through.
    pub proxy: Option<Proxy>,
    /// The outbox drops lines older than this.
    pub outbox_max_age: Duration,
    /// The outbox drops its oldest lines beyond this many bytes.
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
    /// The directory of the files.
    pub dir: PathBuf,
    /// The rotation. `daily` is the only one so far.
    pub rotation: Rotation,
    /// Whether finished files are compressed (gzip).
    pub compress: bool,
    /// How long finished files are kept; `None`: forever.
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
    /// A problem that the service handles.
    Warning,
    /// Normal operation.
    #[default]
    Info,
    /// Every poll, and events that a remote can cause at will.
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
    /// Readable text.
    Term,
    /// One JSON object per line.
    Json,
    /// The native protocol of the systemd journal, with fields.
    Journald,
}

/// The settings of the log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The path; rotated files get a date appended.
    pub path: PathBuf,
    /// The size at which the file is rotated.
    pub max_bytes: u64,
    /// The number of rotated files to keep.
    pub keep: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leap {
    /// The leap second list to use instead of the system's.
    pub list: Option<PathBuf>,
}
