//! Restricts who may read the files of the service: its user and its group, whatever the umask of the shell that starts
//! it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use slog::{Logger, info, warn};

use crate::config::Config;

/// The permitted bits in the mode of a file and of a directory.
const FILE: u32 = 0o640;
const DIRECTORY: u32 = 0o7750;
/// The mode of a shared directory: all users may write, and only owners may delete.
const SHARED: u32 = 0o1002;

/// The result of [`tighten`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tightened {
    changed: Vec<PathBuf>,
    failed: Vec<(PathBuf, String)>,
}

/// From now on this process creates files of mode 0640 and directories of mode 0750 at most.
pub fn limit_new_files() {
    let others = Mode::from_bits_truncate(0o027);
    let before = umask(others);
    umask(before | others);
}

/// Removes the rights of other users from files of earlier starts. A directory is changed only if it contains nothing
/// but files of the service. Must be called before the store is opened: closing one of its descriptors would release
/// the locks of SQLite.
pub fn tighten(config: &Config) -> Tightened {
    let mut done = Tightened::default();
    let mut ours = BTreeSet::new();
    for (dir, is_ours) in places(config) {
        let entries: Vec<PathBuf> = entries(&dir).filter(|path| is_ours(&name(path))).collect();
        entries.iter().for_each(|file| done.look_at(file, FILE));
        ours.extend(entries);
    }
    // The deepest directory first: a directory that contains another one is ours only if the inner one is.
    let mut dirs: Vec<PathBuf> = places(config).into_iter().map(|(dir, _)| dir).collect();
    dirs.push(config.monitor.data_dir.clone());
    dirs.sort_by_key(|dir| std::cmp::Reverse(dir.components().count()));
    dirs.dedup();
    for dir in dirs {
        if dir.read_dir().is_ok() && entries(&dir).all(|entry| ours.contains(&entry)) {
            done.look_at(&dir, DIRECTORY);
            ours.insert(dir);
        }
    }
    done
}

type IsOurs = Box<dyn Fn(&str) -> bool>;

/// The directories of the service, and which files in them belong to it.
fn places(config: &Config) -> Vec<(PathBuf, IsOurs)> {
    let store = name(&config.store.path);
    let is_of_store = move |file: &str| {
        file.strip_prefix(store.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    };
    let is_report = |file: &str| file.starts_with("report-") || file == "last-due" || file == "pending.json";
    let mut places: Vec<(PathBuf, IsOurs)> = vec![
        (parent(&config.store.path), Box::new(is_of_store)),
        (config.monitor.data_dir.join("reports"), Box::new(is_report)),
    ];
    if let Some(csv) = &config.csv {
        let is_csv = |file: &str| ["samples-", "local-"].iter().any(|it| file.starts_with(it)) && file.contains(".csv");
        places.push((csv.dir.clone(), Box::new(is_csv)));
    }
    if let Some(log) = &config.log.file {
        let log_name = name(&log.path);
        let is_log = move |file: &str| {
            file.strip_prefix(log_name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        places.push((parent(&log.path), Box::new(is_log)));
    }
    places
}

impl Tightened {
    fn look_at(&mut self, path: &Path, allowed: u32) {
        match restrict(path, allowed) {
            Ok(true) => self.changed.push(path.to_owned()),
            Ok(false) => {}
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => self.failed.push((path.to_owned(), why.to_string())),
        }
    }

    /// Reports the changes, if there were any.
    pub fn report(&self, log: &Logger) {
        if let Some(first) = self.changed.first() {
            info!(log, "files were readable by other users: set their modes to 0640, and those of directories to 0750";
                "files" => self.changed.len(), "first" => %first.display(),
                "hint" => "csv.group names a group that may read the CSV files");
        }
        for (path, why) in &self.failed {
            warn!(log, "other users may read a file, and its mode cannot be changed";
                "file" => %path.display(), "reason" => why);
        }
    }
}

/// Removes the bits of the mode beyond `allowed`. Returns whether there were any. Follows no link and changes no file
/// that has another owner or several names.
fn restrict(path: &Path, allowed: u32) -> io::Result<bool> {
    let looked = fs::symlink_metadata(path)?;
    let is_wanted = looked.is_dir() == (allowed == DIRECTORY) && (looked.is_dir() || looked.is_file());
    // A directory that all users may use, such as /tmp. An empty one would look like ours.
    let is_shared = looked.is_dir() && looked.mode() & SHARED == SHARED;
    if !is_wanted || is_shared || looked.mode() & 0o7777 & !allowed == 0 || looked.uid() != geteuid().as_raw() {
        return Ok(false);
    }
    let file: File = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    let meta = file.metadata()?;
    if (meta.dev(), meta.ino()) != (looked.dev(), looked.ino()) || meta.is_file() && meta.nlink() != 1 {
        return Ok(false);
    }
    file.set_permissions(Permissions::from_mode(meta.mode() & 0o7777 & allowed))?;
    Ok(true)
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| entry.ok().map(|entry| entry.path()))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, load};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn config(data: &Path) -> Config {
        let settings = [("NTP_SERVER", "a.example"), ("NTP_MONITOR__MONITOR__DATA_DIR", data.to_str().unwrap())];
        load(None, &Environment::from(settings.map(|(key, value)| (key.to_owned(), value.to_owned()))), &[])
            .unwrap()
            .config
    }

    #[test]
    fn files_of_earlier_starts_lose_the_rights_of_others_once() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("csv")).unwrap();
        let files = ["ntp-monitor.db", "ntp-monitor.db-wal", "csv/samples-2026-11-22.csv"].map(|file| data.join(file));
        for file in &files {
            fs::write(file, "").unwrap();
            set(file, 0o664);
        }
        set(&files[1], 0o600);
        [&data, &data.join("csv")].iter().for_each(|dir| set(dir, 0o755));
        let done = tighten(&config(&data));
        assert_eq!((done.changed.len(), done.failed.len()), (4, 0), "{done:?}");
        assert_eq!(files.each_ref().map(|file| mode(file)), [0o640, 0o600, 0o640]);
        assert_eq!((mode(&data), mode(&data.join("csv"))), (0o750, 0o750));
        assert_eq!(tighten(&config(&data)), Tightened::default());
    }

    #[test]
    fn directory_for_everybody_stays_open() {
        let dir = tempfile::tempdir().unwrap();
        set(dir.path(), 0o1777);
        assert_eq!(tighten(&config(dir.path())), Tightened::default());
        assert_eq!(mode(dir.path()), 0o1777);
    }

    #[test]
    fn foreign_files_and_their_directories_keep_their_modes() {
        let dir = tempfile::tempdir().unwrap();
        let (data, outside) = (dir.path().join("data"), dir.path().join("outside"));
        fs::create_dir(&data).unwrap();
        let (theirs, link, twice) = (data.join("notes"), data.join("ntp-monitor.db"), data.join("ntp-monitor.db-shm"));
        fs::write(&outside, "").unwrap();
        fs::write(&theirs, "").unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        fs::hard_link(&outside, &twice).unwrap();
        [&data, &theirs, &outside].iter().for_each(|path| set(path, 0o755));
        assert_eq!(tighten(&config(&data)), Tightened::default());
        assert_eq!([&data, &theirs, &outside].map(|path| mode(path)), [0o755; 3]);
    }
}
