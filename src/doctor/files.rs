//! Checks that directories are writable for the user of the service, and the free space on their disks.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access, geteuid};

use super::finding::{Area, Finding};
use crate::config::Config;

const AREA: Area = Area("files");
/// A disk with less free space than this counts as full. A server at 64 s takes about 0.2 MB a day.
const TOO_LITTLE: u64 = 64 << 20;
const LITTLE: u64 = 1 << 30;
const OTHERS_MAY_WRITE: u32 = 0o002;
/// The data directory of the systemd unit and of the package.
const SERVICE_USER: &str = "ntp-monitor";

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut dirs: BTreeSet<PathBuf> = BTreeSet::from([config.monitor.data_dir.clone()]);
    dirs.extend(config.store.path.parent().map(Path::to_owned));
    dirs.extend(config.csv.as_ref().map(|csv| csv.dir.clone()));
    dirs.extend(config.log.file.as_ref().and_then(|log| log.path.parent()).map(Path::to_owned));
    let mut findings: Vec<Finding> =
        dirs.iter().filter(|dir| !dir.as_os_str().is_empty()).flat_map(|dir| directory(dir)).collect();
    findings.extend(strangers(&config.store.path));
    findings
}

fn directory(dir: &Path) -> Vec<Finding> {
    let name = dir.display().to_string();
    let Ok(meta) = fs::metadata(dir) else { return vec![missing(dir, &name)] };
    if !meta.is_dir() {
        return vec![AREA.problem(&name, "is not a directory", "name another, or move the file away")];
    }
    if access(dir, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        let advice = "run this as the user of the service (sudo -u ntp-monitor …); if it is, chown the directory to it";
        return vec![AREA.problem(&name, format!("cannot be written by user {}", geteuid()), advice)];
    }
    let mut findings = vec![room(dir, &name)];
    findings.extend(closed_to_service(&name, &meta));
    if meta.permissions().mode() & OTHERS_MAY_WRITE != 0 {
        let advice = format!("chmod o-w {name}");
        findings.push(AREA.warning(&name, "every user may write here and could replace the measurements", advice));
    }
    findings
}

fn missing(dir: &Path, name: &str) -> Finding {
    let above = dir.ancestors().skip(1).find(|above| above.is_dir()).unwrap_or(Path::new("."));
    if access(above, AccessFlags::W_OK).is_ok() {
        AREA.note(name, "does not exist yet; the service creates it")
    } else {
        let advice = format!("mkdir -p {name} and chown it to the user of the service");
        AREA.problem(name, format!("does not exist, and {} is not writable", above.display()), advice)
    }
}

fn room(dir: &Path, name: &str) -> Finding {
    let Ok(stat) = statvfs(dir) else { return AREA.note(name, "writable; the free space on its disk is unknown") };
    let free = stat.blocks_available() * stat.fragment_size();
    let what = format!("writable, {} MiB free", free >> 20);
    let advice = "free some space, or reduce [store] raw_for and [csv] keep";
    match free {
        free if free < TOO_LITTLE => AREA.problem(name, what, advice),
        free if free < LITTLE => AREA.warning(name, what, advice),
        _ => AREA.ok(name, what),
    }
}

/// Files that do not belong to the owner of the directory, usually left by root. The service cannot write them.
fn strangers(store: &Path) -> Vec<Finding> {
    let Some(dir) = store.parent() else { return Vec::new() };
    let Ok(owner) = fs::metadata(dir).map(|meta| meta.uid()) else { return Vec::new() };
    let files = ["", "-wal", "-shm", ".lock"].map(|end| {
        let mut name = store.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    });
    let strange = |path: &&PathBuf| fs::metadata(path).is_ok_and(|meta| meta.uid() != owner);
    let report = |path: &PathBuf| {
        let advice = format!("chown -h --reference={} {}", dir.display(), path.display());
        AREA.problem(
            path.display().to_string(),
            format!("belongs to another user than its directory ({owner})"),
            advice,
        )
    };
    files.iter().filter(strange).map(report).collect()
}

/// Checks the permissions of the directory, because a test by root would always succeed.
fn closed_to_service(name: &str, dir: &fs::Metadata) -> Option<Finding> {
    let service = service_user(&fs::read_to_string("/etc/passwd").ok()?).filter(|_| geteuid().is_root())?;
    if may_write(service, (dir.uid(), dir.gid()), dir.mode()) {
        return None;
    }
    let what = format!("root may write here, and {SERVICE_USER}, the user of the service, may not");
    let advice = format!("chown {SERVICE_USER}: {name}, unless the service runs as another user");
    Some(AREA.warning(name, what, advice))
}

/// User and group of the service, if it has a dedicated user.
fn service_user(passwd: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find_map(|line| line.strip_prefix(SERVICE_USER)?.strip_prefix(':'))?;
    let mut fields = line.split(':').skip(1).map(|number| number.parse().ok());
    Some((fields.next()??, fields.next()??))
}

/// Whether files can be made in a directory of this owner (user and group) and mode.
fn may_write((user, group): (u32, u32), owner: (u32, u32), mode: u32) -> bool {
    let bits = match (user == owner.0, group == owner.1) {
        (true, _) => mode >> 6,
        (false, true) => mode >> 3,
        (false, false) => mode,
    };
    bits & 0o3 == 0o3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_checks_by_owner_and_mode_if_the_service_may_write() {
        let passwd = "root:x:0:0::/root:/bin/sh\nntp-monitor-2:x:7:8::/:/x\nntp-monitor:x:990:991::/:/sbin/nologin\n";
        let service = service_user(passwd).unwrap();
        assert_eq!(service, (990, 991));
        assert_eq!(service_user("root:x:0:0::/root:/bin/sh\n"), None);
        for (owner, mode, may) in [
            ((990, 991), 0o40750, true),
            ((0, 0), 0o40755, false),
            ((0, 991), 0o40770, true),
            ((0, 991), 0o40750, false),
            ((990, 0), 0o40577, false),
            ((0, 0), 0o41777, true),
        ] {
            assert_eq!(may_write(service, owner, mode), may, "{owner:?} {mode:o}");
        }
    }
}
