//! Lets `ntp-monitor health` find the running service wherever it listens and whatever it requires of readers: TLS,
//! another port, a socket of systemd, tokens.
//!
//! The service keeps a [`Record`] with its address and a token of its own in a file in memory. Only root and the user
//! of the service can open descriptors of the process, so the token is safe there. The file disappears with the
//! process.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{Config, Inputs, Role, Token, own_variables};
use crate::web::listen::Address;

/// The name of the file in memory. `/proc/PID/fd` shows it after `/memfd:`.
const NAME: &str = "ntp-monitor-health";

/// The data that a service publishes about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `http://HOST:PORT` or `https://HOST:PORT`, reachable on this host; `http://localhost` for a Unix socket.
    pub url: String,
    /// The path of the Unix socket, or `@` and its abstract name.
    pub unix: Option<String>,
    /// A token that permits reading.
    pub token: String,
    /// How the service was started.
    pub start: Start,
}

/// Distinguishes the services on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub config: Option<PathBuf>,
    pub flags: Vec<String>,
    /// SHA-256 of the variables that the program reads; empty without any.
    pub variables: String,
}

impl Start {
    #[must_use]
    pub fn of(inputs: &Inputs) -> Self {
        let variables = own_variables(&inputs.environment);
        let digest = Sha256::digest(format!("{variables:?}"));
        let hash =
            if variables.is_empty() { "".into() } else { digest.iter().map(|byte| format!("{byte:02x}")).collect() };
        let absolute = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        Self { config: inputs.file.as_ref().map(absolute), flags: inputs.flags.clone(), variables: hash }
    }

    /// Whether a command that was started like this refers to a service that was started like `other`. Anything that
    /// the command does not specify matches.
    #[must_use]
    pub fn means(&self, other: &Self) -> bool {
        let same_place = match (&self.config, self.variables.is_empty()) {
            (Some(config), _) => other.config.as_ref() == Some(config),
            (None, false) => other.variables == self.variables,
            (None, true) => true,
        };
        same_place && (self.flags.is_empty() || self.flags == other.flags)
    }
}

/// The record of this process, for as long as it runs.
#[derive(Debug)]
pub(super) struct Beacon {
    token: String,
    /// Open as long as the service runs.
    memory: Option<File>,
}

impl Beacon {
    pub(super) fn new() -> Self {
        Self { token: format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()), memory: None }
    }

    /// Allows the holder of the token to read.
    pub(super) fn admit(&self, config: &mut Config) {
        let sha256 = Sha256::digest(self.token.as_bytes()).into();
        config.http.tokens.push(Token { name: Token::OWN.to_owned(), role: Role::Read, sha256, file: None });
    }

    /// Publishes where the service listens.
    ///
    /// # Errors
    /// Errors of the system.
    pub(super) fn publish(&mut self, inputs: Option<&Inputs>, listening: &[Address], tls: bool) -> io::Result<()> {
        let Some(address) = listening.first() else { return Ok(()) };
        let (url, unix) = reachable(address, tls);
        let start = inputs.map(Start::of).unwrap_or_default();
        let record = Record { url, unix, token: self.token.clone(), start };
        let mut memory = File::from(memfd_create(NAME, MFdFlags::MFD_CLOEXEC)?);
        memory.write_all(&serde_json::to_vec(&record)?)?;
        self.memory = Some(memory);
        Ok(())
    }
}

fn reachable(address: &Address, tls: bool) -> (String, Option<String>) {
    match address {
        Address::Unix(name) => ("http://localhost".to_owned(), Some(name.clone())),
        Address::Tcp(address) => {
            let mut address = *address;
            if address.ip().is_unspecified() {
                let loopback =
                    if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
                address.set_ip(loopback);
            }
            (format!("{}://{address}", if tls { "https" } else { "http" }), None)
        }
    }
}

/// The URL of the page on this host, without a slash at its end; `None` for a Unix socket.
pub(super) fn page(address: &Address, tls: bool) -> Option<String> {
    let (url, unix) = reachable(address, tls);
    unix.is_none().then_some(url)
}

/// The records of all services whose processes this user may inspect.
///
/// # Errors
/// When there is no `/proc`.
pub fn find() -> io::Result<Vec<Record>> {
    let is_process = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit());
    let processes = fs::read_dir("/proc")?.flatten().map(|entry| entry.path()).filter(is_process);
    let mut found: Vec<Record> = processes.flat_map(|process| records(&process.join("fd"))).collect();
    // A child that has not called exec yet has a copy of the descriptor.
    found.sort_by(|a, b| a.token.cmp(&b.token));
    found.dedup_by(|a, b| a.token == b.token);
    Ok(found)
}

/// The records in one process. Errors are ignored, because processes end and most belong to other users.
fn records(descriptors: &Path) -> Vec<Record> {
    let open = fs::read_dir(descriptors).into_iter().flatten().flatten().map(|entry| entry.path());
    let ours = open.filter(|path| fs::read_link(path).is_ok_and(|target| is_record(&target)));
    ours.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok()).collect()
}

fn is_record(target: &Path) -> bool {
    target
        .to_str()
        .and_then(|target| target.strip_prefix("/memfd:"))
        .is_some_and(|rest| rest.split(' ').next() == Some(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(config: Option<&str>, flags: &[&str], variables: &str) -> Start {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Start { config: config.map(PathBuf::from), flags, variables: variables.to_owned() }
    }

    #[test]
    fn published_record_is_found_once() {
        let mut beacon = Beacon::new();
        let listening = [Address::Tcp("0.0.0.0:8443".parse().unwrap())];
        beacon.publish(None, &listening, true).unwrap();
        let found = find().unwrap();
        let ours: Vec<_> = found.iter().filter(|record| record.token == beacon.token).collect();
        assert!(matches!(ours[..], [only] if only.url == "https://127.0.0.1:8443"), "{ours:?}");
    }

    #[test]
    fn address_is_one_that_this_host_reaches() {
        let tcp = |address: &str| reachable(&Address::Tcp(address.parse().unwrap()), false).0;
        assert_eq!(tcp("[::]:80"), "http://[::1]:80");
        assert_eq!(tcp("192.0.2.1:80"), "http://192.0.2.1:80");
        let unix = reachable(&Address::Unix("/run/web".to_owned()), true);
        assert_eq!(unix, ("http://localhost".to_owned(), Some("/run/web".to_owned())));
    }

    #[test]
    fn service_is_meant_by_its_file_or_its_variables() {
        let service = start(Some("/a"), &["log.level=debug"], "1234");
        for (config, flags, variables, means) in [
            (Some("/a"), &[][..], "", true),
            (Some("/a"), &[], "5678", true),
            (Some("/b"), &[], "1234", false),
            (None, &[], "1234", true),
            (None, &[], "5678", false),
            (None, &[], "", true),
            (None, &["log.level=info"], "", false),
        ] {
            assert_eq!(start(config, flags, variables).means(&service), means, "{config:?} {flags:?} {variables}");
        }
    }
}
