//! The time servers that this host already knows: from the configuration of its time daemon, and from DHCP.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::regular_file;

/// Maximum size of a file that is read, in bytes.
const LONGEST_FILE: u64 = 256 * 1024;
/// Maximum number of files read from one directory.
const MOST_FILES: usize = 64;
/// Maximum number of servers; more are of no use for a first setup.
const MOST_SERVERS: usize = 16;

/// A server that this host knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct KnownServer {
    /// A name or an address.
    pub address: String,
    /// The file that names it.
    pub file: String,
}

/// The format in which a file names servers.
#[derive(Clone, Copy)]
enum Format {
    /// `server HOST …`, `pool HOST …`, `peer HOST …`: chrony, ntpd and chrony's files from DHCP.
    Directives,
    /// `NTP=HOST HOST …`, `FallbackNTP=…`: systemd-timesyncd, and the leases of systemd-networkd.
    Assignments,
    /// `option ntp-servers ADDRESS, ADDRESS;`: the leases of dhclient.
    Leases,
}

/// The places to search, those in use on this host first. A directory means the files in it.
const PLACES: [(&str, Format); 16] = [
    ("/run/chrony-dhcp", Format::Directives),
    ("/run/systemd/netif/leases", Format::Assignments),
    ("/var/lib/dhcp", Format::Leases),
    ("/etc/chrony/chrony.conf", Format::Directives),
    ("/etc/chrony/conf.d", Format::Directives),
    ("/etc/chrony/sources.d", Format::Directives),
    ("/etc/chrony.conf", Format::Directives),
    ("/etc/chrony.d", Format::Directives),
    ("/etc/ntpsec/ntp.conf", Format::Directives),
    ("/etc/ntpsec/ntp.d", Format::Directives),
    ("/etc/ntp.conf", Format::Directives),
    ("/etc/systemd/timesyncd.conf.d", Format::Assignments),
    ("/etc/systemd/timesyncd.conf", Format::Assignments),
    ("/run/systemd/timesyncd.conf.d", Format::Assignments),
    ("/usr/lib/systemd/timesyncd.conf.d", Format::Assignments),
    ("/usr/lib/systemd/timesyncd.conf", Format::Assignments),
];

/// The servers that this host knows, without duplicates. Files that cannot be read are skipped.
#[must_use]
pub fn known_servers() -> Vec<KnownServer> {
    known_below(Path::new("/"))
}

/// As [`known_servers`], with `root` in place of the root directory.
fn known_below(root: &Path) -> Vec<KnownServer> {
    let mut known: Vec<KnownServer> = Vec::new();
    for (place, format) in PLACES {
        for file in files(&root.join(place.trim_start_matches('/'))) {
            let Ok(text) = regular_file::read_text(&file, LONGEST_FILE) else { continue };
            for address in format.servers(&text) {
                if known.len() < MOST_SERVERS && known.iter().all(|it| it.address != address) {
                    let shown = Path::new("/").join(file.strip_prefix(root).unwrap_or(&file));
                    known.push(KnownServer { address: address.to_owned(), file: shown.display().to_string() });
                }
            }
        }
    }
    known
}

fn files(place: &Path) -> Vec<PathBuf> {
    if !place.is_dir() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).take(MOST_FILES).collect();
    files.sort();
    files
}

impl Format {
    fn servers(self, text: &str) -> Vec<&str> {
        let found = text.lines().map(str::trim).flat_map(|line| self.of_line(line));
        found.filter(|address| is_address(address)).take(MOST_SERVERS).collect()
    }

    fn of_line(self, line: &str) -> Vec<&str> {
        match self {
            Self::Directives => {
                let mut words = line.split_whitespace();
                let is_source = |word: &str| ["server", "pool", "peer"].contains(&word.to_ascii_lowercase().as_str());
                words.next().filter(|word| is_source(word)).and(words.next()).into_iter().collect()
            }
            Self::Assignments => match line.split_once('=') {
                Some(("NTP" | "FallbackNTP", servers)) => servers.split_whitespace().collect(),
                _ => Vec::new(),
            },
            Self::Leases => match line.strip_prefix("option ntp-servers ") {
                Some(servers) => servers.trim_end_matches(';').split(',').map(str::trim).collect(),
                None => Vec::new(),
            },
        }
    }
}

/// A name or an address; reference clocks of ntpd (127.127.t.u) and this host itself are not servers to watch.
fn is_address(text: &str) -> bool {
    crate::config::split_address(text).is_ok() && !text.starts_with("127.") && text != "::1" && text != "localhost"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_names_its_servers() {
        let chrony = "# server no\npool 2.debian.pool.ntp.org iburst\n server 192.0.2.1 minpoll 4\nmakestep 1 3\n\
                      refclock PPS /dev/pps0\nserver\npeer ntp2.example\nserver 127.127.28.0\n!server x";
        assert_eq!(Format::Directives.servers(chrony), ["2.debian.pool.ntp.org", "192.0.2.1", "ntp2.example"]);
        let timesyncd = "[Time]\n#NTP=no\nNTP=a.example 2001:db8::1\nFallbackNTP=b.example\nRootDistanceMaxSec=5";
        assert_eq!(Format::Assignments.servers(timesyncd), ["a.example", "2001:db8::1", "b.example"]);
        let lease = "lease {\n  option ntp-servers 192.0.2.3, 192.0.2.4;\n  option routers 192.0.2.5;\n}";
        assert_eq!(Format::Leases.servers(lease), ["192.0.2.3", "192.0.2.4"]);
    }

    #[test]
    fn servers_in_use_come_first_and_once() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("etc/chrony/chrony.conf", "pool a.example iburst\nserver 192.0.2.3");
        write("var/lib/dhcp/dhclient.eth0.leases", "option ntp-servers 192.0.2.3;");
        write("etc/chrony/sources.d/more.sources", &"server x.example\n".repeat(100));
        let known: Vec<_> = known_below(root.path()).into_iter().map(|it| (it.address, it.file)).collect();
        let expected = [
            ("192.0.2.3", "/var/lib/dhcp/dhclient.eth0.leases"),
            ("a.example", "/etc/chrony/chrony.conf"),
            ("x.example", "/etc/chrony/sources.d/more.sources"),
        ];
        assert_eq!(known, expected.map(|(address, file)| (address.to_owned(), file.to_owned())));
    }
}
