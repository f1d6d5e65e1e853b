//! The configuration as it is written. These types are the one place where a key, its type, its description and its
//! default stand: the JSON Schema, the example, `config show` and the decoder all come from them.
//!
//! A key with a `default` is filled in before decoding, so its type needs no `Option`. `x-default` describes a default
//! that follows from other values.

pub(super) mod alerting;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

mod notifier;
mod report;

pub(super) use notifier::Notifier;
pub(super) use report::Report;

use super::model::{Addresses, EngineChoice, Family, LogFormat, LogLevel, Role, Rotation};
use super::units::{Bytes, Retention, Secret, Span};

/// Configuration of ntp-monitor.
#[derive(JsonSchema)]
#[schemars(title = "ntp-monitor", deny_unknown_fields)]
#[expect(dead_code, reason = "stands for its schema; the sections are decoded one by one")]
pub(super) struct Root {
    /// This monitor.
    pub monitor: Monitor,
    /// For every server that does not say otherwise.
    pub defaults: Defaults,
    /// A server to watch; repeat the section for each.
    pub server: Vec<Server>,
    /// Health, metrics and the web page.
    pub http: Http,
    /// InfluxDB 2, or what speaks its write protocol. Nothing is missing without it.
    pub influxdb: Option<Influx>,
    /// CSV files. On by default when there is no `[influxdb]`.
    pub csv: Option<Csv>,
    /// The embedded store.
    pub store: Store,
    /// What the program says of itself, on stderr.
    pub log: Log,
    /// How alerts are handled.
    pub alerting: alerting::Alerting,
    /// A rule, or a change of the built-in rule of that name; repeat the section for each.
    pub alert: Vec<alerting::Alert>,
    /// A maintenance window: nobody is told of alerts while it is open; repeat the section for each.
    pub silence: Vec<alerting::Silence>,
    /// Leap seconds.
    pub leap: Leap,
    /// Whom to tell of alerts, and how; repeat the section for each.
    pub notifier: Vec<Notifier>,
    /// Reports: when one is made by itself, and for whom.
    pub report: Report,
}

/// `[monitor]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Monitor {
    /// Where this monitor looks from; a tag of everything it writes.
    #[schemars(extend("x-default" = "the host name", "examples" = ["ams-1"]))]
    pub vantage: String,
    /// Where state is kept.
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
            /// Time between two polls: at least 16 s, or 100 ms for a server that is your own.
            #[schemars(extend("default" = "64s"))]
            pub poll_interval: Span,
            /// How long to wait for a reply: shorter than the poll interval. When not set, three quarters of it at most.
            #[schemars(extend("default" = "3s"))]
            pub timeout: Span,
            /// How to measure.
            #[schemars(extend("default" = "kernel"))]
            pub engine: EngineChoice,
            /// Which address family to use.
            #[schemars(extend("default" = "any"))]
            pub family: Family,
            /// One address of a name, or a prober for each.
            #[schemars(extend("default" = "first"))]
            pub addresses: Addresses,
            /// Requests per poll, 2 s apart, of which the quickest counts: 1 (no burst) to 8.
            #[schemars(extend("default" = 1), range(min = 1, max = 8))]
            pub samples_per_poll: u16,
            /// Offset, in either direction, from which a server is worth a warning.
            #[schemars(extend("default" = "25ms"))]
            pub offset_warning: Span,
            /// Offset, in either direction, from which it is critical.
            #[schemars(extend("default" = "100ms"))]
            pub offset_critical: Span,
        }
    };
}

with_probe_keys! {
    /// `[defaults]`.
    #[expect(dead_code, reason = "decoded to find its faults; each server takes the values from the tree")]
    Defaults {}
}

with_probe_keys! {
    /// `[[server]]`.
    Server {
        /// A name or an address, with a port when it is not 123: "time.example.net", "192.0.2.1:123", `"[2001:db8::1]"`.
        #[schemars(extend("examples" = ["time.example.net"]))]
        pub address: String,
        /// What to call it; unique.
        #[schemars(extend("x-default" = "the address", "examples" = ["office"]))]
        pub name: String,
        /// Tags of everything that is written about it.
        #[schemars(extend("default" = {}))]
        pub tags: BTreeMap<String, String>,
        /// It is yours, so it may be polled faster than every 16 s.
        #[schemars(extend("default" = false))]
        pub own: bool,
        /// Not polled for now; it is listed as paused, and has no vote.
        #[schemars(extend("default" = false))]
        pub paused: bool,
    }
}

/// `[http]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Http {
    /// Address and port to listen on; 127.0.0.1 is reached from this machine only.
    #[schemars(extend("default" = "127.0.0.1:8080"))]
    pub listen: String,
    /// Let everybody read who can reach it. This or a token is needed to listen beyond this machine.
    #[schemars(extend("default" = false))]
    pub public_read: bool,
    /// Names under which a browser reaches the service, for instance through a proxy. On loopback, or when there are any,
    /// it answers to these, to localhost and to bare addresses only, so that no web site can pose as it.
    #[schemars(extend("default" = [], "examples" = [["monitor.example.net"]]))]
    pub names: Vec<String>,
    /// Answer by HTTPS instead of HTTP. Both files are read again at a reload.
    pub tls: Option<HttpTls>,
    /// Who may do what, each with a token of its own, sent as "Authorization: Bearer TOKEN".
    #[schemars(extend("default" = []))]
    pub tokens: Vec<Token>,
}

/// `[http.tls]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct HttpTls {
    /// The certificate in PEM, with those between it and the root, if there are any; its own comes first.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/tls/fullchain.pem"]))]
    pub certificate: PathBuf,
    /// Its private key in PEM, without a passphrase; a relative path is looked for among systemd's credentials first.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/tls/key.pem"]))]
    pub key: PathBuf,
}

/// `[[http.tokens]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Token {
    /// What to call its holder; unique.
    pub name: String,
    /// What its holder may do.
    #[schemars(extend("default" = "read"))]
    #[serde(default)]
    pub role: Role,
    /// The SHA-256 of the token, hexadecimal, as `printf %s TOKEN | sha256sum` prints it.
    pub sha256: Option<Secret>,
    /// A file that holds the token itself; a relative path is looked for among systemd's credentials first.
    pub token_file: Option<PathBuf>,
}

/// `[influxdb]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Influx {
    /// http://HOST:PORT or https://HOST:PORT, without a path.
    #[schemars(extend("examples" = ["http://127.0.0.1:8086"]))]
    pub url: String,
    /// Organisation.
    #[schemars(extend("examples" = ["example"]))]
    pub org: String,
    /// Bucket.
    #[schemars(extend("examples" = ["ntp"]))]
    pub bucket: String,
    /// The token. Better in token_file, or in the variable INFLUX_TOKEN.
    pub token: Option<Secret>,
    /// A file that holds the token; a relative path is looked for among systemd's credentials first.
    #[schemars(extend("examples" = ["/etc/ntp-monitor/influx-token"]))]
    pub token_file: Option<PathBuf>,
    /// Points a request carries at most.
    #[schemars(extend("default" = 5000), range(min = 1, max = 100_000))]
    pub batch: u32,
    /// Longest wait of a point for company.
    #[schemars(extend("default" = "10s"))]
    pub flush_interval: Span,
    /// Deadline of one request.
    #[schemars(extend("default" = "10s"))]
    pub timeout: Span,
    /// Points that could not be delivered for this long are dropped, and counted.
    #[schemars(extend("default" = "7d"))]
    pub outbox_max_age: Span,
    /// The oldest points are dropped, and counted, when more than this waits.
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
    /// Where.
    #[schemars(extend("x-default" = "csv in monitor.data_dir", "examples" = ["/var/lib/ntp-monitor/csv"]))]
    pub dir: PathBuf,
    /// When a file is finished.
    #[schemars(extend("default" = "daily"))]
    pub rotation: Rotation,
    /// Whether finished files are compressed (gzip).
    #[schemars(extend("default" = true))]
    pub compress: bool,
    /// How long finished files are kept; "forever" keeps them.
    #[schemars(extend("default" = "365d"))]
    pub keep: Retention,
}

/// `[store]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Store {
    /// The file.
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
    /// How records are written to stderr.
    #[schemars(extend("default" = "auto"))]
    pub format: LogFormat,
    /// A file that gets every record too, as JSON.
    #[schemars(extend("examples" = ["/var/log/ntp-monitor/ntp-monitor.log"]))]
    pub file: Option<PathBuf>,
    /// The file is finished, and a new one begun, at this size.
    #[schemars(extend("default" = "64MiB"))]
    pub rotation: Bytes,
    /// How many finished files are kept.
    #[schemars(extend("default" = 7), range(max = 10_000))]
    pub keep: u32,
}

/// `[leap]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Leap {
    /// The leap-seconds.list that announcements are held against. Without it, the one that the system's tzdata brings.
    #[schemars(extend("examples" = ["/usr/share/zoneinfo/leap-seconds.list"]))]
    pub list: Option<PathBuf>,
}
