//! The files that configure the resolution of names. They are read again when they have changed.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::dns::Dns;
use super::hosts::Hosts;

/// Larger files are read up to this many bytes.
const LONGEST_FILE: u64 = 16 << 20;

/// The paths of the files.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub hosts: PathBuf,
    pub resolv_conf: PathBuf,
}

impl Files {
    pub(super) fn system() -> Self {
        Self { hosts: "/etc/hosts".into(), resolv_conf: "/etc/resolv.conf".into() }
    }
}

/// Differs when a file was replaced or written: device, inode, size and both times of change.
type Signature = Option<[i64; 7]>;

/// The content of the files when they were last read.
pub(super) struct Sources {
    files: Files,
    deadline: Duration,
    hosts: Arc<Hosts>,
    hosts_seen: Option<Signature>,
    /// `None` after a failure, or if no name server is configured.
    dns: Option<Dns>,
    dns_seen: Option<Signature>,
}

impl Sources {
    /// Nothing is read yet. DNS queries have `deadline` for each name.
    pub(super) fn new(files: Files, deadline: Duration) -> Self {
        Self { files, deadline, hosts: Arc::default(), hosts_seen: None, dns: None, dns_seen: None }
    }

    /// The present content of the files.
    pub(super) fn current(&mut self) -> (Arc<Hosts>, Option<Dns>) {
        let [hosts, resolv_conf] = self.signatures();
        if self.hosts_seen != Some(hosts) {
            self.hosts_seen = Some(hosts);
            self.hosts = Arc::new(Hosts::parse(&String::from_utf8_lossy(&read(&self.files.hosts))));
        }
        if self.dns_seen != Some(resolv_conf) {
            self.dns_seen = Some(resolv_conf);
            self.dns = Dns::from_resolv_conf(&read(&self.files.resolv_conf), self.deadline);
        }
        (Arc::clone(&self.hosts), self.dns.clone())
    }

    /// The present state of the files, to detect a later change.
    pub(super) fn signatures(&self) -> [Signature; 2] {
        [signature(&self.files.hosts), signature(&self.files.resolv_conf)]
    }

    /// Makes the next query read the name servers again and use new sockets.
    pub(super) fn forget_dns(&mut self) {
        self.dns_seen = None;
    }

    /// Makes the next query read both files again, and discards cached answers.
    pub(super) fn forget(&mut self) {
        (self.hosts_seen, self.dns_seen) = (None, None);
    }

    /// Uses these name servers until the file changes.
    #[cfg(test)]
    pub(super) fn use_dns(&mut self, dns: Option<Dns>) {
        self.dns_seen = Some(signature(&self.files.resolv_conf));
        self.dns = dns;
    }
}

fn signature(path: &Path) -> Signature {
    let data = fs::metadata(path).ok()?;
    let [device, inode, size] = [data.dev(), data.ino(), data.len()].map(u64::cast_signed);
    Some([device, inode, size, data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()])
}

/// The content of a file; a file that cannot be read is empty, as for the system.
fn read(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_FILE).read_to_end(&mut content));
    read.map_or_else(|_| Vec::new(), |_| content)
}
