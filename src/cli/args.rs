//! The arguments that `query` and `check` share.

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::config::{EngineChoice, Family, Host, Nts, Server, split_address};
use crate::outbound::trust::certificates;
use crate::regular_file;
use ntp_monitor_core::nts::record::PORT as KEY_EXCHANGE_PORT;

/// The port of NTP.
pub(super) const NTP_PORT: u16 = 123;
/// Largest file of certificates, in bytes.
const LARGEST_PEM: u64 = 4 << 20;

/// The options of all one-shot measurements.
#[derive(Debug, Clone, Args)]
pub struct MeasureArgs {
    /// Servers to ask: NAME, ADDRESS, NAME:PORT or `[ADDRESS]:PORT`; a link-local address as `fe80::1%eth0`.
    #[arg(required_unless_present = "hostnames", value_name = "HOST", value_parser = Target::parse)]
    hosts: Vec<Target>,
    /// A server to ask, given as monitoring plugins do; may be repeated.
    #[arg(short = 'H', long = "hostname", value_name = "HOST", value_parser = Target::parse)]
    hostnames: Vec<Target>,
    /// Requests to each server; the one with the lowest delay counts.
    #[arg(short = 'n', long, value_name = "N", default_value = "1")]
    pub count: NonZeroU16,
    /// Time between two requests to one server. Minimum and default: 2 s, or 100 ms for servers on this host.
    #[arg(short, long, value_name = "TIME", value_parser = parse_positive)]
    pub interval: Option<Duration>,
    /// How long to wait for each reply.
    #[arg(short, long, value_name = "TIME", default_value = "3s", value_parser = parse_positive)]
    pub timeout: Duration,
    /// UDP port of hosts that are given without one.
    #[arg(short, long, default_value_t = NTP_PORT)]
    pub port: u16,
    /// IPv4 only.
    #[arg(short = '4', long = "ipv4", conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only.
    #[arg(short = '6', long = "ipv6")]
    pub ipv6: bool,
    /// Measure every address of a name, not only the first.
    #[arg(short, long)]
    pub all: bool,
    /// Authenticate with Network Time Security (NTS): one key exchange, then requests with its cookies.
    #[arg(long)]
    pub nts: bool,
    /// The server of the NTS key exchange, with its TCP port when it is not 4460.
    #[arg(long, value_name = "HOST", requires = "nts", value_parser = parse_key_server)]
    nts_ke: Option<(Host, u16)>,
    /// Certificates (PEM) to trust for the key exchange in addition to those of the system.
    #[arg(long, value_name = "FILE", requires = "nts", value_parser = read_authorities)]
    nts_ca: Option<Arc<str>>,
    /// Measurement engine: kernel (with kernel timestamps where available) or sntp (portable).
    #[arg(long, value_name = "ENGINE", default_value = "kernel", value_parser = parse_engine)]
    pub engine: EngineChoice,
}

impl MeasureArgs {
    /// All servers to ask; those of `-H` come first.
    pub(super) fn targets(&self) -> Vec<&Target> {
        self.hostnames.iter().chain(&self.hosts).collect()
    }

    /// Removes a server from the list.
    pub(super) fn forget(&mut self, name: &str) {
        self.hosts.retain(|target| target.name != name);
        self.hostnames.retain(|target| target.name != name);
    }

    /// One request to each of `hosts`.
    pub(super) fn once(hosts: Vec<Target>, timeout: Duration) -> Self {
        Self {
            hosts,
            hostnames: Vec::new(),
            count: NonZeroU16::MIN,
            interval: None,
            timeout,
            port: NTP_PORT,
            ipv4: false,
            ipv6: false,
            all: false,
            nts: false,
            nts_ke: None,
            nts_ca: None,
            engine: EngineChoice::Kernel,
        }
    }

    /// How servers are authenticated, if they are.
    pub(super) fn nts(&self) -> Option<Nts> {
        self.nts.then(|| Nts { key_server: self.nts_ke.clone(), ca_pem: self.nts_ca.clone(), ca_file: None })
    }

    pub(super) fn family(&self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

/// Parses a duration with a unit (`25ms`, `1.5s`), or a bare number of seconds.
///
/// # Errors
/// When it is neither.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bare = text.strip_suffix('s').unwrap_or(text).parse::<f64>().ok();
    match bare.map(Duration::try_from_secs_f64) {
        Some(Ok(duration)) => Ok(duration),
        Some(Err(why)) => Err(why.to_string()),
        None => humantime::parse_duration(text).map_err(|why| format!("{why} (examples: 25ms, 1.5s)")),
    }
}

/// Parses a duration as [`parse_duration`] does, longer than zero.
///
/// # Errors
/// When it is no duration, or zero.
pub fn parse_positive(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(duration) }
}

fn parse_key_server(text: &str) -> Result<(Host, u16), String> {
    let (host, port) = split_address(text)?;
    Ok((host, port.unwrap_or(KEY_EXCHANGE_PORT)))
}

/// Reads a file with certificates.
fn read_authorities(path: &str) -> Result<Arc<str>, String> {
    let text = regular_file::read_text(Path::new(path), LARGEST_PEM).map_err(|why| why.to_string())?;
    certificates(Some(&text))?;
    Ok(text.into())
}

fn parse_engine(text: &str) -> Result<EngineChoice, String> {
    match text {
        "kernel" => Ok(EngineChoice::Kernel),
        "sntp" => Ok(EngineChoice::Sntp),
        _ => Err("must be kernel or sntp".to_owned()),
    }
}

/// A server as it was named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The argument as given.
    pub name: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl Target {
    /// Reads `name`, `name:port`, an IPv4 address with or without port, `v6`, `[v6]` or `[v6]:port`; a link-local `v6`
    /// with its interface.
    ///
    /// # Errors
    /// The reason why the text is not a server.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (host, port) = split_address(text)?;
        Ok(Self { name: text.to_owned(), host: host.to_string(), port })
    }

    /// The host name or address, which the certificate must match.
    pub(super) fn host(&self) -> Host {
        self.host.parse().map_or_else(|_| Host::Name(self.host.clone()), Host::Address)
    }

    /// A server of the configuration.
    pub(super) fn configured(server: &Server) -> Self {
        Self { name: server.ident.name.to_string(), host: server.host.to_string(), port: Some(server.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_carry_its_port_in_every_usual_notation() {
        let parsed = |text| Target::parse(text).map(|t| (t.host, t.port));
        let host = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(parsed("time.example.net"), host("time.example.net", None));
        assert_eq!(parsed("time.example.net:1123"), host("time.example.net", Some(1123)));
        assert_eq!(parsed("192.0.2.1:123"), host("192.0.2.1", Some(123)));
        assert_eq!(parsed("2001:db8::1"), host("2001:db8::1", None));
        assert_eq!(parsed("[2001:db8::1]"), host("2001:db8::1", None));
        assert_eq!(parsed("[2001:db8::1]:1123"), host("2001:db8::1", Some(1123)));
        assert_eq!(parsed("fe80::1%eth0"), host("fe80::1%eth0", None));
        assert_eq!(parsed("[fe80::1%25eth0]:1123"), host("fe80::1%eth0", Some(1123)));
        for bad in ["", ":123", "a:0", "a:b", "a:1:2", "[::1", "[a]:1", "[::1]x", "http://a", "a b"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_units_or_are_seconds() {
        assert_eq!(parse_duration("25ms"), Ok(Duration::from_millis(25)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0.025"), Ok(Duration::from_millis(25)));
        for bad in ["", "-1", "soon", "inf", "nan"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_positive("1ms"), Ok(Duration::from_millis(1)));
        assert_eq!(["0s", "0"].map(parse_positive), ["0s", "0"].map(|_| Err("must be longer than zero".to_owned())));
    }
}
