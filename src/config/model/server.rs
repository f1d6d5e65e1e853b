//! A validated `[[server]]`: the address, and how and how often to poll it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use ntp_monitor_core::fleet::plan::slots::Slots;
use ntp_monitor_core::interleaved::Policy as WhenInterleaved;
use ntp_monitor_core::nts::record::PORT as KEY_EXCHANGE_PORT;
use ntp_monitor_core::sample::ServerIdent;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub ident: Arc<ServerIdent>,
    pub host: Host,
    /// UDP port, by default 123.
    pub port: u16,
    /// Operated by the user, so the minimum interval for public servers does not apply.
    pub own: bool,
    /// The poll interval, at least the minimum interval.
    pub poll_interval: Duration,
    /// The time-out of a reply.
    pub timeout: Duration,
    /// The engine.
    pub engine: EngineChoice,
    /// The address family.
    pub family: Family,
    /// One address of a name, or all addresses.
    pub addresses: Addresses,
    /// Requests per poll, 2 s apart; 1 means no burst.
    pub samples_per_poll: u16,
    /// |offset| from which the state is warning.
    pub offset_warning: Duration,
    /// |offset| from which the state is critical.
    pub offset_critical: Duration,
    /// The NTS settings, if NTS is used.
    pub nts: Option<Nts>,
    /// When interleaved mode is used.
    pub interleaved: WhenInterleaved,
    /// Whether the server is not polled and has no vote.
    pub paused: bool,
    /// Whether the server gets at most one question a day for its protocol sheet, besides the polls.
    pub sheet: bool,
    /// Set where a fleet shares the server.
    pub pace: Option<Arc<Pace>>,
}

/// How a fleet shares a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    /// The slots at each address. An address without slots is polled at the interval, which is a minimum then.
    pub slots: BTreeMap<SocketAddr, Slots>,
    /// The minimum interval between two polls in slots: what the agent's own file says.
    pub least: Duration,
    /// The minimum interval without slots, or while it is not known where they are.
    pub otherwise: Duration,
    /// Whether the slots end when the plan expires.
    pub is_planned: bool,
}

impl Server {
    /// The minimum poll interval of a server that is not `own`.
    pub const FLOOR: Duration = Duration::from_secs(16);
    /// The minimum poll interval of an `own` server.
    pub const OWN_FLOOR: Duration = Duration::from_millis(100);

    /// The minimum time between two requests to this server.
    #[must_use]
    pub fn floor(&self) -> Duration {
        if self.own { Self::OWN_FLOOR } else { Self::FLOOR }
    }
}

#[cfg(test)]
impl Server {
    /// A server with default settings.
    pub(crate) fn polled_every(poll_interval: Duration, own: bool) -> Self {
        Self {
            ident: ServerIdent::named("a"),
            host: Host::Name("a".into()),
            port: 123,
            own,
            poll_interval,
            timeout: Duration::from_secs(1),
            engine: EngineChoice::Kernel,
            family: Family::Any,
            addresses: Addresses::First,
            samples_per_poll: 1,
            offset_warning: Duration::from_millis(25),
            offset_critical: Duration::from_millis(100),
            nts: None,
            sheet: false,
            interleaved: WhenInterleaved::default(),
            paused: false,
            pace: None,
        }
    }
}

/// The host of a `[[server]]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    Address(IpAddr),
    /// A name to resolve, or a link-local address with its interface: `fe80::1%eth0`.
    Name(String),
}

/// The configured host without the port.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// `nts`, `nts_ke` and `nts_ca`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nts {
    /// The key-exchange server and its TCP port; `None` for the server itself, at the usual port.
    pub key_server: Option<(Host, u16)>,
    /// Authorities to trust in addition to those of the system, in PEM: the content of `ca_file` when the configuration
    /// was loaded.
    pub ca_pem: Option<Arc<str>>,
    /// Their file, which may be replaced while the service runs.
    pub ca_file: Option<PathBuf>,
}

impl Nts {
    /// The host whose name the certificate must have, for a server at `host`.
    #[must_use]
    pub fn key_host<'a>(&'a self, host: &'a Host) -> &'a Host {
        self.key_server.as_ref().map_or(host, |(host, _)| host)
    }

    /// The TCP port of the key-exchange server.
    #[must_use]
    pub fn key_port(&self) -> u16 {
        self.key_server.as_ref().map_or(KEY_EXCHANGE_PORT, |(_, port)| *port)
    }
}

/// `engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum EngineChoice {
    /// Kernel timestamps if the kernel supports them, otherwise the portable engine.
    #[default]
    Kernel,
    /// The portable engine (rsntp), always.
    Sntp,
}

/// `family`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Family {
    /// Both families.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    /// Whether an address is of this family.
    #[must_use]
    pub fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// `addresses`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Addresses {
    /// One address of the name, used as long as it answers and the name has it.
    #[default]
    First,
    /// A prober for each address.
    All,
}
