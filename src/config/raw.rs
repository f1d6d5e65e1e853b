//! The configuration as written. These types are the single definition of each key, its type, its description and its
//! default. The JSON Schema, the example, `config show` and the decoder are derived from them.
//!
//! A key with a `default` is filled in before decoding, so its type needs no `Option`. `x-default` describes a default
//! that follows from other values.

pub(super) mod alerting;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

mod fleet;
mod notifier;
mod report;

pub(super) use fleet::{Fleet, Nats, NatsTls};
pub(super) use notifier::Notifier;
pub(super) use report::Report;

use super::model::{Addresses, EngineChoice, Family, LogFormat, LogLevel, Role, Rotation};
use super::units::{Bytes, Interleaved, Retention, Secret, Span};

/// Configuration of ntp-monitor.
#[derive(JsonSchema)]
#[schemars(title = "ntp-monitor", deny_unknown_fields)]
#[expect(dead_code, reason = "stands for its schema; the sections are decoded one by one")]
pub(super) struct Root {
    /// This monitor.
    pub monitor: Monitor,
    /// Default values for every `[[server]]`; a server's own keys take precedence.
    pub defaults: Defaults,
    /// A server to watch; repeat the section for each.
    pub server: Vec<Server>,
    /// Health, metrics and the web page.
    pub http: Http,
    /// InfluxDB 2, or any database with its write protocol. Optional.
    pub influxdb: Option<Influx>,
    /// CSV files. On by default when there is no `[influxdb]`.
    pub csv: Option<Csv>,
    /// The embedded store.
    pub store: Store,
    /// The service's log, on stderr.
    pub log: Log,
    /// How alerts are handled.
    pub alerting: alerting::Alerting,
    /// An alert rule; it overrides the built-in rule of the same name. Repeat the section for each.
    pub alert: Vec<alerting::Alert>,
    /// A maintenance window, in which no notifications are sent; repeat the section for each.
    pub silence: Vec<alerting::Silence>,
    /// Leap seconds.
    pub leap: Leap,
    /// A receiver of notifications; repeat the section for each.
    pub notifier: Vec<Notifier>,
    /// Scheduled reports and their receivers.
    pub report: Report,
    /// The NATS server that connects the instances of a fleet. Optional.
    pub nats: Option<Nats>,
    /// What this instance does in a fleet. Needs `[nats]`.
    pub fleet: Option<Fleet>,
}

/// `[monitor]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Monitor {
    /// Name of this monitor's location; a tag on all data that it writes.
    #[schemars(extend("x-default" = "the host name at the first start with this store", "examples" = ["ams-1"]))]
    pub vantage: String,
    /// Directory of the service's data. A user who may not create the default has it in ~/.local/state/ntp-monitor.
    #[schemars(extend("default" = "/var/lib/ntp-monitor"))]
    pub data_dir: PathBuf,
}

/// `[defaults]` and `[[server]]` share these keys; serde's `flatten` would lose the paths of faults.
macro_rules! with_probe_keys {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(inline)]
        pub(super) struct $name {
            $($own)*
            /// Time between two polls: at least 16 s, or 100 ms for a server with `own = true`. The first
            /// four polls of a new server are 16 s apart.
            #[schemars(extend("default" = "64s"))]
            pub poll_interval: Span,
            /// How long to wait for a reply; shorter than poll_interval. Unless set, at most three quarters of it.
            #[schemars(extend("default" = "3s"))]
            pub timeout: Span,
            /// Timestamps: from the kernel where available, or taken in user space (sntp).
            #[schemars(extend("default" = "kernel"))]
            pub engine: EngineChoice,
            /// Which address family to use.
            #[schemars(extend("default" = "any"))]
            pub family: Family,
            /// Whether to poll the first address of a name, or all of them.
            #[schemars(extend("default" = "first"))]
            pub addresses: Addresses,
            /// Requests per poll, 2 s apart; the reply with the lowest delay is used. 1 (no burst) to 8.
            #[schemars(extend("default" = 1), range(min = 1, max = 8))]
            pub samples_per_poll: u16,
            /// Absolute offset from which a server is in state warning.
            #[schemars(extend("default" = "25ms"))]
            pub offset_warning: Span,
            /// Absolute offset from which a server is in state critical.
            #[schemars(extend("default" = "100ms"))]
            pub offset_critical: Span,
            /// Authenticate the server with Network Time Security (NTS). Replies that are not authentic are never used.
            #[schemars(extend("default" = false))]
            pub nts: bool,
            /// The server of the NTS key exchange, with a port when it is not 4460.
            #[schemars(extend("x-default" = "the server itself", "examples" = ["nts.example.net"]))]
            pub nts_ke: Option<String>,
            /// Certificates (PEM) to trust for the NTS key exchange in addition to those of the system.
            #[schemars(extend("examples" = ["/etc/ntp-monitor/nts-ca.pem"]))]
            pub nts_ca: Option<PathBuf>,
            /// Send at most one extra request a day for the protocol sheet of the server. Needs kernel timestamps.
            #[schemars(extend("x-default" = "true for a server with own = true", "examples" = [true]))]
            pub sheet: Option<bool>,
            /// Poll the server in interleaved mode (RFC 9769), in which each reply states when the previous reply was
            /// really sent: "auto" uses it while the previous reply is at most 4 s old, true while it is at most 20
            /// minutes old. Servers without this mode are polled as usual.
            #[schemars(extend("default" = "auto"))]
            pub interleaved: Interleaved,
        }
    };
}

with_probe_keys! {
    #[expect(dead_code, reason = "decoded to find its faults; each server takes the values from the tree")]
    Defaults {}
}

with_probe_keys! {
    Server {
        /// A name or an address, with a port when it is not 123: "time.example.net", "192.0.2.1:123", `"[2001:db8::1]"`.
        /// A link-local address has its interface: `"fe80::1%eth0"`.
        #[schemars(extend("examples" = ["time.example.net"]))]
        pub address: String,
        /// Name of the server; unique.
        #[schemars(extend("x-default" = "the address", "examples" = ["office"]))]
        pub name: String,
        /// Tags on all data of this server.
        #[schemars(extend("default" = {}))]
        pub tags: BTreeMap<String, String>,
        /// You operate this server, so it may be polled more often than every 16 s.
        #[schemars(extend("default" = false))]
        pub own: bool,
        /// Do not poll this server; it is listed as paused and is not part of the majority.
        #[schemars(extend("default" = false))]
        pub paused: bool,
    }
}

/// `[http]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Http {
    /// Address and port to listen on; 127.0.0.1 accepts connections from this host only.
    #[schemars(extend("default" = "127.0.0.1:8080"))]
    pub listen: String,
    /// Allow reading without a token. To listen on other addresses than loopback, set this or configure a token.
    #[schemars(extend("default" = false))]
    pub public_read: bool,
    /// Host names that browsers use for the service, for example behind a proxy. On loopback, or when names are set,
    /// requests for other names than these, localhost and IP addresses are rejected (DNS rebinding).
    #[schemars(extend("default" = [], "examples" = [["monitor.example.net"]]))]
    pub names: Vec<String>,
    /// Addresses or networks of reverse proxies. For their requests the client is the last address in X-Forwarded-For that
    /// is not one of these. From other addresses this header is ignored.
    #[schemars(extend("default" = [], "examples" = [["127.0.0.1", "10.0.0.0/8"]]))]
    pub trusted_proxies: Vec<String>,
    /// Path below which a reverse proxy serves this service, such as "/ntp". Needed only if the proxy forwards the path
    /// unchanged. A proxy that removes the path sends it in X-Forwarded-Prefix, which is accepted from trusted_proxies.
    #[schemars(extend("default" = "/", "examples" = ["/ntp"]))]
    pub base_path: String,
    /// Serve HTTPS instead of HTTP. A reload reads both files again.
    pub tls: Option<HttpTls>,
    /// Access tokens with their roles; clients send "Authorization: Bearer TOKEN".
    #[schemars(extend("default" = []))]
    pub tokens: Vec<Token>,
}

/// `[http.tls]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct HttpTls {
    /// The certificate chain in PEM, server certificate first, then any intermediates. It is read again on a reload,
    /// and on connections within the certificate's last day.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/tls/fullchain.pem"]))]
    pub certificate: PathBuf,
    /// The private key in PEM, without a passphrase; a relative path is looked up in systemd's credentials first.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/tls/key.pem"]))]
    pub key: PathBuf,
}

/// `[[http.tokens]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Token {
    /// Name of the token's holder, shown in the audit log; unique.
    pub name: String,
    /// What the token permits.
    #[schemars(extend("default" = "read"))]
    #[serde(default)]
    pub role: Role,
    /// The SHA-256 of the token, hexadecimal, as `printf %s TOKEN | sha256sum` prints it.
    pub sha256: Option<Secret>,
    /// A file with the token in plain text; a relative path is looked up in systemd's credentials first. It is read again
    /// when a request has an unknown token.
    pub token_file: Option<PathBuf>,
}

/// `[influxdb]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Influx {
    /// http://HOST:PORT or https://HOST:PORT, with a path if a proxy serves the database below one.
    #[schemars(extend("examples" = ["http://127.0.0.1:8086"]))]
    pub url: String,
    /// Organisation.
    #[schemars(extend("examples" = ["example"]))]
    pub org: String,
    /// Bucket.
    #[schemars(extend("examples" = ["ntp"]))]
    pub bucket: String,
    /// The token. Prefer token_file or the environment variable INFLUX_TOKEN.
    pub token: Option<Secret>,
    /// A file with the token; a relative path is looked up in systemd's credentials first. It is read again when the
    /// database rejects the token.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/influx-token"]))]
    pub token_file: Option<PathBuf>,
    /// Maximum number of points in one request.
    #[schemars(extend("default" = 5000), range(min = 1, max = 100_000))]
    pub batch: u32,
    /// Points are batched for up to this long.
    #[schemars(extend("default" = "10s"))]
    pub flush_interval: Span,
    /// Timeout of one request.
    #[schemars(extend("default" = "10s"))]
    pub timeout: Span,
    /// Certificates (PEM) to trust in addition to those of the system.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/ca.pem"]))]
    pub ca_file: Option<PathBuf>,
    /// URL of an HTTP or SOCKS proxy, which may contain a user name and a password, or "environment" to use HTTP_PROXY,
    /// HTTPS_PROXY, ALL_PROXY and NO_PROXY. Without this key no proxy is used.
    #[schemars(extend("examples" = ["http://proxy.example.net:3128"]))]
    pub proxy: Option<Secret>,
    /// A file with the proxy's URL; a relative path is looked up in systemd's credentials first.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/proxy"]))]
    pub proxy_file: Option<PathBuf>,
    /// Undelivered points older than this are dropped and counted.
    #[schemars(extend("default" = "7d"))]
    pub outbox_max_age: Span,
    /// Largest size of the queue of undelivered points; the oldest are dropped and counted.
    #[schemars(extend("default" = "1GiB"))]
    pub outbox_max_bytes: Bytes,
}

/// `[csv]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Csv {
    /// Whether CSV files are written.
    #[schemars(extend("default" = true))]
    pub enabled: bool,
    /// Directory of the CSV files.
    #[schemars(extend("x-default" = "csv in monitor.data_dir", "examples" = ["/var/lib/ntp-monitor/csv"]))]
    pub dir: PathBuf,
    /// How often a new file is begun.
    #[schemars(extend("default" = "daily"))]
    pub rotation: Rotation,
    /// Whether finished files are compressed (gzip).
    #[schemars(extend("default" = true))]
    pub compress: bool,
    /// How long finished files are kept; "forever" deletes none.
    #[schemars(extend("default" = "365d"))]
    pub keep: Retention,
    /// Group (name or number) that may read the files and their directory; they have modes 0640 and 0750. The user of the
    /// service must be a member of it. Alternatively give the directory to the group, with mode 2750.
    #[schemars(extend("examples" = ["adm"]))]
    pub group: Option<String>,
}

/// `[store]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Store {
    /// Path of the store, an SQLite database.
    #[schemars(extend(
        "x-default" = "ntp-monitor.db in monitor.data_dir",
        "examples" = ["/var/lib/ntp-monitor/ntp-monitor.db"]
    ))]
    pub path: PathBuf,
    /// How long every sample is kept.
    #[schemars(extend("default" = "7d"))]
    pub raw_for: Span,
    /// How long 5-minute summaries are kept.
    #[schemars(extend("default" = "90d"))]
    pub rollup_5m_for: Span,
    /// How long hourly summaries are kept.
    #[schemars(extend("default" = "5y"))]
    pub rollup_1h_for: Span,
}

/// `[log]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Log {
    /// The least severe level that is written.
    #[schemars(extend("default" = "info"))]
    pub level: LogLevel,
    /// Format of the records on stderr.
    #[schemars(extend("default" = "auto"))]
    pub format: LogFormat,
    /// A file to which all records are written as well, as JSON.
    #[schemars(extend("examples" = ["/var/log/ntp-monitor/ntp-monitor.log"]))]
    pub file: Option<PathBuf>,
    /// Size at which the log file is rotated.
    #[schemars(extend("default" = "64MiB"))]
    pub rotation: Bytes,
    /// How many rotated files are kept.
    #[schemars(extend("default" = 7), range(max = 10_000))]
    pub keep: u32,
}

/// `[leap]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Leap {
    /// The leap-seconds.list against which announced leap seconds are checked. Default: that of the system's tzdata.
    #[schemars(extend("examples" = ["/usr/share/zoneinfo/leap-seconds.list"]))]
    pub list: Option<PathBuf>,
}
