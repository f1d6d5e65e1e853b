//! `backup`, `restore` and `store check|vacuum|prune`: maintenance of the store, with messages and exit codes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::table::Terminal;
use crate::config::{Config, Faults};
use crate::privilege::{Keeper, Plan, Refusal};
use crate::sinks::worker::BatchWriter;
use crate::store::upkeep::{self, Checked, Depth, Source};
use crate::store::{Command, Options, Store, StoreError};

const BACKUP_EXAMPLES: &str = "\
The service may be running. Examples:
  ntp-monitor backup /srv/backup/ntp-monitor.db --config /etc/ntp-monitor/servers.toml
  ntp-monitor backup today.db --store /var/lib/ntp-monitor/ntp-monitor.db --force";

const RESTORE_EXAMPLES: &str = "\
The service must be stopped. The previous store is kept next to the restored one. Example:
  systemctl stop ntp-monitor
  ntp-monitor restore /srv/backup/ntp-monitor.db --config /etc/ntp-monitor/servers.toml
  systemctl start ntp-monitor";

const CHECK_EXAMPLES: &str = "\
The service may be running. Exit status: 0 intact, 1 damaged or unreadable. Examples:
  ntp-monitor store check --config /etc/ntp-monitor/servers.toml
  ntp-monitor store check --full --store /srv/backup/ntp-monitor.db";

/// Which store.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Path of the store [default: from the configuration].
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
}

impl Which {
    /// The path of the store; reads the configuration only if the path was not given.
    fn path(&self, config: impl FnOnce() -> Result<Config, Faults>) -> Result<PathBuf, Faults> {
        self.store.clone().map_or_else(|| config().map(|config| config.store.path), Ok)
    }
}

/// Arguments of `backup`.
#[derive(Debug, Clone, Args)]
#[command(after_help = BACKUP_EXAMPLES)]
pub struct BackupArgs {
    /// Path of the copy.
    pub file: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    pub force: bool,
    /// Which store.
    #[command(flatten)]
    pub which: Which,
}

/// Arguments of `restore`.
#[derive(Debug, Clone, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub struct RestoreArgs {
    /// Path of the copy to restore.
    pub file: PathBuf,
    /// Which store.
    #[command(flatten)]
    pub which: Which,
}

/// What to do with the store.
#[derive(Debug, Clone, Subcommand)]
pub enum StoreCommand {
    /// Read the whole store, count its rows, and report whether it is intact
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// Also compare every index with its table; takes several times as long
        #[arg(long)]
        full: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Which store
        #[command(flatten)]
        which: Which,
    },
    /// Return unused space to the file system; the service must be stopped
    #[command(after_help = "Example:\n  ntp-monitor store vacuum --store /var/lib/ntp-monitor/ntp-monitor.db")]
    Vacuum {
        /// Which store
        #[command(flatten)]
        which: Which,
    },
    /// Delete data that is older than the limits of `[store]`; the service must be stopped (a running service does this
    /// itself)
    #[command(after_help = "Example:\n  ntp-monitor store prune --config /etc/ntp-monitor/servers.toml")]
    Prune,
}

/// The streams for messages.
pub struct Voice<O, E> {
    pub out: O,
    /// Progress, on a terminal.
    pub err: E,
    /// The capabilities of the terminal.
    pub terminal: Terminal,
}

impl<O: Write, E: Write> Voice<O, E> {
    fn step(&mut self, what: &str) {
        if self.terminal.progress {
            // Progress output is optional: a failed write is ignored.
            let _ = writeln!(self.err, "{what} …");
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Root must not work in that directory.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The file exists already.
    #[error("{0} already exists: name another file, or replace it with --force")]
    Exists(PathBuf),
    /// The configuration is needed but cannot be used.
    #[error(transparent)]
    Config(#[from] Faults),
    /// Discards progress messages.
    #[error("cannot write the result: {0}")]
    Output(#[from] io::Error),
}

/// Copies the store.
///
/// # Errors
/// When it cannot be copied.
pub fn backup(
    args: &BackupArgs,
    config: impl FnOnce() -> Result<Config, Faults>,
    mut voice: Voice<impl Write, impl Write>,
) -> Result<u8, UpkeepError> {
    let path = args.which.path(config)?;
    let plan = Plan::for_work_on(&path)?;
    voice.step("copying");
    let bytes = match plan.is_beyond(&args.file)? {
        true => copy_beyond(&path, args, plan)?,
        false => {
            plan.settle()?;
            upkeep::backup(&path, &args.file, args.force).map_err(or_exists)?
        }
    };
    writeln!(voice.out, "{} is a copy of {} ({})", args.file.display(), path.display(), size(bytes))?;
    Ok(0)
}

/// As root, copies the store of another user to a place that this user cannot change.
fn copy_beyond(path: &Path, args: &BackupArgs, plan: Plan) -> Result<u64, UpkeepError> {
    upkeep::examine_target(path, &args.file, args.force).map_err(or_exists)?;
    let mut keeper = Keeper::start(&args.file, upkeep::MODE)?;
    plan.settle()?;
    let bytes = upkeep::backup_to(path, &mut keeper)?;
    keeper.finish()?;
    Ok(bytes)
}

/// An existing file has its own message.
fn or_exists(why: StoreError) -> UpkeepError {
    match why {
        StoreError::Io { path, source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            UpkeepError::Exists(path)
        }
        other => other.into(),
    }
}

/// Restores a copy.
///
/// # Errors
/// When a service runs, or the copy is damaged.
pub fn restore(
    args: &RestoreArgs,
    config: impl FnOnce() -> Result<Config, Faults>,
    mut voice: Voice<impl Write, impl Write>,
) -> Result<u8, UpkeepError> {
    let path = args.which.path(config)?;
    let plan = Plan::for_work_on(&path)?;
    // A file that only root can read is opened while this process is still root.
    let early = plan.is_beyond(&args.file)?.then(|| Source::open(&args.file)).transpose()?;
    plan.settle()?;
    let source = early.map_or_else(|| Source::open(&args.file), Ok)?;
    let suffix = format!(".before-{}", crate::clock::now().wall_ns / 1_000_000_000);
    let restored = upkeep::restore(source, &path, &suffix, |what| voice.step(what))?;
    writeln!(voice.out, "{} is restored from {}", path.display(), args.file.display())?;
    if let Some(kept) = restored.kept {
        writeln!(voice.out, "the previous store is {}", kept.display())?;
    }
    if restored.checked.version < restored.checked.newest {
        writeln!(voice.out, "it is of an earlier release: the service migrates it when it starts")?;
    }
    Ok(0)
}

/// Runs a maintenance command.
///
/// # Errors
/// When the store cannot be opened for the command.
pub fn store(
    command: &StoreCommand,
    config: impl FnOnce() -> Result<Config, Faults>,
    mut voice: Voice<impl Write, impl Write>,
) -> Result<u8, UpkeepError> {
    match command {
        StoreCommand::Check { full, json, which } => {
            let path = which.path(config)?;
            Plan::for_work_on(&path)?.settle()?;
            let depth = if *full { Depth::Full } else { Depth::Quick };
            let checked = upkeep::check(&path, depth, |what| voice.step(what))?;
            say_checked(&path, &checked, *json, &mut voice.out)?;
            Ok(u8::from(!checked.faults.is_empty()))
        }
        StoreCommand::Vacuum { which } => {
            let path = which.path(config)?;
            Plan::for_work_on(&path)?.settle()?;
            voice.step("compacting");
            let (before, after) = upkeep::vacuum(&path)?;
            writeln!(voice.out, "{}: {} before, {} now", path.display(), size(before), size(after))?;
            Ok(0)
        }
        StoreCommand::Prune => {
            let config = config()?;
            Plan::for_work_on(&config.store.path)?.settle()?;
            voice.step("deleting");
            let rows = prune(&config)?;
            writeln!(voice.out, "{}: {rows} rows that were too old are deleted", config.store.path.display())?;
            Ok(0)
        }
    }
}

/// Deletes all expired data in one step; the running service does this in small steps.
fn prune(config: &Config) -> Result<usize, StoreError> {
    upkeep::require(&config.store.path)?;
    let store = Store::open(Options::from_config(config), &crate::log::discard())?;
    let (reply, answer) = tokio::sync::oneshot::channel();
    store.writer(None).command(Command::PruneNow { reply });
    let rows = answer.blocking_recv().map_err(|_| StoreError::NoAnswer("it ended"))?;
    rows.map_err(StoreError::NotWritten)
}

/// Tables whose row counts are not shown one by one: together they hold the samples.
const HOLD_SAMPLES: [&str; 3] = ["sample", "journal", "block"];

fn say_checked(path: &Path, checked: &Checked, as_json: bool, out: &mut impl Write) -> io::Result<()> {
    if as_json {
        let rows: serde_json::Map<_, _> = checked.rows.iter().map(|(t, n)| (t.clone(), json!(n))).collect();
        let object = json!({
            "path": path, "sound": checked.faults.is_empty(), "version": checked.version, "newest": checked.newest,
            "bytes": checked.bytes, "free_bytes": checked.free_bytes, "rows": rows, "samples": checked.samples,
            "faults": checked.faults,
        });
        return writeln!(out, "{object:#}");
    }
    let state = if checked.faults.is_empty() { "sound" } else { "DAMAGED" };
    writeln!(out, "{}: {state}", path.display())?;
    let of = if checked.version == checked.newest { String::new() } else { format!(" of {}", checked.newest) };
    writeln!(
        out,
        "schema version {}{of}; {}, {} of it free",
        checked.version,
        size(checked.bytes),
        size(checked.free_bytes)
    )?;
    writeln!(out, "{:>12}  samples", checked.samples)?;
    for (table, rows) in checked.rows.iter().filter(|(table, _)| !HOLD_SAMPLES.contains(&table.as_str())) {
        writeln!(out, "{rows:>12}  {table}")?;
    }
    for fault in &checked.faults {
        writeln!(out, "  {fault}")?;
    }
    if !checked.faults.is_empty() {
        writeln!(out, "restore a backup, or move the file away: the service then makes a new one")?;
    }
    Ok(())
}

/// A size with a unit.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_creates_no_store() {
        let dir = tempfile::tempdir().unwrap();
        let settings = [("NTP_SERVER", "a.example"), ("NTP_MONITOR__MONITOR__DATA_DIR", dir.path().to_str().unwrap())];
        let environment = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let config = crate::config::load(None, &environment, &[]).unwrap().config;
        let why = prune(&config).unwrap_err().to_string();
        assert!(why.contains("cannot find"), "{why}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!([0, 1023, 1536, 5 << 20, 3 << 30].map(size), ["0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3.0 GiB"]);
    }
}
