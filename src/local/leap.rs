//! The list of leap seconds that this machine has. Packages replace it while the service runs, so it is read again when
//! it has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use slog::{Logger, info, warn};
use tokio::sync::watch::{Receiver, Sender};

use crate::config::{Config, read_leap_list};
use ntp_monitor_core::stats::leap::LeapSource;

/// Where systems keep it: tzdata first, which is the one that is kept up to date.
const USUAL_PATHS: [&str; 3] =
    ["/usr/share/zoneinfo/leap-seconds.list", "/etc/ntp/leap-seconds.list", "/var/lib/ntp/leap-seconds.list"];
/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(3600);

/// The path to read: the configured one, or the first of the usual ones that is there.
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

/// Publishes the list, again whenever the file or its path in the configuration has changed. Ends with the service.
pub async fn watch_list(mut config: Receiver<Arc<Config>>, publish: &Sender<LeapSource>, log: &Logger) {
    let mut known: Option<(Option<PathBuf>, Option<SystemTime>)> = None;
    loop {
        let path = path(config.borrow_and_update().leap.list.as_deref());
        let modified = path.as_deref().and_then(|path| std::fs::metadata(path).and_then(|file| file.modified()).ok());
        let seen = (path, modified);
        if known.as_ref() != Some(&seen) {
            let source = source(seen.0.as_deref());
            tell(&source, log);
            publish.send_replace(source);
            known = Some(seen);
        }
        // Woken by a reload or by the clock, the next look is the same.
        if let Ok(Err(_)) = tokio::time::timeout(EVERY, config.changed()).await {
            return;
        }
    }
}

fn tell(source: &LeapSource, log: &Logger) {
    let path = source.path.clone().unwrap_or_default();
    match (&source.list, &source.fault) {
        (Some(list), _) => {
            info!(log, "list of leap seconds"; "path" => path, "expires" => %ntp_monitor_core::stats::verdict::When(list.expires_unix_s.saturating_mul(1_000_000_000)))
        }
        (None, Some(why)) => warn!(log, "the list of leap seconds cannot be used"; "reason" => %why),
        (None, None) => info!(log, "no list of leap seconds: announcements are compared with each other only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_file_is_used_and_what_is_wrong_with_it_is_said() {
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
