//! Reads the leap second list of this host. Packages update it while the service runs, so it is read again whenever it
//! changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use slog::{Logger, info, warn};
use tokio::sync::watch::{Receiver, Sender};

use crate::config::{Config, read_leap_list};
use crate::held::FileId;
use ntp_monitor_core::stats::leap::LeapSource;

/// Usual paths of the list; tzdata is first because it is kept up to date.
const USUAL_PATHS: [&str; 3] =
    ["/usr/share/zoneinfo/leap-seconds.list", "/etc/ntp/leap-seconds.list", "/var/lib/ntp/leap-seconds.list"];
/// Interval between two checks of the file.
const EVERY: Duration = Duration::from_secs(3600);

/// The path to read: the configured one, or the first usual one that exists.
fn path(configured: Option<&Path>) -> Option<PathBuf> {
    match configured {
        Some(path) => Some(path.to_owned()),
        None => USUAL_PATHS.iter().map(PathBuf::from).find(|path| path.is_file()),
    }
}

fn source(path: Option<&Path>) -> LeapSource {
    let Some(path) = path else { return LeapSource::default() };
    let shown = Some(path.display().to_string());
    match read_leap_list(path) {
        Ok(list) => LeapSource { path: shown, list: Some(Arc::new(list)), fault: None },
        Err(why) => LeapSource { path: shown, list: None, fault: Some(why) },
    }
}

/// The properties that distinguish two files at one path. A package may give a new file the time of the old one.
type Version = (FileId, u64, Option<SystemTime>);

fn version(path: &Path) -> Option<Version> {
    let meta = std::fs::metadata(path).ok()?;
    Some((FileId::from(&meta), meta.len(), meta.modified().ok()))
}

/// Publishes the list, and again whenever the file or its configured path changes. Ends with the service.
pub async fn watch_list(mut config: Receiver<Arc<Config>>, publish: &Sender<LeapSource>, log: &Logger) {
    let mut known: Option<(Option<PathBuf>, Option<Version>)> = None;
    loop {
        let path = path(config.borrow_and_update().leap.list.as_deref());
        let version = path.as_deref().and_then(version);
        let seen = (path, version);
        if known.as_ref() != Some(&seen) {
            let source = source(seen.0.as_deref());
            log_source(&source, log);
            publish.send_replace(source);
            known = Some(seen);
        }
        // Both a reload and the timer lead to the same check.
        if let Ok(Err(_)) = tokio::time::timeout(EVERY, config.changed()).await {
            return;
        }
    }
}

fn log_source(source: &LeapSource, log: &Logger) {
    let path = source.path.clone().unwrap_or_default();
    match (&source.list, &source.fault) {
        (Some(list), _) => {
            info!(log, "using leap second list"; "path" => path, "expires" => %ntp_monitor_core::stats::verdict::When(list.expires_unix_s.saturating_mul(1_000_000_000)))
        }
        (None, Some(why)) => warn!(log, "cannot use the leap second list"; "reason" => %why),
        (None, None) => info!(log, "no leap second list found: leap announcements are only compared with each other"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_list_with_the_time_of_the_old_one_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let [file, other] = ["a", "b"].map(|name| dir.path().join(name));
        [&file, &other].iter().for_each(|path| std::fs::write(path, "same length").unwrap());
        let time = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::File::options().append(true).open(&other).unwrap().set_modified(time).unwrap();
        let before = version(&file);
        assert_eq!(version(&file), before);
        std::fs::rename(&other, &file).unwrap();
        assert_ne!(version(&file), before);
    }

    #[test]
    fn configured_file_is_used_and_its_fault_reported() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("leap-seconds.list");
        assert!(source(path(Some(&file)).as_deref()).fault.unwrap().contains("cannot be read"));
        std::fs::write(&file, "<html>").unwrap();
        assert!(source(Some(&file)).fault.unwrap().contains("line 1"));
        std::fs::write(&file, "#@ 4023129600\n2272060800 10\n").unwrap();
        let source = source(Some(&file));
        assert!(source.list.is_some() && source.fault.is_none(), "{source:?}");
    }
}
